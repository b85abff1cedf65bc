//! Whose turn it is: start-time fair queueing between owners, priorities within each.
//!
//! Every owner (API key) has a queue of its own. An owner's next job starts, in virtual time, when
//! its last one ends or now, whichever is later; the owner whose next job starts first is served
//! (Goyal, Vin & Cheng, *Start-time fair queueing*, IEEE/ACM ToN 1997). So however many jobs one
//! owner piles up, another one's next job waits for at most one of them a worker. A job's cost is
//! the time that the owner's jobs have taken of late, put right by what it really took; a job of
//! higher priority counts for less, so that its owner's next turn comes sooner.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// How urgent a job is.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Default,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// When nothing else waits; a quarter of an owner's share.
    Low,
    /// As usual.
    #[default]
    Normal,
    /// Four shares.
    High,
    /// Sixteen shares.
    Urgent,
}

impl Priority {
    /// All, the least urgent first.
    pub const ALL: [Self; 4] = [Self::Low, Self::Normal, Self::High, Self::Urgent];

    /// Name, as in queries.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Normal => "normal",
            Self::High => "high",
            Self::Urgent => "urgent",
        }
    }

    /// The priority of a name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|p| p.as_str() == name)
    }

    fn weight(self) -> f64 {
        match self {
            Self::Low => 0.25,
            Self::Normal => 1.0,
            Self::High => 4.0,
            Self::Urgent => 16.0,
        }
    }
}

/// Whose job, and how urgent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// Who is charged.
    pub owner: Arc<str>,
    /// How urgent.
    pub priority: Priority,
}

impl Turn {
    /// The service's own work.
    #[must_use]
    pub fn service() -> Self {
        Self { owner: Arc::from("service"), priority: Priority::Normal }
    }

    /// A job of an owner at normal priority.
    #[must_use]
    pub fn of(owner: &str) -> Self {
        Self { owner: Arc::from(owner), priority: Priority::Normal }
    }
}

/// What was charged for a job; given back to [`FairQueue::finish`].
#[derive(Debug, Clone)]
pub struct Charge {
    turn: Turn,
    seconds: f64,
}

struct Waiting<T> {
    item: T,
    seq: u64,
    /// Whether somebody waits for it on a connection; others may wait for long.
    held: bool,
}

struct Flow<T> {
    queues: [VecDeque<Waiting<T>>; Priority::ALL.len()],
    /// Virtual time at which the last job served ends.
    finish: f64,
    running: usize,
    /// Smoothed time of a job, seconds.
    typical: f64,
}

impl<T> Flow<T> {
    fn new(typical: f64) -> Self {
        Self { queues: std::array::from_fn(|_| VecDeque::new()), finish: 0.0, running: 0, typical }
    }

    fn head(&self) -> Option<(Priority, u64)> {
        let filled = self.queues.iter().zip(Priority::ALL).rev();
        filled.filter_map(|(queue, priority)| Some((priority, queue.front()?.seq))).next()
    }

    fn held(&self) -> usize {
        self.queues.iter().flatten().filter(|w| w.held).count()
    }

    fn empty(&self) -> bool {
        self.queues.iter().all(VecDeque::is_empty)
    }
}

/// A queue for each owner, and the order between them.
pub struct FairQueue<T> {
    flows: BTreeMap<Arc<str>, Flow<T>>,
    /// Virtual time: the start of the job served last.
    now: f64,
    next: u64,
}

impl<T> Default for FairQueue<T> {
    fn default() -> Self {
        Self { flows: BTreeMap::new(), now: 0.0, next: 0 }
    }
}

impl<T> FairQueue<T> {
    /// Adds a job. `typical` is the time to charge an owner who is not known yet, in seconds.
    pub fn push(&mut self, turn: &Turn, item: T, held: bool, typical: f64) {
        let flow = self.flows.entry(Arc::clone(&turn.owner)).or_insert_with(|| Flow::new(typical));
        let waiting = Waiting { item, seq: self.next, held };
        self.next += 1;
        flow.queues[turn.priority as usize].push_back(waiting);
    }

