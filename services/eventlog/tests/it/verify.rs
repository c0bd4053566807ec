//! Verifying names the first break, whatever kind it is.

use bytes::Bytes;
use gridkeeper_eventlog::{
    Append, EventLog,
    verify::{Against, Break, Verified, verify},
};
use gridkeeper_proto::{
    access::{Actor, Role},
    anchor::Anchor,
    area::AreaCode,
    code::{Code, Coded as _},
    envelope::{EventHash, Header, Position},
    event::{CaseEvent, Rated},
    id::{CaseId, CommandId},
    time::Timestamp,
};

use crate::site::{Site, event, grid, site};

struct Written {
    header: Header,
    payload: Vec<u8>,
    under: AreaCode,
}

impl Written {
    fn bytes(&self) -> Vec<u8> {
        self.header.encode(&self.payload)
    }
}

/// Ten events over two grids, chained as they have to be.
fn ten() -> Vec<Written> {
    let mut heads = [EventHash::default(); 2];
    let mut written = Vec::new();
    for number in 0..10 {
        let rated = CaseEvent::Rated(Rated {
            satisfied: true,
            note: format!("note {number}"),
        });
        let payload = rated.encode();
        let place = number % 2;
        let under = grid(u8::try_from(place).unwrap());
        let header = Header {
            event_id: event(u32::try_from(number).unwrap()),
            aggregate: CaseId::from_bytes([1; 16]).into(),
            command_id: CommandId::from_bytes([2; 16]),
            command_digest: [0; 8],
            area: under,
            occurred_at: Timestamp::from_millis(0).unwrap(),
            recorded_at: Timestamp::from_millis(0).unwrap(),
            actor: Actor {
                id: "wang.li".to_owned(),
                role: Role::Centre,
            },
            event_type: payload.event_type,
            schema_version: payload.schema_version,
            previous: heads[place],
        };
        let event = Written {
            header,
            payload: payload.bytes,
            under,
        };
        heads[place] = EventHash::of(&event.bytes());
        written.push(event);
    }
    written
}

async fn verified(site: &Site, events: &[Written]) -> Result<Verified, Break> {
    let log = site.log().await;
    fill(&log, events).await;
    let mut told = Vec::new();
    let outcome = verify(&log, Against::default(), |position, last| {
        told.push((position, last));
    })
    .await;
    if outcome.is_ok() {
        assert_eq!(told.last(), Some(&(Position(10), Position(10))));
    }
    outcome
}

async fn fill(log: &EventLog, events: &[Written]) {
    for (number, written) in (100..).zip(events) {
        let head = log.head(written.under).await.unwrap();
        let append = Append {
            area: written.under,
            // Not the event's own, so that the broker's window does not catch a repetition.
            event_id: event(number),
            bytes: Bytes::from(written.bytes()),
            expected: head.map_or(Position(0), |head| head.position),
        };
        log.append(&Anchor::default(), &[append]).await.unwrap();
    }
}

#[tokio::test]
async fn a_whole_log_is_verified_and_the_same_log_gives_the_same_digest() {
    let first = verified(&site().await, &ten()).await.unwrap();
    assert_eq!((first.end.position, first.areas), (Position(10), 2));
    assert_eq!(verified(&site().await, &ten()).await.unwrap(), first);
    let mut other = ten();
    other[9].payload[0] = 0;
    assert_ne!(
        verified(&site().await, &other).await.unwrap().digest,
        first.digest
    );
}

#[tokio::test]
async fn the_first_break_is_named_with_its_position() {
    type Damage = fn(&mut Vec<Written>);
    let damages: [(Damage, Code, &str); 6] = [
        (|log| log[3].payload[0] = 0, Code(317), "position 6 "),
        (|log| drop(log.remove(4)), Code(317), "position 6 "),
        (|log| log.swap(5, 7), Code(317), "position 6 "),
        (|log| log[8].under = grid(1), Code(318), "position 9 "),
        (
            |log| log[9].header.event_id = event(3),
            Code(319),
            "position 10 ",
        ),
        (|log| log[6].payload.push(0), Code(312), "position 7:"),
    ];
    for (number, (damage, code, place)) in damages.into_iter().enumerate() {
        let mut events = ten();
        damage(&mut events);
        let broken = verified(&site().await, &events).await.unwrap_err();
        assert_eq!(broken.code(), code, "damage {number}: {broken}");
        assert!(
            broken.to_string().contains(place),
            "damage {number}: {broken}"
        );
    }
}
