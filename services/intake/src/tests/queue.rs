//! The queue before the decider.

use super::{
    job::report_job,
    site::{GRID, OTHER_GRID},
};
use crate::{
    Error, Options,
    plan::Job,
    queue::{Queue, STOPPING},
};

fn queue() -> Queue {
    Queue::new(&Options {
        queue_commands: 10,
        queue_commands_of_area: 6,
        ..Options::default()
    })
}

fn push(queue: &Queue, grid: &str) -> Result<Job, Error> {
    let (job, _) = report_job(grid);
    let (again, _) = report_job(grid);
    let kept = Job {
        command_id: job.command_id,
        ..again
    };
    queue.push(job).map(|()| kept)
}

#[test]
fn a_flood_of_one_grid_lets_another_go_next_and_keeps_its_order() {
    let queue = queue();
    let flood: Vec<_> = (0..5).map(|_| push(&queue, GRID).unwrap()).collect();
    assert_eq!(queue.take(1)[0].command_id, flood[0].command_id);
    let other = push(&queue, OTHER_GRID).unwrap();
    let taken: Vec<_> = queue.take(100).iter().map(|job| job.command_id).collect();
    let first_two = [flood[1].command_id, other.command_id];
    assert!(taken[..2].iter().all(|taken| first_two.contains(taken)));
    let of_flood: Vec<_> = taken
        .into_iter()
        .filter(|id| *id != other.command_id)
        .collect();
    let in_order: Vec<_> = flood[1..].iter().map(|job| job.command_id).collect();
    assert_eq!(of_flood, in_order);
}

#[test]
fn one_grid_fills_its_share_and_all_fill_the_whole() {
    let queue = queue();
    for _ in 0..6 {
        push(&queue, GRID).unwrap();
    }
    let refused = push(&queue, GRID).unwrap_err();
    assert!(
        matches!(refused, Error::AreaBusy { waiting: 6, .. }),
        "{refused}"
    );
    for _ in 0..4 {
        push(&queue, OTHER_GRID).unwrap();
    }
    let refused = push(&queue, OTHER_GRID).unwrap_err();
    assert!(matches!(refused, Error::Busy { waiting: 10 }), "{refused}");
    assert_eq!(queue.take(3).len(), 3);
    push(&queue, OTHER_GRID).unwrap();
    push(&queue, GRID).unwrap();
    assert_eq!(queue.take(usize::MAX).len(), 9);
    assert!(queue.take(1).is_empty());
}

#[tokio::test]
async fn a_closed_queue_gives_what_it_has_and_ends() {
    let queue = queue();
    push(&queue, GRID).unwrap();
    queue.close();
    let refused = push(&queue, GRID).unwrap_err();
    assert!(
        matches!(refused, Error::NotReady { why: STOPPING }),
        "{refused}"
    );
    assert!(queue.arrival().await);
    queue.take(1);
    assert!(!queue.arrival().await);
}