    /// The next job, and what its owner is charged for now.
    pub fn pop(&mut self) -> Option<(T, Charge)> {
        let now = self.now;
        let mut best: Option<(f64, u64, Priority, Arc<str>)> = None;
        for (owner, flow) in &self.flows {
            let Some((priority, seq)) = flow.head() else { continue };
            let start = flow.finish.max(now);
            // Owners in a tie are served in the order in which they asked.
            if best.as_ref().is_none_or(|(s, n, ..)| start < *s || (start == *s && seq < *n)) {
                best = Some((start, seq, priority, Arc::clone(owner)));
            }
        }
        let (start, _, priority, owner) = best?;
        let flow = self.flows.get_mut(&owner)?;
        let waiting = flow.queues[priority as usize].pop_front()?;
        let seconds = flow.typical;
        flow.finish = start + seconds / priority.weight();
        flow.running += 1;
        self.now = start;
        Some((waiting.item, Charge { turn: Turn { owner, priority }, seconds }))
    }

    /// Puts right what an owner was charged, once it is known what the job took. Owners without
    /// jobs are forgotten when they owe nothing.
    pub fn finish(&mut self, charge: &Charge, took: f64) {
        if let Some(flow) = self.flows.get_mut(&charge.turn.owner) {
            flow.running = flow.running.saturating_sub(1);
            flow.finish += (took - charge.seconds) / charge.turn.priority.weight();
            flow.typical = 0.8 * flow.typical + 0.2 * took;
        }
        if self.flows.values().all(|f| f.empty() && f.running == 0) {
            // Nobody waits: a new round begins, and old debts with it.
            self.flows.clear();
            self.now = 0.0;
            return;
        }
        let now = self.now;
        self.flows.retain(|_, f| !f.empty() || f.running > 0 || f.finish > now);
    }

    /// Jobs waiting.
    #[must_use]
    pub fn len(&self) -> usize {
        self.flows.values().flat_map(|f| &f.queues).map(VecDeque::len).sum()
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.flows.values().all(Flow::empty)
    }

    /// Jobs that somebody waits for on a connection.
    #[must_use]
    pub fn held(&self) -> usize {
        self.flows.values().map(Flow::held).sum()
    }

