//! The jobs in hand: decided for the next append, or put back to be decided again.

use std::collections::VecDeque;

use gridkeeper_http::Reading;
use gridkeeper_proto::area::AreaCode;
use tokio::time::Instant;

use crate::{
    Error, Options,
    plan::{Job, Outcome, Plan},
    queue::Queue,
    state::Base,
};

/// The next append in the making, and what was put back before it.
#[derive(Debug, Default)]
pub(crate) struct Line {
    /// Jobs put back, in order. Groups do not share an append: what hinders one leaves the others alone.
    groups: VecDeque<VecDeque<Job>>,
    /// The next append; none as long as nothing is decided for it.
    plan: Option<Plan>,
    /// Whether the plan is made from a group.
    from_group: bool,
}

impl Line {
    /// Decides jobs for the next append as long as it has room: those put back first, then those that wait.
    pub(crate) fn decide(
        &mut self,
        queue: &Queue,
        base: Base<'_>,
        now: Reading,
        options: &Options,
    ) -> Result<(), Error> {
        if self.plan.is_none() {
            self.from_group = !self.groups.is_empty();
            if self.from_group {
                self.decide_group(base, now, options)?;
            }
        }
        if self.from_group {
            return Ok(());
        }
        loop {
            let room = self.room(options);
            let jobs = queue.take(room);
            if jobs.is_empty() {
                return Ok(());
            }
            self.decide_all(jobs, base, now)?;
        }
    }

    /// Whether waiting jobs can still be decided for the next append.
    pub(crate) fn takes_more(&self, options: &Options) -> bool {
        self.groups.is_empty() && !self.from_group && self.room(options) > 0
    }

    /// Whether the next append has events.
    pub(crate) fn plan_has_events(&self) -> bool {
        let plan = self.plan.as_ref();
        plan.is_some_and(|plan| !plan.events.is_empty())
    }

    /// The next append as it is.
    pub(crate) fn take_plan(&mut self) -> Option<Plan> {
        self.from_group = false;
        self.plan.take()
    }

    /// Puts decided jobs back, to be decided before all others. Those that had events are marked.
    pub(crate) fn put_back(
        &mut self,
        decided: Vec<(Job, Outcome)>,
        mut mark: impl FnMut(&mut Job),
    ) {
        let group = decided.into_iter().map(|(mut job, outcome)| {
            if outcome.has_events() {
                mark(&mut job);
            }
            job
        });
        self.groups.push_front(group.collect());
    }

    /// Puts the jobs of an append back that landed elsewhere than expected, and those of the next
    /// one; gives those to which that happened too often.
    pub(crate) fn put_back_landed(&mut self, decided: Vec<(Job, Outcome)>, tries: u32) -> Vec<Job> {
        self.put_plan_back();
        let (given_up, rest): (Vec<_>, Vec<_>) = decided
            .into_iter()
            .partition(|(job, outcome)| outcome.has_events() && job.conflicts + 1 >= tries);
        if !rest.is_empty() {
            self.put_back(rest, |job| {
                job.sent = true;
                job.conflicts += 1;
            });
        }
        given_up.into_iter().map(|(job, _)| job).collect()
    }

    /// Puts the jobs of the next append back: what they were decided on did not come about.
    pub(crate) fn put_plan_back(&mut self) {
        if let Some(plan) = self.take_plan() {
            self.put_back(plan.jobs, |_| {});
        }
    }

    /// Puts decided jobs back, each in a group of its own.
    pub(crate) fn put_back_singly(&mut self, jobs: impl DoubleEndedIterator<Item = Job>) {
        for job in jobs.rev() {
            self.groups.push_front(VecDeque::from([job]));
        }
    }

    /// Puts the jobs of a refused append and of the next one back, those of the areas that went on apart from the
    /// others; gives those that were refused too often. Where no area is named, any may have gone
    /// on, and each goes alone.
    pub(crate) fn put_apart(
        &mut self,
        decided: Vec<(Job, Outcome)>,
        moved: &[AreaCode],
        tries: u32,
    ) -> Vec<Job> {
        let hit = |area: &AreaCode| moved.is_empty() || moved.contains(area);
        let next = self.take_plan().map(|plan| plan.jobs);
        let (mut unmoved, mut hindered) = (VecDeque::new(), VecDeque::new());
        let mut given_up = Vec::new();
        for (mut job, outcome) in decided {
            match hit(&outcome.area(&job)) {
                false => unmoved.push_back(job),
                true => {
                    job.conflicts += u32::from(outcome.has_events());
                    match job.conflicts >= tries {
                        true => given_up.push(job),
                        false => hindered.push_back(job),
                    }
                }
            }
        }
        for (job, outcome) in next.into_iter().flatten() {
            match hit(&outcome.area(&job)) {
                true => hindered.push_back(job),
                false => unmoved.push_back(job),
            }
        }
        if moved.is_empty() {
            // Whichever of them it is hinders no other, and is named where it goes alone.
            self.put_back_singly(hindered.into_iter());
            return given_up;
        }
        for group in [hindered, unmoved] {
            if !group.is_empty() {
                self.groups.push_front(group);
            }
        }
        given_up
    }

    /// How many jobs are decided for the next append.
    pub(crate) fn planned(&self) -> usize {
        self.plan.as_ref().map_or(0, |plan| plan.jobs.len())
    }

    /// How many jobs are in hand.
    pub(crate) fn len(&self) -> usize {
        self.planned() + self.groups.iter().map(VecDeque::len).sum::<usize>()
    }

    /// Takes out the jobs that may not wait longer than until now.
    pub(crate) fn late(&mut self, now: Instant) -> Vec<Job> {
        self.put_plan_back();
        let mut late = Vec::new();
        for group in &mut self.groups {
            let (over, rest): (Vec<_>, _) = group.drain(..).partition(|job| job.deadline <= now);
            late.extend(over);
            *group = rest.into();
        }
        self.groups.retain(|group| !group.is_empty());
        late
    }

    /// Takes out all jobs.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = Job> {
        self.put_plan_back();
        std::mem::take(&mut self.groups).into_iter().flatten()
    }

    fn decide_group(
        &mut self,
        base: Base<'_>,
        now: Reading,
        options: &Options,
    ) -> Result<(), Error> {
        let Some(mut group) = self.groups.pop_front() else {
            return Ok(());
        };
        while self.room(options) > 0
            && let Some(job) = group.pop_front()
        {
            self.decide_all([job], base, now)?;
        }
        if !group.is_empty() {
            self.groups.push_front(group);
        }
        Ok(())
    }

    fn decide_all(
        &mut self,
        jobs: impl IntoIterator<Item = Job>,
        base: Base<'_>,
        now: Reading,
    ) -> Result<(), Error> {
        let plan = self.plan.get_or_insert_with(|| Plan::on(base));
        jobs.into_iter()
            .try_for_each(|job| plan.add_job(job, base, now))
    }

    /// How many jobs can be decided for the next append for sure.
    fn room(&self, options: &Options) -> usize {
        let plan = self.plan.as_ref();
        plan.map_or(1, |plan| plan.room(options.batch_events))
    }
}
