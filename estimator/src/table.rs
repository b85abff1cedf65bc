//! Cost tables: everything that placements of one tier on one profile in one mode need, once.
//!
//! Prefix sums over the block chain give the cost of a segment in O(1), of a placement in
//! O(segments). Nothing here depends on request rates, so one table serves all tenants.

pub use crate::cost::{MAX_SEGMENTS, PlacementCost, Precisions, SegmentCost};
use crate::parameters::Parameters;
use crate::roofline::{BlockCost, Roof};
use ecomap_instances::family::{Family, OpKind, Tier};
use ecomap_instances::ids::ModeIx;
use ecomap_instances::profile::{Mode, ModeUnit, Precision, Profile, Unit, UnitKind};
use ecomap_instances::scenario::Segment;
use ecomap_instances::units::{Bytes, Joules, Millis};
use std::sync::Arc;

/// Why a block cannot run on a unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The mode switches the unit off.
    UnitOff,
    /// No parameters or no peak for the unit's precision.
    NoModel,
    /// The unit lacks an operator class of this block.
    Operator {
        /// Block, position in the tier.
        block: usize,
        /// Missing class.
        kind: OpKind,
    },
}

/// One unit's part of a table.
#[derive(Debug, Clone)]
struct UnitTable {
    kind: UnitKind,
    precision: Precision,
    launch: Millis,
    /// Energy over idle of one launch.
    launching: Joules,
    /// Energy over idle of handing on for one millisecond, and of each byte handed on.
    sending: (Joules, Joules),
    context: Bytes,
    /// Sums over blocks before each position.
    prefix: Vec<BlockCost>,
    /// First block at or after each position that the unit cannot run, else the chain's length.
    blocked_at: Vec<usize>,
    missing: Vec<Option<OpKind>>,
}

/// The costs of one (tier, profile, mode).
#[derive(Debug, Clone)]
pub struct CostTable {
    profile: Arc<Profile>,
    mode: ModeIx,
    family: Arc<Family>,
    tier: usize,
    units: Vec<Result<UnitTable, Refusal>>,
    /// fp32 bytes of the tensor before each position, the last one leaving the chain.
    edges: Vec<Bytes>,
    /// Largest block's in- and outgoing tensors over each range, `[from][to - from - 1]`.
    live: Vec<Vec<Bytes>>,
}

impl CostTable {
    /// Builds the table of `family`'s tier number `tier` on `profile` in `mode`.
    ///
    /// Positions outside the family or profile give a table on which nothing can run.
    #[must_use]
    pub fn new(
        parameters: &Parameters,
        profile: &Arc<Profile>,
        mode: ModeIx,
        family: &Arc<Family>,
        tier: usize,
    ) -> Self {
        let mut table = Self {
            profile: profile.clone(),
            mode,
            family: family.clone(),
            tier,
            units: vec![Err(Refusal::NoModel); profile.units.len()],
            edges: Vec::new(),
            live: Vec::new(),
        };
        let (Some(setting), Some(model)) = (profile.modes.get(mode.at()), family.tiers.get(tier)) else {
            return table;
        };
        table.units = profile
            .units
            .iter()
            .zip(setting.units.iter().copied().chain(std::iter::repeat(None)))
            .map(|(unit, on)| {
                on.map_or(Err(Refusal::UnitOff), |on| {
                    unit_table(parameters, profile, setting, unit, on, model)
                })
            })
            .collect();
        table.edges = model.blocks.iter().map(|b| b.input).collect();
        table.edges.extend(model.blocks.last().map(|b| b.output));
        table.live = (0..model.blocks.len())
            .map(|from| {
                let mut most = Bytes::ZERO;
                let mut row = Vec::with_capacity(model.blocks.len() - from);
                for b in &model.blocks[from..] {
                    most = most.max(b.input + b.output);
                    row.push(most);
                }
                row
            })
            .collect();
        table
    }

    /// The board type.
    #[must_use]
    pub fn profile(&self) -> &Arc<Profile> {
        &self.profile
    }

    /// The mode, position in the profile.
    #[must_use]
    pub fn mode(&self) -> ModeIx {
        self.mode
    }

    /// The model family.
    #[must_use]
    pub fn family(&self) -> &Arc<Family> {
        &self.family
    }

    /// The tier, position in the family.
    #[must_use]
    pub fn tier(&self) -> usize {
        self.tier
    }

    /// Blocks of the tier.
    #[must_use]
    pub fn blocks(&self) -> usize {
        self.live.len()
    }

