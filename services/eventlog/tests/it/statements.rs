//! What the log says of itself: a loss, a message that is no event.

use std::collections::HashMap;

use async_nats::{
    HeaderMap, header,
    jetstream::{self, stream::Config},
};
use gridkeeper_eventlog::{
    EventLog, LogError,
    diagnosis::{Diagnosis, KnownRoots, Stretch, diagnose},
    verify::{Against, Verified, verify},
};
use gridkeeper_liveviews::log::RawEvent;
use gridkeeper_proto::{
    access::{Actor, Role},
    anchor::Anchor,
    checkpoint::Checkpoint,
    code::Coded as _,
    envelope::{EventHash, Header, Position},
    event::{IntegrityEvent, LossAccepted, MessageQuarantined},
    integrity::Standing,
    time::Timestamp,
    tree::Frontier,
};
use gridkeeper_tests::history;

use crate::site::{Site, at, grid, log_id, site};

const STREAM: &str = "EVT_510402";

/// A log of real events, and the roots that it has at each of its positions.
struct Written {
    events: Vec<RawEvent>,
    roots: Vec<Checkpoint>,
}

fn written(count: usize) -> Written {
    let mut events = history::written(&[1, 2, 3].map(grid), count);
    // The last command may have more than one event.
    events.truncate(count);
    let mut frontier = Frontier::default();
    let root = |event: &RawEvent| {
        frontier.append(event.leaf);
        Checkpoint::from(&frontier)
    };
    let roots = events.iter().map(root).collect();
    Written { events, roots }
}

/// A stream from which messages can go, as only damage or the broker's own rights can bring about.
struct Damaged {
    context: jetstream::Context,
}

impl Damaged {
    async fn begin(site: &Site, events: &[RawEvent]) -> Self {
        let context = jetstream::new(async_nats::connect(site.broker.url()).await.unwrap());
        let damaged = Self { context };
        damaged.context.create_stream(open()).await.unwrap();
        damaged.publish(events).await;
        damaged
    }

    async fn publish(&self, events: &[RawEvent]) {
        for event in events {
            let subject = event.area.subject();
            let mut headers = HeaderMap::new();
            headers.insert(header::NATS_MESSAGE_ID, event.position.to_string());
            let bytes = event.bytes.clone().into();
            let publishing = self
                .context
                .publish_with_headers(subject, headers, bytes)
                .await;
            publishing.unwrap().await.unwrap();
        }
    }

    async fn lose(&self, positions: std::ops::RangeInclusive<u64>) {
        let stream = self.context.get_stream(STREAM).await.unwrap();
        for position in positions {
            stream.delete_message(position).await.unwrap();
        }
    }

    /// As the log needs the stream.
    async fn close(&self) {
        let closed = Config {
            deny_delete: true,
            deny_purge: true,
            ..open()
        };
        self.context.update_stream(closed).await.unwrap();
    }
}

fn open() -> Config {
    Config {
        name: STREAM.into(),
        subjects: vec!["evt.510402.>".into()],
        allow_direct: true,
        allow_atomic_publish: true,
        discard: jetstream::stream::DiscardPolicy::New,
        metadata: HashMap::from([("gridkeeper.log".to_owned(), log_id().to_string())]),
        ..Config::default()
    }
}

fn loss(diagnosis: &Diagnosis, stretch: Stretch) -> IntegrityEvent {
    IntegrityEvent::LossAccepted(LossAccepted {
        from: stretch.from,
        to: stretch.to,
        known_to: diagnosis.known_to,
        set_aside: diagnosis.unfounded.clone(),
        lost: Vec::new(),
        reason: "the disk failed".into(),
    })
}

async fn state(log: &EventLog, statement: IntegrityEvent, last: Position) -> Position {
    let operator = Actor {
        id: "operator".into(),
        role: Role::Admin,
    };
    let by = (operator, Timestamp::EPOCH);
    log.state(statement, by, last).await.unwrap()
}

