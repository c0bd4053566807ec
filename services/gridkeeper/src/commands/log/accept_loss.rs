//! `gridkeeper log accept-loss`: gives up messages that were lost.

use gridkeeper_eventlog::{
    AppendError, EventLog, KeyStore, LogError,
    diagnosis::{Diagnosis, Stretch},
    verify::unreadable_sections,
};
use gridkeeper_identity::load_checkpoint_verifier;
use gridkeeper_proto::{
    access::{Actor, Role},
    envelope::Position,
    event::{IntegrityEvent, KeysLost, LossAccepted, LostEvent},
    id::LogId,
};

use crate::{
    error::Error,
    evidence::Evidence,
    examination::{examine, not_in},
    opened_log::{LogPlace, OpenedLog},
    running_views::RunningViews,
    terminal,
};

/// Gives up messages that were lost, by an event in the log that every verification shows from then on: the
/// positions, and what the views still know of them. The services then go on from what is left, at their next start.
///
/// First look for something better: `gridkeeper doctor` says what there is.
#[derive(Debug, clap::Args)]
pub(crate) struct Command {
    #[command(flatten)]
    at: LogPlace,
    /// The first position that was lost, as `gridkeeper doctor` names it.
    #[arg(long, required_unless_present_any = ["keys", "changed", "other_history"])]
    from: Option<u64>,
    /// The last position that was lost; the end of the stretch that begins at `--from` when left out. Messages that
    /// are still there up to it are given up too.
    #[arg(long)]
    to: Option<u64>,
    /// Give up the events that were changed, as `gridkeeper doctor` names them.
    #[arg(long, conflicts_with_all = ["from", "to", "keys"])]
    changed: bool,
    /// Give up a history that is known besides this log's, as where an older copy of the log was gone on with. Nothing
    /// that is in this log is given up.
    #[arg(long, conflicts_with_all = ["from", "to", "keys", "changed"])]
    other_history: bool,
    /// Give up keys of sealed sections that were lost or changed, instead of messages.
    #[arg(long, conflicts_with_all = ["from", "to"])]
    keys: bool,
    /// Why, for whoever reads it years later: what failed, and why there was no backup.
    #[arg(long)]
    reason: String,
    /// Who says so; the name of the user of this machine when left out.
    #[arg(long)]
    by: Option<String>,
}

/// Runs the command.
pub(super) async fn run(command: Command) -> Result<(), Error> {
    let reason = checked_reason(&command.reason)?;
    let actor = operator(command.by.as_deref());
    let opened = command.at.open().await?;
    let keys = opened.keys().await?;
    let OpenedLog {
        installation, log, ..
    } = &opened;
    let own = load_checkpoint_verifier(&installation.layout.keys())?
        .origin()
        .log;
    let evidence = Evidence::of(installation, log, None).await?;
    let begun = begin_where_gone(log, &keys, own).await?;
    let by = By { actor, reason };
    if command.keys {
        return give_up_keys(&opened, &keys, by).await;
    }
    let views = RunningViews::of(&opened).await?;
    let diagnosis = examine(log, &evidence, &views).await?;
    if begun && diagnosis.is_whole() {
        return terminal::answer(
            "the broker had no stream of this log; now that it has one it gives all of it again: nothing is given up, start the services again",
        );
    }
    let stretches = command.stretches(&diagnosis)?;
    let Some(&Stretch { from, .. }) = stretches.first() else {
        return Err(Error::NothingChanged);
    };
    let known = views.known((from, None)).await?;
    let events = known.map(|known| known.events).unwrap_or_default();
    let (unfounded, events) = match command.other_history {
        true => (Vec::new(), not_in((log, diagnosis.last), &events).await?),
        false => (diagnosis.unfounded, events),
    };
    let loss = Loss {
        known_to: diagnosis.known_to,
        unfounded,
        events,
    };
    let mut last = diagnosis.last;
    for stretch in stretches {
        last = give_up(&opened, &loss, stretch, (&by, last)).await?;
    }
    if loss.events.is_empty() {
        terminal::answer(
            "no views told what was lost: no aggregator runs here, or they did not hold it",
        )?;
    }
    terminal::answer("start the services again: they read the log from what is left")
}

