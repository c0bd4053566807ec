//! What simulated people know of their district.

use geo::{BoundingRect as _, Contains as _, MultiPolygon, Point};
use gridkeeper_district::{District, coordinates};
use gridkeeper_proto::{
    api::{CoordinateSystem, Location},
    area::AreaCode,
    case::CaseKind,
};
use rand::RngExt;

/// Tries to hit a grid from its bounding box before its known inner point is taken: a shape that is
/// missed so often is a sliver.
const TRIES: usize = 200;

/// The district of the simulated workers.
#[derive(Clone, Debug)]
pub(crate) struct World {
    /// The district's code.
    pub(crate) district: AreaCode,
    /// One grid for each worker, in the order of codes, spread over the district.
    pub(crate) sites: Vec<Site>,
    /// The kinds of disputes and incidents that reports are about.
    pub(crate) categories: Vec<Subject>,
}

/// A worker's grid.
#[derive(Clone, Debug)]
pub(crate) struct Site {
    /// Its code.
    pub(crate) grid: AreaCode,
    shape: Option<Shape>,
}

#[derive(Clone, Debug)]
struct Shape {
    polygon: MultiPolygon<f64>,
    inside: (f64, f64),
}

/// What a report may be about.
#[derive(Clone, Debug)]
pub(crate) struct Subject {
    /// Dispute or incident.
    pub(crate) kind: CaseKind,
    /// The code of the category.
    pub(crate) category: String,
    /// Its name.
    pub(crate) name: String,
}

impl World {
    /// The district with so many workers in different grids; at most one for each grid.
    pub(crate) fn new(district: &District, workers: usize) -> Self {
        let grids: Vec<_> = district
            .grids()
            .map(gridkeeper_district::Area::code)
            .collect();
        let workers = workers.min(grids.len());
        let sites = (0..workers)
            .filter_map(|worker| grids.get(worker * grids.len() / workers))
            .map(|grid| Site::new(district, *grid))
            .collect();
        let categories = district
            .categories()
            .filter(|category| category.is_leaf())
            .map(|category| Subject {
                kind: category.kind(),
                category: category.code().to_owned(),
                name: category.name().to_owned(),
            })
            .collect();
        Self {
            district: district.code(),
            sites,
            categories,
        }
    }
}

impl Site {
    fn new(district: &District, grid: AreaCode) -> Self {
        let shape = district.polygon(grid).zip(district.point_inside(grid));
        let shape = shape.map(|(polygon, inside)| Shape {
            polygon: polygon.clone(),
            inside: coordinates::degrees(inside),
        });
        Self { grid, shape }
    }

    /// A point in the grid; none in a district without polygons.
    pub(crate) fn point(&self, rng: &mut impl RngExt) -> Option<Location> {
        let shape = self.shape.as_ref()?;
        let bounds = shape.polygon.bounding_rect()?;
        let (low, high) = (bounds.min(), bounds.max());
        let hit = (0..TRIES).find_map(|_| {
            let x = low.x + rng.random::<f64>() * (high.x - low.x);
            let y = low.y + rng.random::<f64>() * (high.y - low.y);
            shape.polygon.contains(&Point::new(x, y)).then_some((x, y))
        });
        let (longitude, latitude) = hit.unwrap_or(shape.inside);
        // Every other phone gives the coordinates of Chinese map services.
        if rng.random() {
            let (longitude, latitude) = coordinates::wgs84_to_gcj02(longitude, latitude);
            return Some(Location {
                longitude,
                latitude,
                system: CoordinateSystem::Gcj02,
            });
        }
        Some(location((longitude, latitude)))
    }

    /// A point that lies in no grid of the district: some 100 km to the east.
    pub(crate) fn point_outside(&self) -> Option<Location> {
        let (x, y) = self.shape.as_ref()?.inside;
        Some(location((x + 1.0, y)))
    }
}

fn location((longitude, latitude): (f64, f64)) -> Location {
    Location {
        longitude,
        latitude,
        system: CoordinateSystem::Wgs84,
    }
}
