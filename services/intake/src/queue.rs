//! Commands that wait to be decided. Areas take turns, so that a flood from one keeps no other waiting; the
//! commands of one area keep their order.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};

use gridkeeper_proto::area::AreaCode;
use tokio::{sync::Notify, time::Instant};

use crate::{Error, Options, plan::Job};

pub(crate) const STOPPING: &str = "it stops";

/// The queue before the decider.
#[derive(Debug)]
pub(crate) struct Queue {
    rounds: Mutex<Rounds>,
    arrived: Notify,
    most: usize,
    most_of_area: usize,
}

/// In each round every area has at most one command.
#[derive(Debug, Default)]
struct Rounds {
    rounds: VecDeque<VecDeque<Job>>,
    /// The number of the round at the front.
    current: usize,
    /// The last round in which an area has or had a command.
    last: HashMap<AreaCode, usize>,
    waiting: usize,
    closed: bool,
}

impl Queue {
    pub(crate) fn new(options: &Options) -> Self {
        Self {
            rounds: Mutex::default(),
            arrived: Notify::new(),
            most: options.queue_commands,
            most_of_area: options.queue_commands_of_area,
        }
    }

    /// Lets a command wait.
    ///
    /// # Errors
    /// [`Error::Busy`] and [`Error::AreaBusy`], when too many wait; [`Error::NotReady`] once it is closed.
    pub(crate) fn push(&self, job: Job) -> Result<(), Error> {
        let mut rounds = self.lock();
        if rounds.closed {
            return Err(Error::NotReady { why: STOPPING });
        }
        if rounds.waiting >= self.most {
            return Err(Error::Busy { waiting: self.most });
        }
        let after_last = rounds.last.get(&job.area).map_or(0, |last| last + 1);
        let ahead = after_last.saturating_sub(rounds.current);
        if ahead >= self.most_of_area {
            return Err(Error::AreaBusy {
                area: job.area,
                waiting: self.most_of_area,
            });
        }
        rounds.add(job, ahead);
        drop(rounds);
        self.arrived.notify_one();
        Ok(())
    }

    /// Takes the next commands, at most so many.
    pub(crate) fn take(&self, most: usize) -> Vec<Job> {
        let mut rounds = self.lock();
        let count = most.min(rounds.waiting);
        (0..count).filter_map(|_| rounds.next()).collect()
    }

    /// Takes out the commands that may not wait longer than until now.
    pub(crate) fn late(&self, now: Instant) -> Vec<Job> {
        let mut rounds = self.lock();
        let mut late = Vec::new();
        for round in &mut rounds.rounds {
            let (over, rest): (Vec<_>, _) = round.drain(..).partition(|job| job.deadline <= now);
            late.extend(over);
            *round = rest.into();
        }
        rounds.waiting -= late.len();
        late
    }

    /// Whether no more commands come and none waits.
    pub(crate) fn has_ended(&self) -> bool {
        let rounds = self.lock();
        rounds.closed && rounds.waiting == 0
    }

    /// Whether no command waits.
    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.lock().waiting == 0
    }

    /// Waits until a command waits: true; or the queue is closed and empty: false.
    pub(crate) async fn arrival(&self) -> bool {
        loop {
            let arrived = self.arrived.notified();
            {
                let rounds = self.lock();
                if rounds.waiting > 0 || rounds.closed {
                    return rounds.waiting > 0;
                }
            }
            arrived.await;
        }
    }

    /// Takes no more commands in.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.arrived.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Rounds> {
        // A panic cannot leave a command half in the queue.
        self.rounds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rounds {
    /// Adds a command to the round that is so many ahead of the current one.
    fn add(&mut self, job: Job, ahead: usize) {
        self.last.insert(job.area, self.current + ahead);
        while self.rounds.len() <= ahead {
            self.rounds.push_back(VecDeque::new());
        }
        if let Some(round) = self.rounds.get_mut(ahead) {
            round.push_back(job);
            self.waiting += 1;
        }
    }

    fn next(&mut self) -> Option<Job> {
        loop {
            if let Some(job) = self.rounds.front_mut()?.pop_front() {
                self.waiting -= 1;
                if self.waiting == 0 {
                    self.last.clear();
                }
                return Some(job);
            }
            self.rounds.pop_front();
            self.current += 1;
        }
    }
}
