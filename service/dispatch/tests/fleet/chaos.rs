//! Fifty rounds of each mishap: whatever happens, the next plan that nothing disturbs runs everywhere, no board runs
//! anything but a plan that was dispatched to it, and the site is never above the cap.

use crate::dispatch::{PACE, boards, fleet};
use crate::node::{Log, Node, Trick, Tricky, draw, key, orders};
use ecomap_dispatch::{Dispatcher, HttpLink, Link, LinkError, Outcome, Pace};
use ecomap_instances::format::orders_v1::OrdersDto;
use std::sync::Arc;
use std::time::Duration;

const ROUNDS: u64 = 50;
const MODES: [&str; 4] = ["10W", "15W", "30W_ALL", "MAXN"];
const DEVICES: [&str; 3] = ["a", "b", "c"];

/// Modes of a plan, different from round to round, always of the same sum.
fn modes(round: u64) -> [&'static str; 3] {
    let first = usize::try_from(round).unwrap() % 3;
    let mut modes = ["10W", "15W", "MAXN"];
    modes.rotate_left(first);
    modes
}

fn plan(version: u64) -> Vec<OrdersDto> {
    DEVICES.iter().zip(modes(version)).map(|(device, mode)| orders(version, device, mode)).collect()
}

struct Fleet {
    nodes: Vec<Arc<Node>>,
    log: Log,
    version: u64,
    /// Versions that were dispatched.
    sent: Vec<u64>,
}

impl Fleet {
    async fn new() -> Self {
        let log = Log::default();
        let nodes = fleet(&log).await;
        let mut fleet = Self { nodes, log, version: 0, sent: Vec::new() };
        fleet.settle().await;
        fleet
    }

    fn next(&mut self) -> Vec<OrdersDto> {
        self.version += 1;
        self.sent.push(self.version);
        plan(self.version)
    }

    /// Dispatches a plan that nothing disturbs, and looks at everything.
    async fn settle(&mut self) {
        let plan = self.next();
        let boards = boards(&self.nodes, [None; 3]);
        let outcome = Dispatcher::new(PACE).dispatch(&plan, &boards).await.unwrap();
        assert!(matches!(outcome, Outcome::Committed { .. }), "{outcome:?}");
        for (node, mode) in self.nodes.iter().zip(modes(self.version)) {
            let status = node.until(|s| s.running == Some(self.version)).await;
            assert_eq!(status.mode.as_deref(), Some(mode));
            assert_eq!(node.runtime().running().map(|v| v.0), Some(self.version));
        }
        self.log.lock().unwrap().clear();
    }

    /// Every board runs a plan that was dispatched, in that plan's mode, and all the changes since the plan `before`
    /// kept the site under its cap.
    async fn look(&self, before: u64) {
        let cap: f64 = modes(1).map(draw).iter().sum();
        let mut now = modes(before).map(draw);
        for (device, mode) in self.log.lock().unwrap().iter() {
            now["abc".find(device.as_str()).unwrap()] = draw(mode);
            assert!(now.iter().sum::<f64>() <= cap + 1e-9, "above the cap: {now:?}");
        }
        for (n, node) in self.nodes.iter().enumerate() {
            let running = node.runtime().running().unwrap().0;
            assert!(self.sent.contains(&running));
            // What the agent says follows what it did.
            let status = node.until(|s| s.running == Some(running)).await;
            assert_eq!(status.mode.as_deref(), Some(modes(running)[n]));
        }
    }
}

fn hasty() -> Dispatcher {
    Dispatcher::new(Pace { commit: Duration::from_millis(200), ..PACE })
}

#[tokio::test]
async fn an_agent_is_killed_between_the_phases() {
    let mut fleet = Fleet::new().await;
    for round in 0..ROUNDS {
        let before = fleet.version;
        let plan = fleet.next();
        let victim = usize::try_from(round % 3).unwrap();
        // All boards prepare; then one process is gone, and comes back with what it had on its disk.
        for (node, orders) in fleet.nodes.iter().zip(&plan) {
            node.link().prepare(orders).await.unwrap();
        }
        fleet.nodes[victim].restart().await;
        let running = fleet.nodes[victim].until(|s| s.running.is_some()).await;
        assert_eq!((running.running, running.prepared), (Some(before), None));
        let refused = fleet.nodes[victim].link().commit(fleet.version).await.unwrap_err();
        assert!(matches!(&refused, LinkError::Refused(p) if p.code == "E1754"), "{refused}");
        for node in &fleet.nodes {
            node.link().abort(fleet.version).await.unwrap();
        }
        fleet.log.lock().unwrap().retain(|(device, _)| *device != fleet.nodes[victim].device);
        fleet.look(before).await;
        fleet.settle().await;
    }
}

