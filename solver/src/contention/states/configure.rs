//! Configurations of a site: how many boards of each kind are on in each mode.
//!
//! A site's boards and modes are few, and its cap is a matter of whole boards: a fraction of a board
//! would idle at a fraction of the watts. So the master takes one of the site's configurations, each
//! with a cap row of its own: the disjunction over them, whose relaxation is the convex hull of the
//! relaxations of all of them.

use super::layout::{Kind, number};
use ecomap_instances::Instance;

/// Relative slack of a cap, when a configuration's idle draw is held against it.
const SLACK: f64 = 1e-6;

/// A configuration of a site.
#[derive(Debug)]
pub(super) struct Config {
    pub(super) site: usize,
    /// Its fixed column.
    pub(super) column: usize,
    /// Slots with the boards in each.
    pub(super) slots: Vec<(usize, f64)>,
}

/// Kind, mode, boards.
pub(super) type Counts = Vec<(usize, usize, usize)>;

/// The configurations of a site whose boards fit under its cap when they idle; `None` when there are
/// more than `most`, or no cap.
pub(super) fn configurations(
    instance: &Instance,
    kinds: &[Kind],
    site: usize,
    most: usize,
) -> Option<Vec<Counts>> {
    let cap = instance.sites[site].cap?.get();
    let mut all: Vec<(Counts, f64)> = vec![(Vec::new(), 0.0)];
    for (k, kind) in kinds.iter().enumerate() {
        let class = &instance.classes[kind.class.at()];
        if class.site.at() != site {
            continue;
        }
        let boards = kind.devices.len();
        let ways = ways(boards, class.modes.len(), class.always_on, most)?;
        let mut next = Vec::new();
        for (counts, watts) in &all {
            for way in &ways {
                let on: usize = way.iter().sum();
                let mut watts = watts + number(boards - on) * class.off.get();
                let mut counts = counts.clone();
                for (m, n) in way.iter().enumerate().filter(|(_, n)| **n > 0) {
                    watts += number(*n) * class.modes[m].idle.get();
                    counts.push((k, m, *n));
                }
                next.push((counts, watts));
                if next.len() > most {
                    return None;
                }
            }
        }
        all = next;
    }
    all.retain(|(_, watts)| *watts <= cap + SLACK * cap.abs().max(1.0));
    Some(all.into_iter().map(|(counts, _)| counts).collect())
}

/// How many of some boards may be in each mode; the others are off. `None` when there are more than
/// `most` ways.
fn ways(boards: usize, modes: usize, all_on: bool, most: usize) -> Option<Vec<Vec<usize>>> {
    let mut ways: Vec<(Vec<usize>, usize)> = vec![(Vec::new(), 0)];
    for _ in 0..modes {
        let mut next = Vec::new();
        for (way, used) in ways {
            for n in 0..=boards - used {
                let mut way = way.clone();
                way.push(n);
                next.push((way, used + n));
            }
            if next.len() > most {
                return None;
            }
        }
        ways = next;
    }
    Some(ways.into_iter().filter(|(_, used)| !all_on || *used == boards).map(|(way, _)| way).collect())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::ways;

    #[test]
    fn boards_are_spread_over_modes_in_every_way() {
        assert_eq!(ways(1, 2, false, 9).unwrap(), [[0, 0], [0, 1], [1, 0]]);
        assert_eq!(ways(2, 2, true, 9).unwrap(), [[0, 2], [1, 1], [2, 0]]);
        assert_eq!(ways(2, 3, false, 99).unwrap().len(), 10);
        assert_eq!(ways(9, 4, false, 99), None);
    }
}
