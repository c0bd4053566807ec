//! How long it takes to read the service clock over a year. Prints medians; fails above two microseconds.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a bench measures with the system's clock and prints"
)]

use std::{hint::black_box, path::Path, time::Instant};

use gridkeeper_proto::{
    calendar::Calendar,
    clock::ServiceClock,
    time::{Timestamp, Zone},
};

const ROUNDS: usize = 31;
const READS: u32 = 100_000;
const YEAR: i64 = 365 * 86_400_000;
const MOST_NANOS: u128 = 2_000;

fn main() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/calendars/china");
    let years: Vec<_> = (2018..=2026)
        .map(|year| std::fs::read_to_string(folder.join(format!("{year}.toml"))).unwrap())
        .map(|text| toml::from_str(&text).unwrap())
        .collect();
    let hours = toml::from_str(
        "workday = [{ from = \"08:30\", to = \"12:00\" }, { from = \"14:00\", to = \"18:30\" }]\n\
         weekend = [{ from = \"09:00\", to = \"17:00\" }]\nholiday = []",
    )
    .unwrap();
    let zone = Zone::named("Asia/Shanghai").unwrap();
    let clock = ServiceClock::new(zone, &hours, Calendar::of(&years).unwrap()).unwrap();
    let start: Timestamp = "2019-03-04T05:06:07Z".parse().unwrap();
    let year = clock.between(start, start.plus_millis(YEAR)).unwrap();
    let reads: [(&str, &dyn Fn(Timestamp)); 3] = [
        ("between, over a year", &|from| {
            black_box(clock.between(from, from.plus_millis(YEAR)).unwrap());
        }),
        ("after, a year's service time", &|from| {
            black_box(clock.after(from, year).unwrap());
        }),
        ("after, 250 working days", &|from| {
            black_box(clock.after_workdays(from, 250).unwrap());
        }),
    ];
    for (what, read) in reads {
        let mut nanos: Vec<_> = (0..ROUNDS)
            .map(|_| {
                let began = Instant::now();
                for number in 0..READS {
                    read(black_box(start.plus_millis(i64::from(number) * 997)));
                }
                began.elapsed().as_nanos() / u128::from(READS)
            })
            .collect();
        nanos.sort_unstable();
        let (median, least, most) = (nanos[ROUNDS / 2], nanos[0], nanos[ROUNDS - 1]);
        println!("{what}: {median} ns [{least} to {most}]");
        assert!(median <= MOST_NANOS, "{what}: above {MOST_NANOS} ns");
    }
}
