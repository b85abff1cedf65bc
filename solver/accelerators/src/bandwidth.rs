//! Three measures of bandwidth, as MAPA defines them.

use crate::float;
use ecomap_instances::accelerators::{LinkKind, Topology};
use ecomap_instances::units::GigabytesPerSecond;

/// Most links that the formula of the effective bandwidth was fitted to: a ring of five.
pub const FITTED: usize = 5;
/// Least effective bandwidth, where the formula is used off its data.
const LEAST: f64 = 1.0;

/// How many links of each kind a pattern uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Links {
    /// Double NVLinks, x.
    pub double: usize,
    /// Single NVLinks, y.
    pub single: usize,
    /// PCIe links, z.
    pub pcie: usize,
}

impl Links {
    /// The links of pairs; a pair that is listed twice counts twice.
    pub fn of(topology: &Topology, pairs: impl IntoIterator<Item = (usize, usize)>) -> Self {
        let mut links = Self::default();
        for (a, b) in pairs {
            match topology.link(a, b).kind {
                LinkKind::DoubleNvlink => links.double += 1,
                LinkKind::SingleNvlink => links.single += 1,
                LinkKind::Pcie => links.pcie += 1,
            }
        }
        links
    }

    /// All links.
    #[must_use]
    pub const fn total(self) -> usize {
        self.double + self.single + self.pcie
    }

    /// Effective bandwidth: MAPA's formula at the counts.
    #[must_use]
    pub fn effective(self) -> GigabytesPerSecond {
        GigabytesPerSecond::new(formula(float(self.double), float(self.single), float(self.pcie)))
    }

    /// Effective bandwidth with the counts scaled down to `links` of them where there are more, and
    /// to [`FITTED`] at most; at least 1 GB/s.
    ///
    /// The formula is a regression over rings of up to five accelerators; at the ten links of five
    /// that all talk to each other it gives −131 GB/s for (4, 4, 2). Scaled, it is asked within its
    /// data, for the same mix of links.
    #[must_use]
    pub fn effective_at(self, links: usize) -> GigabytesPerSecond {
        let most = links.min(FITTED);
        let scale = if self.total() > most { float(most) / float(self.total()) } else { 1.0 };
        let [x, y, z] = [self.double, self.single, self.pcie].map(|n| float(n) * scale);
        GigabytesPerSecond::new(formula(x, y, z).max(LEAST))
    }
}

/// The regression of MAPA (Ranganath et al., SC 2021), GB/s, for x double, y single and z PCIe links.
fn formula(x: f64, y: f64, z: f64) -> f64 {
    16.39670455 * x + 4.536821878 * y + 1.55623404 * z - 20.69484581 / (x + 1.0) - 9.467461958 / (y + 1.0)
        + 7.615106783 / (z + 1.0)
        - 7.973335727 * x * y
        + 12.73323772 * y * z
        - 4.195655221 * x * z
        - 8.413419363 / (x * y + 1.0)
        + 62.85125807 / (y * z + 1.0)
        + 27.41832588 / (x * z + 1.0)
        - 5.114108079 * x * y * z
        - 46.97390071 / (x * y * z + 1.0)
}

/// Aggregated bandwidth: the sum over the pairs that a pattern matches. A ring of two counts its
/// link twice, since its pairs list it twice.
pub fn aggregated(
    topology: &Topology,
    pairs: impl IntoIterator<Item = (usize, usize)>,
) -> GigabytesPerSecond {
    pairs.into_iter().map(|(a, b)| topology.link(a, b).bandwidth).sum()
}

/// Preserved bandwidth: the NVLinks left among the accelerators of `free`, a set by bits.
#[must_use]
pub fn preserved(topology: &Topology, free: u16) -> GigabytesPerSecond {
    let both = |a: usize, b: usize| free >> a & 1 == 1 && free >> b & 1 == 1;
    let left = topology.pairs().filter(|(a, b)| both(*a, *b)).map(|(a, b)| topology.link(a, b));
    left.filter(|link| link.kind != LinkKind::Pcie).map(|link| link.bandwidth).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ecomap_instances::accelerators::Named;

    #[test]
    fn the_formula_gives_the_published_values() {
        for ((double, single, pcie), value) in [
            ((2, 0, 0), 58.925),
            ((0, 2, 0), 27.720),
            ((0, 0, 2), 10.371),
            ((1, 1, 1), 24.107),
            ((2, 2, 0), 49.148),
        ] {
            let links = Links { double, single, pcie };
            assert!((links.effective().get() - value).abs() < 5e-4, "{links:?}: {}", links.effective());
            assert_eq!(links.effective(), links.effective_at(links.total()));
        }
    }

    #[test]
    fn beyond_its_data_the_formula_is_asked_for_the_same_mix() {
        let many = Links { double: 4, single: 4, pcie: 2 };
        assert!(many.effective().get() < -100.0);
        let scaled = many.effective_at(5).get();
        assert!((scaled - formula(2.0, 2.0, 1.0)).abs() < 1e-9, "{scaled}");
    }

    #[test]
    fn a_ring_of_two_counts_its_link_twice() {
        let topology = Named::Dgx1V100.topology();
        assert_eq!(aggregated(&topology, [(0, 3), (3, 0)]).get(), 100.0);
        assert_eq!(Links::of(&topology, [(0, 3), (3, 0)]), Links { double: 2, single: 0, pcie: 0 });
    }

    #[test]
    fn preserved_counts_nvlinks_among_the_free() {
        let topology = Named::Dgx1V100.topology();
        // Eight single and eight double links.
        assert_eq!(preserved(&topology, 0xff).get(), 600.0);
        assert_eq!(preserved(&topology, 0b1001).get(), 50.0);
        assert_eq!(preserved(&topology, 0b1000_0001).get(), 0.0);
    }
}
