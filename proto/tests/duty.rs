//! Duty: plans, who answers for a post, and whether enough are there.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use gridkeeper_proto::{
    access::{Actor, Claims, Role},
    area::AreaCode,
    calendar::{Calendar, CalendarYear},
    case::Refusal,
    code::{Code, Coded as _},
    duty::{Days, Gap, Plan, Roster, RosterCommand, StaffingRule, gaps},
    envelope::{EventHash, Header, Position},
    event::{Recorded, RosterEvent},
    id::{CommandId, EventId},
    time::{Day, Timestamp, Zone},
};
use proptest::prelude::*;

const COMMUNITY: &str = "510402002005";
const HOUR: i64 = 3_600_000;

/// One week. Wednesday 2026-11-25 is made a holiday here, and Saturday 2026-11-28 is worked in exchange.
const PLAN: &str = r#"
area = "510402002005"
from = "2026-11-23"
to = "2026-11-29"

member = [
  { person = "li.na", post = "民政" },
  { person = "wang.wei", post = "劳动保障" },
  { person = "zhao.min", post = "调解", stands_in_for = ["民政"] },
]
shift = [
  { person = "li.na", on = ["workday"], from = "08:30", to = "17:30" },
  { person = "wang.wei", on = ["monday", "tuesday"], from = "08:30", to = "12:00" },
  { person = "zhao.min", on = ["weekend", "2026-11-24"], from = "12:00", to = "18:00" },
]
"#;

fn days() -> Days {
    let year = CalendarYear {
        year: 2026,
        holidays: vec![day("2026-11-25")],
        workdays: vec![day("2026-11-28")],
    };
    Days {
        zone: Zone::named("Asia/Shanghai").unwrap(),
        calendar: Some(Calendar::of(&[year]).unwrap()),
    }
}

fn day(text: &str) -> Day {
    text.parse().unwrap()
}

fn at(text: &str) -> Timestamp {
    format!("2026-11-{}:00+08:00", text.replace(' ', "T"))
        .parse()
        .unwrap()
}

fn plan(change: impl Fn(String) -> String) -> Plan {
    toml::from_str(&change(PLAN.to_owned())).unwrap()
}

fn claims(role: Role, area: &str) -> Claims {
    Claims {
        sub: "secretary".to_owned(),
        role,
        areas: vec![area.parse().unwrap()],
        iat: 0,
        exp: 1,
    }
}

fn decide(roster: &Roster, command: &RosterCommand) -> Result<Vec<RosterEvent>, Refusal> {
    let area: AreaCode = COMMUNITY.parse().unwrap();
    roster.decide(
        command,
        (area, &claims(Role::Community, COMMUNITY)),
        &days(),
    )
}

fn record(roster: &mut Roster, number: u64, event: RosterEvent) {
    let area: AreaCode = COMMUNITY.parse().unwrap();
    let mut id = [0; 16];
    id[8..].copy_from_slice(&number.to_be_bytes());
    let payload = event.encode();
    roster.evolve(&Recorded {
        position: Position(number),
        header: Header {
            event_id: EventId::from_bytes(id),
            aggregate: Roster::id(area),
            command_id: CommandId::from_bytes(id),
            command_digest: [0; 8],
            area,
            occurred_at: at("22 08:00"),
            recorded_at: at("22 08:00"),
            actor: Actor::gridkeeper(),
            event_type: payload.event_type,
            schema_version: payload.schema_version,
            previous: EventHash::default(),
        },
        event,
    });
}

/// The roster after these commands, numbered from 1.
fn given(commands: &[RosterCommand]) -> Roster {
    let mut roster = Roster::default();
    for (number, command) in (1..).zip(commands) {
        for event in decide(&roster, command).unwrap() {
            record(&mut roster, number, event);
        }
    }
    roster
}

fn planned(change: impl Fn(String) -> String) -> RosterCommand {
    RosterCommand::Plan { plan: plan(change) }
}

fn absence(person: &str, from: &str, to: &str) -> RosterCommand {
    RosterCommand::RecordAbsence {
        person: person.to_owned(),
        from: at(from),
        to: at(to),
        reason: "leave".to_owned(),
    }
}

fn on_duty(roster: &Roster, moment: &str) -> Vec<String> {
    let members = roster.on_duty(at(moment));
    members.map(|member| member.person.clone()).collect()
}

