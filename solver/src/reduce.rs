//! Reduction before solving: options that no plan can take, or that no optimal plan needs.

use crate::pricing::Costs;
use ecomap_instances::Instance;
use ecomap_instances::format::result_v1::ReductionDto;
use ecomap_instances::ids::OptionIx;
use ecomap_instances::instance::{Choice, Host, InstanceTenant};
use ecomap_instances::plan::Assignment;
use std::collections::BTreeMap;

/// Slack allowed to a capacity before an option counts as too large; the checker's tolerance.
const SLACK: f64 = 1e-9;

/// Options left, and what became of the others.
#[derive(Debug, Clone)]
pub struct Reduced {
    /// Per tenant, the options kept, ascending.
    pub kept: Vec<Vec<OptionIx>>,
    /// Counts by reason.
    pub report: ReductionDto,
}

/// Drops inadmissible options (rows 7, 8a, 10a, and those that alone break a capacity), then
/// options dominated by another of the same tenant under every objective in `levels`. The picks of
/// `keep`, a plan to start from, are not dropped for being dominated.
#[must_use]
pub fn reduce(instance: &Instance, levels: &[Costs], keep: Option<&Assignment>) -> Reduced {
    reduce_by(instance, levels, keep, true)
}

/// Drops inadmissible options only. Dominance compares what the rows see; a joint predictor sees
/// more, and may refuse an option beside co-runners with which it accepts a dominated one.
#[must_use]
pub(crate) fn admissible(instance: &Instance) -> Reduced {
    reduce_by(instance, &[], None, false)
}

fn reduce_by(
    instance: &Instance,
    levels: &[Costs],
    keep: Option<&Assignment>,
    by_dominance: bool,
) -> Reduced {
    let roomy = roomy_classes(instance);
    let mut dropped: BTreeMap<&'static str, u64> = BTreeMap::new();
    let mut kept = Vec::with_capacity(instance.tenants.len());
    for (i, tenant) in instance.tenants.iter().enumerate() {
        let wanted = keep.and_then(|plan| plan.picks.get(i).copied().flatten()).map(|pick| pick.option);
        let mut admissible = Vec::new();
        for (o, choice) in tenant.options.iter().enumerate() {
            match inadmissible(instance, tenant, choice) {
                Some(reason) => *dropped.entry(reason).or_default() += 1,
                None => admissible.push(OptionIx::new(o)),
            }
        }
        let before = admissible.len();
        let left = if by_dominance {
            undominated(instance, levels, tenant, admissible, wanted, &roomy)
        } else {
            admissible
        };
        if before > left.len() {
            *dropped.entry("dominated").or_default() += (before - left.len()) as u64;
        }
        kept.push(left);
    }
    let count: usize = kept.iter().map(Vec::len).sum();
    let report = ReductionDto {
        options: instance.option_count() as u64,
        kept: count as u64,
        dropped: dropped.into_iter().map(|(k, v)| (k.to_owned(), v)).collect(),
    };
    Reduced { kept, report }
}

/// Why no plan can take `choice`, if so.
fn inadmissible(instance: &Instance, tenant: &InstanceTenant, choice: &Choice) -> Option<&'static str> {
    let over = |value: f64, limit: f64| value > limit + SLACK * limit.abs().max(1.0);
    if choice.uses.iter().any(|(row, amount)| over(*amount, instance.capacities[row.at()].capacity)) {
        return Some("capacity");
    }
    let host = choice.host.as_ref()?;
    if instance.devices_for(tenant, choice).next().is_none() {
        return Some("pinning");
    }
    if let Some(slo) = tenant.slo {
        let limit = slo.latency.get();
        if slo.soft_price.is_none() && over(host.latency.at(slo.quantile).get(), limit) {
            return Some("slo");
        }
    }
    if tenant.accuracy_floor.is_some_and(|floor| tenant.tiers[host.tier].accuracy < floor - SLACK) {
        return Some("floor");
    }
    let class = &instance.classes[host.class.at()];
    let mode = &class.modes[host.mode.at()];
    let weights: f64 = host.weights.iter().map(|w| instance.weights[w.at()].bytes.get()).sum();
    let site = &instance.sites[class.site.at()];
    let too_large = host.load.iter().any(|(u, load)| over(*load, mode.load_cap[u.at()]))
        || over(host.memory.get() + weights, class.memory.get())
        || over(host.bandwidth.get(), mode.bandwidth.get())
        || over((mode.idle + host.dynamic).get(), mode.budget.get())
        || site.cap.is_some_and(|cap| over((mode.idle + host.dynamic).get(), cap.get()));
    too_large.then_some("capacity")
}

