//! Events as readers get them: without what is sealed.

use gridkeeper_eventlog::Stored;
use gridkeeper_proto::{
    api::EventRecord,
    event::{Event, Recorded},
};

use crate::Error;

/// Decodes an event of the log.
pub(crate) fn recorded(stored: &Stored) -> Result<Recorded, Error> {
    let position = stored.position;
    Recorded::decode(position, &stored.bytes).map_err(|source| Error::Event { position, source })
}

/// The event without its sealed section.
pub(crate) fn of(recorded: Recorded) -> EventRecord {
    let Recorded {
        position,
        header,
        mut event,
    } = recorded;
    if let Event::Reported(report) = &mut event {
        report.parties = None;
    }
    EventRecord {
        position,
        event_id: header.event_id,
        case_id: header.case_id,
        grid: header.grid,
        command_id: header.command_id,
        occurred_at: header.occurred_at,
        recorded_at: header.recorded_at,
        actor: header.actor,
        event,
    }
}
