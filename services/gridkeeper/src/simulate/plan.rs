//! Who does what when.
//!
//! Two clocks: the simulated one turns the hours of the workers' days, `speed` times as fast as the
//! real one; everything that intake sees carries the real one, since intake's clock is real.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use gridkeeper_proto::{
    api::{CommandRequest, ReportRequest},
    area::AreaCode,
    id::{CaseId, CommandId},
    time::Timestamp,
};
use rand::{RngExt, SeedableRng, rngs::Xoshiro256PlusPlus};

use super::{
    report::{self, Mistake, Person},
    world::{Site, World},
};

const MINUTE_MS: f64 = 60_000.0;
const HOUR_MS: f64 = 60.0 * MINUTE_MS;
/// The simulated day begins when the offices open, so that a start at night shows something too.
const FIRST_HOUR: f64 = 8.0;
/// Reports of a worker on a day.
const REPORTS_A_DAY: f64 = 4.0;
/// How busy each hour is, 1 being the mean of the day.
const HOURS: [f64; 24] = [
    0.15, 0.1, 0.1, 0.1, 0.1, 0.2, 0.5, 1.0, 1.8, 2.2, 2.2, 1.7, 1.0, 1.1, 1.8, 2.1, 2.0, 1.6, 1.3,
    1.1, 0.8, 0.5, 0.35, 0.2,
];
/// The busiest of [`HOURS`].
const BUSIEST: f64 = 2.2;
/// The most that a phone sends at once after having been offline.
const LATE_BATCH: usize = 20;

/// How the workers behave.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    /// Another seed, other workers.
    pub(crate) seed: u64,
    /// The moment of the first action.
    pub(crate) start: Timestamp,
    /// Simulated hours in a real hour; above 0.
    pub(crate) speed: f64,
}

/// Something that somebody does.
#[derive(Clone, Debug)]
pub(crate) struct Action {
    /// How long after the start.
    pub(crate) after: Duration,
    /// The grid that it is about.
    pub(crate) grid: AreaCode,
    /// Who.
    pub(crate) by: Person,
    /// What.
    pub(crate) what: What,
}

/// What somebody does.
#[derive(Clone, Debug)]
pub(crate) enum What {
    /// Files one or more reports in one request.
    Reports(Vec<ReportRequest>),
    /// Takes a case through a step.
    Step(CaseId, CommandRequest),
}

/// All actions in the order of their time, without end.
pub(crate) struct Plan {
    world: World,
    settings: Settings,
    rng: Xoshiro256PlusPlus,
    /// Real milliseconds from the start to the next arrival.
    arrival_ms: f64,
    /// What is to come, by real milliseconds from the start and in the order of planning.
    agenda: BTreeMap<(u64, u64), Action>,
    planned: u64,
    ready: VecDeque<Action>,
}

impl Plan {
    /// The plan of these workers.
    pub(crate) fn new(world: World, settings: Settings) -> Self {
        let rng = Xoshiro256PlusPlus::seed_from_u64(settings.seed);
        Self {
            world,
            settings,
            rng,
            arrival_ms: 0.0,
            agenda: BTreeMap::new(),
            planned: 0,
            ready: VecDeque::new(),
        }
    }

    /// Moves on to the next moment at which a worker has something to file: arrivals come at the rate
    /// of the busiest hour, and as many are dropped as the hour is quieter.
    fn next_arrival(&mut self) {
        #[expect(clippy::cast_precision_loss, reason = "a count of grids")]
        let workers = self.world.sites.len() as f64;
        let a_simulated_ms = workers * REPORTS_A_DAY * BUSIEST / (24.0 * HOUR_MS);
        loop {
            let share: f64 = self.rng.random();
            let simulated = -(1.0 - share).ln() / a_simulated_ms;
            self.arrival_ms += simulated / self.settings.speed;
            if self.rng.random::<f64>() * BUSIEST < busy(self.arrival_ms * self.settings.speed) {
                return;
            }
        }
    }

    fn plan_arrival(&mut self) {
        let after = whole(self.arrival_ms);
        let at = self.moment(after);
        let index = self.rng.random_range(0..self.world.sites.len());
        let site = self.world.sites[index].clone();
        match self.rng.random_range(0..100) {
            0..4 => self.plan_mistake(&site, after, at),
            4..8 => {
                let report = report::report(&self.world, &site, at, &mut self.rng);
                let minutes = f64::from(self.rng.random_range(1..20));
                let again = after + self.simulated_minutes(minutes);
                self.plan_life(&site, &report, again);
                self.plan_reports(&site, after, vec![report.clone()]);
                self.plan_reports(&site, again, vec![report]);
            }
            8..10 => self.plan_late(&site, after, at),
            _ => {
                let report = report::report(&self.world, &site, at, &mut self.rng);
                self.plan_life(&site, &report, after);
                self.plan_reports(&site, after, vec![report]);
            }
        }
    }

