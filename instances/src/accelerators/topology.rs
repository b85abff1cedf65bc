//! Which accelerators of a server are joined by which links.

use crate::units::GigabytesPerSecond;
use petgraph::graph::{NodeIndex, UnGraph};

/// Most accelerators of one server; sets of them fit into 16 bits.
pub const MOST_ACCELERATORS: usize = 16;

/// What joins two accelerators.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LinkKind {
    /// Two NVLinks side by side.
    DoubleNvlink,
    /// One NVLink.
    SingleNvlink,
    /// Over PCIe and, where need be, between sockets. Every pair without an NVLink has this.
    Pcie,
}

/// A link.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Link {
    /// What it is.
    pub kind: LinkKind,
    /// What it carries in one direction.
    pub bandwidth: GigabytesPerSecond,
}

/// Bandwidths of a generation: MAPA's figures for V100, double NVLink 50, single 25, PCIe 10 GB/s.
const V100: [f64; 3] = [50.0, 25.0, 10.0];
/// And for P100, whose pairs have one NVLink at most: NVLink 20, PCIe 10 GB/s.
const P100: [f64; 3] = [20.0, 20.0, 10.0];

/// A topology that has a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Named {
    /// NVIDIA DGX-1 with P100: two quads, each complete, joined position by position.
    Dgx1P100,
    /// NVIDIA DGX-1 with V100: the same cube mesh, some of its links doubled.
    Dgx1V100,
    /// A node of Summit: two triples, each complete by double links.
    Summit,
    /// 4 × 4 torus: double links along rows, single ones along columns.
    Torus2d,
    /// Four complete quads in a ring, joined position by position by double and single links in turn.
    CubeMesh16,
}

impl Named {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Dgx1P100, Self::Dgx1V100, Self::Summit, Self::Torus2d, Self::CubeMesh16];

    /// Name as on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Dgx1P100 => "dgx-1-p100",
            Self::Dgx1V100 => "dgx-1-v100",
            Self::Summit => "summit",
            Self::Torus2d => "torus-2d",
            Self::CubeMesh16 => "cube-mesh-16",
        }
    }

    /// The graph.
    ///
    /// The two DGX-1 are those of NVIDIA's manuals. Of `torus-2d` and `cube-mesh-16` the papers
    /// give drawings; which links are doubled there is our reading, such that every V100 uses its
    /// six NVLinks.
    #[must_use]
    pub fn topology(self) -> Topology {
        use LinkKind::{DoubleNvlink as D, SingleNvlink as S};
        match self {
            Self::Dgx1P100 => {
                let quads = [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)];
                let within = quads.iter().flat_map(|(a, b)| [(*a, *b, S), (a + 4, b + 4, S)]);
                Topology::of(8, 4, P100, within.chain((0..4).map(|a| (a, a + 4, S))))
            }
            Self::Dgx1V100 => {
                let single = [(0, 1), (0, 2), (1, 3), (2, 6), (3, 7), (4, 5), (4, 6), (5, 7)];
                let double = [(0, 3), (0, 4), (1, 2), (1, 5), (2, 3), (4, 7), (5, 6), (6, 7)];
                let all = single.map(|(a, b)| (a, b, S)).into_iter();
                Topology::of(8, 4, V100, all.chain(double.map(|(a, b)| (a, b, D))))
            }
            Self::Summit => {
                let triple = [(0, 1), (0, 2), (1, 2)];
                let all = triple.iter().flat_map(|(a, b)| [(*a, *b, D), (a + 3, b + 3, D)]);
                Topology::of(6, 3, V100, all)
            }
            Self::Torus2d => {
                let at = |row: usize, column: usize| (row % 4) * 4 + column % 4;
                let cells = (0..4).flat_map(|row| (0..4).map(move |column| (row, column)));
                let all = cells.flat_map(|(r, c)| [(at(r, c), at(r, c + 1), D), (at(r, c), at(r + 1, c), S)]);
                Topology::of(16, 4, V100, all)
            }
            Self::CubeMesh16 => {
                let quad = [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)];
                let within = (0..4).flat_map(|q| quad.map(|(a, b)| (4 * q + a, 4 * q + b, S)));
                let between = (0..4).flat_map(|q| {
                    let kind = if q % 2 == 0 { D } else { S };
                    (0..4).map(move |a| (4 * q + a, 4 * ((q + 1) % 4) + a, kind))
                });
                Topology::of(16, 4, V100, within.chain(between))
            }
        }
    }
}

/// The accelerators of a server and their links: a complete graph, PCIe where nothing better is.
#[derive(Debug, Clone)]
pub struct Topology {
    graph: UnGraph<(), Link>,
    block: usize,
    pcie: Link,
}

impl PartialEq for Topology {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len()
            && self.block == other.block
            && self.pcie == other.pcie
            && self.pairs().all(|(a, b)| self.link(a, b) == other.link(a, b))
    }
}

