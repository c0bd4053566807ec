//! Phones that file reports and try again what was not acknowledged.

use std::time::Duration;

use gridkeeper_tests::until;
use rand::{RngExt as _, rngs::Xoshiro256PlusPlus};
use serde_json::json;
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{interval, timeout},
};

use crate::{
    client::{Client, late_report, new_id, report},
    ledger::Command,
};

/// Grids in which reports are filed before the damage.
const BEFORE: [&str; 6] = [
    "51040200200501",
    "51040200200507",
    "51040200100101",
    "51040200400103",
    "51040200600401",
    "51040200900104",
];
/// Other grids, in which new reports are tried after it.
const AFTER: [&str; 3] = ["51040200300101", "51040200300102", "51040200500108"];

const AGAIN: Duration = Duration::from_millis(50);
const REPORTS_A_REQUEST: usize = 12;

/// Files reports and steps until each is acknowledged.
pub(crate) async fn fill(client: &Client, from: usize, to: usize, description: usize) {
    let numbers: Vec<_> = (from..to).collect();
    for part in numbers.chunks(REPORTS_A_REQUEST * BEFORE.len()) {
        let grids = BEFORE.iter().enumerate().map(|(index, grid)| {
            let own = part.iter().skip(index).step_by(BEFORE.len());
            let reports: Vec<_> = own
                .map(|number| match number % 40 {
                    7 => late_report(*number, grid, description),
                    _ => report(*number, grid, description),
                })
                .collect();
            async move { client.file(&reports).await }
        });
        futures::future::join_all(grids).await;
        accept_some(client, part.len() / 8).await;
    }
    settle_doubts(client).await;
}

/// Takes some of the newest cases on.
async fn accept_some(client: &Client, count: usize) {
    let cases: Vec<_> = {
        let ledger = client.ledger();
        let newest = ledger.commands().iter().rev();
        let open = newest.filter(|command| {
            command.is_report() && command.position.is_some() && command.body["imported"].is_null()
        });
        open.take(count)
            .map(|command| command.case.clone())
            .collect()
    };
    for case in cases {
        let id = new_id();
        let body = json!({ "id": id, "command": { "step": "accept" } });
        client.step(&id, &case, &body).await;
    }
}

/// Sends again what is in doubt until nothing is.
async fn settle_doubts(client: &Client) {
    until("everything sent is acknowledged", async || {
        let doubtful: Vec<_> = client.ledger().in_doubt().cloned().collect();
        repeat(client, &doubtful).await;
        client.ledger().in_doubt().next().is_none().then_some(())
    })
    .await;
}

/// As [`settle_doubts`], as long as there is time; says whether nothing is in doubt any more.
pub(crate) async fn settle_within(client: &Client, limit: Duration) -> bool {
    timeout(limit, settle_doubts(client)).await.is_ok()
}

/// Files a new report in each grid.
pub(crate) async fn file_everywhere(client: &Client) {
    for (number, grid) in BEFORE.iter().chain(&AFTER).enumerate() {
        client.file(&[report(number, grid, 80)]).await;
    }
}

/// Sends everything again that is acknowledged.
pub(crate) async fn repeat_acknowledged(client: &Client) {
    let all: Vec<_> = {
        let ledger = client.ledger();
        let all = ledger.commands().iter();
        all.filter(|command| command.position.is_some())
            .cloned()
            .collect()
    };
    repeat_many(client, &all).await;
}

/// Sends everything again that is lost.
pub(crate) async fn file_lost_again(client: &Client) {
    let all: Vec<_> = client.ledger().lost().cloned().collect();
    repeat_many(client, &all).await;
}

/// Sends reports again, some in each request, and then steps.
async fn repeat_many(client: &Client, commands: &[Command]) {
    let (reports, steps): (Vec<_>, Vec<_>) = commands.iter().cloned().partition(Command::is_report);
    for some in reports.chunks(REPORTS_A_REQUEST) {
        let bodies: Vec<_> = some.iter().map(|command| command.body.clone()).collect();
        client.file(&bodies).await;
    }
    repeat(client, &steps).await;
}

/// As [`settle_doubts`], once: what cannot be settled stays in doubt.
pub(crate) async fn try_doubts(client: &Client) {
    let doubtful: Vec<_> = client.ledger().in_doubt().cloned().collect();
    repeat(client, &doubtful).await;
}

async fn repeat(client: &Client, commands: &[Command]) {
    for command in commands {
        client
            .repeat(&command.id, &command.case, &command.body)
            .await;
    }
}

/// Phones at work.
pub(crate) struct Phones {
    stop: watch::Sender<bool>,
    working: JoinHandle<()>,
}

impl Phones {
    /// Phones that file up to `new` reports in other grids, and repeat old commands meanwhile.
    pub(crate) fn start(client: Client, new: usize, mut random: Xoshiro256PlusPlus) -> Self {
        let (stop, mut stopped) = watch::channel(false);
        let working = tokio::spawn(async move {
            let mut interval = interval(AGAIN);
            let mut filed = 0;
            while !*stopped.borrow() {
                tokio::select! {
                    _ = interval.tick() => {}
                    _ = stopped.changed() => return,
                }
                if filed < new {
                    let count = (new - filed).min(8);
                    let reports: Vec<_> = (filed..filed + count)
                        .map(|number| report(number, AFTER[number % AFTER.len()], 80))
                        .collect();
                    client.file(&reports).await;
                    filed += count;
                }
                let old = old_commands(&client, &mut random, 3);
                repeat(&client, &old).await;
            }
        });
        Self { stop, working }
    }

    /// Stops them after what they are sending.
    pub(crate) async fn stop(self) {
        self.stop.send_replace(true);
        self.working.await.unwrap();
    }
}

/// Some commands of the ledger: those in doubt first, then any.
fn old_commands(client: &Client, random: &mut Xoshiro256PlusPlus, count: usize) -> Vec<Command> {
    let ledger = client.ledger();
    let mut old: Vec<_> = ledger.in_doubt().take(count).cloned().collect();
    let acknowledged: Vec<_> = ledger
        .commands()
        .iter()
        .filter(|command| command.position.is_some())
        .collect();
    if !acknowledged.is_empty() {
        let any = (0..count).map(|_| acknowledged[random.random_range(0..acknowledged.len())]);
        old.extend(any.cloned());
    }
    old
}