fn served_by<'a>(roster: &'a Roster, person: &str, moment: &str) -> Vec<&'a str> {
    let served = roster.served_by(person, at(moment));
    served.map(|member| member.person.as_str()).collect()
}

#[test]
fn a_plan_goes_by_the_calendar_by_the_weekday_and_by_the_day() {
    let roster = given(&[planned(|plan| plan)]);
    for (moment, wanted) in [
        ("23 08:29", vec![]),
        ("23 08:30", vec!["li.na", "wang.wei"]),
        ("23 12:00", vec!["li.na"]),
        ("24 13:00", vec!["li.na", "zhao.min"]),
        // A holiday, though a Wednesday.
        ("25 10:00", vec![]),
        // Worked in exchange: a workday and no weekend, though a Saturday.
        ("28 10:00", vec!["li.na"]),
        ("28 13:00", vec!["li.na"]),
        ("29 13:00", vec!["zhao.min"]),
        ("29 18:00", vec![]),
    ] {
        assert_eq!(on_duty(&roster, moment), wanted, "{moment}");
    }
}

#[test]
fn a_new_plan_replaces_the_days_that_it_covers_and_no_others() {
    let later = |plan: String| {
        plan.replace("from = \"2026-11-23\"", "from = \"2026-11-24\"")
            .replace("to = \"2026-11-29\"", "to = \"2026-11-24\"")
            .replace("08:30\", to = \"17:30", "14:00\", to = \"15:00")
    };
    let roster = given(&[planned(|plan| plan), planned(later)]);
    assert_eq!(on_duty(&roster, "23 16:00"), ["li.na"]);
    assert_eq!(on_duty(&roster, "24 14:00"), ["li.na", "zhao.min"]);
    assert_eq!(on_duty(&roster, "24 16:00"), ["zhao.min"]);
    assert_eq!(on_duty(&roster, "26 16:00"), ["li.na"]);
}

/// A plan for two later days with another team: the present one stays what it is, and comes back after.
#[test]
fn a_plan_with_another_team_changes_the_team_of_its_own_days_only() {
    let other = |_: String| {
        r#"
area = "510402002005"
from = "2026-11-26"
to = "2026-11-27"
member = [{ person = "sun.li", post = "民政" }]
shift = [{ person = "sun.li", on = ["2026-11-26"], from = "09:00", to = "17:00" }]
"#
        .to_owned()
    };
    let roster = given(&[planned(|plan| plan), planned(other)]);
    let held_by = |moment| {
        let held = roster.holds("民政", at(moment)).unwrap();
        (held.person, held.on_duty)
    };
    assert_eq!(held_by("24 10:00"), ("li.na".to_owned(), true));
    assert_eq!(held_by("26 10:00"), ("sun.li".to_owned(), true));
    assert_eq!(held_by("27 10:00"), ("sun.li".to_owned(), false));
    assert_eq!(held_by("28 10:00"), ("li.na".to_owned(), true));
    assert_eq!(roster.holds("调解", at("26 10:00")), None);
    // Nobody is planned after the last day, and the team is still known.
    assert_eq!(held_by("30 10:00"), ("li.na".to_owned(), false));
    // Until the other team takes over nobody is due who is not in it.
    let evening = roster.holds("民政", at("25 20:00")).unwrap();
    assert_eq!(evening.next_on_duty, Some(at("26 09:00")));
    let members = roster.members(at("25 00:00"), at("27 00:00"));
    let persons: Vec<_> = members.iter().map(|member| &member.person).collect();
    assert_eq!(persons, ["li.na", "wang.wei", "zhao.min", "sun.li"]);
    assert_eq!(found(&roster, "2026-11-24", "2026-11-24"), []);
}

