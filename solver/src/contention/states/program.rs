//! The master program over the states found so far: its linear relaxation, its integer version, and
//! the Lagrangian bound of multipliers.

use super::branch::Branch;
use super::layout::{Layout, Means, number};
use super::state::{State, reduced};
use crate::error::SolverError;
use crate::highs::{Outcome, Settings, solve_lp, solve_mip};
use ::highs::{ColProblem, Model, Row, Sense};
use ecomap_instances::plan::{Assignment, Pick};
use std::collections::BTreeMap;

fn refused(call: &'static str) -> impl Fn(::highs::HighsStatus) -> SolverError {
    move |status| SolverError::Highs { call, status: status as i32 }
}

/// The linear program of a node.
pub(super) struct Program {
    model: Option<Model>,
    rows: Vec<Row>,
    /// Positions of the states in the pool.
    pub(super) inside: Vec<usize>,
    first: bool,
}

/// Its optimum.
pub(super) struct Optimum {
    /// One for each row; at most 0 for ≤ rows.
    pub(super) duals: Vec<f64>,
    /// Fixed columns, then the states inside.
    pub(super) values: Vec<f64>,
}

impl Program {
    /// The program over states of `pool`.
    pub(super) fn new(
        layout: &Layout<'_>,
        branch: &Branch,
        pool: &[State],
        inside: Vec<usize>,
    ) -> Result<Self, SolverError> {
        let (problem, rows) = problem(layout, branch, inside.iter().map(|n| &pool[*n]), false);
        let model = problem.try_optimise(Sense::Minimise).map_err(refused("Highs_passLp"))?;
        Ok(Self { model: Some(model), rows, inside, first: true })
    }

    /// Adds a state of the pool.
    pub(super) fn add(&mut self, at: usize, state: &State) -> Result<(), SolverError> {
        let Some(model) = &mut self.model else { return Ok(()) };
        let rows = state.rows.iter().map(|(r, a)| (self.rows[*r], *a));
        model.try_add_column(state.cost, 0.0.., rows).map_err(refused("Highs_addCol"))?;
        self.inside.push(at);
        Ok(())
    }

    /// Adds a row of the layout: its states sum to at most `most`.
    pub(super) fn cut(
        &mut self,
        layout: &Layout<'_>,
        row: usize,
        most: f64,
        pool: &[State],
    ) -> Result<(), SolverError> {
        let Some(model) = &mut self.model else { return Ok(()) };
        self.rows.push(model.try_add_row(..=most, []).map_err(refused("Highs_addRow"))?);
        let fixed = layout.fixed.len();
        for (column, own) in layout.fixed.iter().enumerate() {
            if let Some((_, amount)) = own.rows.iter().find(|(r, _)| *r == row) {
                crate::highs::set_coefficient(model, row, column, *amount)?;
            }
        }
        for (column, n) in self.inside.iter().enumerate() {
            if let Some((_, amount)) = pool[*n].rows.iter().find(|(r, _)| *r == row) {
                crate::highs::set_coefficient(model, row, fixed + column, *amount)?;
            }
        }
        Ok(())
    }

    /// Changes the bounds of a column: fixed ones first, then the states inside.
    pub(super) fn limit(&mut self, column: usize, low: f64, high: f64) -> Result<(), SolverError> {
        let Some(model) = &mut self.model else { return Ok(()) };
        crate::highs::set_bounds(model, column, low, high)
    }

    /// Solves it; `None` when a limit ended that.
    pub(super) fn solve(
        &mut self,
        layout: &Layout<'_>,
        settings: &Settings,
    ) -> Result<Option<Optimum>, SolverError> {
        let Some(model) = self.model.take() else { return Ok(None) };
        let Some(lp) = solve_lp(model, settings, self.first)? else { return Ok(None) };
        self.first = false;
        let values = lp.model.get_solution().columns().to_vec();
        self.model = Some(lp.model.into());
        let rows = lp.row_duals.iter().zip(&layout.rows).zip(&layout.most).enumerate();
        let duals = rows.map(|(r, ((dual, row), most))| {
            let low = if row.equal && r < layout.tenants() { f64::NEG_INFINITY } else { -most };
            dual.clamp(low, if row.equal { *most } else { 0.0 })
        });
        Ok(Some(Optimum { duals: duals.collect(), values }))
    }
}

