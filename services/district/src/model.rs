//! The district that the rest of Gridkeeper asks: areas, categories, and which grid a point lies in.

use std::{collections::BTreeMap, path::Path};

use gridkeeper_proto::{
    area::{AreaCode, Level},
    calendar::{Calendar, CalendarYear},
    case::{CaseKind, Point},
    clock::ClockError,
    duty::Days,
    policy::Timetable,
    rules::RulesCommand,
    time::{Day, Zone},
};
use serde::{Deserialize, Serialize};

use crate::{
    check,
    error::{DistrictError, LocateError},
    locate::Locator,
    policy,
    source::{Origin, Source},
};

/// What an area is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AreaKind {
    /// 区, 县
    District,
    /// 街道
    Street,
    /// 镇
    Town,
    /// 乡
    Township,
    /// 社区
    Community,
    /// 村
    Village,
    /// 网格
    Grid,
}

impl AreaKind {
    /// The rung on which an area of this kind stands.
    #[must_use]
    pub fn level(self) -> Level {
        match self {
            Self::District => Level::District,
            Self::Street | Self::Town | Self::Township => Level::Street,
            Self::Community | Self::Village => Level::Community,
            Self::Grid => Level::Grid,
        }
    }

    /// The word of the files.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::District => "district",
            Self::Street => "street",
            Self::Town => "town",
            Self::Township => "township",
            Self::Community => "community",
            Self::Village => "village",
            Self::Grid => "grid",
        }
    }
}

/// The days on which something holds; both ends belong to them, and a missing end is open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Validity {
    /// The first day.
    pub from: Option<Day>,
    /// The last day.
    pub to: Option<Day>,
}

impl Validity {
    /// Whether the day is one of them.
    #[must_use]
    pub fn contains(&self, day: Day) -> bool {
        self.from.is_none_or(|from| from <= day) && self.to.is_none_or(|to| day <= to)
    }
}

/// A district, street, town, community or grid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Area {
    pub(crate) code: AreaCode,
    pub(crate) kind: AreaKind,
    pub(crate) name: String,
    pub(crate) short_name: Option<String>,
    pub(crate) validity: Validity,
}

impl Area {
    /// Its code.
    #[must_use]
    pub fn code(&self) -> AreaCode {
        self.code
    }

    /// What it is.
    #[must_use]
    pub fn kind(&self) -> AreaKind {
        self.kind
    }

    /// Its official name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What people call it; its official name where the files know no other.
    #[must_use]
    pub fn short_name(&self) -> &str {
        self.short_name.as_deref().unwrap_or(&self.name)
    }

    /// The rung on which it stands.
    #[must_use]
    pub fn level(&self) -> Level {
        self.code.level()
    }

    /// The area in which it lies; none for the district.
    #[must_use]
    pub fn parent(&self) -> Option<AreaCode> {
        self.code.parent()
    }

    /// The days on which it exists.
    #[must_use]
    pub fn validity(&self) -> Validity {
        self.validity
    }
}

/// A kind of dispute or incident.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Category {
    pub(crate) code: String,
    pub(crate) kind: CaseKind,
    pub(crate) zh: String,
    pub(crate) en: Option<String>,
    pub(crate) leaf: bool,
}

impl Category {
    /// Its code, such as `dispute.neighbour.noise`.
    #[must_use]
    pub fn code(&self) -> &str {
        &self.code
    }

    /// Whether cases of it are disputes or incidents.
    #[must_use]
    pub fn kind(&self) -> CaseKind {
        self.kind
    }

    /// Its name in Chinese.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.zh
    }

    /// Its name in English, where it has one.
    #[must_use]
    pub fn name_en(&self) -> Option<&str> {
        self.en.as_deref()
    }

    /// The code of the category that it is a kind of; none for those right below `dispute` and
    /// `incident`.
    #[must_use]
    pub fn parent(&self) -> Option<&str> {
        check::parent_category(&self.code)
    }

    /// Whether no category is a kind of it.
    #[must_use]
    pub fn is_leaf(&self) -> bool {
        self.leaf
    }
}

/// A district, checked.
#[derive(Debug)]
pub struct District {
    pub(crate) code: AreaCode,
    pub(crate) name_en: Option<String>,
    pub(crate) zone: Zone,
    pub(crate) origin: Origin,
    pub(crate) areas: BTreeMap<AreaCode, Area>,
    pub(crate) children: BTreeMap<AreaCode, Vec<AreaCode>>,
    pub(crate) categories: Vec<Category>,
    pub(crate) category_index: BTreeMap<String, usize>,
    pub(crate) locator: Option<Locator>,
    pub(crate) timetable: Option<Timetable>,
    pub(crate) calendar: Vec<CalendarYear>,
    pub(crate) zone_name: String,
}

impl District {
    /// Reads and checks a folder.
    ///
    /// # Errors
    /// What is wrong with it, with the file and the area, category or feature.
    pub fn load(folder: impl AsRef<Path>) -> Result<Self, DistrictError> {
        Self::from_source(&Source::read(folder.as_ref())?)
    }