/// Classes whose memory could hold every tenant's largest option and every weight set at once, so
/// that row 4 never binds there.
#[must_use]
pub fn roomy_classes(instance: &Instance) -> Vec<bool> {
    let count = instance.classes.len();
    let mut own = vec![0.0; count];
    let mut sets = vec![std::collections::BTreeSet::new(); count];
    for tenant in &instance.tenants {
        let mut largest: BTreeMap<usize, f64> = BTreeMap::new();
        for host in tenant.options.iter().filter_map(|o| o.host.as_ref()) {
            let class = host.class.at();
            let slot = largest.entry(class).or_default();
            *slot = slot.max(host.memory.get());
            sets[class].extend(host.weights.iter().copied());
        }
        for (class, bytes) in largest {
            own[class] += bytes;
        }
    }
    (0..count)
        .map(|c| {
            let weights: f64 = sets[c].iter().map(|w| instance.weights[w.at()].bytes.get()).sum();
            own[c] + weights <= instance.classes[c].memory.get()
        })
        .collect()
}

/// An option with what dominance compares.
struct Candidate<'a> {
    option: OptionIx,
    choice: &'a Choice,
    costs: Vec<f64>,
    protected: bool,
}

fn undominated(
    instance: &Instance,
    levels: &[Costs],
    tenant: &InstanceTenant,
    options: Vec<OptionIx>,
    wanted: Option<OptionIx>,
    roomy: &[bool],
) -> Vec<OptionIx> {
    let mut groups: BTreeMap<Option<(usize, usize)>, Vec<Candidate<'_>>> = BTreeMap::new();
    for option in options {
        let choice = &tenant.options[option.at()];
        let key = choice.host.as_ref().map(|h| (h.class.at(), h.mode.at()));
        let costs = levels.iter().map(|c| c.option(instance, tenant, choice)).collect();
        // A running choice saves its switching price, or a move: never drop it for a look-alike.
        let counts = tenant.switch_price > 0.0 || !instance.stability.is_free();
        let protected = wanted == Some(option)
            || tenant.running.as_ref().is_some_and(|r| {
                counts
                    && choice.host.as_ref().is_some_and(|h| {
                        h.tier == r.tier && r.segments.as_ref().is_none_or(|s| *s == h.segments)
                    })
            });
        groups.entry(key).or_default().push(Candidate { option, choice, costs, protected });
    }
    let mut kept = Vec::new();
    for (key, mut group) in groups {
        let memory_matters = key.is_none_or(|(class, _)| !roomy[class]);
        group.sort_by(|a, b| compare_costs(&a.costs, &b.costs).then(a.option.cmp(&b.option)));
        let mut front: Vec<Candidate<'_>> = Vec::new();
        for candidate in group {
            let beaten = !candidate.protected
                && front.iter().any(|f| dominates(instance, tenant, f, &candidate, memory_matters));
            if !beaten {
                front.push(candidate);
            }
        }
        kept.extend(front.into_iter().map(|c| c.option));
    }
    kept.sort_unstable();
    kept
}

fn compare_costs(a: &[f64], b: &[f64]) -> std::cmp::Ordering {
    a.iter().zip(b).map(|(x, y)| x.total_cmp(y)).find(|o| o.is_ne()).unwrap_or(std::cmp::Ordering::Equal)
}

/// Whether `a` costs no more than `b` at every level and uses no more of anything, so that `b` can
/// be replaced by `a` on the same device and mode in any plan.
fn dominates(
    instance: &Instance,
    tenant: &InstanceTenant,
    a: &Candidate<'_>,
    b: &Candidate<'_>,
    memory_matters: bool,
) -> bool {
    if a.costs.iter().zip(&b.costs).any(|(x, y)| x > y) || !at_most(&a.choice.uses, &b.choice.uses) {
        return false;
    }
    match (&a.choice.host, &b.choice.host) {
        (None, None) => true,
        (Some(x), Some(y)) => {
            let accurate = instance.fleet_accuracy_floor.is_none()
                || tenant.tiers[x.tier].accuracy >= tenant.tiers[y.tier].accuracy;
            accurate
                && x.dynamic <= y.dynamic
                && x.bandwidth <= y.bandwidth
                && at_most(&x.load, &y.load)
                && (!memory_matters || fits_memory(x, y))
        }
        _ => false,
    }
}

fn fits_memory(x: &Host, y: &Host) -> bool {
    x.memory <= y.memory && x.weights.iter().all(|w| y.weights.contains(w))
}

/// Whether sparse vector `a` ≤ `b` everywhere; both ascending by index.
fn at_most<I: Ord + Copy>(a: &[(I, f64)], b: &[(I, f64)]) -> bool {
    let mut rest = b.iter();
    a.iter()
        .filter(|(_, x)| *x > 0.0)
        .all(|(i, x)| rest.by_ref().find(|(j, _)| j >= i).is_some_and(|(j, y)| j == i && x <= y))
}
