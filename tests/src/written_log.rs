//! A log in the making, written as intake writes it, without a broker.

use std::collections::HashMap;

use gridkeeper_liveviews::log::RawEvent;
use gridkeeper_proto::{
    access::{Actor, Claims, Role},
    area::{AreaCode, Level},
    case::{Case, Decided, Decision, Situation, decide},
    command::{CaseCommand, Step},
    duty::{Roster, RosterCommand},
    envelope::{EventHash, Header, Position},
    event::{ByAggregate, CaseEvent, Event, Recorded},
    id::{AggregateId, CaseId, CommandId, EventId, InquiryId},
    inquiry::{Inquiry, InquiryCommand},
    limit::Limit,
    policy::{Ladder, Limits, Oversight, Policy, SettleLimits},
    rules::{Rules, RulesCommand, Timetables},
    time::Timestamp,
};
use uuid::Uuid;

/// A policy of a few hours to each step, day and night.
#[must_use]
pub fn short_policy() -> Policy {
    let limits = |starts_at| Limits {
        starts_at,
        accept: Limit::Natural(60),
        assign: None,
        settle: SettleLimits {
            grid: Limit::Natural(600),
            community: Limit::Natural(1_200),
            street: Limit::Natural(2_400),
            district: Limit::Natural(4_800),
            city: Limit::Natural(9_600),
        },
        verify: Limit::Natural(300),
        close: Limit::Natural(300),
        oversight: None,
    };
    Policy {
        version: 1,
        service: None,
        ladder: Ladder::default(),
        oversight: Oversight::default(),
        staffing: Vec::new(),
        general: limits(Level::Grid),
        larger: limits(Level::Community),
        major: limits(Level::Street),
        extreme: limits(Level::District),
        categories: Vec::new(),
    }
}

/// A log of one district. Commands are decided by the real rules; what is refused leaves nothing behind.
pub struct WrittenLog {
    /// The events since they were last taken.
    pub events: Vec<RawEvent>,
    /// The cases after them.
    pub cases: HashMap<CaseId, Case>,
    /// The moment at which commands are decided.
    pub now: Timestamp,
    rosters: HashMap<AreaCode, Roster>,
    inquiries: HashMap<InquiryId, Inquiry>,
    rules: Rules,
    timetables: Timetables,
    heads: HashMap<AreaCode, EventHash>,
    last: Position,
    commands: u128,
}

/// Whose command events answer, and what it is to.
struct By<'a> {
    aggregate: AggregateId,
    area: AreaCode,
    command_id: CommandId,
    actor: &'a Actor,
}

impl WrittenLog {
    /// A log whose first event adopts this policy.
    ///
    /// # Panics
    /// The policy contradicts itself.
    #[must_use]
    pub fn new(district: AreaCode, policy: Policy) -> Self {
        Self::under(district, &[], policy)
    }

    /// A log whose first events adopt these years of the calendar, and then this policy.
    ///
    /// # Panics
    /// They contradict themselves.
    #[must_use]
    pub fn under(district: AreaCode, calendar: &[RulesCommand], policy: Policy) -> Self {
        let mut log = Self {
            events: Vec::new(),
            cases: HashMap::new(),
            now: "2026-11-23T00:00:00Z".parse().unwrap(),
            rosters: HashMap::new(),
            inquiries: HashMap::new(),
            rules: Rules::default(),
            timetables: Timetables::default(),
            heads: HashMap::new(),
            last: Position(0),
            commands: 0,
        };
        let adopt = RulesCommand::AdoptPolicy {
            zone: "Asia/Shanghai".to_owned(),
            policy: Box::new(policy),
            calendar: Vec::new(),
        };
        for year in calendar {
            log.change_rules(district, year);
        }
        log.change_rules(district, &adopt);
        log
    }

    /// The place of the last event.
    #[must_use]
    pub fn last(&self) -> Position {
        self.last
    }

    /// Gives the events since they were last taken, so that a long log need not be kept whole.
    #[must_use]
    pub fn take(&mut self) -> Vec<RawEvent> {
        std::mem::take(&mut self.events)
    }

    /// The policies at work.
    #[must_use]
    pub fn timetables(&self) -> &Timetables {
        &self.timetables
    }

    /// An area's roster; none before its first plan.
    #[must_use]
    pub fn roster(&self, area: AreaCode) -> Option<&Roster> {
        self.rosters.get(&area)
    }

    /// Changes the district's rules.
    ///
    /// # Panics
    /// They may not be changed so.
    pub fn change_rules(&mut self, district: AreaCode, command: &RulesCommand) {
        let claims = Claims {
            sub: "admin".to_owned(),
            role: Role::Admin,
            areas: vec![district],
            iat: 0,
            exp: 1,
        };
        let command_id = self.next_command();
        let actor = claims.actor();
        for event in self.rules.decide(command, &claims, self.now).unwrap() {
            let by = By {
                aggregate: Rules::id(district),
                area: district,
                command_id,
                actor: &actor,
            };
            let recorded = self.append(&by, self.now, &Event::Rules(event));
            if let ByAggregate::Rules(recorded) = recorded.by_aggregate() {
                self.rules.evolve(&recorded);
            }
        }
        self.timetables = self.rules.timetables().unwrap();
    }

