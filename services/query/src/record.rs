//! Events as readers get them: without what is sealed.

use gridkeeper_eventlog::Stored;
use gridkeeper_proto::{
    api::EventRecord,
    event::{CaseEvent, Event, Recorded},
};

use crate::Error;

/// Decodes an event of the log.
pub(crate) fn recorded(stored: &Stored) -> Result<Recorded, Error> {
    let position = stored.position;
    Recorded::decode(position, &stored.bytes).map_err(|source| Error::Event { position, source })
}

/// The event without its sealed section.
pub(crate) fn of(recorded: Recorded<impl Into<Event>>) -> EventRecord {
    let Recorded {
        position,
        header,
        event,
    } = recorded;
    let mut event = event.into();
    if let Event::Case(CaseEvent::Reported(report)) = &mut event {
        report.parties = None;
    }
    EventRecord {
        position,
        event_id: header.event_id,
        aggregate: header.aggregate,
        area: header.area,
        command_id: header.command_id,
        occurred_at: header.occurred_at,
        recorded_at: header.recorded_at,
        actor: header.actor,
        event,
    }
}
