//! Why a district's folder is refused, and why a point has no grid.

use std::path::PathBuf;

use gridkeeper_proto::{
    area::AreaCode,
    clock::ClockError,
    code::{Code, Coded},
    policy::PolicyError,
};

/// Why a district's folder cannot be used, or a division into grids not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DistrictError {
    /// A file of the folder cannot be read.
    #[error("{}: cannot be read: {source}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file of the folder cannot be written.
    #[error("{}: cannot be written: {source}", .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file is not what its format says: syntax, a missing or an unknown key, a wrong type.
    #[error("{file}: {reason}")]
    Syntax {
        /// The file's name.
        file: &'static str,
        /// Place and cause.
        reason: String,
    },
    /// A line of `areas.csv` or `grids.csv`, or the head of `district.toml`, says something impossible.
    #[error("{file}: area '{area}': {reason}")]
    Area {
        /// The file's name.
        file: &'static str,
        /// The code as written.
        area: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Two lines have one code.
    #[error("{file}: area '{area}' stands there twice or in both files")]
    AreaTwice {
        /// The file in which it was found for the second time.
        file: &'static str,
        /// The code.
        area: AreaCode,
    },
    /// The area in which an area lies is not in the files.
    #[error("{file}: area '{area}' lies in '{parent}', which is not in the files")]
    NoParent {
        /// The file's name.
        file: &'static str,
        /// The code.
        area: AreaCode,
        /// The code that is missing.
        parent: AreaCode,
    },
    /// A category's code or place in the tree is wrong.
    #[error("categories.toml: category '{category}': {reason}")]
    Category {
        /// The code as written.
        category: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The policy has limits for a category that is none of the district's.
    #[error("policy.toml: '{category}' is no category of this district")]
    PolicyCategory {
        /// The code as written.
        category: String,
    },
    /// The policy.
    #[error("policy.toml: {0}")]
    Policy(#[from] PolicyError),
    /// The hours of service, or the calendar.
    #[error("policy.toml: {0}")]
    Clock(#[from] ClockError),
    /// Two categories have one code.
    #[error("categories.toml: category '{category}' stands there twice")]
    CategoryTwice {
        /// The code.
        category: String,
    },
    /// A polygon is not valid.
    #[error("{file}: polygon of '{area}': {reason}")]
    Polygon {
        /// The file's name.
        file: &'static str,
        /// The code of its feature.
        area: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A grid reaches out of its district.
    #[error(
        "grids.geojson: grid '{grid}' reaches {square_metres:.1} m2 out of the district's outline"
    )]
    Outside {
        /// The grid.
        grid: AreaCode,
        /// How much of it lies outside.
        square_metres: f64,
    },
    /// Two grids share ground.
    #[error("grids.geojson: grids '{first}' and '{second}' overlap by {square_metres:.1} m2")]
    Overlap {
        /// The grid with the lower code.
        first: AreaCode,
        /// The other grid.
        second: AreaCode,
        /// How much they share.
        square_metres: f64,
    },
    /// The features of a file are not those of the areas that it has to draw.
    #[error("{file}: feature '{area}': {reason}")]
    Feature {
        /// The file's name.
        file: &'static str,
        /// The feature's code as written, or the code that has no feature.
        area: String,
        /// What is wrong.
        reason: String,
    },
    /// The folder does not hold what a division into grids is made from.
    #[error("the grids cannot be generated: {reason}")]
    Generation {
        /// What is missing or impossible.
        reason: String,
    },
    /// A division into grids was made, but is not sound; another first point gives another division.
    #[error("the generated grids are not sound: {reason}; take another first_point")]
    Division {
        /// What is wrong with it.
        reason: String,
    },
}

impl Coded for DistrictError {
    fn code(&self) -> Code {
        match self {
            Self::PolicyCategory { .. } => Code(112),
            Self::Policy(error) => error.code(),
            Self::Clock(error) => error.code(),
            Self::Read { .. } => Code(100),
            Self::Syntax { .. } => Code(101),
            Self::Area { .. } => Code(102),
            Self::AreaTwice { .. } => Code(103),
            Self::NoParent { .. } => Code(104),
            Self::Category { .. } => Code(105),
            Self::CategoryTwice { .. } => Code(106),
            Self::Polygon { .. } => Code(107),
            Self::Outside { .. } => Code(108),
            Self::Overlap { .. } => Code(109),
            Self::Feature { .. } => Code(110),
            Self::Write { .. } => Code(111),
            Self::Generation { .. } => Code(130),
            Self::Division { .. } => Code(131),
        }
    }
}

/// Why a point has no grid.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LocateError {
    /// The district's folder has no polygons: a report has to carry its grid's code.
    #[error("district {district} has no map of its grids: name the grid by its code")]
    NoPolygons {
        /// The district.
        district: AreaCode,
    },
    /// The point lies in none of the grids.
    #[error("the point {longitude:.7}, {latitude:.7} lies in no grid of district {district}")]
    Outside {
        /// The district.
        district: AreaCode,
        /// WGS84 degrees, east positive.
        longitude: f64,
        /// WGS84 degrees, north positive.
        latitude: f64,
    },
    /// The numbers are not those of a place on Earth.
    #[error(
        "{longitude}, {latitude} is not a longitude from -180 to 180 and a latitude from -90 to 90"
    )]
    NotOnEarth {
        /// As given.
        longitude: f64,
        /// As given.
        latitude: f64,
    },
}

impl Coded for LocateError {
    fn code(&self) -> Code {
        match self {
            Self::NoPolygons { .. } => Code(120),
            Self::Outside { .. } => Code(121),
            Self::NotOnEarth { .. } => Code(122),
        }
    }
}
