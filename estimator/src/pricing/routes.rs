//! What the network adds to a request, and the capacity rows of links.

use ecomap_instances::Scenario;
use ecomap_instances::ids::{CapacityIx, LinkIx, SiteIx, is_legal_id};
use ecomap_instances::instance::Capacity;
use ecomap_instances::network::Network;
use ecomap_instances::units::{Bytes, BytesPerSecond, Hertz, Millis};
use std::collections::{BTreeMap, BTreeSet};

/// Ways from tenants' origins to device classes.
#[derive(Debug)]
pub(crate) struct Routes<'a> {
    scenario: &'a Scenario,
    network: Network,
    known: BTreeMap<(SiteIx, SiteIx), Option<Route>>,
}

/// The way between two sites.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Route {
    /// One-way delay.
    delay: Millis,
    /// Slowest link; `None` within a site.
    bottleneck: Option<BytesPerSecond>,
    /// Rows of the links crossed, ascending.
    rows: Vec<CapacityIx>,
}

impl Route {
    /// Round trip and serialisation at the slowest link: `2·delay + (request + response) / min bandwidth`.
    pub(crate) fn latency(&self, request: Bytes, response: Bytes) -> Millis {
        let wire = self.bottleneck.map_or(Millis::ZERO, |rate| (request + response) / rate);
        self.delay * 2.0 + wire
    }

    /// Use of each link, bytes per second. Both directions are charged to one row, as if the link
    /// were half-duplex.
    pub(crate) fn uses(&self, rate: Hertz, request: Bytes, response: Bytes) -> Vec<(CapacityIx, f64)> {
        let amount = ((request + response) * rate).get();
        self.rows.iter().map(|row| (*row, amount)).collect()
    }
}

impl<'a> Routes<'a> {
    pub(crate) fn new(scenario: &'a Scenario) -> Self {
        let network = Network::new(scenario.sites.len(), &scenario.links);
        Self { scenario, network, known: BTreeMap::new() }
    }

    /// The way from a tenant's origin to a site; `None` when there is none.
    pub(crate) fn between(&mut self, from: SiteIx, to: SiteIx) -> Option<Route> {
        if let Some(route) = self.known.get(&(from, to)) {
            return route.clone();
        }
        let route = self.network.path(from, to).map(|path| {
            let links = &self.scenario.links;
            let slowest = path
                .links
                .iter()
                .filter_map(|l| links.get(l.at()))
                .map(|l| l.bandwidth)
                .min_by(BytesPerSecond::total_cmp);
            let mut rows: Vec<CapacityIx> = path.links.iter().map(|l| row(*l)).collect();
            rows.sort_unstable();
            rows.dedup();
            Route { delay: path.delay, bottleneck: slowest, rows }
        });
        self.known.insert((from, to), route.clone());
        route
    }
}

fn row(link: LinkIx) -> CapacityIx {
    CapacityIx::new(link.at())
}

/// One row for each link, in the scenario's order.
pub(crate) fn capacities(scenario: &Scenario) -> Vec<Capacity> {
    let mut taken = BTreeSet::new();
    let site = |ix: SiteIx| scenario.sites.get(ix.at()).map_or("", |s| s.id.as_str());
    scenario
        .links
        .iter()
        .enumerate()
        .map(|(n, link)| {
            let base = format!("link:{}--{}", site(link.a), site(link.b));
            let id = (1..)
                .map(|k| if k == 1 { base.clone() } else { format!("{base}-{k}") })
                .find(|id| !taken.contains(id))
                .filter(|id| is_legal_id(id))
                .unwrap_or_else(|| format!("link-{n}"));
            taken.insert(id.clone());
            Capacity { id, capacity: link.bandwidth.get(), unit: "bytes/s".to_owned() }
        })
        .collect()
}