async fn verified(log: &EventLog, roots: &[Checkpoint]) -> Verified {
    let against = Against {
        checkpoints: roots.to_vec(),
        keys: None,
    };
    verify(log, against, |_, _| {}).await.unwrap()
}

/// What a reader from the start is handed, to the end.
async fn standings(log: &EventLog) -> Vec<Standing> {
    let last = log.last_position().await.unwrap();
    let mut follower = log.follow(Anchor::default());
    let mut standings = Vec::new();
    while follower.position() < last {
        let batch = follower.next_batch(7, 1 << 20).await.unwrap();
        for stored in batch.events {
            assert_eq!(stored.position.0, standings.len() as u64 + 1);
            standings.push(stored.standing);
        }
    }
    standings
}

fn stretch(from: u64, to: u64) -> Stretch {
    Stretch {
        from: Position(from),
        to: Position(to),
    }
}

#[tokio::test]
async fn given_a_lost_end_nobody_goes_on_until_it_is_given_up_and_then_everybody_does() {
    let site = site().await;
    let Written { events, roots } = written(30);
    let damaged = Damaged::begin(&site, &events[..20]).await;
    damaged.close().await;
    let log = site.log().await;
    let reader = Anchor {
        position: Position(30),
        leaf: events[29].leaf,
        ..at(&log, 20).await
    };
    let shorter = log.confirm(&reader).await.unwrap_err();
    assert!(matches!(shorter, LogError::Shorter { .. }), "{shorter:?}");
    let found = diagnose(&log, KnownRoots::from(&roots[..])).await.unwrap();
    assert_eq!(found.missing, [stretch(21, 30)]);
    assert!(found.foreign.is_empty() && found.changed.is_empty());

    let before = at(&log, 20).await;
    let statement = loss(&found, found.missing[0]);
    let said = state(&log, statement, found.last).await;
    assert_eq!(said, Position(21));
    let superseded = log.confirm(&reader).await.unwrap_err();
    assert!(
        matches!(superseded, LogError::Superseded { .. }),
        "{superseded:?}"
    );
    assert_eq!(log.confirm(&before).await.unwrap().last, said);
    assert_eq!(standings(&log).await, [Standing::Event; 21]);
    assert!(
        diagnose(&log, KnownRoots::from(&roots[..]))
            .await
            .unwrap()
            .is_whole()
    );
    let whole = verified(&log, &roots).await;
    assert_eq!((whole.checkpoints, whole.superseded), (20, 10));
    assert_eq!(whole.statements.losses().len(), 1);

    // The statement once more would give up itself and what came after it.
    let client = async_nats::connect(site.broker.url()).await.unwrap();
    let statement = log.read(said).await.unwrap().bytes;
    let sent = client.request("evt.510402.centre", statement).await;
    sent.unwrap();
    let found = diagnose(&log, KnownRoots::from(&roots[..])).await.unwrap();
    let foreign: Vec<_> = found.foreign.iter().map(|found| found.position.0).collect();
    assert_eq!((foreign, found.changed.len()), (vec![22], 0));
    assert_eq!(log.read_statements().await.unwrap().losses().len(), 1);
}