fn problem<'s>(
    layout: &Layout<'_>,
    branch: &Branch,
    states: impl Iterator<Item = &'s State>,
    integer: bool,
) -> (ColProblem, Vec<Row>) {
    let mut problem = ColProblem::default();
    let rows: Vec<Row> = layout
        .rows
        .iter()
        .map(|row| if row.equal { problem.add_row(row.rhs..=row.rhs) } else { problem.add_row(..=row.rhs) })
        .collect();
    for (n, fixed) in layout.fixed.iter().enumerate() {
        let (low, high) = branch.range(layout, n);
        let list = fixed.rows.iter().map(|(r, a)| (rows[*r], *a));
        if integer && fixed.means != Means::Lack {
            problem.add_integer_column(fixed.cost, low..=high, list);
        } else {
            problem.add_column(fixed.cost, low..=high, list);
        }
    }
    for state in states {
        let list = state.rows.iter().map(|(r, a)| (rows[*r], *a));
        if integer {
            problem.add_integer_column(state.cost, 0.0.., list);
        } else {
            problem.add_column(state.cost, 0.0.., list);
        }
    }
    (problem, rows)
}

/// HiGHS on the integer program over some states. Values are fixed columns, then states.
pub(super) fn integer(
    layout: &Layout<'_>,
    branch: &Branch,
    states: &[&State],
    start: Option<&[f64]>,
    settings: &Settings,
) -> Result<Outcome, SolverError> {
    let (problem, _) = problem(layout, branch, states.iter().copied(), true);
    let mut model = problem.try_optimise(Sense::Minimise).map_err(refused("Highs_passMip"))?;
    crate::highs::set_offset(&mut model, layout.constant)?;
    solve_mip(model, start, settings, &mut |_| {}, &mut |_| {})
}

/// What multipliers prove.
#[derive(Debug, Clone)]
pub(super) struct Proof {
    /// No plan within the decisions is better.
    pub(super) bound: f64,
    pub(super) duals: Vec<f64>,
    /// By slot, a plan of value v uses only states of reduced cost at most this much and v - `bound`;
    /// infinite where no plan uses the slot.
    pub(super) least: Vec<f64>,
    /// By configuration, a plan that takes it is worth at least so much more than `bound`.
    pub(super) beyond: Vec<f64>,
}

/// Equation (19) with a bound on the reduced costs of each slot's states.
pub(super) fn lagrangian(layout: &Layout<'_>, branch: &Branch, duals: &[f64], slots: &[f64]) -> Proof {
    let mut bound = layout.constant;
    for (row, dual) in layout.rows.iter().zip(duals) {
        bound += row.rhs * dual;
    }
    for (n, fixed) in layout.fixed.iter().enumerate() {
        if matches!(fixed.means, Means::Config(_)) {
            continue;
        }
        let (low, high) = branch.range(layout, n);
        let price = reduced(fixed.cost, &fixed.rows, duals);
        let at = if price >= 0.0 { low } else { high };
        // Multipliers are kept where what a row lacks never pays; the rest is rounding.
        if at.is_finite() {
            bound += price * at;
        }
    }
    let of = |slot: usize| {
        let place = &layout.slots[slot];
        let watt = place.cap.map_or(0.0, |cap| -duals[cap]);
        let empty = place.cost - duals[place.link] + watt * place.idle;
        slots[slot].min(empty)
    };
    let mut least = vec![f64::INFINITY; layout.slots.len()];
    for kind in layout.kinds.iter().filter(|kind| !kind.slots.is_empty()) {
        // A board is in a slot or off; the rows count those that must be on.
        let worst = kind.slots.iter().map(|slot| of(*slot)).fold(0.0, f64::min);
        bound += kind.boards() * worst;
        kind.slots.iter().for_each(|slot| least[*slot] = worst);
    }
    // A site is in one of its configurations, and all boards of that are in their slots.
    let mut sites: BTreeMap<usize, f64> = BTreeMap::new();
    let mut totals = vec![f64::INFINITY; layout.configs.len()];
    for (total, config) in totals.iter_mut().zip(&layout.configs) {
        let site = sites.entry(config.site).or_insert(f64::INFINITY);
        let fixed = &layout.fixed[config.column];
        if branch.range(layout, config.column).1 > 0.0 {
            let boards = config.slots.iter().map(|(slot, count)| count * of(*slot)).sum::<f64>();
            *total = reduced(fixed.cost, &fixed.rows, duals) + boards;
            *site = site.min(*total);
        }
    }
    bound += sites.values().sum::<f64>();
    let mut beyond = vec![0.0; layout.configs.len()];
    for (n, config) in layout.configs.iter().enumerate().filter(|(n, _)| totals[*n].is_finite()) {
        beyond[n] = sites.get(&config.site).map_or(0.0, |best| totals[n] - best);
        config.slots.iter().for_each(|(slot, _)| least[*slot] = of(*slot) - beyond[n]);
    }
    Proof { bound, duals: duals.to_vec(), least, beyond }
}

