//! From a point to its grid: in the process, one thread, against PostGIS.

mod postgis;

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use gridkeeper_district::{
    AreaKind, AreaRow, District, Generation, Source,
    generate::{GenerateInput, generate},
};
use gridkeeper_proto::case::Point;
use gridkeeper_tests::sample_district;

use self::postgis::Peer;
use crate::{districts::row, figures::Figures};

const MANY: usize = 100_000;
const POINTS: u32 = 50_000;

/// Runs the benchmark.
pub(crate) async fn run(rounds: usize, time: Duration) -> Figures {
    let mut figures = Figures::of("locate");
    let began = Instant::now();
    let districts = [District::load(sample_district()).unwrap(), divided(MANY)];
    let took = began.elapsed().as_secs_f64();
    eprintln!("districts with 519 and {MANY} grids, made in {took:.0} s");
    let mut subjects = Vec::new();
    for district in districts {
        let points = points(&district);
        let peer = Peer::start(&district, &points).await;
        subjects.push((district, points, peer));
    }
    for round in 1..=rounds {
        eprintln!("round {round}");
        for (district, points, peer) in &mut subjects {
            let grids = district.grids().count();
            let rate = located(district, points, time);
            figures.add(&format!("{grids} grids: points"), "points/s", rate);
            figures.add(&format!("{grids} grids: a point"), "ns", 1e9 / rate);
            if let Some(peer) = peer {
                let best = peer.measure(grids, points, time, &mut figures).await;
                let name = format!("{grids} grids: points / PostGIS, its best way");
                figures.add(&name, "times", rate / best);
            }
        }
    }
    figures
}

/// Points in a second.
fn located(district: &District, points: &[Point], time: Duration) -> f64 {
    let (began, mut done) = (Instant::now(), 0_usize);
    while began.elapsed() < time {
        for point in points {
            black_box(district.locate(*point).unwrap());
        }
        done += points.len();
    }
    done as f64 / began.elapsed().as_secs_f64()
}

/// Points spread evenly over the district, none near the one before.
fn points(district: &District) -> Vec<Point> {
    let inside = district
        .grids()
        .filter_map(|grid| district.point_inside(grid.code()));
    let (mut least, mut most) = ([i32::MAX; 2], [i32::MIN; 2]);
    for point in inside {
        for (axis, value) in [point.longitude_e7, point.latitude_e7]
            .into_iter()
            .enumerate()
        {
            least[axis] = least[axis].min(value);
            most[axis] = most[axis].max(value);
        }
    }
    // Steps by the powers of the plastic ratio never come close to where they were.
    const STEPS: [f64; 2] = [0.754_877_666_246_692_7, 0.569_840_290_998_053_2];
    let coordinate = |number: u32, axis: usize| {
        let share = (f64::from(number) * STEPS[axis]).fract();
        least[axis] + (share * f64::from(most[axis] - least[axis])) as i32
    };
    (0..)
        .map(|number| Point {
            longitude_e7: coordinate(number, 0),
            latitude_e7: coordinate(number, 1),
        })
        .filter(|point| district.locate(*point).is_ok())
        .take(POINTS as usize)
        .collect()
}

/// The sample's ground in so many grids.
fn divided(grids: usize) -> District {
    let mut source = Source::read(&sample_district()).unwrap();
    source.grids.clear();
    source.polygons = None;
    source.areas = communities(&source.about.code, 10, grids.div_ceil(5_000));
    source.about.generation = Some(Generation {
        grids,
        first_point: 1,
        rounds: 1,
    });
    let division = generate(&GenerateInput::from_source(&source).unwrap()).unwrap();
    source.grids = division.grids;
    source.polygons = Some(division.polygons);
    District::from_source(&source).unwrap()
}

fn communities(district: &str, streets: usize, in_each: usize) -> Vec<AreaRow> {
    let mut rows = Vec::new();
    for street in 1..=streets {
        let street = format!("{district}{street:03}");
        rows.push(row(&street, AreaKind::Street));
        let codes = (1..=in_each).map(|community| format!("{street}{community:03}"));
        rows.extend(codes.map(|code| row(&code, AreaKind::Community)));
    }
    rows
}
