//! The parts of one process: started in order, stopped in the reverse order, and never one without the
//! others.

use std::time::Duration;

use futures::{StreamExt as _, stream::FuturesUnordered};
use tokio::{
    task::{JoinError, JoinHandle},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use crate::error::Error;

/// The longest that a part may take to stop; each has shorter limits of its own.
const STOP_WITHIN: Duration = Duration::from_secs(30);

/// The running parts of the process.
#[derive(Default)]
pub(crate) struct Parts {
    started: Vec<Part>,
}

struct Part {
    name: &'static str,
    stop: CancellationToken,
    task: JoinHandle<Result<(), Error>>,
}

impl Parts {
    /// Starts a part. It runs until its token says stop.
    pub(crate) fn start<F>(&mut self, name: &'static str, run: impl FnOnce(CancellationToken) -> F)
    where
        F: Future<Output = Result<(), Error>> + Send + 'static,
    {
        let stop = CancellationToken::new();
        let task = tokio::spawn(run(stop.clone()));
        self.started.push(Part { name, stop, task });
    }

    /// Waits until it is asked to stop or a part ends by itself, then stops all, the last started first.
    ///
    /// # Errors
    /// The first failure: of the part that ended by itself, else of one that did not stop well.
    pub(crate) async fn run(mut self, asked: impl Future<Output = ()>) -> Result<(), Error> {
        let ended = {
            let mut running: FuturesUnordered<_> = self
                .started
                .iter_mut()
                .enumerate()
                .map(async |(index, part)| (index, (&mut part.task).await))
                .collect();
            tokio::select! {
                () = asked => None,
                ended = running.next() => ended,
            }
        };
        let mut outcome = Ok(());
        if let Some((index, ended)) = ended {
            let part = self.started.remove(index);
            outcome = Err(match flat(part.name, ended) {
                Err(error) => error,
                Ok(()) => Error::Ended {
                    part: part.name,
                    reason: "it gave no reason".to_owned(),
                },
            });
        }
        for part in self.started.into_iter().rev() {
            let stopped = part.stop().await;
            outcome = outcome.and(stopped);
        }
        outcome
    }
}

impl Part {
    async fn stop(mut self) -> Result<(), Error> {
        self.stop.cancel();
        match timeout(STOP_WITHIN, &mut self.task).await {
            Ok(ended) => flat(self.name, ended),
            Err(_) => {
                self.task.abort();
                let reason = format!("it did not stop within {} seconds", STOP_WITHIN.as_secs());
                let part = self.name;
                Err(Error::Ended { part, reason })
            }
        }
    }
}

fn flat(part: &'static str, ended: Result<Result<(), Error>, JoinError>) -> Result<(), Error> {
    ended.unwrap_or_else(|error| {
        let reason = error.to_string();
        Err(Error::Ended { part, reason })
    })
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use gridkeeper_proto::code::Coded as _;

    use super::*;

    type Stopped = Arc<Mutex<Vec<&'static str>>>;

    fn steady(parts: &mut Parts, name: &'static str, stopped: &Stopped) {
        let stopped = Arc::clone(stopped);
        parts.start(name, |stop| async move {
            stop.cancelled().await;
            stopped.lock().unwrap().push(name);
            Ok(())
        });
    }

    #[tokio::test]
    async fn parts_stop_in_the_reverse_order_of_their_start() {
        let (mut parts, stopped) = (Parts::default(), Stopped::default());
        for name in ["broker", "aggregator", "intake"] {
            steady(&mut parts, name, &stopped);
        }
        parts.run(async {}).await.unwrap();
        assert_eq!(*stopped.lock().unwrap(), ["intake", "aggregator", "broker"]);
    }

    #[tokio::test]
    async fn one_failing_part_brings_all_down_with_its_error() {
        let (mut parts, stopped) = (Parts::default(), Stopped::default());
        steady(&mut parts, "broker", &stopped);
        parts.start("intake", |_| async {
            Err(Error::Io {
                action: "read",
                path: "x".into(),
                source: std::io::Error::other("y"),
            })
        });
        steady(&mut parts, "query", &stopped);
        let error = parts.run(std::future::pending()).await.unwrap_err();
        assert_eq!(error.code().0, 820);
        assert_eq!(*stopped.lock().unwrap(), ["query", "broker"]);
    }

    #[tokio::test]
    async fn a_part_that_ends_or_panics_by_itself_is_an_error() {
        for panics in [false, true] {
            let (mut parts, stopped) = (Parts::default(), Stopped::default());
            steady(&mut parts, "broker", &stopped);
            parts.start("intake", move |_| async move {
                assert!(!panics, "on purpose");
                Ok(())
            });
            let error = parts.run(std::future::pending()).await.unwrap_err();
            assert_eq!(error.code().0, 822, "{error}");
            assert!(error.to_string().contains("intake"), "{error}");
            assert_eq!(*stopped.lock().unwrap(), ["broker"]);
        }
    }
}
