//! Lives of cases, from the report to the end: what codec and case are measured on.

use gridkeeper_proto::{
    access::Claims, area::AreaCode, case::Case, command::CaseCommand, event::Recorded, id::CaseId,
    time::Timestamp,
};
use gridkeeper_tests::{
    WrittenLog,
    history::{self, People},
    short_policy,
};

const CASES: u64 = 200;
const MINUTE: i64 = 60_000;

/// A command, and what it was decided on.
pub(crate) struct Asked {
    /// The command.
    pub(crate) command: CaseCommand,
    /// Its case.
    pub(crate) id: CaseId,
    /// The case's grid.
    pub(crate) grid: AreaCode,
    /// The case before it; none for the report.
    pub(crate) case: Option<Case>,
    /// Who asked.
    pub(crate) claims: Claims,
    /// When.
    pub(crate) now: Timestamp,
}

/// Cases that came to their end, some in time and some late.
pub(crate) struct Lives {
    /// What was written.
    pub(crate) log: WrittenLog,
    /// The commands, in this order.
    pub(crate) asked: Vec<Asked>,
}

impl Lives {
    /// Never freed: its maps would be freed in another order in each run, and what the counted code allocates after
    /// that would take more or fewer instructions.
    pub(crate) fn written() -> &'static Self {
        let district = "510402".parse().unwrap();
        let log = WrittenLog::new(district, short_policy());
        let people = People::of(district, log.now);
        let asked = Vec::new();
        let mut lives = Self { log, asked };
        for case in 0..CASES {
            lives.live(case, &people);
        }
        Box::leak(Box::new(lives))
    }

    /// The events, decoded.
    pub(crate) fn recorded(&self) -> Vec<Recorded> {
        let events = self.log.events.iter();
        events
            .map(|event| Recorded::decode(event.position, &event.bytes).unwrap())
            .collect()
    }

    fn live(&mut self, number: u64, people: &People) {
        let id = history::id(number);
        let grid = format!("510402002005{:02}", number % 20 + 1)
            .parse()
            .unwrap();
        let report = CaseCommand::Report(history::report(number));
        self.ask(report, id, grid, &people.handles);
        // A case has an hour to be accepted: some are slow, are reminded of and go to the next level.
        let pause = MINUTE * i64::try_from(10 + number * 7 % 90).unwrap();
        while let Some(step) = history::next(self.log.cases[&id].state, grid) {
            self.log.now = self.log.now.plus_millis(pause);
            self.log.look(id);
            let claims = people.taking(&step);
            self.ask(CaseCommand::Step(step), id, grid, claims);
        }
    }

    fn ask(&mut self, command: CaseCommand, id: CaseId, grid: AreaCode, claims: &Claims) {
        let (case, events) = (self.log.cases.get(&id).cloned(), self.log.events.len());
        self.log.command(&command, id, grid, claims);
        assert!(self.log.events.len() > events, "refused: {command:?}");
        self.asked.push(Asked {
            command,
            id,
            grid,
            case,
            claims: claims.clone(),
            now: self.log.now,
        });
    }
}