    fn plan_mistake(&mut self, site: &Site, after: u64, at: Timestamp) {
        let mut report = report::report(&self.world, site, at, &mut self.rng);
        let mistake = match self.rng.random_range(0..3) {
            0 => Mistake::Outside,
            1 => Mistake::UnknownCategory,
            _ => Mistake::OthersGrid,
        };
        report::spoil(&mut report, mistake, &self.world, site, &mut self.rng);
        self.plan_reports(site, after, vec![report]);
    }

    /// A phone that was offline for hours sends what it saved.
    fn plan_late(&mut self, site: &Site, after: u64, at: Timestamp) {
        let count = self.rng.random_range(2..=LATE_BATCH);
        let offline_ms = self.rng.random_range(3_600_000..6 * 3_600_000_i64);
        let mut waited: Vec<i64> = (0..count)
            .map(|_| self.rng.random_range(0..offline_ms))
            .collect();
        waited.sort_unstable_by_key(|waited| Reverse(*waited));
        let mut reports = Vec::with_capacity(count);
        for waited in waited {
            let saved = at.plus_millis(-waited);
            let mut report = report::report(&self.world, site, saved, &mut self.rng);
            report.filed_at = Some(saved);
            self.plan_life(site, &report, after);
            reports.push(report);
        }
        self.plan_reports(site, after, reports);
    }

    fn plan_reports(&mut self, site: &Site, after: u64, reports: Vec<ReportRequest>) {
        self.put(after, site, report::worker(site), What::Reports(reports));
    }

    /// What people go on to do about a case; many cases stop somewhere on the way.
    fn plan_life(&mut self, site: &Site, report: &ReportRequest, from: u64) {
        let mut after = from;
        for (by, step, minutes) in report::life(site.grid, report.severity, &mut self.rng) {
            if self.rng.random_range(0..100) < 12 {
                return;
            }
            let minutes = f64::from(self.rng.random_range(minutes));
            after += self.simulated_minutes(minutes);
            let at = self.moment(after);
            let id = CommandId::new(report::id(&mut self.rng, at));
            let request = CommandRequest {
                id,
                if_version: None,
                occurred_at: None,
                command: step,
            };
            self.put(after, site, by, What::Step(report.id, request));
        }
    }

    fn put(&mut self, after: u64, site: &Site, by: Person, what: What) {
        let action = Action {
            after: Duration::from_millis(after),
            grid: site.grid,
            by,
            what,
        };
        self.agenda.insert((after, self.planned), action);
        self.planned += 1;
    }

    /// Simulated minutes in real milliseconds; at least one.
    fn simulated_minutes(&self, minutes: f64) -> u64 {
        whole(minutes * MINUTE_MS / self.settings.speed).max(1)
    }

    fn moment(&self, after: u64) -> Timestamp {
        self.settings
            .start
            .plus_millis(i64::try_from(after).unwrap_or(i64::MAX))
    }
}

impl Iterator for Plan {
    type Item = Action;

    /// None only where there are no workers.
    fn next(&mut self) -> Option<Action> {
        if self.world.sites.is_empty() {
            return None;
        }
        loop {
            if let Some(action) = self.ready.pop_front() {
                return Some(action);
            }
            self.next_arrival();
            let until = whole(self.arrival_ms);
            while let Some(entry) = self.agenda.first_entry() {
                let (after, _) = *entry.key();
                if after >= until {
                    break;
                }
                self.ready.push_back(entry.remove());
            }
            self.plan_arrival();
        }
    }
}

/// How busy the hour is, so many simulated milliseconds after the start.
fn busy(simulated_ms: f64) -> f64 {
    let hour = (FIRST_HOUR + simulated_ms / HOUR_MS).rem_euclid(24.0);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "0 to 24"
    )]
    let hour = hour as usize;
    HOURS.get(hour).copied().unwrap_or(BUSIEST)
}

fn whole(ms: f64) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "times from the start on"
    )]
    let whole = ms as u64;
    whole
}
