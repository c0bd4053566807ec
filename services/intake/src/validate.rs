//! From a request to a command: all that can be checked without the case.

use gridkeeper_district::{District, coordinates};
use gridkeeper_proto::{
    api::{CommandRequest, Location, ReportRequest},
    area::{AreaCode, Level},
    case::{Place, Point, Refusal},
    command::{Assignee, Imported, Report, Step, digest},
    sealed::Party,
    time::Timestamp,
};

use crate::Error;

const MINUTE: i64 = 60_000;
const DAY: i64 = 24 * 60 * MINUTE;
/// How far the phone's clock may run ahead.
const CLOCK_SKEW: i64 = 10 * MINUTE;
/// Ten years. Older matters come in as records of another system.
const LONGEST_AGO: i64 = 3_653 * DAY;
const MOST_PARTIES: usize = 50;
const MOST_PEOPLE: u32 = 1_000_000;

/// A checked report, still without its sealed parties.
#[derive(Debug)]
pub(crate) struct CheckedReport {
    /// Where it is filed.
    pub(crate) grid: AreaCode,
    /// What it says.
    pub(crate) report: Report,
    /// Digest of what was sent, without parties.
    pub(crate) digest: [u8; 8],
    /// When it happened.
    pub(crate) occurred_at: Timestamp,
}

/// Checks a report, whose parties are given apart: they are no part of its digest.
///
/// # Errors
/// The first thing that is wrong with it.
pub(crate) fn report(
    request: ReportRequest,
    parties: &[Party],
    district: &District,
    now: Timestamp,
) -> Result<CheckedReport, Error> {
    if !request.id.is_time_ordered() {
        return Err(Error::IdVersion);
    }
    category(&request, district)?;
    text("description", &request.description, 1, 4_000, "1 to 4,000")?;
    if let Some(address) = &request.address {
        text("address", address, 0, 300, "at most 300")?;
    }
    if let Some(people) = request
        .people
        .filter(|people| !(1..=MOST_PEOPLE).contains(people))
    {
        return Err(Error::People { people });
    }
    check_parties(parties)?;
    if let Some(imported) = &request.imported {
        source(imported)?;
    }
    // The other two times are judged where the case is decided.
    if let Some(occurred_at) = request.occurred_at {
        occurred(occurred_at, now, request.imported.is_some())?;
    }
    let imported_at = request
        .imported
        .as_ref()
        .map(|imported| imported.reported_at);
    let occurred_at = request
        .occurred_at
        .or(request.filed_at)
        .or(imported_at)
        .unwrap_or(now);
    let digest = digest_of(&request);
    let (grid, point) = place(&request, district)?;
    let report = Report {
        kind: request.kind,
        category: request.category,
        severity: request.severity,
        channel: request.channel,
        description: request.description,
        place: Place {
            point,
            address: request.address,
        },
        people: request.people,
        parties: None,
        filed_at: request.filed_at,
        imported: request.imported,
    };
    Ok(CheckedReport {
        grid,
        report,
        digest,
        occurred_at,
    })
}

/// Checks a step; gives the digest of what was sent and when it happened.
///
/// # Errors
/// The first thing that is wrong with it.
pub(crate) fn step(
    request: &CommandRequest,
    district: &District,
    now: Timestamp,
) -> Result<([u8; 8], Timestamp), Error> {
    if let Step::Assign { to, .. } | Step::Transfer { to, .. } = &request.command {
        assignee(to, district)?;
    }
    let occurred_at = request.occurred_at.unwrap_or(now);
    occurred(occurred_at, now, false)?;
    Ok((digest_of(request), occurred_at))
}

fn digest_of(request: &impl serde::Serialize) -> [u8; 8] {
    let content = serde_json::to_vec(request).expect("a parsed request is written as JSON again");
    digest(&content)
}

fn text(
    field: &'static str,
    text: &str,
    least: usize,
    most: usize,
    allowed: &'static str,
) -> Result<(), Refusal> {
    let length = text.chars().take(most + 1).count();
    let blank = least > 0 && text.trim().is_empty();
    match blank || length > most {
        true => Err(Refusal::TextLength { field, allowed }),
        false => Ok(()),
    }
}

fn category(request: &ReportRequest, district: &District) -> Result<(), Error> {
    let Some(category) = district.category(&request.category) else {
        return Err(Error::UnknownCategory {
            category: request.category.chars().take(100).collect(),
        });
    };
    if category.kind() != request.kind {
        return Err(Error::CategoryKind {
            category: request.category.clone(),
            expected: category.kind(),
            sent: request.kind,
        });
    }
    Ok(())
}

fn check_parties(parties: &[Party]) -> Result<(), Error> {
    if parties.len() > MOST_PARTIES {
        return Err(Error::TooManyParties {
            count: parties.len(),
        });
    }
    for party in parties {
        text("parties.name", &party.name, 1, 100, "1 to 100")?;
        for (field, value, most, allowed) in [
            ("parties.phone", &party.phone, 30, "at most 30"),
            ("parties.id_number", &party.id_number, 30, "at most 30"),
            ("parties.part", &party.part, 100, "at most 100"),
        ] {
            if let Some(value) = value {
                text(field, value, 0, most, allowed)?;
            }
        }
    }
    Ok(())
}

fn source(imported: &Imported) -> Result<(), Refusal> {
    let source = &imported.source;
    text("imported.source.system", &source.system, 1, 100, "1 to 100")?;
    text("imported.source.record", &source.record, 1, 100, "1 to 100")?;
    match &source.state {
        Some(state) => text("imported.source.state", state, 0, 100, "at most 100"),
        None => Ok(()),
    }
}

fn occurred(occurred_at: Timestamp, now: Timestamp, imported: bool) -> Result<(), Refusal> {
    let field = "occurred_at";
    let ago = now.since(occurred_at);
    if ago < -CLOCK_SKEW {
        let why = "lies in the future: set the phone's clock";
        return Err(Refusal::AbsurdTime { field, why });
    }
    if ago > LONGEST_AGO && !imported {
        let why = "lies more than ten years back: bring it in as an imported record";
        return Err(Refusal::AbsurdTime { field, why });
    }
    Ok(())
}

/// With both a grid and a point the grid decides; the point is kept.
fn place(request: &ReportRequest, district: &District) -> Result<(AreaCode, Option<Point>), Error> {
    let point = match request.location {
        Some(Location {
            longitude,
            latitude,
            system,
        }) => Some(coordinates::to_wgs84(system, longitude, latitude)?),
        None => None,
    };
    let grid = match (request.grid, point) {
        (Some(grid), _) => known_grid(grid, district)?,
        (None, Some(point)) => district.locate(point)?,
        (None, None) => return Err(Error::NoPlace),
    };
    Ok((grid, point))
}

fn known_grid(area: AreaCode, district: &District) -> Result<AreaCode, Error> {
    match district.area(area) {
        Some(found) if found.level() == Level::Grid => Ok(area),
        _ => Err(Error::UnknownGrid {
            area,
            district: district.code(),
        }),
    }
}

fn assignee(to: &Assignee, district: &District) -> Result<(), Error> {
    if district.area(to.area).is_none() {
        return Err(Error::UnknownArea {
            area: to.area,
            district: district.code(),
        });
    }
    if let Some(unit) = &to.unit {
        text("to.unit", unit, 1, 100, "1 to 100")?;
    }
    if let Some(person) = &to.person {
        text("to.person", person, 1, 64, "1 to 64")?;
    }
    Ok(())
}