impl Topology {
    /// A topology of `count` accelerators, at most [`MOST_ACCELERATORS`], with the links given and
    /// `pcie` between all others. Links to nowhere, to oneself, and second links of a pair are left
    /// out; the reader refuses them.
    #[must_use]
    pub fn new(
        count: usize,
        block: usize,
        pcie: GigabytesPerSecond,
        links: impl IntoIterator<Item = (usize, usize, Link)>,
    ) -> Self {
        let count = count.min(MOST_ACCELERATORS);
        let mut graph = UnGraph::with_capacity(count, count * count / 2);
        for _ in 0..count {
            graph.add_node(());
        }
        for (a, b, link) in links {
            let (a, b) = (NodeIndex::new(a), NodeIndex::new(b));
            let inside = a.index() < count && b.index() < count && a != b;
            if inside && graph.find_edge(a, b).is_none() {
                graph.add_edge(a, b, link);
            }
        }
        Self { graph, block: block.max(1), pcie: Link { kind: LinkKind::Pcie, bandwidth: pcie } }
    }

    fn of(
        count: usize,
        block: usize,
        gb_per_s: [f64; 3],
        links: impl IntoIterator<Item = (usize, usize, LinkKind)>,
    ) -> Self {
        let [double, single, pcie] = gb_per_s.map(GigabytesPerSecond::new);
        let links = links.into_iter().map(|(a, b, kind)| {
            let bandwidth = if kind == LinkKind::DoubleNvlink { double } else { single };
            (a, b, Link { kind, bandwidth })
        });
        Self::new(count, block, pcie, links)
    }

    /// Accelerators.
    #[must_use]
    pub fn len(&self) -> usize {
        self.graph.node_count()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Accelerators of a block: neighbours by number that a topology-aware scheduler keeps
    /// together (a CPU socket's).
    #[must_use]
    pub const fn block(&self) -> usize {
        self.block
    }

    /// What joins two accelerators.
    #[must_use]
    pub fn link(&self, a: usize, b: usize) -> Link {
        let edge = self.graph.find_edge(NodeIndex::new(a), NodeIndex::new(b));
        edge.and_then(|e| self.graph.edge_weight(e)).copied().unwrap_or(self.pcie)
    }

    /// Every pair, the lower number first.
    pub fn pairs(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let count = self.len();
        (0..count).flat_map(move |a| (a + 1..count).map(move |b| (a, b)))
    }

    /// The graph of NVLinks and explicitly listed links.
    #[must_use]
    pub const fn graph(&self) -> &UnGraph<(), Link> {
        &self.graph
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// NVLinks of an accelerator, a double one counting two.
    fn ports(topology: &Topology, a: usize) -> usize {
        let others = (0..topology.len()).filter(|b| *b != a);
        let ports = others.map(|b| match topology.link(a, b).kind {
            LinkKind::DoubleNvlink => 2,
            LinkKind::SingleNvlink => 1,
            LinkKind::Pcie => 0,
        });
        ports.sum()
    }

    #[test]
    fn every_accelerator_uses_the_ports_it_has() {
        // Summit's V100 have four more, to their CPU.
        for (named, count, most) in [
            (Named::Dgx1P100, 8, 4),
            (Named::Dgx1V100, 8, 6),
            (Named::Summit, 6, 4),
            (Named::Torus2d, 16, 6),
            (Named::CubeMesh16, 16, 6),
        ] {
            let topology = named.topology();
            assert_eq!(topology.len(), count, "{named:?}");
            for a in 0..count {
                assert_eq!(ports(&topology, a), most, "{named:?}, accelerator {a}");
            }
        }
    }

    #[test]
    fn bandwidths_are_those_of_the_generation() {
        let v100 = Named::Dgx1V100.topology();
        assert_eq!(v100.link(0, 3).bandwidth.get(), 50.0);
        assert_eq!(v100.link(1, 0).bandwidth.get(), 25.0);
        assert_eq!(v100.link(0, 7).bandwidth.get(), 10.0);
        let p100 = Named::Dgx1P100.topology();
        assert_eq!((p100.link(0, 4).bandwidth.get(), p100.link(0, 5).bandwidth.get()), (20.0, 10.0));
    }

    #[test]
    fn the_same_links_in_another_order_are_the_same_topology() {
        let link = Link { kind: LinkKind::SingleNvlink, bandwidth: GigabytesPerSecond::new(25.0) };
        let pcie = GigabytesPerSecond::new(10.0);
        let one = Topology::new(3, 4, pcie, [(0, 1, link), (1, 2, link)]);
        let two = Topology::new(3, 4, pcie, [(2, 1, link), (1, 0, link)]);
        assert_eq!(one, two);
        assert_ne!(one, Topology::new(3, 4, pcie, [(0, 1, link)]));
    }
}