#[tokio::test]
async fn given_a_hole_it_is_named_and_what_needs_it_is_set_aside_when_it_is_given_up() {
    let site = site().await;
    let Written { events, roots } = written(60);
    let damaged = Damaged::begin(&site, &events).await;
    damaged.lose(11..=20).await;
    damaged.close().await;
    let log = site.log().await;
    let reader = Anchor {
        position: Position(40),
        leaf: events[39].leaf,
        ..Anchor::default()
    };
    let hole = log.confirm(&reader).await.unwrap_err();
    assert!(
        matches!(hole, LogError::Hole { missing: 10, .. }),
        "{hole:?}"
    );
    let broken = verify(&log, Against::default(), |_, _| {}).await;
    let broken = broken.unwrap_err();
    assert_eq!(broken.code().0, 309, "{broken}");
    let found = diagnose(&log, KnownRoots::from(&roots[..])).await.unwrap();
    assert_eq!(found.missing, [stretch(11, 20)]);
    assert!(found.foreign.is_empty(), "{:?}", found.foreign);
    assert!(!found.unfounded.is_empty(), "some event misses its report");

    let said = state(&log, loss(&found, stretch(11, 20)), found.last).await;
    assert_eq!(said, Position(61));
    let aside = |position: u64| found.unfounded.contains(&Position(position));
    let expected = (1..=61).map(|position| match position {
        11..=20 => Standing::Lost,
        position if aside(position) => Standing::SetAside,
        _ => Standing::Event,
    });
    assert_eq!(standings(&log).await, expected.collect::<Vec<_>>());
    let superseded = log.confirm(&reader).await.unwrap_err();
    assert!(matches!(superseded, LogError::Superseded { .. }));
    let whole = verified(&log, &roots).await;
    assert_eq!((whole.checkpoints, whole.superseded), (10, 50));
    assert!(
        diagnose(&log, KnownRoots::from(&roots[..]))
            .await
            .unwrap()
            .is_whole()
    );

    // What did not happen is sent again, under the same id.
    let again = &events[usize::try_from(found.unfounded[0].0).unwrap() - 1];
    let same_area = events.iter().rfind(|event| event.area == again.area);
    let (mut header, payload) = Header::decode(&again.bytes).unwrap();
    header.previous = EventHash::of(&same_area.unwrap().bytes);
    let again = RawEvent::event(Position(62), again.area, header.encode(payload));
    damaged.publish(&[again]).await;
    verified(&log, &roots).await;
}

#[tokio::test]
async fn given_a_stretch_given_up_that_was_partly_there_another_hole_is_named_all_the_same() {
    for another in [None, Some(35..=36)] {
        let site = site().await;
        let Written { events, roots } = written(60);
        let damaged = Damaged::begin(&site, &events).await;
        damaged.lose(41..=41).await;
        if let Some(another) = another.clone() {
            damaged.lose(another).await;
        }
        damaged.close().await;
        let log = site.log().await;
        let found = diagnose(&log, KnownRoots::from(&roots[..])).await.unwrap();
        // Nineteen messages are given up that are still there.
        let said = state(&log, loss(&found, stretch(41, 60)), found.last).await;
        let confirmed = log.confirm(&Anchor::default()).await;
        match another {
            None => assert_eq!(confirmed.unwrap().last, said),
            Some(_) => {
                let hole = confirmed.unwrap_err();
                assert!(
                    matches!(hole, LogError::Hole { missing: 3, .. }),
                    "{hole:?}"
                );
            }
        }
    }
}

#[tokio::test]
async fn given_a_message_that_is_no_event_readers_stop_until_it_is_quarantined() {
    let site = site().await;
    let Written { events, .. } = written(20);
    let damaged = Damaged::begin(&site, &events).await;
    damaged.close().await;
    let client = async_nats::connect(site.broker.url()).await.unwrap();
    let subjects = ["evt.510402.nonsense".to_owned(), grid(1).subject()];
    for subject in subjects {
        let sent = client.request(subject, "garbage".into()).await.unwrap();
        assert!(!String::from_utf8_lossy(&sent.payload).contains("error"));
    }
    let log = site.log().await;
    let mut follower = log.follow(Anchor::default());
    let stopped = loop {
        if let Err(error) = follower.next_batch(7, 1 << 20).await {
            break error;
        }
    };
    let LogError::Foreign { position } = stopped else {
        panic!("{stopped:?}")
    };
    assert_eq!(position, Position(21));
    let found = diagnose(&log, KnownRoots::default()).await.unwrap();
    let foreign: Vec<_> = found.foreign.iter().map(|found| found.position.0).collect();
    assert_eq!(foreign, [21, 22], "{:?}", found.foreign);
    let mut last = found.last;
    for foreign in found.foreign {
        let quarantined = MessageQuarantined {
            position: foreign.position,
            leaf: foreign.leaf,
            reason: "published by hand".into(),
        };
        last = state(&log, IntegrityEvent::MessageQuarantined(quarantined), last).await;
    }
    let standings = standings(&log).await;
    assert_eq!(standings[20..22], [Standing::Quarantined; 2]);
    let batch = follower.next_batch(7, 1 << 20).await.unwrap();
    assert_eq!(
        batch.events[0].position,
        Position(21),
        "it goes on by itself"
    );
    let whole = verified(&log, &[]).await;
    assert_eq!(whole.end.position, Position(24));
    assert_eq!(whole.statements.quarantined().count(), 2);
}