    /// Every job that waits.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.flows.values().flat_map(|f| &f.queues).flatten().map(|w| &w.item)
    }

    /// Drops jobs.
    pub fn retain(&mut self, keep: impl Fn(&T) -> bool) {
        for queue in self.flows.values_mut().flat_map(|f| &mut f.queues) {
            queue.retain(|w| keep(&w.item));
        }
    }

    /// Drops all jobs.
    pub fn clear(&mut self) {
        self.flows.values_mut().flat_map(|f| &mut f.queues).for_each(VecDeque::clear);
    }

    /// Makes room for a job of `owner`, when all places are taken: the owner who holds the most of
    /// them gives up its last one, unless that leaves it with fewer than `owner` would have then.
    pub fn displace(&mut self, owner: &str) -> Option<T> {
        let own = self.flows.get(owner).map_or(0, Flow::held);
        let (_, longest) = self.flows.iter_mut().max_by_key(|(_, f)| f.held())?;
        if longest.held() <= own + 1 {
            return None;
        }
        let queue = longest.queues.iter_mut().find(|q| q.iter().any(|w| w.held))?;
        let last = queue.iter().rposition(|w| w.held)?;
        queue.remove(last).map(|w| w.item)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn(owner: &str, priority: Priority) -> Turn {
        Turn { owner: Arc::from(owner), priority }
    }

    /// Serves everything on one worker; each job takes what `took` says.
    fn served(queue: &mut FairQueue<&'static str>, took: impl Fn(&str) -> f64) -> Vec<&'static str> {
        let mut order = Vec::new();
        while let Some((item, charge)) = queue.pop() {
            queue.finish(&charge, took(item));
            order.push(item);
        }
        order
    }

    #[test]
    fn a_flood_does_not_hold_up_another_owner() {
        let mut queue = FairQueue::default();
        for _ in 0..100 {
            queue.push(&turn("flood", Priority::Normal), "flood", true, 1.0);
        }
        for item in ["b-1", "b-2"] {
            queue.push(&turn("b", Priority::Normal), item, true, 1.0);
        }
        let order = served(&mut queue, |_| 1.0);
        assert_eq!(order.len(), 102);
        assert_eq!(order[..4], ["flood", "b-1", "flood", "b-2"]);
        assert!(queue.is_empty() && queue.flows.is_empty(), "nobody is remembered for ever");
    }

    #[test]
    fn shares_are_of_time_and_not_of_jobs() {
        let mut queue = FairQueue::default();
        for _ in 0..100 {
            queue.push(&turn("long", Priority::Normal), "long", true, 1.0);
            queue.push(&turn("short", Priority::Normal), "short", true, 1.0);
        }
        let order = served(&mut queue, |item| if item == "long" { 10.0 } else { 1.0 });
        // Until the short ones are through, ten of them for each long one.
        let last = order.iter().rposition(|i| *i == "short").expect("served");
        let long = order[..last].iter().filter(|i| **i == "long").count();
        assert!((9..=12).contains(&long), "{long} long ones among the first {last}");
    }

    #[test]
    fn priorities_are_strict_within_an_owner_and_shares_between_owners() {
        let mut queue = FairQueue::default();
        for (item, priority) in
            [("low", Priority::Low), ("normal", Priority::Normal), ("urgent", Priority::Urgent)]
        {
            queue.push(&turn("a", priority), item, true, 1.0);
        }
        assert_eq!(served(&mut queue, |_| 1.0), ["urgent", "normal", "low"]);
        for _ in 0..80 {
            queue.push(&turn("high", Priority::High), "high", true, 1.0);
            queue.push(&turn("normal", Priority::Normal), "normal", true, 1.0);
        }
        let order = served(&mut queue, |_| 1.0);
        let high = order[..50].iter().filter(|i| **i == "high").count();
        assert_eq!(high, 40, "four turns of five");
    }

    #[test]
    fn who_was_away_does_not_catch_up() {
        let mut queue = FairQueue::default();
        for _ in 0..40 {
            queue.push(&turn("a", Priority::Normal), "a", true, 1.0);
        }
        for _ in 0..20 {
            let (_, charge) = queue.pop().expect("waiting");
            queue.finish(&charge, 1.0);
        }
        for _ in 0..10 {
            queue.push(&turn("b", Priority::Normal), "b", true, 1.0);
        }
        let order = served(&mut queue, |_| 1.0);
        let b = order[..10].iter().filter(|i| **i == "b").count();
        assert!((4..=6).contains(&b), "half of the turns, not all: {order:?}");
    }

    #[test]
    fn the_longest_queue_makes_room() {
        let mut queue = FairQueue::default();
        for item in ["a-1", "a-2", "a-3"] {
            queue.push(&turn("a", Priority::Normal), item, true, 1.0);
        }
        queue.push(&turn("a", Priority::Low), "a-low", true, 1.0);
        queue.push(&turn("a", Priority::Low), "a-patient", false, 1.0);
        assert_eq!(queue.held(), 4);
        assert_eq!(queue.displace("b"), Some("a-low"), "its least urgent, latest one");
        queue.push(&turn("b", Priority::Normal), "b-1", true, 1.0);
        assert_eq!(queue.displace("b"), Some("a-3"));
        queue.push(&turn("b", Priority::Normal), "b-2", true, 1.0);
        assert_eq!(queue.displace("b"), None, "two against two");
        assert_eq!(queue.displace("a"), None, "nobody holds more than oneself");
    }
}
