//! Counting with valgrind's callgrind.

use std::{
    fs,
    io::{self, ErrorKind},
    path::{Path, PathBuf},
    pin::pin,
    process::{Output, Stdio},
    time::Duration,
};

use tokio::{process::Command, runtime::Builder, time::timeout};

/// What callgrind counts in; as a pattern it fits whatever way the compiler writes the names of functions.
const COUNTED: &str = "*counted_calls*";

/// How long one measurement may take. The longest takes about ten seconds on a slow machine.
const LIMIT: Duration = Duration::from_secs(300);

/// Why there is no count.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CountError {
    #[error("instructions are counted with valgrind, which is not on the PATH")]
    NoValgrind,
    #[error("valgrind does not start: {0}")]
    Start(io::Error),
    #[error("{name} ended with {status}:\n{output}")]
    Ended {
        name: String,
        status: std::process::ExitStatus,
        output: String,
    },
    #[error("{name} has not ended under valgrind after {} s, twice, and was stopped", LIMIT.as_secs())]
    NotEnded { name: String },
    #[error("{name} does not say how many operations it did: {output}")]
    Operations { name: String, output: String },
    #[error("callgrind's counts of {name} cannot be read: {error}")]
    Read { name: String, error: io::Error },
    #[error("callgrind counted nothing in {COUNTED} for {name}")]
    Nothing { name: String },
}

/// An installed valgrind.
#[derive(Debug)]
pub(crate) struct Valgrind;

impl Valgrind {
    /// None where there is none on the PATH.
    pub(crate) fn find() -> Result<Option<Self>, CountError> {
        match std::process::Command::new("valgrind")
            .arg("--version")
            .output()
        {
            Ok(_) => Ok(Some(Self)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(CountError::Start(error)),
        }
    }

    /// Instructions of one operation of a measurement.
    pub(crate) fn count(&self, name: &str) -> Result<u64, CountError> {
        let folder = tempfile::tempdir().map_err(CountError::Start)?;
        let counts = folder.path().join("counts");
        let output = self.run(name, &counts)?;
        let name = name.to_owned();
        if !output.status.success() {
            return Err(CountError::Ended {
                name,
                status: output.status,
                output: String::from_utf8_lossy(&output.stderr).into_owned(),
            });
        }
        let said = String::from_utf8_lossy(&output.stdout);
        let operations = match said.trim().parse::<u64>() {
            Ok(operations) if operations > 0 => operations,
            _ => {
                let output = said.into_owned();
                return Err(CountError::Operations { name, output });
            }
        };
        match fs::read_to_string(&counts) {
            Ok(text) => match total(&text) {
                Some(total) if total > 0 => Ok(total.div_ceil(operations)),
                _ => Err(CountError::Nothing { name }),
            },
            Err(error) => Err(CountError::Read { name, error }),
        }
    }

    /// Runs a measurement, and once more where it does not end: valgrind may starve a thread.
    fn run(&self, name: &str, counts: &Path) -> Result<Output, CountError> {
        let runtime = Builder::new_current_thread().enable_all().build();
        runtime.map_err(CountError::Start)?.block_on(async {
            for _ in 0..2 {
                if let Some(output) = run_once(name, counts).await.map_err(CountError::Start)? {
                    return Ok(output);
                }
            }
            let name = name.to_owned();
            Err(CountError::NotEnded { name })
        })
    }
}

/// `None` where it has not ended within the limit; its threads are shown then.
async fn run_once(name: &str, counts: &Path) -> io::Result<Option<Output>> {
    let child = Command::new("valgrind")
        .args(["--tool=callgrind", "--quiet"])
        // Valgrind runs one thread at a time. Left to itself it may choose for ever those that
        // wait in a loop for the one that it never chooses; the threads that write the views'
        // files do so at their start.
        .arg("--fair-sched=try")
        .arg(format!("--toggle-collect={COUNTED}"))
        .arg(format!("--callgrind-out-file={}", counts.display()))
        .arg(std::env::current_exe()?)
        .args(["work", name])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let id = child.id();
    // Kept until its threads are shown: it is killed when it is dropped.
    let mut ended = pin!(child.wait_with_output());
    match timeout(LIMIT, &mut ended).await {
        Ok(output) => output.map(Some),
        Err(_) => {
            let after = LIMIT.as_secs();
            println!(
                "notice: {name} has not ended after {after} s; its threads (name, state, waits in):"
            );
            for thread in id.map(threads).unwrap_or_default() {
                println!("  {thread}");
            }
            Ok(None)
        }
    }
}

/// A line for each thread of a process, as far as the system tells.
fn threads(process: u32) -> Vec<String> {
    let Ok(tasks) = fs::read_dir(format!("/proc/{process}/task")) else {
        return Vec::new();
    };
    let line = |task: PathBuf| {
        let read = |file| fs::read_to_string(task.join(file)).unwrap_or_default();
        let status = read("status");
        let state = status.lines().find_map(|line| line.strip_prefix("State:"));
        let state = state.unwrap_or_default().trim().to_owned();
        format!("{}, {state}, {}", read("comm").trim(), read("wchan"))
    };
    tasks.flatten().map(|task| line(task.path())).collect()
}

/// All that was counted, as a file of callgrind's gives it.
fn total(counts: &str) -> Option<u64> {
    let mut lines = counts.lines();
    let total = lines.find_map(|line| line.strip_prefix("totals: "))?;
    total.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::total;

    #[test]
    fn the_total_of_a_file_is_read() {
        let file = |end: &str| {
            format!("version: 1\ncreator: callgrind-3.19.0\nevents: Ir\n\nfn=(1)\n16 3\n{end}")
        };
        assert_eq!(total(&file("totals: 1820133\n")), Some(1_820_133));
        assert_eq!(total(&file("\ntotals: 0\n")), Some(0));
        assert_eq!(total(&file("totals: many\n")), None);
        assert_eq!(total(&file("")), None);
    }
}