#[tokio::test]
async fn given_events_that_were_published_once_more_they_are_foreign_and_can_be_quarantined() {
    let Written { events, roots } = written(20);
    let again: [&[usize]; 4] = [&[19], &[4], &[17, 18, 19], &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]];
    for (again, known) in again
        .into_iter()
        .flat_map(|again| [(again, 0), (again, 20)])
    {
        let site = site().await;
        let damaged = Damaged::begin(&site, &events).await;
        let copies = (21..).zip(again).map(|(position, &index)| RawEvent {
            position: Position(position),
            ..events[index].clone()
        });
        let copies: Vec<_> = copies.collect();
        damaged.publish(&copies).await;
        damaged.close().await;
        let log = site.log().await;
        let found = diagnose(&log, KnownRoots::from(&roots[..known]))
            .await
            .unwrap();
        let foreign: Vec<_> = found.foreign.iter().map(|found| found.position).collect();
        let wanted: Vec<_> = copies.iter().map(|copy| copy.position).collect();
        assert_eq!(foreign, wanted, "{again:?} {known} {:?}", found.changed);
        assert!(
            found.changed.is_empty(),
            "{again:?} {known} {:?}",
            found.changed
        );
        let mut last = found.last;
        for foreign in found.foreign {
            let quarantined = MessageQuarantined {
                position: foreign.position,
                leaf: foreign.leaf,
                reason: "published once more".into(),
            };
            last = state(&log, IntegrityEvent::MessageQuarantined(quarantined), last).await;
        }
        let whole = verified(&log, &roots).await;
        assert_eq!(whole.statements.quarantined().count(), again.len());
    }
}

#[tokio::test]
async fn a_statement_on_a_log_that_went_on_meanwhile_is_refused() {
    let site = site().await;
    let Written { events, .. } = written(5);
    let damaged = Damaged::begin(&site, &events).await;
    damaged.close().await;
    let log = site.log().await;
    let statement = loss(&Diagnosis::default(), stretch(5, 6));
    let by = (Actor::gridkeeper(), Timestamp::EPOCH);
    let last = log.last_position().await.unwrap();
    let before = Position(last.0 - 1);
    let refused = log.state(statement, by, before).await.unwrap_err();
    assert_eq!(refused.code().0, 304, "{refused}");
    assert_eq!(log.last_position().await.unwrap(), last);
}

/// A way to change an event, decided by a number.
fn change(event: &mut RawEvent, number: usize) {
    let length = event.bytes.len();
    match number % 4 {
        0 => event.bytes = b"garbage".to_vec(),
        1 => {
            event.area = [1, 2, 3]
                .map(grid)
                .into_iter()
                .find(|area| *area != event.area)
                .unwrap();
        }
        _ => {
            let mut bytes = event.bytes.to_vec();
            bytes[number * 131 % length] ^= 1 << (number % 8);
            event.bytes = bytes;
        }
    }
}

#[tokio::test]
async fn given_a_last_message_that_is_counted_and_not_there_it_alone_is_missing() {
    let site = site().await;
    let Written { events, roots } = written(30);
    let damaged = Damaged::begin(&site, &events).await;
    damaged.lose(30..=30).await;
    damaged.close().await;
    let log = site.log().await;
    let found = diagnose(&log, KnownRoots::from(&roots[..])).await.unwrap();
    assert_eq!(found.missing, [stretch(30, 30)]);
    assert_eq!((found.changed, found.other_roots), (vec![], vec![]));
}

