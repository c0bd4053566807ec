//! Shares the cells out among streets and communities, each in one connected piece.
//!
//! A set of areas is halved again and again, and its cells with it, by a straight cut in the direction
//! that leaves both halves connected and the border between them shortest. Streets are cut first, so
//! that communities lie in them.

use std::collections::{BTreeMap, BTreeSet};

use gridkeeper_proto::area::{AreaCode, Level};

use super::ground::Spot;

/// Directions in which a cut may face, as steps to the east and to the north.
const DIRECTIONS: [(f64, f64); 16] = [
    (1.0, 0.0),
    (2.0, 1.0),
    (1.0, 1.0),
    (1.0, 2.0),
    (0.0, 1.0),
    (-1.0, 2.0),
    (-1.0, 1.0),
    (-2.0, 1.0),
    (-1.0, 0.0),
    (-2.0, -1.0),
    (-1.0, -1.0),
    (-1.0, -2.0),
    (0.0, -1.0),
    (1.0, -2.0),
    (1.0, -1.0),
    (2.0, -1.0),
];

/// For each cell its neighbours and the length of the border between them.
type Neighbours = [BTreeMap<usize, f64>];

/// The cells of each community, of which as many as asked for.
pub(super) fn share_out(
    shares: &[(AreaCode, usize)],
    spots: &[Spot],
    neighbours: &Neighbours,
) -> Result<Vec<(AreaCode, Vec<usize>)>, String> {
    let mut by_street: BTreeMap<AreaCode, Vec<(AreaCode, usize)>> = BTreeMap::new();
    for (community, count) in shares {
        let street = community.at(Level::Street).unwrap_or(*community);
        by_street
            .entry(street)
            .or_default()
            .push((*community, *count));
    }
    let totals: Vec<(AreaCode, usize)> = by_street
        .iter()
        .map(|(street, shares)| (*street, shares.iter().map(|(_, count)| count).sum()))
        .collect();
    let cutter = Cutter { spots, neighbours };
    let mut streets = Vec::new();
    cutter.divide((0..spots.len()).collect(), &totals, &mut streets)?;
    let mut communities = Vec::new();
    for (street, cells) in streets {
        cutter.divide(
            cells,
            by_street.get(&street).map_or(&[], Vec::as_slice),
            &mut communities,
        )?;
    }
    Ok(communities)
}

struct Cutter<'a> {
    spots: &'a [Spot],
    neighbours: &'a Neighbours,
}

impl Cutter<'_> {
    /// Divides the cells among the areas, in the order of the areas.
    fn divide(
        &self,
        cells: Vec<usize>,
        areas: &[(AreaCode, usize)],
        shares: &mut Vec<(AreaCode, Vec<usize>)>,
    ) -> Result<(), String> {
        let [(area, _), _, ..] = areas else {
            shares.extend(areas.first().map(|(area, _)| (*area, cells)));
            return Ok(());
        };
        let (middle, count) = halves(areas);
        let (one, other) = self
            .cut(&cells, count)
            .ok_or_else(|| format!("no cut leaves the ground around area {area} connected"))?;
        self.divide(one, &areas[..middle], shares)?;
        self.divide(other, &areas[middle..], shares)
    }

    /// The best cut that puts so many cells to one side.
    fn cut(&self, cells: &[usize], count: usize) -> Option<(Vec<usize>, Vec<usize>)> {
        let mut best: Option<(f64, Vec<usize>, Vec<usize>)> = None;
        for direction in DIRECTIONS {
            let straight = self.by_direction(cells, direction);
            let grown = self.by_steps(cells, straight.first().copied()?);
            for order in [straight, grown] {
                let (one, other) = order.split_at_checked(count)?;
                let length = self.border(one, other);
                let better = best
                    .as_ref()
                    .is_none_or(|(shortest, ..)| length < *shortest);
                if better && self.is_connected(one) && self.is_connected(other) {
                    best = Some((length, one.to_vec(), other.to_vec()));
                }
            }
        }
        best.map(|(_, one, other)| (one, other))
    }

    /// The cells in the order in which a line facing this way sweeps over their spots.
    fn by_direction(&self, cells: &[usize], (east, north): (f64, f64)) -> Vec<usize> {
        let reach = |cell: usize| self.spots[cell].x * east + self.spots[cell].y * north;
        let mut order = cells.to_vec();
        order.sort_by(|a, b| reach(*a).total_cmp(&reach(*b)).then(a.cmp(b)));
        order
    }

    /// The cells by how many borders lie between them and the first, so that each beginning of the order
    /// is connected.
    fn by_steps(&self, cells: &[usize], first: usize) -> Vec<usize> {
        let mut left: BTreeSet<usize> = cells.iter().copied().collect();
        left.remove(&first);
        let mut order = vec![first];
        let mut next = 0;
        while let Some(cell) = order.get(next) {
            for neighbour in self.neighbours[*cell].keys() {
                if left.remove(neighbour) {
                    order.push(*neighbour);
                }
            }
            next += 1;
        }
        order.extend(left);
        order
    }

    fn is_connected(&self, cells: &[usize]) -> bool {
        let Some(first) = cells.first() else {
            return false;
        };
        let members: BTreeSet<usize> = cells.iter().copied().collect();
        let mut reached = BTreeSet::from([*first]);
        let mut open = vec![*first];
        while let Some(cell) = open.pop() {
            for neighbour in self.neighbours[cell].keys() {
                if members.contains(neighbour) && reached.insert(*neighbour) {
                    open.push(*neighbour);
                }
            }
        }
        reached.len() == members.len()
    }

    /// Length of the border between two sets of cells.
    fn border(&self, one: &[usize], other: &[usize]) -> f64 {
        let other: BTreeSet<usize> = other.iter().copied().collect();
        one.iter()
            .flat_map(|cell| &self.neighbours[*cell])
            .filter(|(neighbour, _)| other.contains(neighbour))
            .map(|(_, length)| length)
            .sum()
    }
}

/// Where to part the areas so that both sides have about the same number of cells, and that number on
/// the first side.
fn halves(areas: &[(AreaCode, usize)]) -> (usize, usize) {
    let total: usize = areas.iter().map(|(_, count)| count).sum();
    let mut upto = 0;
    let sums = areas[..areas.len() - 1]
        .iter()
        .enumerate()
        .map(|(index, (_, count))| {
            upto += count;
            (index + 1, upto)
        });
    sums.min_by_key(|(_, upto)| (2 * upto).abs_diff(total))
        .unwrap_or((1, areas[0].1))
}