#[test]
fn while_the_a_holder_is_away_the_x_on_duty_answers_for_the_post_and_until_when_is_said() {
    let roster = given(&[
        planned(|plan| plan),
        absence("li.na", "23 10:00", "24 15:00"),
    ]);
    let held = |moment: &str| roster.holds("民政", at(moment)).unwrap();
    assert_eq!(held("23 09:00").stand_in, None);
    let monday = held("23 11:00");
    let stand_in = monday.stand_in.unwrap();
    assert_eq!((monday.person.as_str(), monday.on_duty), ("li.na", true));
    assert_eq!(
        (
            stand_in.person.as_str(),
            stand_in.post.as_str(),
            stand_in.until
        ),
        ("wang.wei", "劳动保障", Some(at("23 12:00")))
    );
    // Nobody is there in the afternoon: it stays with the A holder, and the next moment is told.
    let afternoon = held("23 13:00");
    assert_eq!((afternoon.stand_in, afternoon.on_duty), (None, false));
    assert_eq!(afternoon.next_on_duty, Some(at("24 08:30")));
    let tuesday = held("24 14:00").stand_in.unwrap();
    assert_eq!(
        (tuesday.person.as_str(), tuesday.until),
        ("zhao.min", Some(at("24 15:00")))
    );
    assert_eq!(held("24 15:00").stand_in, None, "she is back");
    assert_eq!(roster.holds("消防", at("24 14:00")), None);
    assert_eq!(
        roster.holds_of("li.na", at("24 14:00")),
        Some(held("24 14:00"))
    );
    assert_eq!(
        served_by(&roster, "zhao.min", "24 14:00"),
        ["li.na", "zhao.min"]
    );
    assert_eq!(served_by(&roster, "li.na", "24 14:00"), [""; 0]);
}

#[test]
fn who_does_not_stand_in_for_a_post_is_passed_over() {
    let roster = given(&[
        planned(|plan| plan),
        absence("wang.wei", "24 08:00", "24 18:00"),
    ]);
    let held = roster.holds("劳动保障", at("24 13:00")).unwrap();
    assert_eq!(
        held.stand_in.unwrap().person,
        "li.na",
        "zhao.min is X for 民政 only"
    );
}

#[test]
fn an_absence_that_is_withdrawn_was_none() {
    let roster = given(&[
        planned(|plan| plan),
        absence("li.na", "23 08:00", "23 18:00"),
    ]);
    assert_eq!(on_duty(&roster, "23 13:00"), [""; 0]);
    let id = roster
        .absences(at("23 00:00"), at("24 00:00"))
        .next()
        .unwrap()
        .id;
    let withdraw = RosterCommand::WithdrawAbsence { absence: id };
    let mut roster = roster;
    let events = decide(&roster, &withdraw).unwrap();
    record(&mut roster, 3, events[0].clone());
    assert_eq!(on_duty(&roster, "23 13:00"), ["li.na"]);
    let again = decide(&roster, &withdraw).unwrap_err();
    assert_eq!(again.code(), Code(197));
}

fn rule(text: &str) -> StaffingRule {
    toml::from_str(text).unwrap()
}

#[test]
#[allow(clippy::disallowed_methods, reason = "a test reads its files")]
fn the_plan_in_the_documents_leaves_the_gaps_that_they_name() {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/duty.md"));
    let text = text.unwrap();
    let plan = text.split("```toml\n").nth(1).unwrap();
    let plan: Plan = toml::from_str(plan.split("```").next().unwrap()).unwrap();
    let roster = Roster::planned(&plan, &days()).unwrap();
    let gaps: Vec<_> = found(&roster, "2026-11-28", "2026-11-28")
        .into_iter()
        .map(|gap| (gap.from, gap.to, gap.at_least, gap.on_duty))
        .collect();
    let (from, to) = (at("28 13:00"), at("28 17:00"));
    assert_eq!(gaps, [(from, to, 2, vec!["c-02".to_owned()])]);
}

fn rules() -> Vec<StaffingRule> {
    vec![
        rule(
            "name = \"8+2\"\non = [\"workday\"]\nfrom = \"12:00\"\nto = \"14:00\"\nat_least = 1\nlevel = \"community\"",
        ),
        rule(
            "name = \"5+2\"\non = [\"saturday\", \"sunday\"]\nfrom = \"09:00\"\nto = \"17:00\"\nat_least = 2\nlevel = \"community\"",
        ),
    ]
}

fn found(roster: &Roster, first: &str, last: &str) -> Vec<Gap> {
    let area = COMMUNITY.parse().unwrap();
    gaps((area, roster), &rules(), &days(), (day(first), day(last))).unwrap()
}

