//! What the views know of the events in a stretch of the log.

use gridkeeper_proto::{envelope::Position, event::LostEvent, inquiry::Inquiry, view::CaseView};
use gridkeeper_viewstore::{Error, ViewStore};

use crate::keys;

/// How many events are named at most: what a statement on the log holds.
const MAX_NAMED: usize = 20_000;

/// The events of cases and inquiries from one position to another, both included, in order; at most 20,000. Reads all
/// of the views; blocks.
///
/// # Errors
/// The store cannot be read.
pub fn known_events(
    store: &ViewStore,
    from: Position,
    to: Position,
) -> Result<Vec<LostEvent>, Error> {
    let within = |position: &&Position| (from..=to).contains(position);
    let mut known = store.read(|reader| {
        let mut known = Vec::new();
        for entry in reader.prefix(&keys::all_cases(), None).values::<CaseView>() {
            let (_, view) = entry?;
            let events = view.events.iter().filter(within);
            known.extend(events.map(|&position| LostEvent {
                position,
                case: Some(view.case.id),
            }));
        }
        for entry in reader
            .prefix(&keys::all_inquiries(), None)
            .values::<Inquiry>()
        {
            let (_, inquiry) = entry?;
            let events = inquiry.events.iter().filter(within);
            known.extend(events.map(|&position| LostEvent {
                position,
                case: None,
            }));
        }
        Ok::<_, Error>(known)
    })?;
    known.sort_by_key(|event| event.position);
    known.truncate(MAX_NAMED);
    Ok(known)
}