#[tokio::test]
async fn the_network_is_cut_between_the_phases() {
    let mut fleet = Fleet::new().await;
    for round in 0..ROUNDS {
        let before = fleet.version;
        let plan = fleet.next();
        let victim = usize::try_from(round % 3).unwrap();
        let mut boards = boards(&fleet.nodes, modes(before).map(Some));
        boards[victim].link = Tricky::link(fleet.nodes[victim].link(), Trick::CutAfterPrepare);
        let outcome = hasty().dispatch(&plan, &boards).await.unwrap();
        let Outcome::Partial { failed, .. } = &outcome else { panic!("{outcome:?}") };
        assert!(failed.iter().any(|f| f.device == DEVICES[victim]), "{failed:?}");
        fleet.look(before).await;
        fleet.settle().await;
    }
}

#[tokio::test]
async fn answers_are_lost() {
    let mut fleet = Fleet::new().await;
    for round in 0..ROUNDS {
        let before = fleet.version;
        let plan = fleet.next();
        let mut boards = boards(&fleet.nodes, modes(before).map(Some));
        let victim = usize::try_from(round % 3).unwrap();
        boards[victim].link = Tricky::link(fleet.nodes[victim].link(), Trick::LoseCommits(1));
        let outcome = Dispatcher::new(PACE).dispatch(&plan, &boards).await.unwrap();
        assert!(matches!(outcome, Outcome::Committed { .. }), "{outcome:?}");
        fleet.look(before).await;
        fleet.log.lock().unwrap().clear();
    }
}

#[tokio::test]
async fn a_stale_plan_is_replayed() {
    let mut fleet = Fleet::new().await;
    for round in 0..ROUNDS {
        let old = plan(fleet.version);
        fleet.settle().await;
        let node = &fleet.nodes[usize::try_from(round % 3).unwrap()];
        let orders = old.iter().find(|o| o.device == node.device).unwrap();
        for attempt in
            [node.link().prepare(orders).await.err(), node.link().commit(orders.version).await.err()]
        {
            assert!(matches!(&attempt, Some(LinkError::Refused(p)) if p.code == "E1750"), "{attempt:?}");
        }
        // Nor can what was signed for one board be told to another.
        let other = &fleet.nodes[usize::try_from((round + 1) % 3).unwrap()];
        let address = format!("http://{}", other.address());
        let astray = HttpLink::new(&node.device, &address, key()).unwrap();
        let newest = orders_for(&node.device, fleet.version + 1000);
        assert!(matches!(astray.prepare(&newest).await, Err(LinkError::Refused(p)) if p.code == "E1751"));
        fleet.look(fleet.version).await;
    }
}

fn orders_for(device: &str, version: u64) -> OrdersDto {
    orders(version, device, MODES[0])
}

#[tokio::test]
async fn a_board_refuses() {
    let mut fleet = Fleet::new().await;
    let before = fleet.version;
    for round in 0..ROUNDS {
        let mut plan = fleet.next();
        let victim = usize::try_from(round % 3).unwrap();
        plan[victim].tasks[0].tier = "resnet-9000".to_owned();
        let boards = boards(&fleet.nodes, modes(before).map(Some));
        let outcome = Dispatcher::new(PACE).dispatch(&plan, &boards).await.unwrap();
        let Outcome::RolledBack { refused, .. } = &outcome else { panic!("{outcome:?}") };
        assert_eq!((refused.len(), refused[0].exclude.len()), (1, 1));
        fleet.look(before).await;
        for node in &fleet.nodes {
            assert_eq!(node.until(|s| s.prepared.is_none()).await.running, Some(before));
        }
    }
    fleet.settle().await;
}

#[tokio::test]
async fn the_service_is_killed_between_the_phases() {
    let mut fleet = Fleet::new().await;
    for round in 0..ROUNDS {
        let before = fleet.version;
        let plan = fleet.next();
        for (node, orders) in fleet.nodes.iter().zip(&plan) {
            node.link().prepare(orders).await.unwrap();
        }
        // Every other time it had begun to switch: boards that fall come first.
        if round % 2 == 1 {
            let falls = |n: &usize| draw(modes(fleet.version)[*n]) < draw(modes(before)[*n]);
            let first = (0..DEVICES.len()).find(falls).unwrap();
            fleet.nodes[first].link().commit(fleet.version).await.unwrap();
        }
        fleet.look(before).await;
        // The next service knows nothing, and asks.
        let boards = boards(&fleet.nodes, [None; 3]);
        assert_eq!(Dispatcher::new(PACE).highest(&boards).await, fleet.version);
        fleet.settle().await;
    }
}

#[tokio::test]
async fn a_disk_is_full() {
    let mut fleet = Fleet::new().await;
    for round in 0..ROUNDS {
        let before = fleet.version;
        let plan = fleet.next();
        let victim = usize::try_from(round % 3).unwrap();
        fleet.nodes[victim].fill_disk();
        let outcome = hasty().dispatch(&plan, &boards(&fleet.nodes, modes(before).map(Some))).await.unwrap();
        assert!(!matches!(outcome, Outcome::Committed { .. }), "{outcome:?}");
        fleet.look(before).await;
        fleet.nodes[victim].free_disk();
        fleet.settle().await;
    }
}
