//! First inquiry: whoever takes a question owns it until it is answered or taken over.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use gridkeeper_proto::{
    access::{Claims, Role},
    area::AreaCode,
    case::{Channel, Refusal},
    code::Coded as _,
    envelope::{EventHash, Header, Position},
    event::{InquiryEvent, Recorded},
    id::{CommandId, EventId, InquiryId},
    inquiry::{Inquiry, InquiryCommand},
    time::Timestamp,
};

const COMMUNITY: &str = "510402002005";

fn area() -> AreaCode {
    COMMUNITY.parse().unwrap()
}

fn id() -> InquiryId {
    InquiryId::from_bytes([1; 16])
}

fn minute(number: i64) -> Timestamp {
    let start: Timestamp = "2026-11-23T08:30:00+08:00".parse().unwrap();
    start.plus_millis(number * 60_000)
}

fn claims(who: &str, role: Role) -> Claims {
    Claims {
        sub: who.to_owned(),
        role,
        areas: vec![area()],
        iat: 0,
        exp: 1,
    }
}

fn staff(who: &str) -> Claims {
    claims(who, Role::Community)
}

fn take() -> InquiryCommand {
    InquiryCommand::Take {
        question: "低保怎么办理".to_owned(),
        channel: Channel::Window,
    }
}

fn offer(to: &str) -> InquiryCommand {
    InquiryCommand::Offer {
        to: to.to_owned(),
        note: String::new(),
    }
}

fn answer() -> InquiryCommand {
    InquiryCommand::Answer {
        answer: "带身份证和收入证明".to_owned(),
        case: None,
    }
}

fn decline() -> InquiryCommand {
    InquiryCommand::Decline {
        reason: "away".to_owned(),
    }
}

/// What happened, a minute each.
fn given(steps: &[(&str, InquiryCommand)]) -> Option<Inquiry> {
    let mut inquiry = None;
    for (number, (who, command)) in (1_u8..).zip(steps) {
        let event = when(inquiry.as_ref(), &staff(who), command).unwrap();
        let payload = event.encode();
        let recorded = Recorded {
            position: Position(number.into()),
            header: Header {
                event_id: EventId::from_bytes([number; 16]),
                aggregate: id().into(),
                command_id: CommandId::from_bytes([number; 16]),
                command_digest: [0; 8],
                area: area(),
                occurred_at: minute(number.into()),
                recorded_at: minute(number.into()),
                actor: staff(who).actor(),
                event_type: payload.event_type,
                schema_version: payload.schema_version,
                previous: EventHash::default(),
            },
            event,
        };
        inquiry = Inquiry::evolve(inquiry.as_ref(), &recorded);
    }
    inquiry
}

fn when(
    inquiry: Option<&Inquiry>,
    claims: &Claims,
    command: &InquiryCommand,
) -> Result<InquiryEvent, Refusal> {
    Inquiry::decide(inquiry, id(), command, (area(), claims))
}

#[test]
fn whoever_takes_a_question_owns_it_until_it_is_answered() {
    let taken = given(&[("li.na", take())]).unwrap();
    assert_eq!(
        (taken.owner.as_str(), taken.owned_since),
        ("li.na", minute(1))
    );
    assert!(taken.is_open());
    let refused = when(Some(&taken), &staff("wang.wei"), &answer()).unwrap_err();
    assert_eq!(
        refused,
        Refusal::NotOwner {
            owner: "li.na".to_owned()
        }
    );
    let answered = given(&[("li.na", take()), ("li.na", answer())]).unwrap();
    assert_eq!(
        (answered.is_open(), answered.answered_at),
        (false, Some(minute(2)))
    );
    let again = when(Some(&answered), &staff("li.na"), &answer()).unwrap_err();
    assert_eq!(again, Refusal::InquiryAnswered { inquiry: id() });
}

#[test]
fn it_stays_with_its_owner_until_whoever_was_asked_takes_it_over() {
    let offered = given(&[("li.na", take()), ("li.na", offer("wang.wei"))]).unwrap();
    assert_eq!(
        (offered.owner.as_str(), offered.offered_to.as_deref()),
        ("li.na", Some("wang.wei"))
    );
    let other = when(Some(&offered), &staff("zhao.min"), &InquiryCommand::Accept);
    assert_eq!(other, Err(Refusal::NotAsked { inquiry: id() }));
    let handed = given(&[
        ("li.na", take()),
        ("li.na", offer("wang.wei")),
        ("wang.wei", InquiryCommand::Accept),
    ])
    .unwrap();
    assert_eq!(
        (handed.owner.as_str(), handed.owned_since),
        ("wang.wei", minute(3))
    );
    assert_eq!((handed.handovers, handed.taken_by.as_str()), (1, "li.na"));
    assert_eq!(handed.offered_to, None);
    assert!(when(Some(&handed), &staff("li.na"), &answer()).is_err());
    assert!(when(Some(&handed), &staff("wang.wei"), &answer()).is_ok());
}

#[test]
fn somebody_of_another_area_takes_over_what_they_were_asked_to() {
    let offered = given(&[("li.na", take()), ("li.na", offer("wang.wei"))]).unwrap();
    let elsewhere = |who| Claims {
        areas: vec!["510402003001".parse().unwrap()],
        ..staff(who)
    };
    assert!(
        when(
            Some(&offered),
            &elsewhere("wang.wei"),
            &InquiryCommand::Accept
        )
        .is_ok()
    );
    assert!(
        when(
            Some(&offered),
            &elsewhere("zhao.min"),
            &InquiryCommand::Accept
        )
        .is_err()
    );
}

#[test]
fn who_declines_leaves_it_where_it_is() {
    let declined = given(&[
        ("li.na", take()),
        ("li.na", offer("wang.wei")),
        ("wang.wei", decline()),
    ])
    .unwrap();
    assert_eq!(
        (declined.owner.as_str(), declined.offered_to.clone()),
        ("li.na", None)
    );
    let late = when(Some(&declined), &staff("wang.wei"), &InquiryCommand::Accept);
    assert_eq!(late, Err(Refusal::NotAsked { inquiry: id() }));
}

#[test]
fn the_centre_moves_what_stays_with_somebody_who_is_gone() {
    let taken = given(&[("li.na", take())]).unwrap();
    let centre = claims("centre", Role::Centre);
    assert!(when(Some(&taken), &centre, &offer("wang.wei")).is_ok());
    assert!(when(Some(&taken), &centre, &answer()).is_ok());
}

#[test]
fn what_cannot_be_is_refused() {
    let taken = given(&[("li.na", take())]).unwrap();
    let mut elsewhere = staff("li.na");
    elsewhere.areas = vec!["510402003001".parse().unwrap()];
    let empty = InquiryCommand::Answer {
        answer: " ".to_owned(),
        case: None,
    };
    for (inquiry, claims, command, code) in [
        (None, staff("li.na"), answer(), 230),
        (None, claims("a", Role::Analyst), take(), 205),
        (None, elsewhere, take(), 5),
        (Some(&taken), staff("li.na"), take(), 201),
        (Some(&taken), staff("li.na"), offer("li.na"), 234),
        (Some(&taken), staff("li.na"), offer(""), 213),
        (Some(&taken), staff("li.na"), empty, 213),
    ] {
        let refused = when(inquiry, &claims, &command).unwrap_err();
        assert_eq!(refused.code().0, code, "{refused}");
    }
}