/// What is no event stands under the district's own subject, where the statements are.
#[tokio::test]
async fn given_foreign_messages_among_the_statements_each_is_quarantined_and_all_go_on() {
    for garbage in [&b"garbage"[..], b"", &[0; 64]] {
        let site = site().await;
        let Written { events, roots } = written(20);
        let damaged = Damaged::begin(&site, &events).await;
        damaged.close().await;
        let log = site.log().await;
        let client = async_nats::connect(site.broker.url()).await.unwrap();
        let publish = async |bytes: &[u8]| {
            let bytes = bytes.to_vec().into();
            client.request("evt.510402.centre", bytes).await.unwrap();
        };
        publish(garbage).await;
        let mut last = Position(21);
        for round in 0..2 {
            let found = diagnose(&log, KnownRoots::from(&roots[..])).await.unwrap();
            let foreign: Vec<_> = found.foreign.iter().map(|found| found.position).collect();
            assert_eq!((foreign, &found.changed), (vec![last], &vec![]));
            let quarantined = MessageQuarantined {
                position: last,
                leaf: found.foreign[0].leaf,
                reason: "published by hand".into(),
            };
            let said = IntegrityEvent::MessageQuarantined(quarantined);
            last = state(&log, said, last).await;
            assert!(
                diagnose(&log, KnownRoots::from(&roots[..]))
                    .await
                    .unwrap()
                    .is_whole()
            );
            // The statement itself, once more.
            if round == 0 {
                let statement = log.read(last).await.unwrap().bytes;
                publish(&statement).await;
                last.0 += 1;
            }
        }
        verified(&log, &roots).await;
        let standings = standings(&log).await;
        let quarantined = |standing: &&Standing| **standing == Standing::Quarantined;
        assert_eq!(standings.iter().filter(quarantined).count(), 2);
    }
}

#[tokio::test]
async fn given_changed_events_they_are_told_from_foreign_ones_and_can_be_given_up() {
    for number in 0..24 {
        let site = site().await;
        let Written { mut events, roots } = written(40);
        let known: Vec<_> = roots.into_iter().skip(9).step_by(10).collect();
        let place = number * 29 % 40;
        let changed = events[place].position;
        change(&mut events[place], number);
        let damaged = Damaged::begin(&site, &events).await;
        // What came after all that is known is foreign to the log.
        let client = async_nats::connect(site.broker.url()).await.unwrap();
        let sent = client.request(grid(1).subject(), "garbage".into()).await;
        sent.unwrap();
        damaged.close().await;
        let log = site.log().await;
        let found = diagnose(&log, KnownRoots::from(&known[..])).await.unwrap();
        assert!(
            found.changed.contains(&changed),
            "{number}: {changed} of {found:?}"
        );
        assert!(found.changed.len() <= 3, "{number}: {changed} of {found:?}");
        let foreign: Vec<_> = found
            .foreign
            .iter()
            .map(|foreign| foreign.position.0)
            .collect();
        assert_eq!(foreign, [41], "{number}: {changed} of {found:?}");

        let mut last = found.last;
        for stretch in found.changed_stretches() {
            last = state(&log, loss(&found, stretch), last).await;
        }
        let found = diagnose(&log, KnownRoots::from(&known[..])).await.unwrap();
        assert_eq!(
            (&found.changed, &found.missing),
            (&vec![], &vec![]),
            "{number}: {found:?}"
        );
        let quarantined = MessageQuarantined {
            position: Position(41),
            leaf: found.foreign[0].leaf,
            reason: "published by hand".into(),
        };
        state(&log, IntegrityEvent::MessageQuarantined(quarantined), last).await;
        assert!(
            diagnose(&log, KnownRoots::from(&known[..]))
                .await
                .unwrap()
                .is_whole(),
            "{number}"
        );
        verified(&log, &known).await;
        assert_eq!(standings(&log).await[place], Standing::Lost);
    }
}