impl Command {
    /// What to give up. The end of a stretch before its beginning gives up nothing that is in the log.
    fn stretches(&self, diagnosis: &Diagnosis) -> Result<Vec<Stretch>, Error> {
        if self.changed {
            return Ok(diagnosis.changed_stretches());
        }
        if !diagnosis.changed.is_empty() || !diagnosis.other_roots.is_empty() {
            return Err(Error::Changed {
                changed: diagnosis.changed.clone(),
            });
        }
        match (diagnosis.other_history, self.from) {
            (Some(Stretch { from, .. }), None) => Ok(vec![Stretch {
                from,
                to: Position(from.0 - 1),
            }]),
            (Some(Stretch { from, to }), Some(_)) => Err(Error::OtherHistory { from, to }),
            (None, Some(from)) => Ok(vec![stretch(
                diagnosis,
                (Position(from), self.to.map(Position)),
            )?]),
            (None, None) => Ok(Vec::new()),
        }
    }
}

/// Who gives something up, and why.
struct By {
    actor: Actor,
    reason: String,
}

/// What is known of what is given up.
struct Loss {
    known_to: Position,
    unfounded: Vec<Position>,
    events: Vec<LostEvent>,
}

/// Gives a stretch up; gives the position of the statement. `last` is where the log ends.
async fn give_up(
    opened: &OpenedLog,
    loss: &Loss,
    Stretch { from, to }: Stretch,
    (by, last): (&By, Position),
) -> Result<Position, Error> {
    let other_history = to < from;
    let end = if other_history { loss.known_to } else { to };
    let is_lost = |event: &&LostEvent| (from..=end).contains(&event.position);
    let lost: Vec<_> = loss.events.iter().filter(is_lost).cloned().collect();
    let unfounded = loss.unfounded.iter().copied();
    let set_aside: Vec<_> = unfounded.filter(|at| *at > to).collect();
    let (named, aside) = (lost.len(), set_aside.len());
    let statement = IntegrityEvent::LossAccepted(LossAccepted {
        from,
        to,
        known_to: loss.known_to.max(to),
        set_aside,
        lost,
        reason: by.reason.clone(),
    });
    let now = opened.installation.clock.now();
    let by = (by.actor.clone(), now);
    let position = opened.log.state(statement, by, last).await;
    let position = position.map_err(|error| not_stated(error, last))?;
    let what = match other_history {
        true => format!("another history of positions {from} to {end}"),
        false => format!("positions {from} to {to}"),
    };
    terminal::answer(format!(
        "gave up {what} by the statement at position {position}: {named} of their events are known, {aside} others are set aside"
    ))?;
    Ok(position)
}

/// Why a statement was not made.
pub(super) fn not_stated(error: AppendError, last: Position) -> Error {
    match error {
        AppendError::Conflict {
            counted: Some(counted),
            ..
        } if counted > last => Error::Counted { counted, last },
        error => error.into(),
    }
}

async fn give_up_keys(opened: &OpenedLog, keys: &KeyStore, by: By) -> Result<(), Error> {
    let OpenedLog {
        installation, log, ..
    } = opened;
    let cases = unreadable_sections(log, keys).await?;
    if cases.is_empty() {
        return terminal::answer(
            "every sealed section has the key that opens it: nothing to give up; the store of keys is there",
        );
    }
    let (count, last) = (cases.len(), log.last_position().await?);
    let reason = by.reason;
    let statement = IntegrityEvent::KeysLost(KeysLost { cases, reason });
    let by = (by.actor, installation.clock.now());
    let position = log.state(statement, by, last).await;
    let position = position.map_err(|error| not_stated(error, last))?;
    terminal::answer(format!(
        "gave up the keys of {count} cases by the statement at position {position}"
    ))
}

/// Begins what is gone altogether, so that a statement can be made at all; whether that was the log.
async fn begin_where_gone(log: &EventLog, keys: &KeyStore, own: LogId) -> Result<bool, Error> {
    let gone = matches!(log.facts().await, Err(LogError::NoStream { .. }));
    if gone {
        log.begin(own).await?;
    }
    if matches!(keys.confirm(own).await, Err(LogError::NoStream { .. })) {
        keys.begin(own).await?;
    }
    log.checkpoints().await?.begin(own).await?;
    Ok(gone)
}

/// The stretch to give up: what is missing from a position on, or all up to another one. The end of
/// a log is given up from its first position that is missing to the last one: what is appended next
/// takes these positions, and whoever holds a receipt of any of them has to be told.
fn stretch(
    diagnosis: &Diagnosis,
    (from, to): (Position, Option<Position>),
) -> Result<Stretch, Error> {
    let missing = diagnosis.missing.iter();
    let mut missing = missing.filter(|stretch| (stretch.from..=stretch.to).contains(&from));
    let found = missing.next().copied();
    let last = diagnosis.known_to;
    if let Some(to) = to.filter(|to| *to > last) {
        return Err(Error::BeyondKnown { to, last });
    }
    let end = Stretch {
        from: Position(diagnosis.last.0 + 1),
        to: last,
    };
    let into_end = to.is_some_and(|to| (end.from..end.to).contains(&to));
    if from > end.from && from <= end.to || into_end {
        return Err(Error::PartOfEnd { end });
    }
    match (found, to) {
        (Some(_), Some(to)) if to >= from => Ok(Stretch { from, to }),
        (Some(found), None) => Ok(Stretch { from, ..found }),
        _ => Err(Error::NothingLost {
            position: from,
            missing: diagnosis.missing.clone(),
        }),
    }
}

