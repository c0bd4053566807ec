//! The Voronoi diagram of spots inside an outline, as borders between cells.
//!
//! Cells are not cut out one by one: each border is made once and belongs to the cells on both sides of
//! it, so that what one cell ends with is what the next begins with.

use delaunator::{EMPTY, Point, next_halfedge, triangulate};

use super::ground::{Ground, Node, Spot, cross, real};

/// A straight line between two cells, or between a cell and the outside.
#[derive(Clone, Copy, Debug)]
pub(super) struct Border {
    pub(super) from: Node,
    pub(super) to: Node,
    /// The cell to the left of the way.
    pub(super) left: usize,
    /// The cell to the right; none outside of the outline.
    pub(super) right: Option<usize>,
}

/// A line between the cells of two spots, not yet cut by the outline.
struct Line {
    from: Node,
    to: Node,
    left: usize,
    right: usize,
}

/// Where a line crosses the outline.
struct Junction {
    /// The outline's side that is crossed, and how far along it, from 0 to 1.
    side: usize,
    along_side: f64,
    along_line: f64,
    /// Whether the line leaves the outline here.
    outward: bool,
    node: Node,
    /// The cells before and after it, on the way round the outline.
    before: usize,
    after: usize,
}

/// The borders of the cells of all spots. A corner on the outline may slide along it by so many
/// lattice steps to where the outline meets the lattice best.
pub(super) fn tessellate(
    ground: &Ground,
    spots: &[Spot],
    slide: i64,
) -> Result<Vec<Border>, String> {
    let mut borders = Vec::with_capacity(4 * spots.len());
    let mut junctions = Vec::new();
    for line in lines(ground, spots) {
        let crossings = crossings(ground, &line, slide);
        cut(ground, &line, &crossings, &mut borders)?;
        junctions.extend(crossings);
    }
    junctions.sort_by(|a, b| {
        a.side
            .cmp(&b.side)
            .then(a.along_side.total_cmp(&b.along_side))
    });
    rim(ground, spots, &junctions, &mut borders)?;
    Ok(borders)
}

/// The lines between neighbouring spots: each joins the centres of two Delaunay triangles.
fn lines(ground: &Ground, spots: &[Spot]) -> Vec<Line> {
    let mut points: Vec<Point> = spots
        .iter()
        .map(|spot| Point {
            x: spot.x,
            y: spot.y,
        })
        .collect();
    points.extend(guards(ground.size()));
    let triangulation = triangulate(&points);
    let corners = |triangle: usize| {
        [0, 1, 2].map(|corner| points[triangulation.triangles[3 * triangle + corner]].clone())
    };
    let centres: Vec<Node> = (0..triangulation.len())
        .map(|triangle| ground.node(centre(&corners(triangle))))
        .collect();
    let against_clock = !triangulation.is_empty() && doubled_area(&corners(0)) > 0.0;
    let mut lines = Vec::with_capacity(3 * spots.len());
    for (edge, twin) in triangulation.halfedges.iter().enumerate() {
        if *twin == EMPTY || *twin < edge {
            continue;
        }
        let start = triangulation.triangles[edge];
        let end = triangulation.triangles[next_halfedge(edge)];
        let (from, to) = (centres[edge / 3], centres[twin / 3]);
        if start < spots.len() && end < spots.len() && from != to {
            let (left, right) = if against_clock {
                (end, start)
            } else {
                (start, end)
            };
            lines.push(Line {
                from,
                to,
                left,
                right,
            });
        }
    }
    lines
}

/// Points far around the outline, so that the cells of all spots have an end.
fn guards(size: Spot) -> [Point; 8] {
    let (x, y) = (size.x / 2.0, size.y / 2.0);
    let far = 20.0 * size.x.max(size.y);
    [
        (1.0, 0.0),
        (0.7, 0.7),
        (0.0, 1.0),
        (-0.7, 0.7),
        (-1.0, 0.0),
        (-0.7, -0.7),
        (0.0, -1.0),
        (0.7, -0.7),
    ]
    .map(|(east, north)| Point {
        x: x + far * east,
        y: y + far * north,
    })
}

fn doubled_area([a, b, c]: &[Point; 3]) -> f64 {
    (b.x - a.x) * (c.y - a.y) - (b.y - a.y) * (c.x - a.x)
}

/// The centre of the circle through three points.
fn centre(points: &[Point; 3]) -> Spot {
    let [a, b, c] = points;
    let (bx, by, cx, cy) = (b.x - a.x, b.y - a.y, c.x - a.x, c.y - a.y);
    let (b_squared, c_squared) = (bx * bx + by * by, cx * cx + cy * cy);
    let doubled = 2.0 * doubled_area(points);
    Spot {
        x: a.x + (cy * b_squared - by * c_squared) / doubled,
        y: a.y + (bx * c_squared - cx * b_squared) / doubled,
    }
}

