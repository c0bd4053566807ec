//! A log with a given number of cases: under the district's own rules, up to now, spread over all grids.

use std::sync::Arc;

use gridkeeper_district::District;
use gridkeeper_liveviews::log::RawEvent;
use gridkeeper_proto::{
    area::AreaCode,
    case::Case,
    command::{CaseCommand, Step},
    id::CaseId,
    rules::RulesCommand,
    time::Timestamp,
};
use gridkeeper_tests::{
    WrittenLog,
    history::{People, id, next, report},
};

/// For how long a case is suspended, in milliseconds.
const SUSPENDED: i64 = 60 * 86_400_000;
/// One of so many waits past its due time.
const LATE_OF: u64 = 200;
/// How many steps cases take, in turn: half are still where they were reported, a tenth is closed.
const STEPS: [usize; 10] = [0, 1, 0, 2, 0, 6, 0, 4, 0, 1];

/// What becomes of the cases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mix {
    /// They are reported.
    Reported,
    /// They are in all states, and some thousands of a million are late, went up, and are watched over.
    AllStates,
}

/// Told of each case as it stands at the end.
pub(crate) type Done = Box<dyn FnMut(&Case) + Send>;

/// Makes the log.
pub(crate) struct Cases {
    log: WrittenLog,
    people: People,
    grids: Arc<[AreaCode]>,
    mix: Mix,
    made: u64,
    count: u64,
    span: i64,
    end: Timestamp,
    late: Vec<u64>,
    done: Done,
}

/// The grid of a case.
pub(crate) fn grid_of(grids: &[AreaCode], case: u64) -> AreaCode {
    let index = case % grids.len() as u64;
    grids[usize::try_from(index).unwrap()]
}

/// Whether a case waits past its due time.
pub(crate) fn is_late(case: u64) -> bool {
    case % LATE_OF == LATE_OF / 2
}

impl Cases {
    /// So many cases of a district, reported over a span of milliseconds up to `end`.
    pub(crate) fn of(
        district: &District,
        grids: &Arc<[AreaCode]>,
        (mix, count): (Mix, u64),
        (span, end): (i64, Timestamp),
        done: Done,
    ) -> Self {
        let (policy, years): (Vec<_>, Vec<_>) = district
            .rules()
            .into_iter()
            .partition(|rule| matches!(rule, RulesCommand::AdoptPolicy { .. }));
        let Some(RulesCommand::AdoptPolicy { policy, .. }) = policy.into_iter().next() else {
            panic!("the district has no policy");
        };
        let code = district.code();
        Self {
            log: WrittenLog::under(code, &years, *policy),
            people: People::of(code, end),
            grids: Arc::clone(grids),
            mix,
            made: 0,
            count,
            span,
            end,
            late: Vec::new(),
            done,
        }
    }

    /// At least so many events, right after those that it gave before; none after the last.
    pub(crate) fn next_events(&mut self, events: usize) -> Vec<RawEvent> {
        while self.log.events.len() < events && self.made < self.count {
            self.one();
        }
        if self.made == self.count {
            self.log.now = self.end;
            for case in std::mem::take(&mut self.late) {
                self.log.look(id(case));
                self.finish(id(case));
            }
        }
        self.log.take()
    }

    fn one(&mut self) {
        let case = self.made;
        self.made += 1;
        let [left, count] = [self.count - case, self.count].map(|n| i64::try_from(n).unwrap());
        let before_end = self.span * left / count;
        self.log.now = self.end.plus_millis(-before_end);
        let (id, grid) = (id(case), grid_of(&self.grids, case));
        let command = CaseCommand::Report(report(case));
        self.log.command(&command, id, grid, &self.people.handles);
        if self.mix == Mix::AllStates {
            if is_late(case) {
                self.late.push(case);
                return;
            }
            self.take_steps(case);
        }
        self.finish(id);
    }

    fn take_steps(&mut self, case: u64) {
        let steps = STEPS[usize::try_from(case % 10).unwrap()];
        let grid = grid_of(&self.grids, case);
        for _ in 0..steps {
            let found = self.log.cases.get(&id(case)).unwrap();
            self.step(case, next(found.state, grid).unwrap());
        }
        let reason = || "双方要求改期，待其返回后再议。".to_owned();
        let until = self.log.now.plus_millis(SUSPENDED);
        match case % 50 {
            3 => self.step(case, Step::Return { reason: reason() }),
            5 => self.step(case, Step::Reopen { reason: reason() }),
            9 => self.step(
                case,
                Step::Suspend {
                    reason: reason(),
                    until,
                },
            ),
            12 => self.step(case, Step::Cancel { reason: reason() }),
            _ => {}
        }
    }

    fn step(&mut self, case: u64, step: Step) {
        let grid = grid_of(&self.grids, case);
        let claims = self.people.taking(&step);
        let command = CaseCommand::Step(step);
        self.log.command(&command, id(case), grid, claims);
    }

    /// The case is kept no longer.
    fn finish(&mut self, id: CaseId) {
        let case = self.log.cases.remove(&id).unwrap();
        (self.done)(&case);
    }
}
