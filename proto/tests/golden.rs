//! The bytes of every event version ever released, and of the envelope, as they stand in `golden/`.
//!
//! A difference means that events already in a log would be read wrongly: add a new version instead.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and reads its golden files"
)]

use std::{fs, path::PathBuf};

use gridkeeper_proto::{
    access::{Actor, Role},
    area::Level,
    case::{
        CaseKind, Channel, EscalationReason, Holder, Measure, Outcome, Place, Point, Rule,
        Severity, SourceRecord,
    },
    duty::{Member, Shift},
    envelope::{EnvelopeError, EventHash, Header, Position},
    event::{
        self, CaseEvent, Event, InquiryEvent, IntegrityEvent, Recorded, RosterEvent, RulesEvent,
        v1, v2,
    },
    id::{CaseId, CommandId, EventId},
    limit::Limit,
    policy::Card,
    sealed::SealedParties,
    time::Timestamp,
    tree::TreeHash,
};

fn case_id() -> CaseId {
    "01980000-0000-7000-8000-000000000001".parse().unwrap()
}

fn moment(minute: i64) -> Timestamp {
    let start: Timestamp = "2026-11-23T08:30:00+08:00".parse().unwrap();
    start.plus_millis(minute * 60_000)
}

fn holder() -> Holder {
    Holder {
        level: Level::Street,
        area: "510402002".parse().unwrap(),
        unit: Some("司法所".into()),
        person: Some("p-7".into()),
    }
}

/// One of each type, every field set.
fn samples() -> Vec<Event> {
    let cases = case_samples().into_iter().map(Event::Case);
    let rules = rules_samples().into_iter().map(Event::Rules);
    let others = roster_samples().into_iter().map(Event::Roster);
    let inquiries = inquiry_samples().into_iter().map(Event::Inquiry);
    let statements = statement_samples().into_iter().map(Event::Integrity);
    let events = cases.chain(rules).chain(others).chain(inquiries);
    events.chain(statements).collect()
}

fn statement_samples() -> Vec<IntegrityEvent> {
    vec![
        IntegrityEvent::LossAccepted(v1::LossAcceptedV1 {
            from: Position(91),
            to: Position(95),
            known_to: Position(100),
            set_aside: vec![Position(97)],
            lost: vec![
                v1::LostEventV1 {
                    position: Position(91),
                    case: Some(case_id()),
                },
                v1::LostEventV1 {
                    position: Position(92),
                    case: None,
                },
            ],
            reason: "the disk failed and there was no backup".into(),
        }),
        IntegrityEvent::MessageQuarantined(v1::MessageQuarantinedV1 {
            position: Position(1_000),
            leaf: TreeHash::of_leaf(b"garbage"),
            reason: "published by hand".into(),
        }),
        IntegrityEvent::KeysLost(v1::KeysLostV1 {
            cases: vec![case_id()],
            reason: "the disk failed and there was no backup".into(),
        }),
    ]
}

fn roster_samples() -> Vec<RosterEvent> {
    vec![
        RosterEvent::RosterPlanned(v1::RosterPlannedV1 {
            from: moment(0),
            to: moment(1_440),
            members: vec![Member {
                person: "li.na".into(),
                post: "民政".into(),
                stands_in_for: Some(vec!["调解".into()]),
            }],
            shifts: vec![Shift {
                from: moment(0),
                to: moment(540),
                person: "li.na".into(),
            }],
        }),
        RosterEvent::AbsenceRecorded(v1::AbsenceRecordedV1 {
            person: "li.na".into(),
            from: moment(60),
            to: moment(120),
            reason: "leave".into(),
        }),
        RosterEvent::AbsenceWithdrawn(v1::AbsenceWithdrawnV1 {
            absence: case_id().into(),
        }),
    ]
}

