//! The ledger of an independent client: every command that it sent, and what it was promised.
//!
//! # Invariants
//! - A receipt is for ever: the same command gets the same position and leaf hash again, marked as
//!   repeated.
//! - No two commands have the same position.
//! - What is lost is neither: it counts nowhere, and gets another receipt when it is sent again.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;
use uuid::Uuid;

use crate::blocks::Message;

/// A command: a report, or a step of a case.
#[derive(Clone, Debug)]
pub(crate) struct Command {
    /// Its id; a report's is that of its case.
    pub(crate) id: String,
    /// The case it is for.
    pub(crate) case: String,
    /// The body that is sent.
    pub(crate) body: Value,
    /// The position of its receipt; `None` as long as it is not acknowledged.
    pub(crate) position: Option<u64>,
    /// The leaf hash of its receipt, where the receipt names one.
    leaf_hash: Option<String>,
    /// The version that its receipt names.
    version: u64,
    /// Whether it was refused for good.
    pub(crate) refused: bool,
    /// Whether it was acknowledged once and is lost, and not acknowledged again.
    pub(crate) lost: bool,
}

impl Command {
    pub(crate) fn is_report(&self) -> bool {
        self.id == self.case
    }
}

/// What is known of a case.
#[derive(Clone, Debug, Default)]
pub(crate) struct Case {
    /// The report, as sent.
    pub(crate) report: Value,
    /// The highest version that a receipt named.
    pub(crate) version: u64,
    /// The highest position that a receipt named.
    pub(crate) position: u64,
    /// Whether a step was acknowledged that took it on.
    pub(crate) accepted: bool,
}

impl Case {
    pub(crate) fn grid(&self) -> &str {
        self.report["grid"].as_str().unwrap_or_default()
    }
}

/// The ledger.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger {
    commands: Vec<Command>,
    index: HashMap<String, usize>,
    /// The acknowledged cases by their ids.
    cases: BTreeMap<String, Case>,
    positions: BTreeMap<u64, String>,
    /// What was answered and may not be.
    pub(crate) wrong: Vec<String>,
}

/// How many cases there are by the ledger: at least those acknowledged, at most those sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub(crate) least: u64,
    pub(crate) most: u64,
}

impl Ledger {
    /// Enters a command that is about to be sent; the same one again changes nothing.
    pub(crate) fn note_sent(&mut self, id: &str, case: &str, body: &Value) {
        if self.index.contains_key(id) {
            return;
        }
        self.index.insert(id.to_owned(), self.commands.len());
        self.commands.push(Command {
            id: id.to_owned(),
            case: case.to_owned(),
            body: body.clone(),
            position: None,
            leaf_hash: None,
            version: 0,
            refused: false,
            lost: false,
        });
    }

    /// Enters that a command will not be taken, whatever is tried.
    pub(crate) fn note_refused(&mut self, id: &str) {
        let command = &mut self.commands[self.index[id]];
        command.refused = true;
        if let Some(position) = command.position {
            let text = format!("{id} was acknowledged at {position} and is refused now");
            self.wrong.push(text);
        }
    }

    /// Enters a receipt.
    pub(crate) fn note_receipt(&mut self, id: &str, receipt: &Value) {
        let (Some(position), Some(version)) =
            (receipt["position"].as_u64(), receipt["version"].as_u64())
        else {
            self.wrong.push(format!("{id}: no receipt: {receipt}"));
            return;
        };
        let leaf_hash = receipt["leaf_hash"].as_str().map(str::to_owned);
        let command = &mut self.commands[self.index[id]];
        let same = command.position == Some(position) && command.leaf_hash == leaf_hash;
        match command.position {
            Some(before) if !same || receipt["repeated"] != true => {
                self.wrong.push(format!(
                    "{id} was acknowledged at {before} and is answered as another event: {receipt}"
                ));
            }
            Some(_) => {}
            None => {
                command.position = Some(position);
                command.leaf_hash = leaf_hash;
                command.version = version;
                command.lost = false;
                if let Some(other) = self.positions.insert(position, id.to_owned()) {
                    let text = format!("{id} and {other} were both acknowledged at {position}");
                    self.wrong.push(text);
                }
            }
        }
        let case = command.case.clone();
        self.count(&case);
    }

    /// Enters that what a command was acknowledged as is lost: it counts no more, until it is
    /// acknowledged anew.
    pub(crate) fn give_up(&mut self, id: &str) {
        let command = &mut self.commands[self.index[id]];
        let Some(position) = command.position.take() else {
            return;
        };
        command.lost = true;
        command.leaf_hash = None;
        if self.positions.get(&position).is_some_and(|of| of == id) {
            self.positions.remove(&position);
        }
        let case = command.case.clone();
        self.count(&case);
    }

