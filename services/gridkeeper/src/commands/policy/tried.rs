//! `gridkeeper policy try`: what another policy would have made of what happened.

use std::{collections::BTreeMap, path::PathBuf};

use gridkeeper_district::District;
use gridkeeper_eventlog::EventLog;
use gridkeeper_proto::{
    area::{AreaCode, Level},
    envelope::Position,
    event::{ByAggregate, Recorded},
    id::CaseId,
    time::{Day, Timestamp},
    whatif::{Compared, Course, Replay, WentUp},
};
use serde::Serialize;

use crate::{
    error::Error,
    files,
    installation::{Installation, Place},
    terminal,
};

/// How many events, and how many bytes of them, are read at once.
const RANGE: (usize, usize) = (4_096, 4 << 20);

/// Replays the log against another policy.
#[derive(Debug, clap::Args)]
pub(in crate::commands) struct Try {
    /// The other policy, in the form of `policy.toml`.
    policy: PathBuf,
    #[command(flatten)]
    place: Place,
    /// Address of the broker; intake's when left out.
    #[arg(long)]
    nats: Option<String>,
    /// Count what passed or went up from this day on, in the district's zone.
    #[arg(long)]
    from: Option<Day>,
    /// Count what passed or went up to this day.
    #[arg(long)]
    to: Option<Day>,
    /// Count by areas of this level.
    #[arg(long, value_enum, default_value_t = By::Street)]
    by: By,
    /// Print the counts as JSON.
    #[arg(long)]
    json: bool,
    /// Print the cases that would have gone otherwise as JSON, with each due time that passed and that would
    /// have passed.
    #[arg(long, conflicts_with = "json")]
    cases: bool,
}

/// A level that counts are made of.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum By {
    District,
    Street,
    Community,
    Grid,
}

impl By {
    fn level(self) -> Level {
        match self {
            Self::District => Level::District,
            Self::Street => Level::Street,
            Self::Community => Level::Community,
            Self::Grid => Level::Grid,
        }
    }
}

/// A case that would have gone otherwise.
#[derive(Debug, Serialize)]
struct Otherwise {
    case: CaseId,
    grid: AreaCode,
    category: String,
    /// The due times that passed, and those that would have passed.
    missed: Vec<Timestamp>,
    would_be_missed: Vec<Timestamp>,
    /// When it went up, and when it would have gone up.
    went_up: Vec<WentUp>,
    would_go_up: Vec<WentUp>,
    /// Steps that were taken, whenever, and would not have been possible.
    impossible: u32,
}

/// What is counted of an area and category.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
struct Counts {
    /// Cases reported, whenever.
    cases: u64,
    /// Due times that passed, and that would have passed.
    missed: u64,
    would_be_missed: u64,
    /// Cases with at least one.
    late: u64,
    would_be_late: u64,
    /// How often they went up, by themselves or by request, and how often they would have gone up.
    went_up: u64,
    would_go_up: u64,
    /// Steps that were taken and would not have been possible.
    impossible: u64,
}

/// The counts of an area and category.
#[derive(Debug, Serialize)]
struct Row {
    area: AreaCode,
    name: String,
    category: String,
    #[serde(flatten)]
    counts: Counts,
}

/// Runs the command.
pub(super) async fn run(command: Try) -> Result<(), Error> {
    if let (Some(from), Some(to)) = (command.from, command.to)
        && from > to
    {
        return Err(Error::Span { from, to });
    }
    let installation = Installation::open_made(&command.place, command.nats.as_deref())?;
    let text = files::read(&command.policy)?;
    let other = District::load_with_policy(command.place.district(), &text)?;
    let timetable = other.timetable().ok_or(Error::NoPolicy {
        district: other.code(),
    })?;
    let config = &installation.layout.config;
    let url = command.nats.as_deref().unwrap_or(&config.intake.nats_url);
    let log = EventLog::open(url, other.code(), &config.log).await?;
    let replay = replay(&log, Replay::new(timetable)).await?;
    let counted = |at: Timestamp| {
        let day = other.zone().day_of(at);
        command.from.is_none_or(|from| from <= day) && command.to.is_none_or(|to| day <= to)
    };
    let compared = replay.until(installation.clock.now())?;
    let compared = compared.into_iter().map(|(case, compared)| {
        let happened = within(compared.happened, counted);
        let would = within(compared.would, counted);
        let compared = Compared {
            happened,
            would,
            ..compared
        };
        (case, compared)
    });
    if command.cases {
        let cases: Vec<_> = compared.filter_map(otherwise).collect();
        return terminal::json(&cases);
    }
    let cases = compared.map(|(_, compared)| compared);
    let rows = rows(&other, command.by.level(), cases);
    match command.json {
        true => terminal::json(&rows),
        false => show(&rows),
    }
}

