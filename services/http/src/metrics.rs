//! `/metrics`: one recorder per process, which all of its services share, as Prometheus text.

use std::{
    fs, io,
    sync::{Arc, OnceLock},
    thread,
    time::Duration,
};

use gridkeeper_proto::time::Timestamp;
use metrics::{
    Gauge, Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

use crate::HttpError;

const DURATION: &str = "gridkeeper_http_request_duration_seconds";
const POSITION: &str = "gridkeeper_follower_position";
const BEHIND: &str = "gridkeeper_follower_behind_events";
const CONFIRMED: &str = "gridkeeper_follower_confirmed_timestamp_seconds";
const WORKS: &str = "gridkeeper_part_works";
const PANICS: &str = "gridkeeper_http_panics_total";
const BUILD: &str = "gridkeeper_build_info";
const RESIDENT: &str = "process_resident_memory_bytes";
const THREADS: &str = "process_threads";
const OPEN_FDS: &str = "process_open_fds";

/// Upper bounds of the histograms of `…_seconds`: from a cached answer to the request's time limit.
const SECONDS: [f64; 13] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0,
];

/// How often what the histograms were given is counted into their buckets. Until then each value is
/// kept by itself, and it may be that nobody ever reads the metrics.
const UPKEEP: Duration = Duration::from_secs(5);

/// The recorder of this process, installed by the first who asks.
///
/// # Errors
/// [`HttpError::Recorder`] when something else was installed before.
pub fn recorder() -> Result<PrometheusHandle, HttpError> {
    static RECORDER: OnceLock<Option<PrometheusHandle>> = OnceLock::new();
    RECORDER
        .get_or_init(|| {
            let handle = install().ok()?;
            keep_up(handle.clone()).ok()?;
            Some(handle)
        })
        .clone()
        .ok_or(HttpError::Recorder)
}

fn install() -> Result<PrometheusHandle, metrics_exporter_prometheus::BuildError> {
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)?
        .install_recorder()?;
    describe_histogram!(
        DURATION,
        Unit::Seconds,
        "Time until the answer begins, by route and status"
    );
    describe_gauge!(POSITION, "Last event that the follower has dealt with");
    describe_gauge!(BEHIND, "Events between the follower and the end of the log");
    describe_gauge!(
        CONFIRMED,
        Unit::Seconds,
        "When the follower's position last moved or was the end of the log, since 1970"
    );
    describe_gauge!(WORKS, "1 while the part works, 0 after it failed");
    describe_counter!(PANICS, "Requests that ended in a panic");
    describe_gauge!(BUILD, "1, with the version as a label");
    describe_gauge!(RESIDENT, Unit::Bytes, "Memory that the process holds");
    describe_gauge!(THREADS, "Threads of the process");
    describe_gauge!(OPEN_FDS, "Open files and connections of the process");
    gauge!(BUILD, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    Ok(handle)
}

fn keep_up(handle: PrometheusHandle) -> io::Result<()> {
    let thread = thread::Builder::new().name("metrics".to_owned());
    thread.spawn(move || {
        loop {
            thread::sleep(UPKEEP);
            handle.run_upkeep();
        }
    })?;
    Ok(())
}

/// The text that Prometheus reads, with the figures of the process as they are now.
#[must_use]
pub fn render(handle: &PrometheusHandle) -> String {
    process();
    handle.run_upkeep();
    handle.render()
}

/// The figures that Linux gives of the process; elsewhere there are none.
fn process() {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let field = |name: &str| -> Option<f64> {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim_start_matches(':')
            .split_whitespace()
            .next()?
            .parse()
            .ok()
    };
    if let Some(kibibytes) = field("VmRSS") {
        gauge!(RESIDENT).set(kibibytes * 1024.0);
    }
    if let Some(threads) = field("Threads") {
        gauge!(THREADS).set(threads);
    }
    if let Ok(files) = fs::read_dir("/proc/self/fd") {
        gauge!(OPEN_FDS).set(files.count() as f64);
    }
}

pub(crate) fn request(method: &'static str, route: &str, status: u16, took: Duration) {
    let labels = [
        ("method", method.to_owned()),
        ("route", route.to_owned()),
        ("status", status.to_string()),
    ];
    histogram!(DURATION, &labels).record(took.as_secs_f64());
}

pub(crate) fn panicked() {
    counter!(PANICS).increment(1);
}

/// The gauges of one part of a service, kept so that a report with each batch of events does not
/// look them up.
#[derive(Debug)]
pub(crate) struct PartGauges {
    part: Arc<str>,
    works: OnceLock<Gauge>,
    /// Of followers alone.
    position: OnceLock<PositionGauges>,
}

#[derive(Debug)]
struct PositionGauges {
    position: Gauge,
    behind: Gauge,
    confirmed: Gauge,
}

impl PartGauges {
    /// Gauges that are shown once they are set first. The recorder has to be installed by then.
    pub(crate) fn of(part: Arc<str>) -> Self {
        Self {
            part,
            works: OnceLock::new(),
            position: OnceLock::new(),
        }
    }

    pub(crate) fn position(&self, position: u64, last_known: u64, confirmed: Timestamp) {
        let gauges = self.position.get_or_init(|| PositionGauges {
            position: self.gauge(POSITION),
            behind: self.gauge(BEHIND),
            confirmed: self.gauge(CONFIRMED),
        });
        gauges.position.set(position as f64);
        gauges.behind.set((last_known - position) as f64);
        gauges.confirmed.set(confirmed.millis() as f64 / 1000.0);
        self.works();
    }

    pub(crate) fn failed(&self) {
        self.show(0.0);
    }

    pub(crate) fn works(&self) {
        self.show(1.0);
    }

    fn show(&self, works: f64) {
        self.works.get_or_init(|| self.gauge(WORKS)).set(works);
    }

    fn gauge(&self, name: &'static str) -> Gauge {
        gauge!(name, "part" => self.part.to_string())
    }
}