fn inquiry_samples() -> Vec<InquiryEvent> {
    let (li, wang) = (String::from("li.na"), String::from("wang.wei"));
    vec![
        InquiryEvent::InquiryTaken(v1::InquiryTakenV1 {
            question: "低保怎么办理".into(),
            channel: Channel::Window,
            owner: li.clone(),
        }),
        InquiryEvent::InquiryOffered(v1::InquiryOfferedV1 {
            to: wang.clone(),
            note: "yours".into(),
        }),
        InquiryEvent::InquiryDeclined(v1::InquiryDeclinedV1 {
            by: wang.clone(),
            reason: "away".into(),
        }),
        InquiryEvent::InquiryHandedOver(v1::InquiryHandedOverV1 { from: li, to: wang }),
        InquiryEvent::InquiryAnswered(v1::InquiryAnsweredV1 {
            answer: "带身份证".into(),
            case: Some(case_id()),
        }),
    ]
}

fn rules_samples() -> Vec<RulesEvent> {
    let day = |text: &str| text.parse().unwrap();
    vec![
        RulesEvent::PolicyAdopted(v1::PolicyAdoptedV1 {
            version: 3,
            zone: "Asia/Shanghai".into(),
            policy: "{}".into(),
        }),
        RulesEvent::CalendarAdopted(v1::CalendarAdoptedV1 {
            year: 2026,
            holidays: vec![day("2026-10-01")],
            workdays: vec![day("2026-10-10")],
        }),
    ]
}

fn case_samples() -> Vec<CaseEvent> {
    let (holder, due_at, text) = (holder(), moment(300), String::from("楼上漏水"));
    let (reason, note) = (text.clone(), text.clone());
    vec![
        CaseEvent::Reported(v1::ReportedV1 {
            kind: CaseKind::Dispute,
            category: "dispute.neighbour".into(),
            severity: Severity::Larger,
            channel: Channel::Hotline,
            description: text.clone(),
            place: Place {
                point: Some(Point {
                    longitude_e7: 1_017_190_000,
                    latitude_e7: 265_800_000,
                }),
                address: Some("炳草岗大街".into()),
            },
            people: Some(5),
            parties: Some(SealedParties {
                nonce: [7; 24],
                ciphertext: vec![1, 2, 3],
            }),
            filed_at: Some(moment(-90)),
            source: Some(SourceRecord {
                system: "old".into(),
                record: "42".into(),
                state: Some("Open".into()),
            }),
            policy: 3,
            holder: holder.clone(),
            due_at,
        }),
        CaseEvent::Accepted(v1::AcceptedV1 {
            holder: holder.clone(),
            due_at,
            note: note.clone(),
        }),
        CaseEvent::Assigned(v1::AssignedV1 {
            holder: holder.clone(),
            due_at,
            note: note.clone(),
        }),
        CaseEvent::HandlingRecorded(v1::HandlingRecordedV1 {
            measure: Measure::Mediation,
            note: note.clone(),
        }),
        CaseEvent::Resolved(v1::ResolvedV1 {
            outcome: Outcome::Referred,
            note: note.clone(),
            holder: holder.clone(),
            due_at,
        }),
        CaseEvent::Verified(v1::VerifiedV1 {
            note: note.clone(),
            holder: holder.clone(),
            due_at,
        }),
        CaseEvent::ReworkOrdered(v1::ReworkOrderedV1 {
            reason: reason.clone(),
            holder: holder.clone(),
            due_at,
        }),
        CaseEvent::Closed(v1::ClosedV1 {
            note: note.clone(),
            moment_known: true,
            in_time: Some(false),
        }),
        CaseEvent::Returned(v1::ReturnedV1 {
            reason: reason.clone(),
            holder: holder.clone(),
            due_at,
        }),
        CaseEvent::Suspended(v1::SuspendedV1 {
            reason: reason.clone(),
            until: moment(600),
        }),
        CaseEvent::Resumed(v1::ResumedV1 {
            due_at,
            note: note.clone(),
        }),
        CaseEvent::Transferred(v1::TransferredV1 {
            reason: reason.clone(),
            holder: holder.clone(),
            due_at,
        }),
        CaseEvent::DeadlineMissed(v2::DeadlineMissedV2 {
            due_at,
            level: Level::Community,
            rule: Some(rule()),
        }),
        CaseEvent::Escalated(v2::EscalatedV2 {
            from: Level::Community,
            reason: EscalationReason::Request,
            note: note.clone(),
            holder: holder.clone(),
            due_at,
            due_since: Some(moment(200)),
            rule: Some(rule()),
        }),
        CaseEvent::Supervised(v2::SupervisedV2 {
            level: Level::District,
            note: note.clone(),
            rule: Some(rule()),
        }),
        CaseEvent::Merged(v1::MergedV1 {
            into: case_id(),
            note: note.clone(),
        }),
        CaseEvent::Reopened(v1::ReopenedV1 {
            reason: reason.clone(),
            holder,
            due_at,
        }),
        CaseEvent::Cancelled(v1::CancelledV1 {
            reason: reason.clone(),
        }),
        CaseEvent::Rated(v1::RatedV1 {
            satisfied: true,
            note,
        }),
        CaseEvent::PartiesForgotten(v1::PartiesForgottenV1 {
            reason: reason.clone(),
        }),
        CaseEvent::Reminded(v1::RemindedV1 {
            card: Card::Yellow,
            share: 75,
            at: moment(250),
            due_at,
            rule: rule(),
        }),
        CaseEvent::Extended(v1::ExtendedV1 {
            reason,
            by: Limit::Workdays(3),
            due_at,
            share: 40,
            granted_by: Level::Community,
        }),
        CaseEvent::ClockDiffered(v1::ClockDifferedV1 {
            own: moment(57_600),
            broker: moment(0),
        }),
    ]
}