/// Where a line crosses the outline, in the line's order. A corner that lies exactly on the other line
/// counts as lying to its left, in all tests alike, so that no crossing is lost or counted twice.
fn crossings(ground: &Ground, line: &Line, slide: i64) -> Vec<Junction> {
    let (p, q) = (line.from, line.to);
    let mut junctions = Vec::new();
    for (side, (a, b)) in ground.sides().enumerate() {
        let apart = a.x.max(b.x) < p.x.min(q.x)
            || p.x.max(q.x) < a.x.min(b.x)
            || a.y.max(b.y) < p.y.min(q.y)
            || p.y.max(q.y) < a.y.min(b.y);
        if apart {
            continue;
        }
        let (a_off, b_off) = (cross(p, q, a), cross(p, q, b));
        let (p_off, q_off) = (cross(a, b, p), cross(a, b, q));
        if (a_off >= 0) == (b_off >= 0) || (p_off >= 0) == (q_off >= 0) {
            continue;
        }
        let along_side = share(a_off, b_off);
        let outward = p_off >= 0;
        // Facing outwards, the outline runs from the right hand to the left.
        let (before, after) = if outward {
            (line.right, line.left)
        } else {
            (line.left, line.right)
        };
        junctions.push(Junction {
            side,
            along_side,
            along_line: share(p_off, q_off),
            outward,
            node: on_side(a, b, along_side, slide),
            before,
            after,
        });
    }
    junctions.sort_by(|a, b| a.along_line.total_cmp(&b.along_line));
    junctions
}

/// How far between two points with these distances to a line the line passes.
#[expect(
    clippy::cast_precision_loss,
    reason = "a share of a length, rounded to the lattice later"
)]
fn share(from: i128, to: i128) -> f64 {
    from as f64 / (from - to) as f64
}

/// The lattice point near the given place of a side that lies best on it: a border that leaves the
/// side by centimetres would cost square metres on a side of kilometres.
fn on_side(a: Node, b: Node, along: f64, slide: i64) -> Node {
    let (dx, dy) = (b.x - a.x, b.y - a.y);
    let steep = dy.abs() > dx.abs();
    let (long, short) = if steep { (dy, dx) } else { (dx, dy) };
    let length = long.abs();
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a share of a lattice length"
    )]
    let near = (along * real(length)).round() as i64;
    let at = |step: i64| {
        let exact = i128::from(short) * i128::from(step);
        let length = i128::from(length);
        let across = (2 * exact + length).div_euclid(2 * length);
        ((exact - across * length).abs(), across)
    };
    let best = ((near - slide).max(0)..=(near + slide).min(length))
        .min_by_key(|step| (at(*step).0, (step - near).abs(), *step))
        .unwrap_or(0);
    let across = i64::try_from(at(best).1).unwrap_or(0);
    let forward = long.signum() * best;
    if steep {
        Node {
            x: a.x + across,
            y: a.y + forward,
        }
    } else {
        Node {
            x: a.x + forward,
            y: a.y + across,
        }
    }
}

/// Keeps the pieces of a line that lie inside the outline.
fn cut(
    ground: &Ground,
    line: &Line,
    crossings: &[Junction],
    borders: &mut Vec<Border>,
) -> Result<(), String> {
    let mut inside = crossings
        .first()
        .map_or_else(|| ground.holds(line.from), |first| first.outward);
    let mut from = line.from;
    let mut piece = |from: Node, to: Node, inside: bool| {
        if inside && from != to {
            borders.push(Border {
                from,
                to,
                left: line.left,
                right: Some(line.right),
            });
        }
    };
    for junction in crossings {
        if junction.outward != inside {
            return Err("a border runs along the outline".to_owned());
        }
        piece(from, junction.node, inside);
        inside = !inside;
        from = junction.node;
    }
    piece(from, line.to, inside);
    Ok(())
}

/// The outline itself: each piece belongs to the cell that the junctions at its ends say.
fn rim(
    ground: &Ground,
    spots: &[Spot],
    junctions: &[Junction],
    borders: &mut Vec<Border>,
) -> Result<(), String> {
    let mut cell = match junctions.last() {
        Some(last) => last.after,
        None => nearest(ground, spots).ok_or("there is no cell")?,
    };
    let mut rest = junctions.iter().peekable();
    for (side, (a, b)) in ground.sides().enumerate() {
        let mut from = a;
        let mut piece = |to: Node, cell: usize| {
            if from != to {
                borders.push(Border {
                    from,
                    to,
                    left: cell,
                    right: None,
                });
            }
            from = to;
        };
        while let Some(junction) = rest.next_if(|junction| junction.side == side) {
            if junction.before != cell {
                return Err("two borders meet at the outline".to_owned());
            }
            piece(junction.node, cell);
            cell = junction.after;
        }
        piece(b, cell);
    }
    Ok(())
}

/// The spot nearest to the outline's first corner.
fn nearest(ground: &Ground, spots: &[Spot]) -> Option<usize> {
    let corner = ground.spot(*ground.outline.first()?);
    let squared = |spot: &Spot| (spot.x - corner.x).powi(2) + (spot.y - corner.y).powi(2);
    (0..spots.len()).min_by(|a, b| squared(&spots[*a]).total_cmp(&squared(&spots[*b])))
}
