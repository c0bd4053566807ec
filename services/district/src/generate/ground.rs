//! The ground to divide: the outline on the lattice of ten-millionths of a degree.

use geo::{BoundingRect, Coord, MultiPolygon};

use crate::plane::Plane;

/// Ten-millionths in a degree.
const PER_DEGREE: f64 = 1e7;
/// Steps of the evenly scattering sequence of Roberts (R2): powers of the inverse of the real root of
/// x^3 = x + 1.
const SCATTER: (f64, f64) = (0.754_877_666_246_692_7, 0.569_840_290_998_053_2);
/// Points looked at for each one that has to lie in the outline.
const TRIES_PER_POINT: u32 = 1_000;

/// A corner: ten-millionths of a degree, longitude and latitude.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Node {
    pub(super) x: i64,
    pub(super) y: i64,
}

/// A place on the ground's plane: as a node, but with longitudes narrowed so that both axes have the
/// same scale.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Spot {
    pub(super) x: f64,
    pub(super) y: f64,
}

/// The outline, and the plane in which distances are measured.
#[derive(Debug)]
pub(super) struct Ground {
    /// Corners against the clock, the first not repeated.
    pub(super) outline: Vec<Node>,
    low: Node,
    high: Node,
    narrowing: f64,
}

/// Twice the area of the triangle; positive when the corners run against the clock.
pub(super) fn cross(a: Node, b: Node, c: Node) -> i128 {
    let product = |p: i64, q: i64| i128::from(p) * i128::from(q);
    product(b.x - a.x, c.y - a.y) - product(b.y - a.y, c.x - a.x)
}

/// A corner from whole numbers held in floats; they are far below 2^53.
#[expect(
    clippy::cast_possible_truncation,
    reason = "rounded, and far inside the range"
)]
fn whole(value: f64) -> i64 {
    value.round() as i64
}

/// A lattice coordinate as a float; exact, since it is far below 2^53.
#[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
pub(super) fn real(value: i64) -> f64 {
    value as f64
}

impl Ground {
    pub(super) fn new(outline: &MultiPolygon<f64>) -> Result<Self, String> {
        let [polygon] = outline.0.as_slice() else {
            return Err(format!(
                "the outline has {} parts and not one",
                outline.0.len()
            ));
        };
        if !polygon.interiors().is_empty() {
            return Err("the outline has holes".to_owned());
        }
        let bounds = outline.bounding_rect().ok_or("the outline is empty")?;
        let ring = &polygon.exterior().0;
        let corners = ring[..ring.len().saturating_sub(1)].iter();
        let mut nodes = corners
            .map(|corner| lattice(*corner))
            .collect::<Result<Vec<_>, _>>()?;
        nodes.dedup();
        let doubled: i128 = (1..nodes.len().saturating_sub(1))
            .map(|index| cross(nodes[0], nodes[index], nodes[index + 1]))
            .sum();
        if doubled == 0 {
            return Err("the outline has no area".to_owned());
        }
        if doubled < 0 {
            nodes.reverse();
        }
        Ok(Self {
            outline: nodes,
            low: lattice_near(bounds.min()),
            high: lattice_near(bounds.max()),
            narrowing: Plane::of(outline).narrowing(),
        })
    }

    /// Sides of the outline, against the clock.
    pub(super) fn sides(&self) -> impl Iterator<Item = (Node, Node)> {
        let next = self.outline.iter().cycle().skip(1);
        self.outline.iter().zip(next).map(|(a, b)| (*a, *b))
    }

    pub(super) fn spot(&self, node: Node) -> Spot {
        Spot {
            x: real(node.x - self.low.x) * self.narrowing,
            y: real(node.y - self.low.y),
        }
    }

    pub(super) fn node(&self, spot: Spot) -> Node {
        Node {
            x: self.low.x + whole(spot.x / self.narrowing),
            y: self.low.y + whole(spot.y),
        }
    }

    pub(super) fn degrees(&self, node: Node) -> Coord<f64> {
        Coord {
            x: real(node.x) / PER_DEGREE,
            y: real(node.y) / PER_DEGREE,
        }
    }

    /// Width and height of the box around the outline.
    pub(super) fn size(&self) -> Spot {
        self.spot(self.high)
    }

    /// Whether the outline holds the corner.
    pub(super) fn holds(&self, node: Node) -> bool {
        let mut inside = false;
        for (a, b) in self.sides() {
            if (a.y > node.y) != (b.y > node.y) && (cross(a, b, node) > 0) == (b.y > a.y) {
                inside = !inside;
            }
        }
        inside
    }

    /// Evenly scattered spots inside the outline, beginning with the given one of the sequence.
    pub(super) fn scatter(&self, count: usize, first: u32) -> Result<Vec<Spot>, String> {
        let size = self.size();
        let fraction = |index: u32, step: f64| (0.5 + f64::from(index) * step).fract();
        let tries = u32::try_from(count)
            .unwrap_or(u32::MAX)
            .saturating_mul(TRIES_PER_POINT);
        let spots: Vec<_> = (0..tries)
            .map(|index| first.saturating_add(index))
            .map(|index| Spot {
                x: size.x * fraction(index, SCATTER.0),
                y: size.y * fraction(index, SCATTER.1),
            })
            .filter(|spot| self.holds(self.node(*spot)))
            .take(count)
            .collect();
        if spots.len() < count {
            return Err("the outline fills too little of the box around it".to_owned());
        }
        Ok(spots)
    }
}

fn lattice_near(corner: Coord<f64>) -> Node {
    Node {
        x: whole(corner.x * PER_DEGREE),
        y: whole(corner.y * PER_DEGREE),
    }
}

fn lattice(corner: Coord<f64>) -> Result<Node, String> {
    let node = lattice_near(corner);
    let back = Coord {
        x: real(node.x) / PER_DEGREE,
        y: real(node.y) / PER_DEGREE,
    };
    if back == corner {
        Ok(node)
    } else {
        Err(format!(
            "the outline's corner {}, {} has more than seven decimals: round the outline",
            corner.x, corner.y
        ))
    }
}