fn rule() -> Rule {
    Rule {
        policy: 3,
        path: "general.settle.community".into(),
        limit: "7 workdays".into(),
    }
}

/// Events of older versions: type, version, bytes, and what they are read as.
fn older() -> Vec<(u16, u16, Vec<u8>, CaseEvent)> {
    let (due_at, note) = (moment(300), String::from("楼上漏水"));
    let missed = v1::DeadlineMissedV1 {
        due_at,
        level: Level::Community,
    };
    let escalated = v1::EscalatedV1 {
        from: Level::Community,
        reason: EscalationReason::Request,
        note: note.clone(),
        holder: holder(),
        due_at,
    };
    let supervised = v1::SupervisedV1 {
        level: Level::District,
        note: note.clone(),
    };
    vec![
        (
            13,
            1,
            postcard::to_allocvec(&missed).unwrap(),
            CaseEvent::DeadlineMissed(v2::DeadlineMissedV2 {
                due_at,
                level: Level::Community,
                rule: None,
            }),
        ),
        (
            14,
            1,
            postcard::to_allocvec(&escalated).unwrap(),
            CaseEvent::Escalated(v2::EscalatedV2 {
                from: Level::Community,
                reason: EscalationReason::Request,
                note: note.clone(),
                holder: holder(),
                due_at,
                due_since: None,
                rule: None,
            }),
        ),
        (
            15,
            1,
            postcard::to_allocvec(&supervised).unwrap(),
            CaseEvent::Supervised(v2::SupervisedV2 {
                level: Level::District,
                note,
                rule: None,
            }),
        ),
    ]
}

