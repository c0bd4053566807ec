//! Checks of outlines and grids: valid, inside their district, apart from each other.

use std::collections::BTreeMap;

use geo::{
    BooleanOps, BoundingRect, Contains, Coord, Intersects, Line, LineString, MultiPolygon, Polygon,
    Rect, Validation,
    indexed::IntervalTreeMultiPolygon,
    orient::{Direction, Orient},
};
use gridkeeper_proto::area::{AreaCode, Level};
use rstar::{
    AABB, RTree,
    primitives::{GeomWithData, Rectangle},
};

use crate::{
    error::DistrictError,
    feature::Features,
    model::Area,
    plane::Plane,
    source::{OUTLINE, POLYGONS, Source},
};

/// How much two grids may share, and how much of a grid may lie outside: more than corners rounded to
/// millimetres cause along a border of a kilometre.
const TOLERANCE_SQUARE_METRES: f64 = 1.0;

/// The checked shapes of a district's grids.
#[derive(Debug)]
pub(crate) struct Shapes {
    pub(crate) synthetic: bool,
    pub(crate) grids: BTreeMap<AreaCode, MultiPolygon<f64>>,
}

type Boxed = GeomWithData<Rectangle<[f64; 2]>, usize>;

/// The rectangle in which a shape lies, for an R-tree, with the shape's index.
pub(crate) fn boxed(rect: Rect<f64>, index: usize) -> Boxed {
    let corners = (rect.min(), rect.max());
    let corner = |at: Coord<f64>| [at.x, at.y];
    GeomWithData::new(
        Rectangle::from_corners(corner(corners.0), corner(corners.1)),
        index,
    )
}

fn envelope(rect: Rect<f64>) -> AABB<[f64; 2]> {
    AABB::from_corners([rect.min().x, rect.min().y], [rect.max().x, rect.max().y])
}

/// Checks the shapes of a folder; none where it has no polygons of grids.
pub(crate) fn checked(
    district: AreaCode,
    areas: &BTreeMap<AreaCode, Area>,
    source: &Source,
) -> Result<Option<Shapes>, DistrictError> {
    let outline = match &source.outline {
        Some(features) => Some(outline(district, features)?),
        None => None,
    };
    let Some(features) = &source.polygons else {
        return Ok(None);
    };
    let Some(outline) = outline else {
        return Err(DistrictError::Feature {
            file: OUTLINE,
            area: district.to_string(),
            reason: "grids.geojson needs the outline that its grids lie in".to_owned(),
        });
    };
    let grids = valid_grids(features)?;
    match_grids(areas, &grids)?;
    check_division(&outline, &grids)?;
    Ok(Some(Shapes {
        synthetic: features.metadata.synthetic,
        grids,
    }))
}

/// Checks that grids lie in the outline and apart from each other.
pub(crate) fn check_division(
    outline: &MultiPolygon<f64>,
    grids: &BTreeMap<AreaCode, MultiPolygon<f64>>,
) -> Result<(), DistrictError> {
    let plane = Plane::of(outline);
    inside(plane, outline, grids)?;
    apart(plane, grids)
}

/// The district's outline: the one feature of its file.
pub(crate) fn outline(
    district: AreaCode,
    features: &Features,
) -> Result<MultiPolygon<f64>, DistrictError> {
    let wrong = |area: &str, reason: &str| DistrictError::Feature {
        file: OUTLINE,
        area: area.to_owned(),
        reason: reason.to_owned(),
    };
    let [(code, shape)] = features.shapes.as_slice() else {
        let count = features.shapes.len();
        let reason = format!("the file has {count} features and not one");
        return Err(wrong(district.as_str(), &reason));
    };
    if code != district.as_str() {
        return Err(wrong(code, "it is not the code of the district"));
    }
    valid(shape).map_err(|reason| polygon_error(OUTLINE, code, reason))?;
    Ok(shape.orient(Direction::Default))
}

/// The shapes of a file's features by their codes, each valid.
pub(crate) fn valid_grids(
    features: &Features,
) -> Result<BTreeMap<AreaCode, MultiPolygon<f64>>, DistrictError> {
    let mut grids = BTreeMap::new();
    for (text, shape) in &features.shapes {
        let code: AreaCode = text
            .parse()
            .map_err(|_| unmatched(text, "it is not a code"))?;
        valid(shape).map_err(|reason| polygon_error(POLYGONS, text, reason))?;
        if grids.insert(code, shape.clone()).is_some() {
            return Err(unmatched(text, "it stands there twice"));
        }
    }
    Ok(grids)
}

/// Whether each grid has a shape, and each shape is a grid's.
fn match_grids(
    areas: &BTreeMap<AreaCode, Area>,
    shapes: &BTreeMap<AreaCode, MultiPolygon<f64>>,
) -> Result<(), DistrictError> {
    let is_grid = |code: &AreaCode| code.level() == Level::Grid && areas.contains_key(code);
    if let Some(code) = shapes.keys().find(|code| !is_grid(code)) {
        return Err(unmatched(code.as_str(), "it is not a grid of grids.csv"));
    }
    let mut grids = areas.keys().filter(|code| code.level() == Level::Grid);
    match grids.find(|code| !shapes.contains_key(code)) {
        Some(code) => Err(unmatched(code.as_str(), "this grid has no polygon")),
        None => Ok(()),
    }
}

fn unmatched(area: &str, reason: &str) -> DistrictError {
    DistrictError::Feature {
        file: POLYGONS,
        area: area.to_owned(),
        reason: reason.to_owned(),
    }
}