    /// Reads and checks a folder with this text in place of its `policy.toml`.
    ///
    /// # Errors
    /// As [`District::load`].
    pub fn load_with_policy(folder: impl AsRef<Path>, policy: &str) -> Result<Self, DistrictError> {
        let folder = folder.as_ref();
        let mut source = Source::read(folder)?;
        source.calendar = policy::calendar(folder, policy)?;
        source.policy = Some(policy.to_owned());
        Self::from_source(&source)
    }

    /// Checks the content of a folder.
    ///
    /// # Errors
    /// What is wrong with it, with the file and the area, category or feature.
    pub fn from_source(source: &Source) -> Result<Self, DistrictError> {
        check::district(source)
    }

    /// The district's code.
    #[must_use]
    pub fn code(&self) -> AreaCode {
        self.code
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.area(self.code).map_or("", Area::name)
    }

    /// Its name in English, where it has one.
    #[must_use]
    pub fn name_en(&self) -> Option<&str> {
        self.name_en.as_deref()
    }

    /// The zone in which it counts its days.
    #[must_use]
    pub fn zone(&self) -> &Zone {
        &self.zone
    }

    /// The days on which its map holds.
    #[must_use]
    pub fn validity(&self) -> Validity {
        self.area(self.code).map(Area::validity).unwrap_or_default()
    }

    /// Where its parts come from.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The area of this code; the district itself is one.
    #[must_use]
    pub fn area(&self, code: AreaCode) -> Option<&Area> {
        self.areas.get(&code)
    }

    /// All areas, each before those that lie in it.
    pub fn areas(&self) -> impl Iterator<Item = &Area> {
        self.areas.values()
    }

    /// The areas one rung below, in the order of their codes.
    pub fn children(&self, code: AreaCode) -> impl Iterator<Item = &Area> {
        let codes = self.children.get(&code).map_or(&[][..], Vec::as_slice);
        codes.iter().filter_map(|code| self.areas.get(code))
    }

    /// All grids, in the order of their codes.
    pub fn grids(&self) -> impl Iterator<Item = &Area> {
        self.areas().filter(|area| area.level() == Level::Grid)
    }

    /// The category of this code.
    #[must_use]
    pub fn category(&self, code: &str) -> Option<&Category> {
        self.category_index
            .get(code)
            .map(|index| &self.categories[*index])
    }

    /// All categories, in the order of the file, each after the one that it is a kind of.
    pub fn categories(&self) -> impl Iterator<Item = &Category> {
        self.categories.iter()
    }

    /// The grid in which a point lies. A point on the border of several grids lies in the one with the
    /// lowest code.
    ///
    /// # Errors
    /// [`LocateError::NoPolygons`], [`LocateError::Outside`].
    pub fn locate(&self, point: Point) -> Result<AreaCode, LocateError> {
        let locator = self.locator.as_ref().ok_or(LocateError::NoPolygons {
            district: self.code,
        })?;
        locator.locate(self.code, point)
    }

    /// Whether it has polygons of its grids, so that [`Self::locate`] can answer.
    #[must_use]
    pub fn has_polygons(&self) -> bool {
        self.locator.is_some()
    }

    /// Whether its grids' shapes are made up; none without shapes.
    #[must_use]
    pub fn polygons_are_synthetic(&self) -> Option<bool> {
        self.locator.as_ref().map(Locator::synthetic)
    }

    /// A point inside a grid, of WGS84; none for an unknown grid or one without a shape.
    #[must_use]
    pub fn point_inside(&self, grid: AreaCode) -> Option<Point> {
        self.locator.as_ref()?.point_inside(grid)
    }

    /// The shape of a grid, in degrees of WGS84.
    #[must_use]
    pub fn polygon(&self, grid: AreaCode) -> Option<&geo::MultiPolygon<f64>> {
        self.locator.as_ref()?.polygon(grid)
    }

    /// Its policy, where its folder has a `policy.toml`, with the clock that the limits run by.
    #[must_use]
    pub fn timetable(&self) -> Option<&Timetable> {
        self.timetable.as_ref()
    }

    /// What its days are.
    ///
    /// # Errors
    /// A calendar that contradicts itself, which no folder that was loaded has.
    pub fn days(&self) -> Result<Days, ClockError> {
        let calendar = match self.calendar.is_empty() {
            true => None,
            false => Some(Calendar::of(&self.calendar)?),
        };
        let zone = self.zone.clone();
        Ok(Days { zone, calendar })
    }

    /// Its policy as a command, with the calendar that it goes by; none where it has no policy.
    #[must_use]
    pub fn policy(&self) -> Option<RulesCommand> {
        self.policy_with(self.calendar.clone())
    }

    fn policy_with(&self, calendar: Vec<CalendarYear>) -> Option<RulesCommand> {
        Some(RulesCommand::AdoptPolicy {
            zone: self.zone_name.clone(),
            policy: Box::new(self.timetable()?.policy().clone()),
            calendar,
        })
    }

    /// Its rules as commands: the years of its calendar, in order, and its policy, where it has one.
    #[must_use]
    pub fn rules(&self) -> Vec<RulesCommand> {
        let years = self.calendar.iter().cloned();
        let mut rules: Vec<_> = years
            .map(|year| RulesCommand::AdoptCalendar { year })
            .collect();
        rules.extend(self.policy_with(Vec::new()));
        rules
    }
}