async fn replay<'a>(log: &EventLog, mut replay: Replay<'a>) -> Result<Replay<'a>, Error> {
    let (max_events, max_bytes) = RANGE;
    let mut position = Position(0);
    loop {
        let range = log.read_after(position, max_events, max_bytes).await?;
        let Some(last) = range.last() else {
            return Ok(replay);
        };
        position = last.position;
        for stored in range.iter().filter(|stored| stored.is_event()) {
            let recorded = Recorded::decode(stored.position, &stored.bytes)?;
            if let ByAggregate::Case(recorded) = recorded.by_aggregate() {
                replay.event(&recorded)?;
            }
        }
    }
}

/// What of a course happened at moments that are counted.
fn within(course: Course, counted: impl Fn(Timestamp) -> bool) -> Course {
    let Course {
        mut missed,
        mut went_up,
    } = course;
    missed.retain(|at| counted(*at));
    went_up.retain(|went| counted(went.at));
    Course { missed, went_up }
}

fn otherwise((case, compared): (CaseId, Compared)) -> Option<Otherwise> {
    let Compared {
        grid,
        category,
        happened,
        would,
        impossible,
    } = compared;
    (happened != would || impossible > 0).then_some(Otherwise {
        case,
        grid,
        category,
        missed: happened.missed,
        would_be_missed: would.missed,
        went_up: happened.went_up,
        would_go_up: would.went_up,
        impossible,
    })
}

/// By area, and by the first word of the category below its kind.
fn rows(district: &District, level: Level, cases: impl Iterator<Item = Compared>) -> Vec<Row> {
    let mut all: BTreeMap<(AreaCode, String), Counts> = BTreeMap::new();
    for case in cases {
        let area = case.grid.at(level).unwrap_or(case.grid);
        let category: Vec<_> = case.category.split('.').take(2).collect();
        let counts = all.entry((area, category.join("."))).or_default();
        let (happened, would) = (&case.happened, &case.would);
        counts.cases += 1;
        counts.missed += happened.missed.len() as u64;
        counts.would_be_missed += would.missed.len() as u64;
        counts.late += u64::from(!happened.missed.is_empty());
        counts.would_be_late += u64::from(!would.missed.is_empty());
        counts.went_up += happened.went_up.len() as u64;
        counts.would_go_up += would.went_up.len() as u64;
        counts.impossible += u64::from(case.impossible);
    }
    let row = |((area, category), counts): ((AreaCode, String), Counts)| Row {
        area,
        name: district
            .area(area)
            .map_or_else(String::new, |area| area.name().to_owned()),
        category,
        counts,
    };
    all.into_iter().map(row).collect()
}

fn show(rows: &[Row]) -> Result<(), Error> {
    terminal::answer(format!(
        "{:<15} {:<24} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8}",
        "area", "category", "cases", "late", "would be", "missed", "would be", "went up", "would"
    ))?;
    let mut all = Counts::default();
    for Row {
        area,
        category,
        counts,
        ..
    } in rows
    {
        line(area.as_str(), category, *counts)?;
        all.cases += counts.cases;
        all.missed += counts.missed;
        all.would_be_missed += counts.would_be_missed;
        all.late += counts.late;
        all.would_be_late += counts.would_be_late;
        all.went_up += counts.went_up;
        all.would_go_up += counts.would_go_up;
        all.impossible += counts.impossible;
    }
    line("all", "", all)?;
    match all.impossible {
        0 => Ok(()),
        steps => terminal::answer(format!(
            "{steps} steps that were taken would not have been possible and are left out"
        )),
    }
}

fn line(area: &str, category: &str, counts: Counts) -> Result<(), Error> {
    terminal::answer(format!(
        "{area:<15} {category:<24} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8}",
        counts.cases,
        counts.late,
        counts.would_be_late,
        counts.missed,
        counts.would_be_missed,
        counts.went_up,
        counts.would_go_up
    ))
}