#[test]
fn this_saturday_from_13_to_15_one_of_two() {
    let roster = given(&[
        planned(|plan| {
            plan.replace("[\"workday\"]", "[\"workday\", \"sunday\"]")
                .replace(
                    "[\"weekend\", \"2026-11-24\"]",
                    "[\"saturday\", \"sunday\"]",
                )
                .replace("12:00\", to = \"18:00", "08:30\", to = \"18:00")
        }),
        absence("zhao.min", "28 13:00", "28 15:00"),
    ]);
    let gap = |from: &str, to: &str, on_duty: &[&str]| Gap {
        area: COMMUNITY.parse().unwrap(),
        rule: "5+2".to_owned(),
        from: at(from),
        to: at(to),
        at_least: 2,
        on_duty: on_duty.iter().map(|person| (*person).to_owned()).collect(),
    };
    assert_eq!(
        found(&roster, "2026-11-23", "2026-11-29"),
        [gap("28 13:00", "28 15:00", &["li.na"])]
    );
}

#[test]
fn a_gap_is_told_anew_where_other_persons_are_there() {
    let roster = given(&[planned(|plan| plan)]);
    let told: Vec<_> = found(&roster, "2026-11-29", "2026-11-29")
        .into_iter()
        .map(|gap| (gap.from, gap.to, gap.on_duty.len()))
        .collect();
    assert_eq!(
        told,
        [
            (at("29 09:00"), at("29 12:00"), 0),
            (at("29 12:00"), at("29 17:00"), 1)
        ]
    );
}

#[test]
fn a_year_that_is_not_loaded_is_refused_where_a_word_goes_by_it() {
    let next_year = |plan: String| plan.replace("2026-11-2", "2027-11-2");
    let refused = decide(&Roster::default(), &planned(next_year)).unwrap_err();
    assert_eq!(refused.code(), Code(191));
    let by_weekday = |plan: String| {
        next_year(plan)
            .replace("workday", "monday")
            .replace("weekend", "sunday")
    };
    assert!(decide(&Roster::default(), &planned(by_weekday)).is_ok());
}

#[test]
fn plans_that_contradict_themselves_are_refused_and_say_what_is_wrong() {
    for (from, to, part) in [
        (
            "to = \"2026-11-29\"",
            "to = \"2026-11-22\"",
            "1 to 366 days",
        ),
        (
            "to = \"2026-11-29\"",
            "to = \"2027-11-29\"",
            "1 to 366 days",
        ),
        (
            "wang.wei\", post",
            "li.na\", post",
            "person 'li.na' is there twice",
        ),
        (
            "post = \"劳动保障\"",
            "post = \"民政\"",
            "post '民政' is there twice",
        ),
        ("[\"民政\"]", "[\"消防\"]", "cannot stand in for '消防'"),
        ("[\"民政\"]", "[\"调解\"]", "cannot stand in for '调解'"),
        (
            "{ person = \"li.na\", on",
            "{ person = \"nobody\", on",
            "'nobody' is no member",
        ),
        ("person = \"li.na\", post", "person = \"\", post", "1 to 64"),
        (
            "08:30\", to = \"17:30",
            "17:30\", to = \"08:30",
            "ends before it begins",
        ),
        ("on = [\"workday\"]", "on = []", "is on no day"),
        ("2026-11-24\"]", "2026-11-30\"]", "a day outside the plan"),
        (
            "{ person = \"wang.wei\", on",
            "{ person = \"li.na\", on",
            "overlap",
        ),
        ("510402002005", "510402002006", "was sent to 510402002005"),
    ] {
        let refused = decide(
            &Roster::default(),
            &planned(|plan| plan.replacen(from, to, 1)),
        );
        let refused = refused.unwrap_err();
        assert!(
            refused.to_string().contains(part),
            "{from} -> {to}: {refused}"
        );
        assert!([195, 197].contains(&refused.code().0), "{refused}");
    }
    for (role, area) in [
        (Role::GridWorker, "51040200200507"),
        (Role::Analyst, "510402"),
        (Role::Street, "510402003"),
    ] {
        let area = claims(role, area);
        let own = COMMUNITY.parse().unwrap();
        let refused = Roster::default().decide(&planned(|plan| plan), (own, &area), &days());
        assert!(
            [5, 205].contains(&refused.unwrap_err().code().0),
            "{role:?}"
        );
    }
}