    /// Units of the profile.
    #[must_use]
    pub fn unit_count(&self) -> usize {
        self.units.len()
    }

    /// Kind of a unit that can run something here.
    #[must_use]
    pub fn unit_kind(&self, unit: usize) -> Option<UnitKind> {
        self.units.get(unit).and_then(|u| u.as_ref().ok()).map(|u| u.kind)
    }

    /// Units that are on and modelled.
    pub fn units_on(&self) -> impl Iterator<Item = (usize, UnitKind)> + '_ {
        self.units.iter().enumerate().filter_map(|(n, u)| u.as_ref().ok().map(|u| (n, u.kind)))
    }

    /// Whether two units cost the same for every segment, so that a placement may swap them.
    #[must_use]
    pub fn interchangeable(&self, a: usize, b: usize) -> bool {
        let (Some(Ok(x)), Some(Ok(y))) = (self.units.get(a), self.units.get(b)) else {
            return false;
        };
        x.kind == y.kind
            && x.precision == y.precision
            && x.launching == y.launching
            && x.sending == y.sending
            && x.launch == y.launch
            && x.context == y.context
            && x.blocked_at == y.blocked_at
            && x.prefix == y.prefix
    }

    /// Why `unit` cannot run the blocks `from..to`; `None` when it can.
    #[must_use]
    pub fn refusal(&self, from: usize, to: usize, unit: usize) -> Option<Refusal> {
        match self.units.get(unit) {
            None => Some(Refusal::NoModel),
            Some(Err(refusal)) => Some(refusal.clone()),
            Some(Ok(u)) => {
                let block = u.blocked_at.get(from).copied()?;
                let kind = u.missing.get(block).copied().flatten()?;
                (block < to).then_some(Refusal::Operator { block, kind })
            }
        }
    }

    /// Whether `unit` can run the blocks `from..to`.
    #[must_use]
    pub fn runs(&self, from: usize, to: usize, unit: usize) -> bool {
        from < to
            && to <= self.blocks()
            && matches!(self.units.get(unit), Some(Ok(u)) if u.blocked_at.get(from).is_some_and(|b| *b >= to))
    }

    /// Cost of the blocks `from..to` on `unit`; `None` when it cannot run them.
    #[must_use]
    pub fn segment(&self, from: usize, to: usize, unit: usize) -> Option<SegmentCost> {
        if !self.runs(from, to, unit) {
            return None;
        }
        let u = self.units.get(unit)?.as_ref().ok()?;
        let (before, after) = (u.prefix.get(from)?, u.prefix.get(to)?);
        let service = after.time - before.time + u.launch;
        let live = *self.live.get(from)?.get(to - from - 1)?;
        Some(SegmentCost {
            service,
            memory_bound: (after.memory_bound - before.memory_bound).max(Millis::ZERO),
            overhead: (after.overhead - before.overhead).max(Millis::ZERO) + u.launch,
            traffic: after.traffic - before.traffic,
            energy: (after.energy - before.energy).max(Joules::ZERO) + u.launching,
            memory: u.precision.resize(live) + u.context,
        })
    }

    /// Time to hand the tensor before block `at` from unit `from` to another unit.
    #[must_use]
    pub fn transfer(&self, at: usize, from: usize) -> Option<Millis> {
        let u = self.units.get(from)?.as_ref().ok()?;
        let bytes = u.precision.resize(*self.edges.get(at)?);
        Some(self.profile.transfer.latency + bytes / self.profile.transfer.bandwidth)
    }

    /// Cost of a placement: contiguous segments that cover the chain; `None` when it is not legal
    /// here. O(segments).
    #[must_use]
    pub fn placement(&self, segments: &[Segment]) -> Option<PlacementCost> {
        if segments.is_empty() || segments.len() > MAX_SEGMENTS {
            return None;
        }
        let mut cost = PlacementCost {
            base: Millis::ZERO,
            transfer: Millis::ZERO,
            service: [(0, Millis::ZERO); MAX_SEGMENTS],
            memory_bound: [Millis::ZERO; MAX_SEGMENTS],
            used: 0,
            energy: Joules::ZERO,
            memory: Bytes::ZERO,
            traffic: Bytes::ZERO,
            precisions: Precisions::default(),
        };
        let mut at = 0;
        let mut last: Option<usize> = None;
        for segment in segments {
            if segment.from != at || last == Some(segment.unit) {
                return None;
            }
            let part = self.segment(segment.from, segment.to, segment.unit)?;
            let u = self.units.get(segment.unit)?.as_ref().ok()?;
            if let Some(sender) = last {
                let sent = self.units.get(sender)?.as_ref().ok()?;
                let time = self.transfer(at, sender)?;
                cost.transfer += time;
                // A double buffer at the cut, so that both sides may work at once; the hand-over
                // reads and writes the tensor once.
                let tensor = sent.precision.resize(*self.edges.get(at)?);
                cost.energy += sent.sending.0 * time.get() + sent.sending.1 * tensor.get();
                cost.memory += tensor * 2.0;
                cost.traffic += tensor * 2.0;
            }
            cost.base += part.service;
            cost.energy += part.energy;
            cost.memory += part.memory;
            cost.traffic += part.traffic;
            cost.precisions = cost.precisions.with(u.precision);
            cost.charge(segment.unit, part.service, part.memory_bound);
            at = segment.to;
            last = Some(segment.unit);
        }
        cost.base += cost.transfer;
        (at == self.blocks()).then_some(cost)
    }

    /// Time and energy of launching one segment on `unit`.
    #[must_use]
    pub fn launch(&self, unit: usize) -> Option<(Millis, Joules)> {
        self.units.get(unit)?.as_ref().ok().map(|u| (u.launch, u.launching))
    }

    /// Time and energy of handing the tensor before block `at` from unit `from` to another unit.
    #[must_use]
    pub fn handover(&self, at: usize, from: usize) -> Option<(Millis, Joules)> {
        let u = self.units.get(from)?.as_ref().ok()?;
        let time = self.transfer(at, from)?;
        let tensor = u.precision.resize(*self.edges.get(at)?);
        Some((time, u.sending.0 * time.get() + u.sending.1 * tensor.get()))
    }

    /// fp32 weights of the whole tier in `precision`.
    #[must_use]
    pub fn weights(&self, precision: Precision) -> Bytes {
        self.family.tiers.get(self.tier).map_or(Bytes::ZERO, |t| precision.resize(t.weights()))
    }
}

