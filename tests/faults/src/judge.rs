//! Compares what the query service answers with the ledger.

use std::collections::{BTreeMap, HashMap};

use futures::StreamExt as _;
use serde_json::Value;

use crate::{
    client::Client,
    ledger::{Bounds, Case, Command},
};

const DISTRICT: &str = "510402";
/// The code of what was recorded once and was lost.
const LOST: &str = "GK0530";
const AT_ONCE: usize = 8;
/// After how many questions without any answer no more are asked.
const MAX_SILENT: usize = 4;

/// What a comparison found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Found {
    /// Answers that contradict the ledger.
    pub(crate) wrong: Vec<String>,
    /// Questions that were not answered with 200.
    pub(crate) unanswered: Vec<String>,
    /// Cases whose parties were not shown.
    pub(crate) without_parties: Vec<String>,
    /// How many questions were not answered at all.
    silent: usize,
}

impl Found {
    fn add(&mut self, other: Self) {
        self.wrong.extend(other.wrong);
        self.unanswered.extend(other.unanswered);
        self.without_parties.extend(other.without_parties);
        self.silent += other.silent;
    }

    fn add_silence(&mut self, path: &str) {
        self.unanswered.push(format!("{path}: no answer"));
        self.silent += 1;
    }
}

/// What is answered for reports and steps that are lost.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lost {
    /// Reports of which nothing is known.
    pub(crate) nameless: Vec<String>,
    /// Answers that are not those for what is lost.
    pub(crate) wrong: Vec<String>,
}

/// An answer, or why there is none.
enum Answer {
    Said(Value),
    Denied,
    None(String),
    Silence,
}

async fn ask(client: &Client, path: &str) -> Answer {
    match client.ask(path).await {
        Some((200, text)) => match serde_json::from_str(&text) {
            Ok(value) => Answer::Said(value),
            Err(error) => Answer::None(format!("{path}: {error}")),
        },
        Some((404, _)) => Answer::Denied,
        Some((status, text)) => Answer::None(format!("{path}: {status} {text}")),
        None => Answer::Silence,
    }
}

/// Compares the figures of the district and some cases, while commands are still sent.
pub(crate) async fn probe(client: &Client, cases: usize) -> Found {
    let mut found = area(client, DISTRICT).await;
    let some: Vec<_> = {
        let ledger = client.ledger();
        let all = ledger.cases();
        let step = (all.len() / cases).max(1);
        let some = all.iter().step_by(step);
        some.map(|(id, case)| (id.clone(), case.clone())).collect()
    };
    for (id, case) in some {
        if found.silent > 0 {
            break;
        }
        found.add(compare_case(client, &id, &case).await);
    }
    found
}

/// Compares everything. Nothing may be sent meanwhile.
pub(crate) async fn compare(client: &Client) -> Found {
    let mut found = Found::default();
    let cases: Vec<_> = {
        let ledger = client.ledger();
        let all = ledger.cases().iter();
        all.map(|(id, case)| (id.clone(), case.clone())).collect()
    };
    let mut grids: Vec<_> = cases.iter().map(|(_, case)| case.grid()).collect();
    grids.sort_unstable();
    grids.dedup();
    for code in grids.into_iter().chain([DISTRICT]) {
        found.add(area(client, code).await);
        if found.silent > MAX_SILENT {
            return found;
        }
    }
    found.add(list(client).await);
    found.add(events(client).await);
    let mut each = futures::stream::iter(&cases)
        .map(|(id, case)| compare_case(client, id, case))
        .buffer_unordered(AT_ONCE);
    while let Some(one) = each.next().await {
        found.add(one);
        if found.silent > MAX_SILENT {
            break;
        }
    }
    found
}

/// Asks for everything that is lost: a report is gone, and a case of which only steps are lost is
/// as it was before them.
pub(crate) async fn ask_for_lost(client: &Client) -> Lost {
    let (lost, position): (Vec<_>, _) = {
        let ledger = client.ledger();
        (ledger.lost().cloned().collect(), ledger.last_position())
    };
    let mut found = Lost::default();
    for Command { id, case, .. } in &lost {
        let standing = client.ledger().cases().get(case).cloned();
        let path = format!("/v1/cases/{case}?at_least={position}&wait_ms=500");
        let (status, text) = client.ask(&path).await.unwrap_or_default();
        let right = match (id == case, standing) {
            (true, _) if status == 404 => {
                found.nameless.push(id.clone());
                true
            }
            (false, Some(Case { accepted, .. })) => {
                let answer: Value = serde_json::from_str(&text).unwrap_or_default();
                status == 200 && (accepted || answer["state"] == "reported")
            }
            // The steps of a lost report are asked for with it.
            (false, None) => true,
            (true, _) => status == 410 && text.contains(LOST),
        };
        if !right {
            found.wrong.push(format!("{id} of {case}: {status} {text}"));
        }
    }
    found
}

