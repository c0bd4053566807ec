//! The decider, with its queue and log in hand.

use std::sync::Arc;

use gridkeeper_http::{Clock, ComparedClock, Health, Reading};
use gridkeeper_proto::time::Timestamp;
use gridkeeper_tests::checkpoint_signer;
use tokio::{task::JoinHandle, time::Duration};
use tokio_util::sync::CancellationToken;

use super::{
    job::report_job,
    memory::{MemoryKeys, MemoryLog},
    site::{GRID, NOW, OTHER_GRID, adopt, policy},
};
use crate::{
    Error, Options, adopt,
    appends::Appends,
    decider::{Decider, Shared, line::Line},
    evidence::Evidence,
    queue::Queue,
    state::Base,
};

struct Running {
    state: Shared,
    log: Arc<MemoryLog>,
    queue: Arc<Queue>,
    stop: CancellationToken,
    task: JoinHandle<Result<(), Error>>,
}

impl Running {
    /// A decider whose log has the rules.
    async fn start(log: &Arc<MemoryLog>) -> Self {
        let options = Options::default();
        let state: Shared = Arc::default();
        let clock = Clock::new(|| Timestamp::from_millis(NOW).unwrap());
        let folder = tempfile::tempdir().unwrap();
        let evidence = Evidence::open(folder.path(), checkpoint_signer().verifier()).unwrap();
        let health = Health::new(&options.http, clock.now());
        let decider = Decider::new(
            Arc::new(Arc::clone(log)),
            Arc::new(Arc::new(MemoryKeys::default())),
            (Arc::clone(&state), evidence),
            Appends::new(health.register("appends", clock.now())),
            (
                ComparedClock::new(clock.clone(), 60_000),
                health.register("clock", clock.now()),
            ),
            options.clone(),
            Box::new(|_, _| {}),
        );
        decider.catch_up().await.unwrap();
        let own = adopt::Own {
            district: "510402".parse().unwrap(),
            rules: vec![adopt(policy())],
            clock,
            deadline: Duration::from_secs(10),
        };
        adopt::adopt(&decider, &own).await.unwrap();
        let (queue, stop) = (Arc::new(Queue::new(&options)), CancellationToken::new());
        let task = {
            let (queue, stop) = (Arc::clone(&queue), stop.clone());
            tokio::spawn(async move { decider.run(&queue, stop).await })
        };
        Self {
            state,
            log: Arc::clone(log),
            queue,
            stop,
            task,
        }
    }

    async fn until_appends(&self, count: usize) {
        gridkeeper_tests::until("so many appends were tried", async || {
            (self.log.appends().len() >= count).then_some(())
        })
        .await;
    }

    async fn until_decided(&self) {
        gridkeeper_tests::until("what waited is decided", async || {
            self.queue.is_empty().then_some(())
        })
        .await;
    }

    async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap().unwrap();
        self.log.check_chains();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_in_during_an_append_is_decided_meanwhile_and_goes_together() {
    let log = Arc::default();
    let decider = Running::start(&log).await;
    let before = log.appends().len();
    log.hold(true);
    let (first, answer) = report_job(GRID);
    let mut answers = vec![answer];
    decider.queue.push(first).unwrap();
    decider.until_appends(before + 1).await;
    for grid in [GRID, OTHER_GRID].into_iter().cycle().take(40) {
        let (job, answer) = report_job(grid);
        decider.queue.push(job).unwrap();
        answers.push(answer);
    }
    decider.until_decided().await;
    assert_eq!(log.appends().len(), before + 1, "one append at a time");
    log.hold(false);
    for answer in answers {
        answer.await.unwrap().unwrap();
    }
    assert_eq!(log.appends()[before..], [1, 40]);
    decider.stop().await;
}

#[tokio::test]
async fn a_conflict_of_one_grid_costs_only_that_grid_another_try() {
    let log = Arc::default();
    let running = Running::start(&log).await;
    let state = running.state.read().unwrap().clone();
    let base = Base {
        state: &state,
        ahead: None,
    };
    let (queue, options) = (Queue::new(&Options::default()), Options::default());
    let mut line = Line::default();
    let now = Reading::sure(Timestamp::from_millis(NOW).unwrap());
    let next = |line: &mut Line| {
        line.decide(&queue, base, now, &options).unwrap();
        line.take_plan().unwrap().jobs
    };
    let all = [GRID, OTHER_GRID, GRID, OTHER_GRID].map(|grid| report_job(grid).0);
    let ids = all.each_ref().map(|job| job.command_id);
    for job in all {
        queue.push(job).unwrap();
    }
    let decided = next(&mut line);
    assert_eq!(decided.len(), 4);
    let moved = [GRID.parse().unwrap()];
    assert!(line.put_apart(decided, &moved, 2).is_empty());
    let others = next(&mut line);
    let went_on: Vec<_> = others
        .iter()
        .map(|(job, _)| (job.command_id, job.conflicts))
        .collect();
    assert_eq!(went_on, [(ids[1], 0), (ids[3], 0)]);
    let hindered = next(&mut line);
    let again: Vec<_> = hindered
        .iter()
        .map(|(job, _)| (job.command_id, job.conflicts))
        .collect();
    assert_eq!(again, [(ids[0], 1), (ids[2], 1)]);
    let given_up = line.put_apart(hindered, &moved, 2);
    assert_eq!(given_up.len(), 2, "after two tries");
    running.stop().await;
}
