//! From borders to cells: their middles, rings and neighbours.

use std::collections::BTreeMap;

use super::{
    ground::{Ground, Node, Spot, cross},
    tessellation::Border,
};

/// The middle of each cell; none for one without area.
pub(super) fn middles(ground: &Ground, borders: &[Border], count: usize) -> Vec<Option<Spot>> {
    // Sums over the directed borders of a cell: twice its area, and its moments.
    let mut sums = vec![(0.0, 0.0, 0.0); count];
    for border in borders {
        let (a, b) = (ground.spot(border.from), ground.spot(border.to));
        let doubled = a.x * b.y - b.x * a.y;
        let mut add = |cell: usize, sign: f64| {
            let sum = &mut sums[cell];
            sum.0 += sign * doubled;
            sum.1 += sign * doubled * (a.x + b.x);
            sum.2 += sign * doubled * (a.y + b.y);
        };
        add(border.left, 1.0);
        if let Some(right) = border.right {
            add(right, -1.0);
        }
    }
    let middle = |(doubled, x, y): (f64, f64, f64)| {
        (doubled > 0.0).then(|| Spot {
            x: x / (3.0 * doubled),
            y: y / (3.0 * doubled),
        })
    };
    sums.into_iter().map(middle).collect()
}

/// Cells of one ring each, and the borders between them.
#[derive(Debug)]
pub(super) struct Cells {
    borders: Vec<Border>,
    rings: Vec<Vec<Node>>,
}

/// A ring of a cell: its corners against the clock, and the borders that it is made of.
struct Ring {
    nodes: Vec<Node>,
    borders: Vec<usize>,
}

impl Cells {
    /// Joins borders to rings. A piece that the outline cuts off from the rest of its cell goes to the
    /// neighbour with which it shares the longest border.
    pub(super) fn of(mut borders: Vec<Border>, count: usize) -> Result<Self, String> {
        loop {
            let rings = rings(&borders, count)?;
            let mut moved = false;
            for (cell, rings) in rings.iter().enumerate() {
                let whole = rings.iter().map(|ring| doubled_area(&ring.nodes)).max();
                for ring in rings {
                    if Some(doubled_area(&ring.nodes)) != whole {
                        hand_over(&mut borders, cell, ring)?;
                        moved = true;
                    }
                }
            }
            if !moved {
                let rings = rings.into_iter().map(|mut rings| match rings.len() {
                    1 => Ok(rings.remove(0).nodes),
                    parts => Err(format!("a cell has {parts} parts")),
                });
                return Ok(Self {
                    rings: rings.collect::<Result<_, _>>()?,
                    borders,
                });
            }
            borders.retain(|border| Some(border.left) != border.right);
        }
    }

    /// The corners of a cell, against the clock.
    pub(super) fn ring(&self, cell: usize) -> Option<&[Node]> {
        self.rings.get(cell).map(Vec::as_slice)
    }

    /// For each cell its neighbours and the length of the border between them.
    pub(super) fn neighbours(&self, ground: &Ground) -> Vec<BTreeMap<usize, f64>> {
        let mut neighbours = vec![BTreeMap::new(); self.rings.len()];
        for border in &self.borders {
            let Some(right) = border.right else { continue };
            let (a, b) = (ground.spot(border.from), ground.spot(border.to));
            let length = ((a.x - b.x) * (a.x - b.x) + (a.y - b.y) * (a.y - b.y)).sqrt();
            *neighbours[border.left].entry(right).or_insert(0.0) += length;
            *neighbours[right].entry(border.left).or_insert(0.0) += length;
        }
        neighbours
    }
}

/// The rings of each cell.
fn rings(borders: &[Border], count: usize) -> Result<Vec<Vec<Ring>>, String> {
    let mut ways: Vec<BTreeMap<Node, (Node, usize)>> = vec![BTreeMap::new(); count];
    let mut way = |cell: usize, from: Node, to: Node, border: usize| {
        let taken = ways[cell].insert(from, (to, border));
        taken.map_or(Ok(()), |_| {
            Err("a cell touches itself at a corner".to_owned())
        })
    };
    for (index, border) in borders.iter().enumerate() {
        way(border.left, border.from, border.to, index)?;
        if let Some(right) = border.right {
            way(right, border.to, border.from, index)?;
        }
    }
    ways.into_iter().map(joined).collect()
}

/// The rings that the ways of one cell make.
fn joined(mut ways: BTreeMap<Node, (Node, usize)>) -> Result<Vec<Ring>, String> {
    let mut rings = Vec::new();
    while let Some((start, _)) = ways.first_key_value() {
        let start = *start;
        let mut ring = Ring {
            nodes: vec![start],
            borders: Vec::new(),
        };
        let mut at = start;
        while let Some((to, border)) = ways.remove(&at) {
            ring.nodes.push(to);
            ring.borders.push(border);
            at = to;
        }
        if at != start || doubled_area(&ring.nodes) <= 0 {
            return Err("the borders of a cell do not make a ring around it".to_owned());
        }
        ring.nodes.pop();
        rings.push(ring);
    }
    Ok(rings)
}

fn doubled_area(ring: &[Node]) -> i128 {
    ring.windows(2)
        .map(|pair| cross(ring[0], pair[0], pair[1]))
        .sum()
}

/// Gives a ring's ground to the neighbour with the longest common border.
fn hand_over(borders: &mut [Border], cell: usize, ring: &Ring) -> Result<(), String> {
    let mut lengths: BTreeMap<usize, u128> = BTreeMap::new();
    for border in ring.borders.iter().map(|index| &borders[*index]) {
        let other = if border.left == cell {
            border.right
        } else {
            Some(border.left)
        };
        if let Some(other) = other.filter(|other| *other != cell) {
            let (dx, dy) = (border.from.x - border.to.x, border.from.y - border.to.y);
            *lengths.entry(other).or_default() +=
                u128::from(dx.unsigned_abs().max(dy.unsigned_abs()));
        }
    }
    let longest = lengths
        .iter()
        .max_by_key(|(other, length)| (**length, std::cmp::Reverse(**other)));
    let (heir, _) = longest.ok_or("a piece of a cell has no neighbour")?;
    for index in &ring.borders {
        let border = &mut borders[*index];
        if border.left == cell {
            border.left = *heir;
        } else {
            border.right = Some(*heir);
        }
    }
    Ok(())
}