    /// Sums up the acknowledged commands of a case.
    fn count(&mut self, id: &str) {
        let of_case = self.commands.iter().filter(|command| command.case == id);
        let mut case: Option<Case> = None;
        for command in of_case {
            let Some(position) = command.position else {
                continue;
            };
            let case = case.get_or_insert_default();
            match command.is_report() {
                true => case.report = command.body.clone(),
                false => case.accepted = true,
            }
            case.version = case.version.max(command.version);
            case.position = case.position.max(position);
        }
        match case {
            Some(case) => self.cases.insert(id.to_owned(), case),
            None => self.cases.remove(id),
        };
    }

    /// The acknowledged cases by their ids.
    pub(crate) fn cases(&self) -> &BTreeMap<String, Case> {
        &self.cases
    }

    /// All commands in the order in which they were first sent.
    pub(crate) fn commands(&self) -> &[Command] {
        &self.commands
    }

    /// Commands whose fate is not known: sent, neither acknowledged nor refused for good, nor lost.
    pub(crate) fn in_doubt(&self) -> impl Iterator<Item = &Command> {
        let all = self.commands.iter();
        all.filter(|command| command.position.is_none() && !command.refused && !command.lost)
    }

    /// Commands that were acknowledged and are lost.
    pub(crate) fn lost(&self) -> impl Iterator<Item = &Command> {
        self.commands.iter().filter(|command| command.lost)
    }

    /// The ids of acknowledged commands that a log does not hold where their receipts say.
    pub(crate) fn not_in(&self, log: &BTreeMap<u64, Message>) -> Vec<String> {
        let acknowledged = self.commands.iter().filter(|command| {
            let Some(position) = command.position else {
                return false;
            };
            let case: Uuid = command.case.parse().unwrap();
            let held = log.get(&position);
            held.is_none_or(|message| !message.names(case))
        });
        acknowledged.map(|command| command.id.clone()).collect()
    }

    /// The highest position that was acknowledged.
    pub(crate) fn last_position(&self) -> u64 {
        self.positions.keys().next_back().copied().unwrap_or(0)
    }

    /// How many cases an area has: those whose grid begins with its code.
    pub(crate) fn bounds(&self, area: &str) -> Bounds {
        let within = |grid: Option<&str>| grid.is_some_and(|grid| grid.starts_with(area));
        let cases = self.cases.values().filter(|case| within(Some(case.grid())));
        let doubtful = self
            .in_doubt()
            .filter(|command| command.is_report() && within(command.body["grid"].as_str()));
        let least = cases.count() as u64;
        Bounds {
            least,
            most: least + doubtful.count() as u64,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn sent(ids: &[&str]) -> Ledger {
        let mut ledger = Ledger::default();
        for id in ids {
            ledger.note_sent(id, id, &json!({ "grid": "51040200200501" }));
        }
        ledger
    }

    fn receipt(position: u64, repeated: bool) -> Value {
        json!({ "position": position, "version": 1, "repeated": repeated })
    }

    #[test]
    fn what_was_sent_and_not_answered_may_or_may_not_count() {
        let mut ledger = sent(&["a", "b", "c"]);
        ledger.note_receipt("a", &receipt(1, false));
        ledger.note_refused("c");
        assert_eq!(ledger.bounds("510402"), Bounds { least: 1, most: 2 });
        assert_eq!(ledger.bounds("510402003"), Bounds { least: 0, most: 0 });
    }

    #[test]
    fn the_same_receipt_again_is_right_and_any_other_is_wrong() {
        let mut ledger = sent(&["a", "b"]);
        ledger.note_receipt("a", &receipt(1, false));
        ledger.note_receipt("a", &receipt(1, true));
        assert_eq!(ledger.wrong, [""; 0]);
        ledger.note_receipt("a", &receipt(1, false));
        ledger.note_receipt("a", &receipt(2, true));
        ledger.note_receipt("b", &receipt(1, false));
        ledger.note_refused("a");
        assert_eq!(ledger.wrong.len(), 4, "{:?}", ledger.wrong);
    }

    #[test]
    fn what_is_lost_counts_nowhere_until_it_is_acknowledged_again() {
        let mut ledger = sent(&["a", "b"]);
        ledger.note_sent("step", "a", &json!({}));
        ledger.note_receipt("a", &receipt(1, false));
        ledger.note_receipt("b", &receipt(2, false));
        ledger.note_receipt("step", &json!({ "position": 3, "version": 2 }));
        ledger.give_up("step");
        let case = &ledger.cases()["a"];
        assert_eq!((case.version, case.position, case.accepted), (1, 1, false));
        ledger.give_up("a");
        assert_eq!(ledger.bounds("510402"), Bounds { least: 1, most: 1 });
        let lost: Vec<_> = ledger.lost().map(|command| &*command.id).collect();
        assert_eq!(lost, ["a", "step"]);
        ledger.note_receipt("a", &receipt(3, false));
        assert_eq!(ledger.bounds("510402"), Bounds { least: 2, most: 2 });
        assert_eq!(ledger.last_position(), 3);
        assert_eq!(ledger.wrong, [""; 0]);
    }
}