/// The plan of an integral solution; `None` when a value is not whole or something is lacking.
pub(super) fn plan(layout: &Layout<'_>, states: &[&State], values: &[f64]) -> Option<Assignment> {
    let instance = layout.instance;
    let mut picks = vec![None; instance.tenants.len()];
    let mut modes = vec![None; instance.devices.len()];
    for (fixed, value) in layout.fixed.iter().zip(values) {
        match fixed.means {
            Means::Lack if *value > 1e-6 => return None,
            Means::Alone(tenant, pick) if *value > 0.5 => picks[tenant.at()] = Some(pick),
            _ => {}
        }
    }
    let mut taken = vec![0_usize; layout.kinds.len()];
    for (state, value) in states.iter().zip(values.iter().skip(layout.fixed.len())) {
        if (value - value.round()).abs() > 1e-5 {
            return None;
        }
        let slot = &layout.slots[state.slot];
        let mut left = value.round();
        while left > 0.5 {
            let device = *layout.kinds[slot.kind].devices.get(taken[slot.kind])?;
            taken[slot.kind] += 1;
            left -= 1.0;
            modes[device.at()] = Some(slot.mode);
            for n in &state.items {
                let item = &slot.items[*n as usize];
                picks[item.tenant] = Some(Pick { option: item.option, device: Some(device) });
            }
        }
    }
    // A board that is on and empty may as well be off, where it may be.
    for (d, mode) in modes.iter_mut().enumerate() {
        let used = picks.iter().flatten().any(|p: &Pick| p.device.is_some_and(|x| x.at() == d));
        let class = instance.class_of(ecomap_instances::ids::DeviceIx::new(d));
        let cheaper = mode.is_some_and(|m| class.off <= class.modes[m.at()].idle);
        if !used && !class.always_on && cheaper {
            *mode = None;
        }
    }
    Some(Assignment { picks, modes })
}

/// The start vector of a plan over some states; `None` when it uses another.
pub(super) fn vector(layout: &Layout<'_>, states: &[&State], plan: &Assignment) -> Option<Vec<f64>> {
    let instance = layout.instance;
    let mut values = vec![0.0; layout.fixed.len() + states.len()];
    let mut boards = vec![0.0; layout.slots.len()];
    for (slot, items) in states_of(layout, plan)? {
        let n = states.iter().position(|s| s.slot == slot && s.items == items)?;
        values[layout.fixed.len() + n] += 1.0;
        boards[slot] += 1.0;
    }
    let shed = plan.picks.iter().filter(|p| p.is_none()).count();
    let taken = |config: usize| configuration(layout, layout.configs[config].site, plan) == Some(config);
    for (n, fixed) in layout.fixed.iter().enumerate() {
        values[n] = match fixed.means {
            Means::Shed(i) => f64::from(u8::from(plan.picks[i].is_none())),
            Means::Sheds => number(shed),
            Means::Boards(slot) => boards[slot],
            Means::On => on(layout, n, &boards),
            Means::Alone(tenant, pick) => f64::from(u8::from(plan.picks[tenant.at()] == Some(pick))),
            Means::Lack => 0.0,
            Means::Config(config) => {
                let own = |(slot, count): &(usize, f64)| (boards[*slot] - count).abs() < 0.5;
                f64::from(u8::from(layout.configs[config].slots.iter().all(own) && taken(config)))
            }
            // HiGHS completes the rest.
            Means::Group => group(layout, n, plan, instance.affinities.is_empty()),
        };
    }
    Some(values)
}

