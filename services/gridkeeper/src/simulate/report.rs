//! The content of simulated reports and steps.

use gridkeeper_proto::{
    access::Role,
    api::ReportRequest,
    area::{AreaCode, Level},
    case::{CaseKind, Channel, Measure, Outcome, Severity},
    command::Step,
    id::CaseId,
    sealed::Party,
    time::Timestamp,
};
use rand::{RngExt, rngs::Xoshiro256PlusPlus};
use uuid::Uuid;

use super::world::{Site, Subject, World};

/// Who acts, as its token says it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Person {
    /// The name.
    pub(crate) id: String,
    /// The role.
    pub(crate) role: Role,
    /// The area of the token.
    pub(crate) area: AreaCode,
}

/// What is wrong with a report that is to be refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mistake {
    /// A point that lies in no grid; in a district without polygons a grid that does not exist.
    Outside,
    /// A category that the district does not have.
    UnknownCategory,
    /// A grid of another worker.
    OthersGrid,
}

const DISPUTES: [&str; 4] = [
    "双方各执一词，请求调解",
    "多次协商未果，情绪激动",
    "邻居反映，已上门了解",
    "当事人来电求助",
];
const INCIDENTS: [&str; 4] = [
    "巡查发现，已拍照",
    "居民反映，现场情况属实",
    "存在隐患，需尽快处理",
    "影响通行，已设置警示",
];

/// The worker of a grid.
pub(super) fn worker(site: &Site) -> Person {
    Person {
        id: format!("worker-{}", site.grid),
        role: Role::GridWorker,
        area: site.grid,
    }
}

/// Somebody on duty one or more rungs above a grid; `desk` tells colleagues apart.
pub(super) fn staff(grid: AreaCode, level: Level, desk: char) -> Person {
    let role = match level {
        Level::Grid | Level::Community => Role::Community,
        Level::Street => Role::Street,
        Level::District | Level::City => Role::Centre,
    };
    let level = level.max(Level::Community);
    let area = grid.at(level).unwrap_or(grid);
    Person {
        id: format!("desk-{desk}-{area}"),
        role,
        area,
    }
}

pub(super) fn severity(rng: &mut Xoshiro256PlusPlus) -> Severity {
    match rng.random_range(0..1000) {
        0..900 => Severity::General,
        900..980 => Severity::Larger,
        980..997 => Severity::Major,
        _ => Severity::Extreme,
    }
}

/// A time-ordered id of this moment.
pub(super) fn id(rng: &mut Xoshiro256PlusPlus, at: Timestamp) -> Uuid {
    let random: [u8; 10] = rng.random();
    let millis = u64::try_from(at.millis()).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
}

/// A report as this worker files it.
pub(super) fn report(
    world: &World,
    site: &Site,
    at: Timestamp,
    rng: &mut Xoshiro256PlusPlus,
) -> ReportRequest {
    let subject = subject(world, rng);
    let (kind, category, name) = match subject {
        Some(subject) => (
            subject.kind,
            subject.category.clone(),
            subject.name.as_str(),
        ),
        None => (CaseKind::Incident, String::new(), ""),
    };
    let phrases = match kind {
        CaseKind::Dispute => DISPUTES,
        CaseKind::Incident => INCIDENTS,
    };
    let phrase = phrases[rng.random_range(0..phrases.len())];
    let location = site.point(rng);
    let people = (kind == CaseKind::Dispute).then(|| rng.random_range(2..6));
    ReportRequest {
        id: CaseId::new(id(rng, at)),
        kind,
        category,
        severity: severity(rng),
        channel: Channel::GridWorker,
        description: format!("{name}：{phrase}"),
        grid: location.is_none().then_some(site.grid),
        location,
        address: None,
        people,
        parties: parties(kind, rng),
        occurred_at: None,
        filed_at: None,
        imported: None,
    }
}

/// The two sides of every fifth dispute; nobody is called so.
fn parties(kind: CaseKind, rng: &mut Xoshiro256PlusPlus) -> Vec<Party> {
    if kind != CaseKind::Dispute || rng.random_range(0..5) > 0 {
        return Vec::new();
    }
    ["申请人", "被申请人"]
        .map(|part| {
            let number = rng.random_range(0..10_000);
            Party {
                name: format!("模拟人{number:04}"),
                phone: Some(format!("0000-{number:07}")),
                id_number: None,
                part: Some(part.to_owned()),
            }
        })
        .to_vec()
}

fn subject<'a>(world: &'a World, rng: &mut Xoshiro256PlusPlus) -> Option<&'a Subject> {
    // Squaring a number below 1 makes the first categories common and the last ones rare.
    let share = rng.random::<f64>().powi(2);
    let count = u32::try_from(world.categories.len()).unwrap_or(u32::MAX);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "below the count"
    )]
    let index = (share * f64::from(count)) as usize;
    world.categories.get(index)
}

/// Makes a report one that has to be refused.
pub(super) fn spoil(
    report: &mut ReportRequest,
    mistake: Mistake,
    world: &World,
    site: &Site,
    rng: &mut Xoshiro256PlusPlus,
) {
    match mistake {
        Mistake::UnknownCategory => report.category = "incident.ufo".to_owned(),
        Mistake::Outside => match site.point_outside() {
            Some(outside) => report.location = Some(outside),
            None => report.grid = format!("{}99999999", world.district).parse().ok(),
        },
        Mistake::OthersGrid => {
            let others = world.sites.iter().filter(|other| other.grid != site.grid);
            let count = world.sites.len().saturating_sub(1).max(1);
            report.location = None;
            report.grid = others
                .map(|other| other.grid)
                .nth(rng.random_range(0..count));
        }
    }
}

/// The steps of a case's usual life, each with who takes it and after how many simulated minutes at
/// the least and at the most.
pub(super) fn life(
    grid: AreaCode,
    severity: Severity,
    rng: &mut Xoshiro256PlusPlus,
) -> Vec<(Person, Step, std::ops::Range<u32>)> {
    // A new case goes to a level by its severity: deploy/districts/*/policy.toml.
    let level = match severity {
        Severity::General => Level::Grid,
        Severity::Larger => Level::Community,
        Severity::Major => Level::Street,
        Severity::Extreme => Level::District,
    };
    let handler = match level {
        Level::Grid => Person {
            id: format!("worker-{grid}"),
            role: Role::GridWorker,
            area: grid,
        },
        level => staff(grid, level, 'a'),
    };
    let checker = staff(grid, level, 'b');
    let note = String::new;
    let measures = [
        Measure::Contact,
        Measure::Visit,
        Measure::Mediation,
        Measure::OnSite,
    ];
    let measure = measures[rng.random_range(0..measures.len())];
    let (handled, resolved) = ("已到场处理".to_owned(), "已处理完毕".to_owned());
    vec![
        (handler.clone(), Step::Accept { note: note() }, 5..60),
        (
            handler.clone(),
            Step::RecordHandling {
                measure,
                note: handled,
            },
            30..240,
        ),
        (
            handler,
            Step::Resolve {
                outcome: Outcome::Settled,
                note: resolved,
            },
            30..600,
        ),
        (checker.clone(), Step::Verify { note: note() }, 60..600),
        (checker, Step::Close { note: note() }, 10..100),
    ]
}
