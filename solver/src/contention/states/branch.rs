//! What a node of the tree has decided.

use super::layout::{Item, Layout, Means};
use super::state::State;
use ecomap_instances::ids::OptionIx;
use std::collections::BTreeSet;

/// One decision about who runs where.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Rule {
    /// The tenant runs on boards of the kind, or on none of them.
    Kind { tenant: usize, kind: usize, inside: bool },
    /// The tenant takes the option, or does not.
    Item { tenant: usize, option: OptionIx, inside: bool },
    /// The tenant takes a tier up to this one of its list, or one beyond, or is shed.
    Tier { tenant: usize, most: usize, inside: bool },
    /// On boards of the kind two tenants share a board, or never do.
    Pair { kind: usize, tenants: (usize, usize), together: bool },
}

/// All decisions of a node.
#[derive(Debug, Clone, Default)]
pub(super) struct Branch {
    /// Bounds of fixed columns.
    pub(super) bounds: Vec<(usize, f64, f64)>,
    pub(super) rules: Vec<Rule>,
    /// Configurations that are not taken.
    pub(super) shut: BTreeSet<usize>,
}

impl Branch {
    /// Bounds of a fixed column.
    pub(super) fn range(&self, layout: &Layout<'_>, column: usize) -> (f64, f64) {
        let fixed = &layout.fixed[column];
        let own = self.bounds.iter().filter(|(n, _, _)| *n == column);
        let (low, high) =
            own.fold((fixed.low, fixed.high), |(low, high), (_, l, h)| (low.max(*l), high.min(*h)));
        // A tenant with a place to be is not shed and takes no option without a board.
        let placed = |tenant: usize| {
            self.rules.iter().any(|rule| match rule {
                Rule::Kind { tenant: t, inside: true, .. } => *t == tenant,
                Rule::Item { tenant: t, inside: true, .. } => *t == tenant,
                _ => false,
            })
        };
        match fixed.means {
            Means::Shed(tenant) if placed(tenant) => (0.0, 0.0),
            Means::Alone(tenant, _) if placed(tenant.at()) => (0.0, 0.0),
            Means::Config(config) if self.shut.contains(&config) => (0.0, 0.0),
            _ => (low, high),
        }
    }

    /// Whether a slot's configuration may be taken.
    pub(super) fn open(&self, layout: &Layout<'_>, slot: usize) -> bool {
        layout.slots[slot].config.is_none_or(|config| !self.shut.contains(&config))
    }

    /// Whether an item may stand on a board of a kind.
    pub(super) fn admits(&self, kind: usize, item: &Item) -> bool {
        let tenant = item.tenant;
        self.rules.iter().all(|rule| match *rule {
            Rule::Kind { tenant: t, kind: k, inside } => t != tenant || (k == kind) == inside,
            Rule::Item { tenant: t, option: o, inside } => t != tenant || (o == item.option) == inside,
            Rule::Tier { tenant: t, most, inside } => t != tenant || (item.tier <= most) == inside,
            Rule::Pair { .. } => true,
        })
    }

    /// Whether two tenants may stand on one board of a kind.
    pub(super) fn admits_pair(&self, kind: usize, a: usize, b: usize) -> bool {
        !self.rules.iter().any(|rule| match *rule {
            Rule::Pair { kind: k, tenants, together: false } => {
                k == kind && (tenants == (a, b) || tenants == (b, a))
            }
            _ => false,
        })
    }

    /// Whether nobody that must be together stands alone on a board of a kind.
    pub(super) fn complete(&self, kind: usize, has: impl Fn(usize) -> bool) -> bool {
        self.rules.iter().all(|rule| match *rule {
            Rule::Pair { kind: k, tenants: (a, b), together: true } => k != kind || has(a) == has(b),
            _ => true,
        })
    }

    /// Whether a board state keeps the decisions.
    pub(super) fn keeps(&self, layout: &Layout<'_>, state: &State) -> bool {
        let slot = &layout.slots[state.slot];
        if !self.open(layout, state.slot) {
            return false;
        }
        if self.rules.is_empty() {
            return true;
        }
        let items: Vec<_> = state.items.iter().map(|n| &slot.items[*n as usize]).collect();
        items.iter().all(|i| self.admits(slot.kind, i))
            && items
                .iter()
                .enumerate()
                .all(|(n, a)| items[..n].iter().all(|b| self.admits_pair(slot.kind, a.tenant, b.tenant)))
            && self.complete(slot.kind, |tenant| items.iter().any(|i| i.tenant == tenant))
    }
}