/// Boards of a kind or a site that are on: the column's row balances those that it counts.
fn on(layout: &Layout<'_>, n: usize, boards: &[f64]) -> f64 {
    let Some((row, _)) = layout.fixed[n].rows.first() else { return 0.0 };
    let others = layout.fixed.iter().enumerate().filter(|(m, _)| *m != n);
    others
        .filter(|(_, f)| f.rows.iter().any(|(r, _)| r == row))
        .map(|(m, f)| match f.means {
            Means::Boards(slot) => boards[slot],
            Means::On => on(layout, m, boards),
            _ => 0.0,
        })
        .sum()
}

/// u of a site: 1 where a member of the rule runs.
fn group(layout: &Layout<'_>, n: usize, plan: &Assignment, none: bool) -> f64 {
    if none {
        return 0.0;
    }
    let rows: Vec<usize> = layout.fixed[n].rows.iter().skip(1).map(|(r, _)| *r).collect();
    let enters = |t: usize, pick: &Pick| {
        layout.slots.iter().any(|slot| {
            let here = pick.device.is_some_and(|d| layout.kinds[slot.kind].devices.contains(&d));
            here && slot.items.iter().any(|i| {
                i.tenant == t && i.option == pick.option && i.rows.iter().any(|(r, _)| rows.contains(r))
            })
        })
    };
    let any = plan.picks.iter().enumerate().any(|(t, p)| p.as_ref().is_some_and(|p| enters(t, p)));
    f64::from(u8::from(any))
}

/// The configuration that a plan has a site in.
fn configuration(layout: &Layout<'_>, site: usize, plan: &Assignment) -> Option<usize> {
    let here = |kind: usize| {
        let class = layout.kinds[kind].class.at();
        layout.instance.classes[class].site.at() == site
    };
    let mut counts: BTreeMap<(usize, usize), usize> = BTreeMap::new();
    for (k, kind) in layout.kinds.iter().enumerate().filter(|(k, _)| here(*k)) {
        for device in &kind.devices {
            if let Some(mode) = plan.modes.get(device.at()).copied().flatten() {
                *counts.entry((k, mode.at())).or_default() += 1;
            }
        }
    }
    layout.configs.iter().position(|config| {
        let same = |(slot, count): &(usize, f64)| {
            let place = &layout.slots[*slot];
            counts.get(&(place.kind, place.mode.at())).is_some_and(|n| (number(*n) - count).abs() < 0.5)
        };
        config.site == site && config.slots.len() == counts.len() && config.slots.iter().all(same)
    })
}

/// The states of a plan's boards, empty ones included.
pub(super) fn states_of(layout: &Layout<'_>, plan: &Assignment) -> Option<Vec<(usize, Vec<u32>)>> {
    let mut list = Vec::new();
    for (k, kind) in layout.kinds.iter().enumerate() {
        let site = layout.instance.classes[kind.class.at()].site.at();
        let config = configuration(layout, site, plan);
        for device in &kind.devices {
            let Some(mode) = plan.modes.get(device.at()).copied().flatten() else { continue };
            let slot = match config {
                None => *kind.slots.get(mode.at())?,
                Some(config) => {
                    let own =
                        |slot: &usize| layout.slots[*slot].kind == k && layout.slots[*slot].mode == mode;
                    layout.configs[config].slots.iter().map(|(slot, _)| *slot).find(own)?
                }
            };
            let mut items = Vec::new();
            for (t, pick) in plan.picks.iter().enumerate() {
                if let Some(pick) = pick.filter(|p| p.device == Some(*device)) {
                    items.push(layout.find(slot, t, pick.option)?);
                }
            }
            items.sort_unstable();
            list.push((slot, items));
        }
    }
    Some(list)
}
