//! Paths between sites (petgraph): which links a tenant's requests cross, and how long it takes.

use crate::ids::{LinkIx, SiteIx};
use crate::scenario::Link;
use crate::units::Millis;
use petgraph::algo::astar;
use petgraph::graph::{NodeIndex, UnGraph};

/// The way from one site to another.
#[derive(Debug, Clone, PartialEq)]
pub struct Path {
    /// One-way delay.
    pub delay: Millis,
    /// Links crossed, in order.
    pub links: Vec<LinkIx>,
}

/// The sites' network.
#[derive(Debug)]
pub struct Network {
    graph: UnGraph<(), (LinkIx, f64)>,
}

impl Network {
    /// The network of `links` over `sites` sites.
    #[must_use]
    pub fn new(sites: usize, links: &[Link]) -> Self {
        let mut graph = UnGraph::with_capacity(sites, links.len());
        for _ in 0..sites {
            graph.add_node(());
        }
        for (n, link) in links.iter().enumerate() {
            graph.add_edge(
                NodeIndex::new(link.a.at()),
                NodeIndex::new(link.b.at()),
                (LinkIx::new(n), link.latency.get()),
            );
        }
        Self { graph }
    }

    /// The path of least delay; `None` when there is none. A site reaches itself at once.
    #[must_use]
    pub fn path(&self, from: SiteIx, to: SiteIx) -> Option<Path> {
        let goal = NodeIndex::new(to.at());
        let (delay, nodes) =
            astar(&self.graph, NodeIndex::new(from.at()), |n| n == goal, |e| e.weight().1, |_| 0.0)?;
        let links = nodes
            .windows(2)
            .filter_map(|pair| {
                self.graph
                    .edges_connecting(pair[0], pair[1])
                    .min_by(|a, b| a.weight().1.total_cmp(&b.weight().1))
                    .map(|e| e.weight().0)
            })
            .collect();
        Some(Path { delay: Millis::new(delay), links })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::BytesPerSecond;

    fn link(a: usize, b: usize, ms: f64) -> Link {
        Link {
            a: SiteIx::new(a),
            b: SiteIx::new(b),
            latency: Millis::new(ms),
            bandwidth: BytesPerSecond::new(1e9),
        }
    }

    #[test]
    fn takes_the_way_of_least_delay() {
        let net = Network::new(4, &[link(0, 1, 10.0), link(0, 2, 2.0), link(2, 1, 3.0)]);
        let path = net.path(SiteIx::new(0), SiteIx::new(1));
        let expected = Path { delay: Millis::new(5.0), links: vec![LinkIx::new(1), LinkIx::new(2)] };
        assert_eq!(path, Some(expected));
        let home = net.path(SiteIx::new(2), SiteIx::new(2));
        assert_eq!(home, Some(Path { delay: Millis::ZERO, links: vec![] }));
        assert_eq!(net.path(SiteIx::new(0), SiteIx::new(3)), None);
    }
}
