//! What is wrong with the log of an installation, held against everything that is known of it: roots, and what the views
//! of a running aggregator were folded from.

use gridkeeper_eventlog::{
    EventLog, LogError,
    diagnosis::{Diagnosis, Stretch},
};
use gridkeeper_proto::{
    envelope::{Header, Position},
    event::{InquiryEvent, LostEvent},
    id::AggregateId,
    integrity::Standing,
    time::Timestamp,
};

use crate::{error::Error, evidence::Evidence, running_views::RunningViews};

/// How many positions of the views are compared with the log at once.
const WINDOW: u64 = 1_000;

/// Says what is wrong with the log.
///
/// # Errors
/// The broker does not answer, or has no log of the district.
pub(crate) async fn examine(
    log: &EventLog,
    evidence: &Evidence,
    running: &RunningViews,
) -> Result<Diagnosis, Error> {
    // Before the end of the log is looked at, which goes on meanwhile.
    let (views, stated) = reach(running).await?;
    let mut diagnosis = evidence.diagnose(log).await?;
    // Views of a history that was given up put themselves aside at their next start.
    if diagnosis.statements.superseding(views, stated).is_some() {
        return Ok(diagnosis);
    }
    add_missing(&mut diagnosis, views);
    if let Some(found) = evidence.gone_on_without(&diagnosis) {
        diagnosis.add_other_history(found);
    }
    // What was changed differs from the views too.
    if diagnosis.changed.is_empty()
        && diagnosis.other_roots.is_empty()
        && let Some(from) = parting(log, running, views.min(diagnosis.last)).await?
    {
        let to = views.max(diagnosis.last);
        diagnosis.add_other_history(Stretch { from, to });
    }
    Ok(diagnosis)
}

/// How far the views of a running aggregator are, and when the last statement was made that they follow; zero and 1970
/// where none answers.
async fn reach(running: &RunningViews) -> Result<(Position, Timestamp), Error> {
    let of_no_event = (Position(u64::MAX), None);
    let known = running.known(of_no_event).await?;
    let reach = known.map(|known| (known.position, known.stated));
    Ok(reach.unwrap_or_default())
}

/// Views may be the last to know how far the log went.
fn add_missing(diagnosis: &mut Diagnosis, views: Position) {
    if views <= diagnosis.known_to {
        return;
    }
    let from = Position(diagnosis.known_to.0 + 1);
    match diagnosis.missing.last_mut() {
        Some(last) if last.to == diagnosis.known_to => last.to = views,
        _ => diagnosis.missing.push(Stretch { from, to: views }),
    }
    diagnosis.known_to = views;
}

/// The first position at which the views hold another event than the log; `None` where they hold the same up to `end`.
async fn parting(
    log: &EventLog,
    running: &RunningViews,
    end: Position,
) -> Result<Option<Position>, Error> {
    let (mut parting, mut end) = (None, end);
    while end > Position(0) {
        let from = Position(end.0.saturating_sub(WINDOW - 1).max(1));
        let Some(known) = running.known((from, Some(end))).await? else {
            break;
        };
        let missed = not_in((log, end), &known.events).await?;
        match missed.first() {
            Some(first) => parting = Some(first.position),
            // The two have this in common, and what is before it.
            None if !known.events.is_empty() => break,
            None => {}
        }
        end = Position(from.0 - 1);
    }
    Ok(parting)
}

/// Those events that a log which ends at `last` does not hold where the views have them. A hole may have held them, and
/// is counted neither way.
///
/// # Errors
/// The broker does not answer.
pub(crate) async fn not_in(
    (log, last): (&EventLog, Position),
    events: &[LostEvent],
) -> Result<Vec<LostEvent>, Error> {
    let mut missed = Vec::new();
    for event in events {
        if event.position > last {
            missed.push(*event);
            continue;
        }
        let stored = match log.read(event.position).await {
            Ok(stored) => stored,
            Err(LogError::Missing { .. }) => continue,
            Err(LogError::Foreign { .. }) => {
                missed.push(*event);
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        let holds = match stored.standing {
            // Given up already.
            Standing::Lost => true,
            Standing::Quarantined => false,
            Standing::Event | Standing::SetAside => {
                let header = Header::decode(&stored.bytes);
                header.is_ok_and(|(header, _)| may_be(&header, event))
            }
        };
        if !holds {
            missed.push(*event);
        }
    }
    Ok(missed)
}

/// Whether an event of the log may be the one that the views know.
fn may_be(header: &Header, event: &LostEvent) -> bool {
    match event.case {
        Some(case) => header.aggregate == AggregateId::from(case),
        None => InquiryEvent::TYPES
            .iter()
            .any(|known| known.0 == header.event_type),
    }
}
