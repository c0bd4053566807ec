//! Bytes of events; one operation is one event.

use std::hint::black_box;

use gridkeeper_proto::event::Recorded;

use crate::{lives::Lives, work::Work};

/// Header and payload to bytes.
pub(crate) fn encode() -> Work {
    let events = Lives::written().recorded();
    Work::of(events.len(), events.len(), move |number| {
        let Recorded { header, event, .. } = black_box(&events[number]);
        let payload = event.encode();
        black_box(header.encode(&payload.bytes));
    })
}

/// Bytes to header and payload.
pub(crate) fn decode() -> Work {
    let events = &Lives::written().log.events;
    Work::of(events.len(), events.len(), move |number| {
        let event = black_box(&events[number]);
        black_box(Recorded::decode(event.position, &event.bytes).unwrap());
    })
}