    /// Decides a command to a case, after what has happened to it by itself.
    ///
    /// # Panics
    /// A calendar ends.
    pub fn command(&mut self, command: &CaseCommand, id: CaseId, grid: AreaCode, claims: &Claims) {
        if matches!(command, CaseCommand::Step(_)) {
            self.look(id);
        }
        let command_id = self.next_command();
        let other = match command {
            CaseCommand::Step(Step::Merge { into, .. }) => self.cases.get(into),
            _ => None,
        };
        let case = self.cases.get(&id);
        let policy = match case {
            Some(case) => self.timetables.of(case.policy),
            None => self.timetables.current(),
        };
        let situation = Situation {
            command_id,
            digest: [7; 8],
            case_id: id,
            case,
            grid,
            other,
            claims,
            policy: policy.unwrap(),
            now: self.now,
            if_version: None,
        };
        let Ok(Decision::Events(events)) = decide(command, &situation) else {
            return;
        };
        let actor = claims.actor();
        for Decided { recorded_at, event } in events {
            let by = By {
                aggregate: id.into(),
                area: grid,
                command_id,
                actor: &actor,
            };
            self.append_to_case(&by, recorded_at, event);
        }
    }

    /// Changes an area's roster; what is refused leaves nothing behind.
    ///
    /// # Panics
    /// There are no rules.
    pub fn change_roster(&mut self, area: AreaCode, command: &RosterCommand, claims: &Claims) {
        let nothing = Roster::default();
        let roster = self.rosters.get(&area).unwrap_or(&nothing);
        let days = self.timetables.days().unwrap();
        let Ok(events) = roster.decide(command, (area, claims), days) else {
            return;
        };
        let (command_id, actor) = (self.next_command(), claims.actor());
        for event in events {
            let by = By {
                aggregate: Roster::id(area),
                area,
                command_id,
                actor: &actor,
            };
            let recorded = self.append(&by, self.now, &Event::Roster(event));
            if let ByAggregate::Roster(recorded) = recorded.by_aggregate() {
                self.rosters.entry(area).or_default().evolve(&recorded);
            }
        }
    }

    /// Does something with a first inquiry; what is refused leaves nothing behind.
    ///
    /// # Panics
    /// The rules of inquiries contradict themselves.
    pub fn change_inquiry(
        &mut self,
        id: InquiryId,
        area: AreaCode,
        command: &InquiryCommand,
        claims: &Claims,
    ) {
        let before = self.inquiries.get(&id);
        let area = before.map_or(area, |inquiry| inquiry.area);
        let Ok(event) = Inquiry::decide(before, id, command, (area, claims)) else {
            return;
        };
        let (command_id, actor) = (self.next_command(), claims.actor());
        let by = By {
            aggregate: id.into(),
            area,
            command_id,
            actor: &actor,
        };
        let recorded = self.append(&by, self.now, &Event::Inquiry(event));
        if let ByAggregate::Inquiry(recorded) = recorded.by_aggregate() {
            let after = Inquiry::evolve(self.inquiries.get(&id), &recorded).unwrap();
            self.inquiries.insert(id, after);
        }
    }

    /// Records what has happened to a case by itself.
    ///
    /// # Panics
    /// A calendar ends.
    pub fn look(&mut self, id: CaseId) {
        while let Some(case) = self.cases.get(&id) {
            let timetable = self.timetables.of(case.policy).unwrap();
            let Some(happened) = case.happened(timetable, self.now).unwrap() else {
                return;
            };
            let (area, recorded_at) = (case.grid, self.now.max(case.last_recorded_at));
            for event in happened.events {
                let by = By {
                    aggregate: id.into(),
                    area,
                    command_id: happened.command_id,
                    actor: &Actor::gridkeeper(),
                };
                self.append_to_case(&by, recorded_at, event);
            }
        }
    }

    fn next_command(&mut self) -> CommandId {
        self.commands += 1;
        CommandId::new(Uuid::from_u128(self.commands))
    }

    fn append_to_case(&mut self, by: &By<'_>, recorded_at: Timestamp, event: CaseEvent) {
        let Recorded {
            position, header, ..
        } = self.append(by, recorded_at, &Event::Case(event.clone()));
        let recorded = Recorded {
            position,
            header,
            event,
        };
        let id = by.aggregate.into();
        let case = Case::evolve(self.cases.remove(&id), &recorded).unwrap();
        self.cases.insert(id, case);
    }

    fn append(&mut self, by: &By<'_>, recorded_at: Timestamp, event: &Event) -> Recorded {
        let position = Position(self.last.0 + 1);
        let payload = event.encode();
        let header = Header {
            event_id: EventId::new(Uuid::from_u128(u128::from(position.0))),
            aggregate: by.aggregate,
            command_id: by.command_id,
            command_digest: [7; 8],
            area: by.area,
            occurred_at: recorded_at,
            recorded_at,
            actor: by.actor.clone(),
            event_type: payload.event_type,
            schema_version: payload.schema_version,
            previous: self.heads.get(&by.area).copied().unwrap_or_default(),
        };
        let bytes = header.encode(&payload.bytes);
        let recorded = Recorded::decode(position, &bytes).unwrap();
        self.heads.insert(by.area, EventHash::of(&bytes));
        self.last = position;
        self.events.push(RawEvent::event(position, by.area, bytes));
        recorded
    }
}
