//! What happens to a step by what came of it, with moments set by hand.

use gridkeeper_proto::time::Timestamp;

use super::*;
use gridkeeper_proto::case::Moment;

const RETRY: Duration = Duration::from_millis(100);
const LIMIT: Duration = Duration::from_secs(1);
const LATE: Duration = Duration::from_secs(10);
const HERE: Position = Position(7);
const NEXT: Position = Position(8);

fn attempts() -> Attempts {
    Attempts::new(&Options {
        retry_ms: 100,
        retry_limit_ms: 1_000,
        late_after_ms: 10_000,
        ..Options::default()
    })
}

fn step(case: u8) -> Due {
    Due {
        at: Timestamp::EPOCH.plus_millis(i64::from(case)),
        case: CaseId::from_bytes([case; 16]),
        moment: Moment::MissDeadline,
    }
}

fn recorded(position: Position) -> Outcome {
    let repeated = false;
    Outcome::Recorded { position, repeated }
}

fn refused() -> Outcome {
    let detail = "refused".to_owned();
    Outcome::Refused { detail }
}

fn moved_on() -> Outcome {
    let detail = "moved on".to_owned();
    Outcome::MovedOn { detail }
}

fn unavailable(after: Option<u64>) -> Outcome {
    Outcome::Unavailable {
        detail: "away".to_owned(),
        after: after.map(Duration::from_secs),
    }
}

fn send(attempts: &mut Attempts, step: Due, outcome: &Outcome, at: Instant) {
    attempts.begin(&step);
    let position = HERE;
    attempts.end(Sent { step, at, position }, outcome, at);
}

#[test]
fn a_case_has_one_step_under_way() {
    let (mut attempts, now) = (attempts(), Instant::now());
    assert!(attempts.may_send(&step(1), HERE, now));
    attempts.begin(&step(1));
    let same_case = Due {
        moment: Moment::Resume,
        ..step(1)
    };
    assert!(!attempts.may_send(&same_case, HERE, now));
    assert!(attempts.may_send(&step(2), HERE, now));
}

#[test]
fn a_recorded_step_is_not_sent_again_while_its_event_is_on_the_way() {
    let (mut attempts, now) = (attempts(), Instant::now());
    send(&mut attempts, step(1), &recorded(NEXT), now);
    let later = now + LATE * 2;
    assert!(attempts.look(HERE, (&[step(1)], true), later).is_empty());
    assert!(!attempts.may_send(&step(1), HERE, later));
    assert_eq!(
        attempts.late(later),
        None,
        "the position tells of a log that stands"
    );
    attempts.look(NEXT, (&[], true), later);
    assert_eq!(attempts.held_back(), 0, "gone with its timer");
}

#[test]
fn a_recorded_step_that_leaves_its_timer_standing_is_told_of_and_turns_late() {
    let (mut attempts, mut now) = (attempts(), Instant::now());
    let began = now;
    let due = [step(1)];
    while now < began + LATE {
        send(&mut attempts, step(1), &recorded(NEXT), now);
        assert_eq!(attempts.look(NEXT, (&due, true), now), due);
        assert!(!attempts.may_send(&step(1), NEXT, now));
        assert_eq!(attempts.late(now), None);
        now += LIMIT;
        assert!(attempts.may_send(&step(1), NEXT, now));
    }
    assert_eq!(attempts.late(now).unwrap().0, LATE);
}

#[test]
fn a_step_of_a_case_that_moved_on_waits_for_the_log_and_not_for_ever() {
    let (mut attempts, now) = (attempts(), Instant::now());
    send(&mut attempts, step(1), &moved_on(), now);
    assert!(!attempts.may_send(&step(1), NEXT, now), "not at once");
    assert!(
        !attempts.may_send(&step(1), HERE, now + RETRY),
        "the log stands"
    );
    assert!(attempts.may_send(&step(1), NEXT, now + RETRY));
    assert!(attempts.may_send(&step(1), HERE, now + LIMIT));
}

#[test]
fn a_refused_step_turns_late_however_many_others_get_through() {
    let (mut attempts, mut now) = (attempts(), Instant::now());
    let began = now;
    let mut others = 2_u8..;
    while now < began + LATE {
        assert_eq!(attempts.late(now), None);
        if attempts.may_send(&step(1), HERE, now) {
            send(&mut attempts, step(1), &refused(), now);
        }
        now += LIMIT / 2;
        let other = step(others.next().unwrap());
        send(&mut attempts, other, &recorded(NEXT), now);
        attempts.look(HERE, (&[step(1), other], true), now);
    }
    let (since, detail) = attempts.late(now).unwrap();
    assert_eq!((since, detail), (LATE, "refused"));
    attempts.look(NEXT, (&[], true), now);
    assert_eq!(attempts.late(now), None, "its timer is gone");
}

#[test]
fn while_intake_is_away_the_waits_grow_up_to_the_limit_and_health_turns_late() {
    let (mut attempts, mut now) = (attempts(), Instant::now());
    let began = now;
    let mut waits = Vec::new();
    attempts.look(HERE, (&[step(1), step(2)], true), now);
    for _ in 0..6 {
        let at = now;
        for number in [1, 2] {
            // Two that fail together make the wait grow once.
            assert!(attempts.may_send(&step(3), HERE, now) || number == 2);
            send(&mut attempts, step(number), &unavailable(None), now);
        }
        while !attempts.may_send(&step(1), HERE, now) {
            now += RETRY / 2;
        }
        waits.push((now - at).as_millis());
    }
    assert_eq!(waits, [100, 200, 400, 800, 1_000, 1_000]);
    attempts.look(HERE, (&[step(1), step(2)], true), began + LATE);
    assert_eq!(attempts.late(began + LATE), Some((LATE, "away")));
    send(&mut attempts, step(1), &recorded(NEXT), began + LATE);
    assert_eq!(attempts.late(began + LATE), None);
}

#[test]
fn a_longer_retry_after_is_kept_to_and_a_shorter_one_does_not_hurry() {
    for (after, wait) in [(5, 5_000), (0, 100), (86_400, 10_000)] {
        let (mut attempts, now) = (attempts(), Instant::now());
        send(&mut attempts, step(1), &unavailable(Some(after)), now);
        let wait = Duration::from_millis(wait);
        let early = now + wait - Duration::from_millis(1);
        assert!(!attempts.may_send(&step(1), HERE, early));
        assert!(attempts.may_send(&step(1), HERE, now + wait));
    }
}

#[test]
fn steps_beyond_those_looked_at_are_not_forgotten() {
    let (mut attempts, now) = (attempts(), Instant::now());
    send(&mut attempts, step(1), &refused(), now);
    send(&mut attempts, step(5), &refused(), now);
    attempts.look(HERE, (&[step(2), step(3)], false), now);
    assert!(!attempts.may_send(&step(5), HERE, now));
    assert!(attempts.may_send(&step(1), HERE, now), "its timer was gone");
}