#[test]
fn staffing_rules_that_contradict_themselves_are_refused() {
    let fine = rules().remove(0);
    assert_eq!(fine.check(), Ok(()));
    let wrong = |change: fn(&mut StaffingRule)| {
        let mut rule = rules().remove(0);
        change(&mut rule);
        rule.check().unwrap_err().code()
    };
    assert_eq!(wrong(|rule| rule.name.clear()), Code(196));
    assert_eq!(wrong(|rule| rule.on.clear()), Code(196));
    assert_eq!(wrong(|rule| rule.to = rule.from), Code(196));
    assert_eq!(wrong(|rule| rule.at_least = 0), Code(196));
    assert_eq!(wrong(|rule| rule.level = None), Code(196));
}

/// Shifts and absences by the half hour of one Monday: who, from, how long.
fn half_hours() -> impl Strategy<Value = Vec<(usize, i64, i64)>> {
    prop::collection::vec((0..3_usize, 0..40_i64, 1..12_i64), 0..12)
}

proptest! {
    #[test]
    fn gaps_and_stand_ins_agree_with_a_reference_minute_by_minute(
        shifts in half_hours(),
        absences in half_hours(),
        at_least in 1..4_u32,
    ) {
        let persons = ["li.na", "wang.wei", "zhao.min"];
        let midnight = at("23 00:00");
        let moment = |half: i64| midnight.plus_millis(half * HOUR / 2);
        let mut commands = vec![planned(|plan| plan.split("shift =").next().unwrap().to_owned())];
        commands.extend(absences.iter().map(|(who, from, length)| RosterCommand::RecordAbsence {
            person: persons[*who].to_owned(),
            from: moment(*from),
            to: moment(from + length),
            reason: "leave".to_owned(),
        }));
        let mut roster = given(&commands);
        let mut event = match decide(&roster, &commands[0]).unwrap().remove(0) {
            RosterEvent::RosterPlanned(event) => event,
            other => panic!("{other:?}"),
        };
        event.shifts = shifts.iter().map(|(who, from, length)| gridkeeper_proto::duty::Shift {
            from: moment(*from),
            to: moment(from + length),
            person: persons[*who].to_owned(),
        }).collect();
        record(&mut roster, 99, RosterEvent::RosterPlanned(event));

        let covers = |spans: &[(usize, i64, i64)], who: usize, now: Timestamp| {
            spans.iter().any(|(of, from, length)| *of == who && moment(*from) <= now && now < moment(from + length))
        };
        let there = |who: usize, now: Timestamp| covers(&shifts, who, now) && !covers(&absences, who, now);
        let rule = StaffingRule { at_least, ..rules().remove(0) };
        let area = COMMUNITY.parse().unwrap();
        let found = gaps((area, &roster), &[rule], &days(), (day("2026-11-23"), day("2026-11-23"))).unwrap();
        for minute in (0..24 * 60).step_by(7) {
            let now = midnight.plus_millis(minute * 60_000);
            let on_duty: Vec<_> = (0..3).filter(|who| there(*who, now)).collect();
            let in_hours = (12 * 60..14 * 60).contains(&minute);
            let gap = found.iter().find(|gap| gap.from <= now && now < gap.to);
            prop_assert_eq!(gap.is_some(), in_hours && on_duty.len() < at_least as usize, "{}", minute);
            if let Some(gap) = gap {
                let names: Vec<_> = on_duty.iter().map(|who| persons[*who].to_owned()).collect();
                prop_assert_eq!(&gap.on_duty, &names);
            }
            // Whoever answers for 民政: its own member, else 劳动保障, else 调解.
            let answering = [0, 1, 2].into_iter().find(|who| there(*who, now));
            let held = roster.holds("民政", now).unwrap();
            prop_assert_eq!(held.on_duty, answering.is_some());
            let stand_in = held.stand_in.as_ref().map(|stand_in| stand_in.person.as_str());
            prop_assert_eq!(stand_in, answering.filter(|who| *who > 0).map(|who| persons[who]));
            let until = held.stand_in.and_then(|stand_in| stand_in.until).or(held.next_on_duty);
            if let Some(until) = until {
                prop_assert!(until > now);
                let before = until.plus_millis(-60_000).max(now);
                let who = |at| [0, 1, 2].into_iter().find(|who| there(*who, at));
                prop_assert_eq!(who(before), answering, "constant until then");
                prop_assert_ne!(who(until), answering, "and another then");
            }
        }
    }
}