fn unit_table(
    parameters: &Parameters,
    profile: &Profile,
    mode: &Mode,
    unit: &Unit,
    on: ModeUnit,
    tier: &Tier,
) -> Result<UnitTable, Refusal> {
    let roof = Roof::new(parameters, profile, unit, mode, on).ok_or(Refusal::NoModel)?;
    let launch = unit.fixed_overhead;
    let context = parameters.unit(profile, unit.kind).map_or(0.0, |p| p.context_bytes);
    let missing: Vec<Option<OpKind>> = tier
        .blocks
        .iter()
        .map(|b| b.ops.iter().map(|o| o.kind).find(|kind| !unit.ops.contains(kind)))
        .collect();
    let mut blocked_at = vec![missing.len(); missing.len() + 1];
    for b in (0..missing.len()).rev() {
        blocked_at[b] = if missing[b].is_some() { b } else { blocked_at[b + 1] };
    }
    let mut prefix = Vec::with_capacity(tier.blocks.len() + 1);
    let mut sum = BlockCost::default();
    prefix.push(sum);
    for (n, block) in tier.blocks.iter().enumerate() {
        if n == 0 {
            sum += roof.intake(block.input);
        }
        sum += roof.block(block);
        prefix.push(sum);
    }
    Ok(UnitTable {
        kind: unit.kind,
        precision: unit.precision,
        launch,
        launching: roof.starting(launch),
        sending: (roof.sending(Millis::new(1.0), Bytes::ZERO), roof.sending(Millis::ZERO, Bytes::new(1.0))),
        context: Bytes::new(context),
        prefix,
        blocked_at,
        missing,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{block, family, flat_parameters, toy_profile};
    use ecomap_instances::family::OpWork;
    use ecomap_instances::units::Ops;

    fn segments(list: &[(usize, usize, usize)]) -> Vec<Segment> {
        list.iter().map(|&(from, to, unit)| Segment { from, to, unit }).collect()
    }

    fn table(mode: usize) -> CostTable {
        let blocks = vec![block(1e9, 4e6), block(2e9, 4e6), block(1e9, 32e6)];
        CostTable::new(&flat_parameters(0.5, 0.5, 0.0), &toy_profile(), ModeIx::new(mode), &family(blocks), 0)
    }

    #[test]
    fn a_split_placement_by_hand() {
        // gpu: 2 + 4 ms, launch 0.1. Hand-over of 0.4 MB fp32 as fp16: 0.05 + 0.2 MB / 10 GB/s =
        // 0.07 ms. dla0: max(1 Gop / 0.125 Top/s = 8 ms, 16 MB / 4 GB/s = 4 ms), launch 0.1.
        let cost = table(0).placement(&segments(&[(0, 2, 0), (2, 3, 1)])).unwrap();
        assert!((cost.base.get() - (6.1 + 0.07 + 8.1)).abs() < 1e-9);
        assert!((cost.transfer.get() - 0.07).abs() < 1e-12);
        let service: Vec<_> = cost.services().collect();
        assert_eq!(service.len(), 2);
        assert!((service[0].1.get() - 6.1).abs() < 1e-9 && (service[1].1.get() - 8.1).abs() < 1e-9);
        // 20 W × 6.1 ms + 20 W × 0.07 ms + 3 W × 8.1 ms.
        assert!((cost.energy.get() - (0.122 + 0.0014 + 0.0243)).abs() < 1e-9);
        // Live tensors 0.8 MB fp32 as fp16 on each side, a double buffer of 0.2 MB.
        assert!((cost.memory.get() - (4e5 + 4e5 + 4e5)).abs() < 1e-6);
        assert!((cost.traffic.get() - (2e6 + 2e6 + 16e6 + 4e5)).abs() < 1e-6);
    }

    #[test]
    fn a_unit_used_twice_is_charged_once() {
        let cost = table(0).placement(&segments(&[(0, 1, 0), (1, 2, 3), (2, 3, 0)])).unwrap();
        let service: Vec<_> = cost.services().collect();
        assert_eq!(service.iter().map(|s| s.0).collect::<Vec<_>>(), vec![0, 3]);
        // gpu: 2 ms and max(2, 4) ms, two launches.
        assert!((service[0].1.get() - 6.2).abs() < 1e-9);
        assert_eq!(cost.precisions.iter().collect::<Vec<_>>(), vec![Precision::Fp32, Precision::Fp16]);
    }

    #[test]
    fn illegal_placements_have_no_cost() {
        let t = table(0);
        for bad in [
            vec![],
            vec![(0, 2, 0)],
            vec![(0, 2, 0), (1, 3, 1)],
            vec![(0, 1, 0), (1, 3, 0)],
            vec![(0, 3, 9)],
            vec![(0, 4, 0)],
        ] {
            assert_eq!(t.placement(&segments(&bad)), None, "{bad:?}");
        }
        // dla1 is off in the other mode.
        assert_eq!(table(1).refusal(0, 3, 2), Some(Refusal::UnitOff));
        assert_eq!(table(1).placement(&segments(&[(0, 3, 2)])), None);
    }

    #[test]
    fn a_missing_operator_refuses_its_block_and_says_which() {
        let mut odd = block(1e9, 4e6);
        odd.ops.push(OpWork { kind: OpKind::Gelu, count: 1, flops: Ops::new(1.0), traffic: Bytes::new(4.0) });
        let t = CostTable::new(
            &flat_parameters(0.5, 0.5, 0.0),
            &toy_profile(),
            ModeIx::new(0),
            &family(vec![block(1e9, 4e6), odd, block(1e9, 4e6)]),
            0,
        );
        assert_eq!(t.refusal(0, 3, 1), Some(Refusal::Operator { block: 1, kind: OpKind::Gelu }));
        assert_eq!(t.refusal(0, 1, 1), None);
        assert!(t.runs(0, 1, 1) && t.runs(2, 3, 1) && !t.runs(1, 2, 1) && !t.runs(0, 3, 1));
    }

    #[test]
    fn faster_clock_is_never_slower() {
        let (full, half) = (table(0), table(1));
        for unit in [0, 1, 3] {
            for (from, to) in [(0, 1), (0, 3), (1, 3)] {
                let (a, b) = (full.segment(from, to, unit).unwrap(), half.segment(from, to, unit).unwrap());
                assert!(a.service <= b.service);
            }
        }
    }

    #[test]
    fn every_cut_adds_a_transfer() {
        let t = table(0);
        let one = t.placement(&segments(&[(0, 3, 1)])).unwrap();
        let two = t.placement(&segments(&[(0, 1, 1), (1, 3, 2)])).unwrap();
        let three = t.placement(&segments(&[(0, 1, 1), (1, 2, 2), (2, 3, 1)])).unwrap();
        assert!((two.transfer.get() - 0.07).abs() < 1e-12 && (three.transfer.get() - 0.14).abs() < 1e-12);
        // Same kind of unit, so only transfers and launches differ.
        assert!((two.base.get() - one.base.get() - 0.17).abs() < 1e-9);
        assert!((three.base.get() - one.base.get() - 0.34).abs() < 1e-9);
    }
}
