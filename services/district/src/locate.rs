//! Which grid a point lies in.

use std::collections::BTreeMap;

use geo::{
    BoundingRect, Coord, InteriorPoint, MultiPolygon, Polygon,
    coordinate_position::{CoordPos, CoordinatePosition},
};
use gridkeeper_proto::{api::CoordinateSystem, area::AreaCode, case::Point};
use rstar::{
    RTree,
    primitives::{GeomWithData, Rectangle},
};

use crate::{
    coordinates,
    error::LocateError,
    shapes::{Shapes, boxed},
};

/// The shapes of all grids, found by place.
#[derive(Debug)]
pub(crate) struct Locator {
    synthetic: bool,
    grids: BTreeMap<AreaCode, MultiPolygon<f64>>,
    /// Grid and index of the polygon in its shape; a box of the tree holds an index into this list.
    parts: Vec<(AreaCode, usize)>,
    tree: RTree<GeomWithData<Rectangle<[f64; 2]>, usize>>,
}

impl Locator {
    pub(crate) fn new(shapes: Shapes) -> Self {
        let mut parts = Vec::new();
        let mut boxes = Vec::new();
        for (code, shape) in &shapes.grids {
            for (index, polygon) in shape.iter().enumerate() {
                if let Some(rect) = polygon.bounding_rect() {
                    boxes.push(boxed(rect, parts.len()));
                    parts.push((*code, index));
                }
            }
        }
        Self {
            synthetic: shapes.synthetic,
            grids: shapes.grids,
            parts,
            tree: RTree::bulk_load(boxes),
        }
    }

    pub(crate) fn synthetic(&self) -> bool {
        self.synthetic
    }

    pub(crate) fn polygon(&self, grid: AreaCode) -> Option<&MultiPolygon<f64>> {
        self.grids.get(&grid)
    }

    /// The grid with the lowest code among those whose ground or border holds the point. Positions are
    /// told by exact predicates, so a point between two grids with the same border is never missed.
    pub(crate) fn locate(&self, district: AreaCode, point: Point) -> Result<AreaCode, LocateError> {
        let (x, y) = coordinates::degrees(point);
        let at = Coord { x, y };
        self.tree
            .locate_all_at_point([x, y])
            .map(|found| self.parts[found.data])
            .filter(|part| {
                let polygon = self.part(*part);
                polygon.is_some_and(|it| it.coordinate_position(&at) != CoordPos::Outside)
            })
            .map(|(code, _)| code)
            .min()
            .ok_or(LocateError::Outside {
                district,
                longitude: x,
                latitude: y,
            })
    }

    fn part(&self, (code, index): (AreaCode, usize)) -> Option<&Polygon<f64>> {
        self.grids.get(&code)?.0.get(index)
    }

    /// A point inside a grid; none for a grid that holds no point of whole ten-millionths of a degree.
    pub(crate) fn point_inside(&self, grid: AreaCode) -> Option<Point> {
        let shape = self.grids.get(&grid)?;
        let inside = shape.interior_point()?;
        let point = coordinates::to_wgs84(CoordinateSystem::Wgs84, inside.x(), inside.y()).ok()?;
        let (x, y) = coordinates::degrees(point);
        (shape.coordinate_position(&Coord { x, y }) == CoordPos::Inside).then_some(point)
    }
}