fn header(event_type: u16, schema_version: u16) -> Header {
    let command_id = CommandId::from(case_id());
    Header {
        event_id: EventId::of(command_id, 0),
        aggregate: case_id().into(),
        command_id,
        command_digest: [1, 2, 3, 4, 5, 6, 7, 8],
        area: "51040200200507".parse().unwrap(),
        occurred_at: moment(-5),
        recorded_at: moment(0),
        actor: Actor {
            id: "w-51040200200507".into(),
            role: Role::GridWorker,
        },
        event_type,
        schema_version,
        previous: EventHash::of(b"the event before"),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn golden(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("golden")
        .join(format!("{name}.hex"))
}

/// Compares with the file; a missing one is written beside it as `.new` to be looked at and renamed.
fn compare(name: &str, bytes: &[u8]) {
    let path = golden(name);
    let actual = hex(bytes);
    match fs::read_to_string(&path) {
        Ok(expected) => assert_eq!(actual, expected.trim(), "{name}: the stored bytes changed"),
        Err(_) => {
            fs::write(path.with_extension("hex.new"), actual + "\n").unwrap();
            panic!("{name}: no golden bytes; look at the .new file and rename it");
        }
    }
}

#[test]
fn every_type_has_a_sample_and_a_name() {
    let samples = samples();
    assert_eq!(samples.len(), event::types().count());
    for (event, (number, version, name)) in samples.iter().zip(event::types()) {
        let payload = event.encode();
        assert_eq!(
            (payload.event_type, payload.schema_version),
            (number, version),
            "{name}"
        );
        assert_eq!(event.name(), name);
        let json = serde_json::to_value(event).unwrap();
        assert_eq!(json["type"], name, "the name in JSON");
        assert_eq!(serde_json::from_value::<Event>(json).unwrap(), *event);
    }
}

#[test]
fn payloads_keep_their_bytes() {
    for event in samples() {
        let payload = event.encode();
        compare(
            &format!("{}.v{}", event.name(), payload.schema_version),
            &payload.bytes,
        );
        let back = event::decode(payload.event_type, payload.schema_version, &payload.bytes);
        assert_eq!(back.as_ref(), Ok(&event));
    }
}

#[test]
fn older_versions_keep_their_bytes_and_are_read_as_the_newest() {
    for (number, version, bytes, event) in older() {
        compare(&format!("{}.v{version}", event.name()), &bytes);
        assert_eq!(
            event::decode(number, version, &bytes),
            Ok(Event::Case(event))
        );
    }
    let all: u16 = event::types().map(|(_, newest, _)| newest - 1).sum();
    assert_eq!(
        older().len(),
        usize::from(all),
        "every older version is here"
    );
}

#[test]
fn the_envelope_keeps_its_bytes() {
    let payload = samples().remove(7).encode();
    let header = header(payload.event_type, payload.schema_version);
    let bytes = header.encode(&payload.bytes);
    compare("envelope.v1", &bytes);
    let recorded = Recorded::decode(Position(9), &bytes).unwrap();
    assert_eq!(recorded.header, header);
    assert_eq!(EventHash::of(&bytes).to_string().len(), 64);
}

#[test]
fn a_byte_too_many_or_too_few_is_an_error() {
    for event in samples() {
        let payload = event.encode();
        let (number, version) = (payload.event_type, payload.schema_version);
        let broken = Err(EnvelopeError::Payload {
            event_type: number,
            schema_version: version,
        });
        let longer = [payload.bytes.clone(), vec![0]].concat();
        assert_eq!(event::decode(number, version, &longer), broken);
        let shorter = &payload.bytes[..payload.bytes.len() - 1];
        assert_eq!(event::decode(number, version, shorter), broken);
    }
}

#[test]
fn the_header_of_an_unknown_type_still_decodes() {
    let bytes = header(999, 4).encode(b"from the future");
    let (decoded, payload) = Header::decode(&bytes).unwrap();
    assert_eq!(
        (decoded.event_type, payload),
        (999, b"from the future".as_slice())
    );
    let unknown = EnvelopeError::UnknownType {
        event_type: 999,
        schema_version: 4,
    };
    assert_eq!(Recorded::decode(Position(1), &bytes), Err(unknown));
    let mut other = bytes;
    other[0] = 2;
    assert_eq!(
        Header::decode(&other),
        Err(EnvelopeError::UnknownFormat { found: 2 })
    );
}

#[test]
fn event_and_command_ids_follow_from_their_command() {
    let command = CommandId::derived(case_id(), "miss_deadline", 5);
    assert_eq!(command, CommandId::derived(case_id(), "miss_deadline", 5));
    assert_ne!(command, CommandId::derived(case_id(), "miss_deadline", 6));
    assert_ne!(EventId::of(command, 0), EventId::of(command, 1));
    assert_eq!(EventId::of(command, 0).uuid().get_version_num(), 8);
    let imported = CaseId::of_source("old", "42", moment(0));
    assert!(imported.is_time_ordered());
    assert_eq!(imported, CaseId::of_source("old", "42", moment(0)));
    assert_ne!(imported, CaseId::of_source("ol", "d42", moment(0)));
}