pub(super) fn checked_reason(reason: &str) -> Result<String, Error> {
    let reason = reason.trim();
    match reason.chars().count() {
        1..=4_000 => Ok(reason.to_owned()),
        characters => Err(Error::Reason { characters }),
    }
}

pub(super) fn operator(by: Option<&str>) -> Actor {
    let user = std::env::var("USER").unwrap_or_else(|_| "operator".to_owned());
    Actor {
        id: by.map_or(user, str::to_owned),
        role: Role::Admin,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn positions(from: u64, to: u64) -> Stretch {
        Stretch {
            from: Position(from),
            to: Position(to),
        }
    }

    fn diagnosis(last: u64, known_to: u64, missing: &[(u64, u64)]) -> Diagnosis {
        Diagnosis {
            last: Position(last),
            known_to: Position(known_to),
            missing: missing
                .iter()
                .map(|(from, to)| positions(*from, *to))
                .collect(),
            ..Diagnosis::default()
        }
    }

    #[test]
    fn the_end_of_a_log_is_given_up_as_a_whole() {
        let diagnosis = diagnosis(248, 280, &[(11, 13), (249, 280)]);
        let given_up = |from: u64, to: Option<u64>| {
            let asked = (Position(from), to.map(Position));
            stretch(&diagnosis, asked)
        };
        assert_eq!(given_up(249, None).unwrap(), positions(249, 280));
        assert_eq!(given_up(249, Some(280)).unwrap(), positions(249, 280));
        assert_eq!(given_up(11, Some(13)).unwrap(), positions(11, 13));
        for (from, to) in [
            (250, None),
            (280, None),
            (249, Some(260)),
            (249, Some(279)),
            (11, Some(249)),
        ] {
            let refused = given_up(from, to).unwrap_err();
            assert!(matches!(refused, Error::PartOfEnd { .. }), "{from} {to:?}");
        }
    }

    #[test]
    fn no_more_is_given_up_than_the_log_was_known_to_have() {
        let given_up = |from: u64, to: Option<u64>, end: u64| {
            let mut missing = vec![(11, 13)];
            missing.extend((end > 20).then_some((21, end)));
            let asked = (Position(from), to.map(Position));
            stretch(&diagnosis(20, end, &missing), asked).ok()
        };
        assert_eq!(given_up(11, None, 20), Some(positions(11, 13)));
        assert_eq!(given_up(12, Some(20), 20), Some(positions(12, 20)));
        assert_eq!(given_up(21, None, 25), Some(positions(21, 25)));
        assert_eq!(given_up(21, Some(25), 25), Some(positions(21, 25)));
        for (from, to, end) in [(11, 21, 20), (11, 99_999_999, 20), (21, 26, 25)] {
            assert_eq!(given_up(from, Some(to), end), None, "{from} to {to}");
        }
        assert_eq!(given_up(14, None, 20), None);
    }

    fn asked(arguments: &[&str]) -> Command {
        #[derive(clap::Parser)]
        struct Parsed {
            #[command(flatten)]
            command: Command,
        }
        let arguments = ["accept-loss", "--reason", "disk"].iter().chain(arguments);
        <Parsed as clap::Parser>::parse_from(arguments).command
    }

    #[test]
    fn while_another_history_is_known_nothing_is_given_up_but_that_history() {
        let mut diagnosis = diagnosis(30, 40, &[(31, 40)]);
        diagnosis.add_other_history(positions(21, 35));
        assert_eq!(diagnosis.other_history, Some(positions(21, 40)));
        assert_eq!(diagnosis.missing, []);
        let other = asked(&["--other-history"]).stretches(&diagnosis).unwrap();
        assert_eq!(other, [positions(21, 20)]);
        let refused = asked(&["--from", "31"]).stretches(&diagnosis).unwrap_err();
        assert!(matches!(refused, Error::OtherHistory { .. }));
        diagnosis.changed = vec![Position(7)];
        let refused = asked(&["--other-history"])
            .stretches(&diagnosis)
            .unwrap_err();
        assert!(matches!(refused, Error::Changed { .. }));
        let changed = asked(&["--changed"]).stretches(&diagnosis).unwrap();
        assert_eq!(changed, [positions(7, 7)]);
    }
}
