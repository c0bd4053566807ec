//! `gridkeeper log accept-loss`: gives up messages that were lost.

use gridkeeper_eventlog::{
    EventLog, KeyStore, LogError,
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
    evidence::{Evidence, known_to_views},
    opened_log::{LogPlace, OpenedLog},
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
    #[arg(long, required_unless_present_any = ["keys", "changed"])]
    from: Option<u64>,
    /// The last position that was lost; the end of the stretch that begins at `--from` when left out. Messages that
    /// are still there up to it are given up too.
    #[arg(long)]
    to: Option<u64>,
    /// Give up the events that were changed, as `gridkeeper doctor` names them.
    #[arg(long, conflicts_with_all = ["from", "to", "keys"])]
    changed: bool,
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
    begin_where_gone(log, &keys, own).await?;
    let by = By { actor, reason };
    if command.keys {
        return give_up_keys(&opened, &keys, by).await;
    }
    let diagnosis = evidence.diagnose(log).await?;
    let holds_other = !diagnosis.changed.is_empty() || !diagnosis.other_roots.is_empty();
    if holds_other && !command.changed {
        return Err(Error::Changed {
            changed: diagnosis.changed,
        });
    }
    let first = match command.changed {
        true => diagnosis.changed.first().copied(),
        false => command.from.map(Position),
    };
    let first = first.ok_or(Error::NothingChanged)?;
    let known = known_to_views(installation, &opened.url, (first, None)).await?;
    let beyond = known.as_ref().map_or(Position(0), |known| known.position);
    let stretches = match command.changed {
        true => diagnosis.changed_stretches(),
        false => vec![stretch(
            &diagnosis,
            (first, command.to.map(Position)),
            beyond,
        )?],
    };
    let loss = Loss {
        known_to: diagnosis.known_to.max(beyond),
        unfounded: diagnosis.unfounded,
        events: known.map(|known| known.events).unwrap_or_default(),
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
    let is_lost = |event: &&LostEvent| (from..=to).contains(&event.position);
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
    let position = opened.log.state(statement, by, last).await?;
    terminal::answer(format!(
        "gave up positions {from} to {to} by the statement at position {position}: {named} of their events are known, {aside} others are set aside"
    ))?;
    Ok(position)
}

async fn give_up_keys(opened: &OpenedLog, keys: &KeyStore, by: By) -> Result<(), Error> {
    let OpenedLog {
        installation, log, ..
    } = opened;
    let cases = unreadable_sections(log, keys).await?;
    if cases.is_empty() {
        return terminal::answer(
            "every sealed section has the key that opens it: nothing to give up",
        );
    }
    let (count, last) = (cases.len(), log.last_position().await?);
    let reason = by.reason;
    let statement = IntegrityEvent::KeysLost(KeysLost { cases, reason });
    let by = (by.actor, installation.clock.now());
    let position = log.state(statement, by, last).await?;
    terminal::answer(format!(
        "gave up the keys of {count} cases by the statement at position {position}"
    ))
}

/// Begins what is gone altogether, so that a statement can be made at all.
async fn begin_where_gone(log: &EventLog, keys: &KeyStore, own: LogId) -> Result<(), Error> {
    if matches!(log.facts().await, Err(LogError::NoStream { .. })) {
        log.begin(own).await?;
    }
    if matches!(keys.confirm(own).await, Err(LogError::NoStream { .. })) {
        keys.begin(own).await?;
    }
    log.checkpoints().await?.begin(own).await?;
    Ok(())
}

/// The stretch to give up: what is missing from a position on, or all up to another one. The end of
/// a log is given up from its first position that is missing to the last one: what is appended next
/// takes these positions, and whoever holds a receipt of any of them has to be told.
fn stretch(
    diagnosis: &Diagnosis,
    (from, to): (Position, Option<Position>),
    beyond: Position,
) -> Result<Stretch, Error> {
    let missing = diagnosis.missing.iter();
    let mut missing = missing.filter(|stretch| (stretch.from..=stretch.to).contains(&from));
    let found = missing.next().copied();
    // What only the views know of lies behind the end.
    let behind = (from.0 == diagnosis.last.0 + 1 && beyond > diagnosis.last)
        .then_some(Stretch { from, to: beyond });
    let last = diagnosis.known_to.max(beyond);
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
    match (found.or(behind), to) {
        (Some(_), Some(to)) if to >= from => Ok(Stretch { from, to }),
        (Some(found), None) => Ok(Stretch {
            from,
            to: found.to.max(behind.map_or(Position(0), |behind| behind.to)),
        }),
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

    #[test]
    fn the_end_of_a_log_is_given_up_as_a_whole() {
        let diagnosis = Diagnosis {
            last: Position(248),
            known_to: Position(273),
            missing: vec![positions(11, 13), positions(249, 273)],
            ..Diagnosis::default()
        };
        let given_up = |from: u64, to: Option<u64>, views: u64| {
            let asked = (Position(from), to.map(Position));
            stretch(&diagnosis, asked, Position(views))
        };
        assert_eq!(given_up(249, None, 0).unwrap(), positions(249, 273));
        assert_eq!(given_up(249, Some(280), 280).unwrap(), positions(249, 280));
        assert_eq!(given_up(11, Some(13), 0).unwrap(), positions(11, 13));
        for (from, to, views) in [
            (250, None, 0),
            (273, None, 0),
            (249, Some(260), 0),
            (249, Some(273), 280),
            (11, Some(249), 0),
            (274, None, 280),
        ] {
            let refused = given_up(from, to, views).unwrap_err();
            assert!(matches!(refused, Error::PartOfEnd { .. }), "{from} {to:?}");
        }
    }

    #[test]
    fn no_more_is_given_up_than_the_log_was_known_to_have() {
        let diagnosis = Diagnosis {
            last: Position(20),
            known_to: Position(20),
            missing: vec![positions(11, 13)],
            ..Diagnosis::default()
        };
        let given_up = |from: u64, to: Option<u64>, views: u64| {
            stretch(
                &diagnosis,
                (Position(from), to.map(Position)),
                Position(views),
            )
            .ok()
        };
        assert_eq!(given_up(11, None, 20), Some(positions(11, 13)));
        assert_eq!(given_up(12, Some(20), 20), Some(positions(12, 20)));
        assert_eq!(given_up(21, None, 25), Some(positions(21, 25)));
        assert_eq!(given_up(21, Some(25), 25), Some(positions(21, 25)));
        for (from, to, views) in [(11, 21, 20), (11, 99_999_999, 20), (21, 26, 25)] {
            assert_eq!(given_up(from, Some(to), views), None, "{from} to {to}");
        }
        assert_eq!(given_up(14, None, 20), None);
    }
}