fn polygon_error(file: &'static str, area: &str, reason: String) -> DistrictError {
    DistrictError::Polygon {
        file,
        area: area.to_owned(),
        reason,
    }
}

/// Whether each polygon of the shape is valid; whether they overlap is checked with all others.
fn valid(shape: &MultiPolygon<f64>) -> Result<(), String> {
    if shape.0.is_empty() {
        return Err("it has no polygon".to_owned());
    }
    for polygon in shape {
        for ring in std::iter::once(polygon.exterior()).chain(polygon.interiors()) {
            simple(ring)?;
        }
        if !polygon.interiors().is_empty() {
            polygon
                .check_validation()
                .map_err(|error| error.to_string())?;
        }
    }
    Ok(())
}

/// Whether a ring neither crosses, touches nor folds back on itself. An R-tree finds the neighbours of a
/// segment, so that outlines with tens of thousands of points are no trouble.
fn simple(ring: &LineString<f64>) -> Result<(), String> {
    let segments: Vec<Line<f64>> = ring.lines().filter(|line| line.start != line.end).collect();
    if segments.len() < 3 {
        return Err("a ring with fewer than three different points".to_owned());
    }
    let boxes = segments.iter().enumerate();
    let tree = RTree::bulk_load(
        boxes
            .map(|(index, line)| boxed(line.bounding_rect(), index))
            .collect(),
    );
    for (index, segment) in segments.iter().enumerate() {
        let next = (index + 1) % segments.len();
        let previous = (index + segments.len() - 1) % segments.len();
        let mut near = tree.locate_in_envelope_intersecting(envelope(segment.bounding_rect()));
        let crossed = near.any(|other| {
            let other = other.data;
            other != index
                && other != next
                && other != previous
                && segment.intersects(&segments[other])
        });
        if crossed || folds_back(segment, &segments[next]) {
            let Coord { x, y } = segment.end;
            return Err(format!("a ring crosses or touches itself near {x}, {y}"));
        }
    }
    Ok(())
}

/// Whether a segment runs back over the one before it.
fn folds_back(segment: &Line<f64>, next: &Line<f64>) -> bool {
    next.intersects(&segment.start) || segment.intersects(&next.end)
}

/// Whether each grid lies in the outline. Only those whose box meets the outline's line are cut with it;
/// of the others one point tells.
fn inside(
    plane: Plane,
    outline: &MultiPolygon<f64>,
    grids: &BTreeMap<AreaCode, MultiPolygon<f64>>,
) -> Result<(), DistrictError> {
    let rings = outline
        .iter()
        .flat_map(|polygon| std::iter::once(polygon.exterior()).chain(polygon.interiors()));
    let lines = rings.flat_map(LineString::lines);
    let border = RTree::bulk_load(lines.map(|line| boxed(line.bounding_rect(), 0)).collect());
    let indexed = IntervalTreeMultiPolygon::new(outline);
    for (code, shape) in grids {
        let mut outside = 0.0;
        for polygon in shape {
            let Some(rect) = polygon.bounding_rect() else {
                continue;
            };
            let meets_border = border
                .locate_in_envelope_intersecting(envelope(rect))
                .next()
                .is_some();
            let corner = polygon.exterior().0.first();
            if meets_border {
                outside += plane.square_metres(&polygon.difference(outline));
            } else if !corner.is_some_and(|corner| indexed.contains(corner)) {
                outside += plane.square_metres(&MultiPolygon(vec![polygon.clone()]));
            }
        }
        if outside > TOLERANCE_SQUARE_METRES {
            return Err(DistrictError::Outside {
                grid: *code,
                square_metres: outside,
            });
        }
    }
    Ok(())
}

/// Whether no two grids share ground, nor two polygons of one grid.
fn apart(plane: Plane, grids: &BTreeMap<AreaCode, MultiPolygon<f64>>) -> Result<(), DistrictError> {
    let parts: Vec<(AreaCode, &Polygon<f64>, Rect<f64>)> = grids
        .iter()
        .flat_map(|(code, shape)| shape.iter().map(|polygon| (*code, polygon)))
        .filter_map(|(code, polygon)| Some((code, polygon, polygon.bounding_rect()?)))
        .collect();
    let boxes = parts.iter().enumerate();
    let tree = RTree::bulk_load(boxes.map(|(index, part)| boxed(part.2, index)).collect());
    for (index, (code, polygon, rect)) in parts.iter().enumerate() {
        let mut near: Vec<usize> = tree
            .locate_in_envelope_intersecting(envelope(*rect))
            .map(|other| other.data)
            .filter(|other| *other > index)
            .collect();
        near.sort_unstable();
        for other in near {
            let (other_code, other_polygon, other_rect) = &parts[other];
            if shared_box(plane, *rect, *other_rect) <= TOLERANCE_SQUARE_METRES {
                continue;
            }
            let square_metres = plane.square_metres(&polygon.intersection(*other_polygon));
            if square_metres > TOLERANCE_SQUARE_METRES {
                return Err(DistrictError::Overlap {
                    first: *code,
                    second: *other_code,
                    square_metres,
                });
            }
        }
    }
    Ok(())
}

/// Square metres that two rectangles share: no less than what the shapes in them share.
fn shared_box(plane: Plane, one: Rect<f64>, other: Rect<f64>) -> f64 {
    let (a, b) = (one.min(), other.min());
    let low = Coord {
        x: a.x.max(b.x),
        y: a.y.max(b.y),
    };
    let (a, b) = (one.max(), other.max());
    let high = Coord {
        x: a.x.min(b.x),
        y: a.y.min(b.y),
    };
    plane.square_metres_between(low, high)
}