/// The count of an area.
async fn area(client: &Client, code: &str) -> Found {
    let (position, least) = {
        let ledger = client.ledger();
        (ledger.last_position(), ledger.bounds(code).least)
    };
    let mut found = Found::default();
    let path = format!("/v1/areas/{code}?at_least={position}&wait_ms=500");
    match ask(client, &path).await {
        Answer::None(why) => found.unanswered.push(why),
        Answer::Silence => found.add_silence(&path),
        Answer::Denied => found.wrong.push(format!("{path}: no such area")),
        Answer::Said(answer) => {
            // What was sent while the answer was on its way may be in it.
            let Bounds { most, .. } = client.ledger().bounds(code);
            let reported = answer["reported"].as_u64().unwrap_or(u64::MAX);
            if !(least..=most).contains(&reported) {
                found.wrong.push(format!(
                    "{code} has {reported} cases and has to have {least} to {most}"
                ));
            }
        }
    }
    found
}

async fn compare_case(client: &Client, id: &str, case: &Case) -> Found {
    let mut found = Found::default();
    let path = format!("/v1/cases/{id}?at_least={}&wait_ms=500", case.position);
    let answer = match ask(client, &path).await {
        Answer::Said(answer) => answer,
        Answer::Denied => {
            let position = case.position;
            found.wrong.push(format!(
                "{id}, acknowledged at {position}: there is no such case"
            ));
            return found;
        }
        Answer::None(why) => {
            found.unanswered.push(why);
            return found;
        }
        Answer::Silence => {
            found.add_silence(&path);
            return found;
        }
    };
    for field in ["description", "grid", "kind", "category", "channel"] {
        let (said, sent) = (&answer[field], &case.report[field]);
        if said != sent && !case.report.is_null() {
            found
                .wrong
                .push(format!("{id}: {field} is {said}, sent {sent}"));
        }
    }
    let version = answer["version"].as_u64().unwrap_or(0);
    let passed_over = case.accepted && answer["state"] == "reported";
    if version < case.version || passed_over {
        let (state, acknowledged) = (&answer["state"], case.version);
        found.wrong.push(format!(
            "{id}: version {version} is {state}, and {acknowledged} was acknowledged"
        ));
    }
    if let Some(sent) = case.report["parties"].as_array() {
        match answer["parties"].as_array() {
            None if answer["parties_state"] == "sealed" => {
                found.without_parties.push(id.to_owned());
            }
            Some(said) if said[0]["name"] == sent[0]["name"] => {}
            _ => {
                let (parties, state) = (&answer["parties"], &answer["parties_state"]);
                found
                    .wrong
                    .push(format!("{id}: its parties are {parties}, {state}"));
            }
        }
    }
    found
}

/// Every case is listed once.
async fn list(client: &Client) -> Found {
    let mut found = Found::default();
    let position = client.ledger().last_position();
    let mut times: HashMap<String, u32> = HashMap::new();
    let mut after = String::new();
    loop {
        let path = format!("/v1/cases?limit=1000&at_least={position}&wait_ms=500{after}");
        let answer = match ask(client, &path).await {
            Answer::Said(answer) => answer,
            Answer::Denied => return found,
            Answer::None(why) => {
                found.unanswered.push(why);
                return found;
            }
            Answer::Silence => {
                found.add_silence(&path);
                return found;
            }
        };
        for case in answer["cases"].as_array().into_iter().flatten() {
            let id = case["id"].as_str().unwrap_or_default().to_owned();
            *times.entry(id).or_default() += 1;
        }
        match answer["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    let ledger = client.ledger();
    for id in ledger.cases().keys() {
        match times.remove(id) {
            Some(1) => {}
            Some(times) => found.wrong.push(format!("{id} is listed {times} times")),
            None => found.wrong.push(format!("{id} is not listed")),
        }
    }
    for command in ledger.in_doubt() {
        times.remove(&command.id);
    }
    found.wrong.extend(
        times
            .keys()
            .map(|id| format!("{id} is listed and was never sent")),
    );
    found
}

/// Every receipt's position holds an event of its case.
async fn events(client: &Client) -> Found {
    let mut found = Found::default();
    let mut held: BTreeMap<u64, String> = BTreeMap::new();
    let mut after = 0;
    loop {
        let path = format!("/v1/events?after={after}&limit=10000");
        let text = match client.ask(&path).await {
            Some((200, text)) => text,
            Some((status, text)) => {
                found.unanswered.push(format!("{path}: {status} {text}"));
                return found;
            }
            None => {
                found.add_silence(&path);
                return found;
            }
        };
        let before = held.len();
        for line in text.lines() {
            let event: Value = serde_json::from_str(line).unwrap_or_default();
            let position = event["position"].as_u64().unwrap_or(0);
            held.insert(position, event["aggregate"].to_string());
        }
        match held.keys().next_back() {
            Some(last) if held.len() > before => after = *last,
            _ => break,
        }
    }
    let ledger = client.ledger();
    for command in ledger.commands() {
        let Some(position) = command.position else {
            continue;
        };
        let holds = held.get(&position).cloned().unwrap_or_default();
        if !holds.contains(&command.case) {
            let id = &command.id;
            found.wrong.push(format!(
                "{id} was acknowledged at {position}, which holds {holds:?} in the pull of events"
            ));
        }
    }
    found
}
