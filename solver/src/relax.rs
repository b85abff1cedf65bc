//! The pool relaxation: identical boards counted together, memory without shared weights, no
//! rows (4b): a valid relaxation whose columns are options, not options × boards.
//!
//! Only the coupling rows tie tenants and classes together, so for multipliers μ ≥ 0 on them the
//! Lagrangian (19) falls apart into one minimum for each tenant and one for each class:
//!
//! L(μ) = constant − Σ_r μ_r·b_r + Σ_i min(shed_i, min_o (c[i,o] + Σ_r μ_r·a[r,i,o]))
//!        + Σ_q n_q·min(0, min_m (c[q,m] + Σ_r μ_r·g[r,q,m])).
//!
//! The multipliers come from a linear program over a growing subset of the columns (column
//! generation); the bound is then recomputed here in double precision over *all* columns, so it
//! holds whatever the linear program's tolerances are.

use crate::columns::Column;
use crate::error::SolverError;
use crate::formulation::LevelRow;
use crate::highs::{LpOutcome, Settings, solve_lp};
use crate::pricing::Costs;
use ::highs::{ColProblem, Model, Row, Sense};
use ecomap_instances::Instance;
use ecomap_instances::ids::ClassIx;
use ecomap_instances::instance::{Choice, DeviceClass};
use ecomap_instances::scenario::{AffinityKind, Scope};
use std::collections::{BTreeMap, BTreeSet};

/// New columns for each tenant and round.
const COLUMNS_PER_ROUND: usize = 6;
/// Most rounds of column generation.
const ROUNDS: usize = 200;
/// Relative distance between restricted optimum and bound at which generation stops.
const CLOSE: f64 = 1e-6;
/// Most rows (2a) in the relaxation.
const CHOICE_ROWS: usize = 20_000;
/// Most rows (10) in the relaxation.
const RULE_ROWS: usize = 2_000;

type Sparse = Vec<(u32, f64)>;

/// A column of the relaxation: an option of a tenant, on any board of its class.
struct Pooled {
    tenant: usize,
    option: usize,
    cost: f64,
    rows: Sparse,
}

struct PooledMode {
    class: usize,
    cost: f64,
    rows: Sparse,
}

/// The pool relaxation of one objective.
pub(crate) struct Relaxation<'a> {
    instance: &'a Instance,
    rhs: Vec<f64>,
    columns: Vec<Pooled>,
    of_tenant: Vec<std::ops::Range<usize>>,
    modes: Vec<PooledMode>,
    shed: Vec<Option<(f64, Sparse)>>,
    /// Cost of leaving a tenant out that must be served, in the restricted program only: more than
    /// all columns together can be worth.
    artificial: Vec<f64>,
    constant: f64,
    site: Vec<Option<u32>>,
    capacity: Vec<u32>,
    /// Rows that do not depend on the tenants come first.
    shared: usize,
    choice: BTreeMap<(usize, usize, usize), u32>,
}

/// The best bound found, and how far each column is from it.
pub(crate) struct Bound {
    /// L(μ), the constant included.
    pub value: f64,
    /// Per tenant and option: the bound on any plan that takes it is `value + slack`. Options that
    /// were reduced away are infinite.
    pub slack: Vec<Vec<f64>>,
    /// Rounds of column generation.
    pub rounds: usize,
    /// Whether the linear program was solved to the end.
    pub converged: bool,
    /// μ, by row.
    pub multipliers: Vec<f64>,
    /// μ of row (6b) by site, for a watt; `None` without a cap.
    pub site_prices: Vec<Option<f64>>,
}

/// Multipliers by what their rows are about, to be used on the same classes with other tenants.
/// Those of rows (10) are left out: 0 is a valid multiplier.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Prices {
    /// Rows of classes, sites, capacities and the fleet, in order.
    shared: Vec<f64>,
    /// Rows (2a): (tenant, class, mode).
    choice: BTreeMap<(usize, usize, usize), f64>,
}

impl Prices {
    /// For tenants renumbered; those that `renumbered` does not know are gone.
    pub(crate) fn map(&self, renumbered: impl Fn(usize) -> Option<usize>) -> Self {
        let choice = self.choice.iter();
        let choice = choice.filter_map(|((i, q, m), p)| Some(((renumbered(*i)?, *q, *m), *p))).collect();
        Self { shared: self.shared.clone(), choice }
    }
}

/// Positions of the coupling rows.
struct Rows {
    load: Vec<Vec<Vec<u32>>>,
    bandwidth: Vec<Vec<u32>>,
    power: Vec<Vec<u32>>,
    memory: Vec<u32>,
    site: Vec<Option<u32>>,
    capacity: Vec<u32>,
    fleet: Option<u32>,
    levels: Vec<u32>,
    /// Rows (2a) over a pool: (tenant, class, mode) → Σ x ≤ y, since a tenant takes one board.
    choice: BTreeMap<(usize, usize, usize), u32>,
    /// Rows (10b) over a pool: (tenant i, tenant j, group) → Σ x_i ≤ Σ x_j + z_j, a group being a
    /// site, or a class for members that must share a device.
    together: Vec<Together>,
    /// Rows (10c) over a pool: at most one member at a site, at most as many as there are boards
    /// in a class.
    apart: Vec<Apart>,
    /// Rows before `choice`.
    shared: usize,
    rhs: Vec<f64>,
}

/// One row (10c).
struct Apart {
    rule: usize,
    group: usize,
    row: u32,
}

/// Whether an option on class `q` counts in a row over `group`.
fn inside(instance: &Instance, scope: Scope, group: usize, q: usize) -> bool {
    match scope {
        Scope::Device => group == q,
        Scope::Site => group == instance.classes[q].site.at(),
    }
}

/// One row (10b).
struct Together {
    tenant: usize,
    other: usize,
    scope: Scope,
    group: usize,
    row: u32,
}

fn count(class: &DeviceClass) -> f64 {
    #[allow(clippy::cast_precision_loss)] // at most 10^4 devices
    let n = class.devices.len() as f64;
    n
}

impl Rows {
    fn new(instance: &Instance, levels: &[LevelRow], columns: &[Vec<Column>]) -> Self {
        let mut rhs: Vec<f64> = Vec::new();
        let mut row = |b: f64| {
            rhs.push(b);
            u32::try_from(rhs.len() - 1).unwrap_or(u32::MAX)
        };
        let classes = &instance.classes;
        let load = classes
            .iter()
            .map(|c| c.modes.iter().map(|m| m.load_cap.iter().map(|_| row(0.0)).collect()).collect())
            .collect();
        let bandwidth = classes.iter().map(|c| c.modes.iter().map(|_| row(0.0)).collect()).collect();
        let power = classes.iter().map(|c| c.modes.iter().map(|_| row(0.0)).collect()).collect();
        let memory =
            classes.iter().map(|c| row(count(c) * c.memory.get() / c.memory.get().max(1.0))).collect();
        let site = instance
            .sites
            .iter()
            .enumerate()
            .map(|(s, site)| {
                let off: f64 =
                    classes.iter().filter(|c| c.site.at() == s).map(|c| count(c) * c.off.get()).sum();
                site.cap.map(|cap| row(cap.get() - off))
            })
            .collect();
        let capacity = instance.capacities.iter().map(|c| row(c.capacity / scale(c.capacity))).collect();
        let fleet = instance.fleet_accuracy_floor.map(|_| row(0.0));
        let levels =
            levels.iter().map(|level| row(level.at_most - constant(instance, &level.costs))).collect();
        let shared = row(0.0) as usize + 1; // a row without entries, to count by
        let hosts: BTreeSet<(usize, usize, usize)> = columns
            .iter()
            .flatten()
            .filter_map(|c| c.host(instance).map(|(h, _)| (c.tenant.at(), h.class.at(), h.mode.at())))
            .collect();
        let mut choice = BTreeMap::new();
        if hosts.len() <= CHOICE_ROWS {
            choice.extend(hosts.into_iter().map(|key| (key, row(0.0))));
        }
        let (mut together, mut apart) = (Vec::new(), Vec::new());
        for (number, rule) in instance.affinities.iter().enumerate() {
            let groups = match rule.scope {
                Scope::Device => classes.len(),
                Scope::Site => instance.sites.len(),
            };
            if rule.kind == AffinityKind::Apart {
                let room = RULE_ROWS.saturating_sub(apart.len());
                for group in (0..groups).take(room) {
                    let most = if rule.scope == Scope::Device { count(&classes[group]) } else { 1.0 };
                    apart.push(Apart { rule: number, group, row: row(most) });
                }
                continue;
            }
            let pairs = rule.tenants.len() * rule.tenants.len();
            if together.len().saturating_add(pairs.saturating_mul(groups)) > RULE_ROWS {
                continue; // a relaxation may leave rows out
            }
            for (i, j) in rule.tenants.iter().flat_map(|i| rule.tenants.iter().map(move |j| (i.at(), j.at())))
            {
                for group in (0..groups).filter(|_| i != j) {
                    together.push(Together { tenant: i, other: j, scope: rule.scope, group, row: row(0.0) });
                }
            }
        }
        Self {
            load,
            bandwidth,
            power,
            memory,
            site,
            capacity,
            fleet,
            levels,
            choice,
            together,
            apart,
            shared,
            rhs,
        }
    }
}

fn scale(capacity: f64) -> f64 {
    if capacity > 1e5 { capacity } else { 1.0 }
}

/// Everything off, nobody served, prices of leaving all running choices.
fn constant(instance: &Instance, costs: &Costs) -> f64 {
    let off: f64 = instance.classes.iter().map(|c| count(c) * costs.power(instance, c.site, c.off)).sum();
    off + instance.tenants.iter().map(|t| costs.switching(t)).sum::<f64>()
}

impl<'a> Relaxation<'a> {
    /// Builds the relaxation over the options that `columns` (by tenant) still use.
    pub(crate) fn new(
        instance: &'a Instance,
        costs: &Costs,
        columns: &[Vec<Column>],
        levels: &[LevelRow],
    ) -> Self {
        let rows = Rows::new(instance, levels, columns);
        let mut pooled: Vec<Pooled> = Vec::new();
        let mut of_tenant = Vec::with_capacity(columns.len());
        for list in columns {
            let begin = pooled.len();
            for column in list {
                let option = column.pick.option.at();
                // Columns of one option follow each other, one for each board.
                if pooled.len() > begin && pooled.last().is_some_and(|p| p.option == option) {
                    if let Some(last) = pooled.last_mut() {
                        last.cost = last.cost.min(column.cost);
                    }
                    continue;
                }
                let tenant = column.tenant.at();
                let choice = column.choice(instance);
                pooled.push(Pooled {
                    tenant,
                    option,
                    cost: column.cost,
                    rows: option_rows(instance, &rows, levels, tenant, choice),
                });
            }
            of_tenant.push(begin..pooled.len());
        }
        let shed = instance
            .tenants
            .iter()
            .enumerate()
            .map(|(i, tenant)| {
                tenant.shedding.allowed.then(|| {
                    let mine = rows.together.iter().filter(|t| t.other == i).map(|t| (t.row, -1.0));
                    let levels = levels.iter().zip(&rows.levels).map(|(l, r)| (*r, l.costs.shed(i)));
                    (costs.shed(i), levels.chain(mine).collect())
                })
            })
            .collect();
        let modes = pooled_modes(instance, costs, &rows, levels);
        let worth: f64 = columns.iter().map(|l| l.iter().map(|c| c.cost.abs()).fold(0.0, f64::max)).sum();
        Self {
            instance,
            rhs: rows.rhs,
            columns: pooled,
            of_tenant,
            modes,
            shed,
            artificial: (0..instance.tenants.len()).map(|i| 2.0 * costs.shed(i) + worth + 1.0).collect(),
            constant: constant(instance, costs),
            shared: rows.shared,
            site: rows.site,
            capacity: rows.capacity,
            choice: rows.choice,
        }
    }

    /// L(μ) at the instance's budgets, its slope in each budget (watts of the sites, then capacities;
    /// cost for each unit less), and the budgets: L(μ) at other budgets b′ is L(μ) − slope·(b′ − b).
    pub(crate) fn plane(&self, multipliers: &[f64]) -> (f64, Vec<f64>, Vec<f64>) {
        let at = |row: u32| multipliers.get(row as usize).copied().unwrap_or(0.0);
        let sites = self.site.iter().map(|row| row.map_or(0.0, at));
        let rows = self.capacity.iter().zip(&self.instance.capacities);
        let slope = sites.chain(rows.map(|(row, c)| at(*row) / scale(c.capacity))).collect();
        let caps = self.instance.sites.iter().map(|s| s.cap.map_or(f64::INFINITY, |c| c.get()));
        let budgets = caps.chain(self.instance.capacities.iter().map(|c| c.capacity)).collect();
        (self.lagrangian(multipliers), slope, budgets)
    }

    /// The multipliers by what their rows are about.
    pub(crate) fn named(&self, multipliers: &[f64]) -> Prices {
        let at = |row: usize| multipliers.get(row).copied().unwrap_or(0.0);
        Prices {
            shared: (0..self.shared).map(at).collect(),
            choice: self.choice.iter().map(|(key, row)| (*key, at(*row as usize))).collect(),
        }
    }

    /// Multipliers of this relaxation's rows; `None` when its classes, sites or capacities are others.
    pub(crate) fn multipliers_of(&self, prices: &Prices) -> Option<Vec<f64>> {
        let mut multipliers = vec![0.0; self.rhs.len()];
        multipliers.get_mut(..self.shared)?.clone_from_slice(prices.shared.get(..self.shared)?);
        for (key, row) in &self.choice {
            multipliers[*row as usize] = prices.choice.get(key).copied().unwrap_or(0.0);
        }
        (prices.shared.len() == self.shared).then_some(multipliers)
    }

    /// Options in the relaxation.
    pub(crate) fn len(&self) -> usize {
        self.columns.len()
    }

    /// Column generation until the bound is tight or a limit ends it. `seeds` are (tenant, option)
    /// pairs to begin with.
    pub(crate) fn solve(&self, seeds: &[(usize, usize)], settings: &Settings) -> Result<Bound, SolverError> {
        let mut inside = vec![false; self.columns.len()];
        for (tenant, option) in seeds {
            let range = self.of_tenant[*tenant].clone();
            if let Some(n) = range.clone().find(|n| self.columns[*n].option == *option) {
                inside[n] = true;
            }
        }
        for range in &self.of_tenant {
            let cheapest =
                range.clone().min_by(|a, b| self.columns[*a].cost.total_cmp(&self.columns[*b].cost));
            if let Some(n) = cheapest {
                inside[n] = true;
            }
        }
        let mut chosen: Vec<usize> = (0..inside.len()).filter(|n| inside[*n]).collect();
        let deadline = settings.time_limit.map(|limit| settings.clock.now() + limit);
        let free = vec![0.0; self.rhs.len()];
        let mut best = (self.lagrangian(&free), free);
        let (mut model, all) = self.restricted(&chosen)?;
        let mut rounds = 0;
        let mut converged = false;
        for round in 0..ROUNDS {
            let left = deadline.map(|d| d.saturating_sub(settings.clock.now()));
            let limited = Settings { time_limit: left, ..settings.clone() };
            let Some(lp) = solve_lp(model, &limited, round == 0)? else { break };
            rounds = round + 1;
            let multipliers = self.multipliers(&lp);
            let value = self.lagrangian(&multipliers);
            let restricted = lp.model.objective_value() + self.constant;
            if value > best.0 {
                best = (value, multipliers.clone());
            }
            let fresh = self.attractive(&multipliers, &inside);
            converged = fresh.is_empty() || restricted - best.0 <= CLOSE * restricted.abs().max(1.0);
            if converged
                || deadline.is_some_and(|d| settings.clock.now() >= d)
                || settings.cancel.is_cancelled()
            {
                break;
            }
            model = lp.model.into();
            for n in fresh {
                inside[n] = true;
                chosen.push(n);
                let tenant = self.columns[n].tenant;
                let rows = self.lp_rows(&all, Some(tenant), None, &self.columns[n].rows);
                model
                    .try_add_column(self.columns[n].cost, 0.0.., rows)
                    .map_err(|status| SolverError::Highs { call: "Highs_addCol", status: status as i32 })?;
            }
        }
        let (value, multipliers) = best;
        let price = |row: &Option<u32>| row.and_then(|r| multipliers.get(r as usize).copied());
        let site_prices = self.site.iter().map(price).collect();
        Ok(Bound { value, slack: self.slacks(&multipliers), rounds, converged, multipliers, site_prices })
    }

    fn blank(&self, fill: f64) -> Vec<Vec<f64>> {
        self.instance.tenants.iter().map(|t| vec![fill; t.options.len()]).collect()
    }

    /// Rows of the restricted program: one choice row for each tenant, one for each class, then
    /// the coupling rows.
    fn lp_rows(
        &self,
        all: &[Row],
        tenant: Option<usize>,
        class: Option<usize>,
        coupling: &Sparse,
    ) -> Vec<(Row, f64)> {
        let tenants = self.shed.len();
        let classes = self.instance.classes.len();
        tenant
            .into_iter()
            .chain(class.map(|q| tenants + q))
            .map(|r| (all[r], 1.0))
            .chain(coupling.iter().map(|(r, a)| (all[tenants + classes + *r as usize], *a)))
            .collect()
    }

    fn restricted(&self, chosen: &[usize]) -> Result<(Model, Vec<Row>), SolverError> {
        let mut problem = ColProblem::default();
        let mut all: Vec<Row> = self.shed.iter().map(|_| problem.add_row(1.0..=1.0)).collect();
        for class in &self.instance.classes {
            let n = count(class);
            all.push(if class.always_on { problem.add_row(n..=n) } else { problem.add_row(..=n) });
        }
        for b in &self.rhs {
            all.push(problem.add_row(..=*b));
        }
        for (i, shed) in self.shed.iter().enumerate() {
            let (cost, rows) =
                shed.as_ref().map_or((self.artificial[i], Vec::new()), |(c, r)| (*c, r.clone()));
            problem.add_column(cost, 0.0.., self.lp_rows(&all, Some(i), None, &rows));
        }
        for mode in &self.modes {
            problem.add_column(mode.cost, 0.0.., self.lp_rows(&all, None, Some(mode.class), &mode.rows));
        }
        for n in chosen {
            let column = &self.columns[*n];
            problem.add_column(
                column.cost,
                0.0..,
                self.lp_rows(&all, Some(column.tenant), None, &column.rows),
            );
        }
        let model = problem
            .try_optimise(Sense::Minimise)
            .map_err(|status| SolverError::Highs { call: "Highs_passLp", status: status as i32 })?;
        Ok((model, all))
    }

    /// μ from the duals of the coupling rows; at most 0 in a minimisation with ≤ rows.
    fn multipliers(&self, lp: &LpOutcome) -> Vec<f64> {
        let first = self.shed.len() + self.instance.classes.len();
        lp.row_duals.iter().skip(first).map(|dual| (-dual).max(0.0)).collect()
    }

    fn priced(multipliers: &[f64], cost: f64, rows: &Sparse) -> f64 {
        rows.iter().fold(cost, |sum, (r, a)| sum + multipliers[*r as usize] * a)
    }

    /// Least priced cost of a tenant, shedding included.
    fn least(&self, multipliers: &[f64], tenant: usize) -> f64 {
        let shed =
            self.shed[tenant].as_ref().map_or(f64::INFINITY, |(c, r)| Self::priced(multipliers, *c, r));
        self.of_tenant[tenant]
            .clone()
            .map(|n| Self::priced(multipliers, self.columns[n].cost, &self.columns[n].rows))
            .fold(shed, f64::min)
    }

    /// L(μ), equation (19).
    fn lagrangian(&self, multipliers: &[f64]) -> f64 {
        let rows: f64 = multipliers.iter().zip(&self.rhs).map(|(m, b)| m * b).sum();
        let tenants: f64 = (0..self.shed.len()).map(|i| self.least(multipliers, i)).sum();
        let mut per_class = vec![f64::INFINITY; self.instance.classes.len()];
        for mode in &self.modes {
            let priced = Self::priced(multipliers, mode.cost, &mode.rows);
            per_class[mode.class] = per_class[mode.class].min(priced);
        }
        let classes: f64 = per_class
            .iter()
            .zip(&self.instance.classes)
            .map(|(least, class)| count(class) * if class.always_on { *least } else { least.min(0.0) })
            .sum();
        self.constant - rows + tenants + classes
    }

    /// Columns outside with the most negative reduced cost, a few for each tenant.
    fn attractive(&self, multipliers: &[f64], inside: &[bool]) -> Vec<usize> {
        let mut fresh = Vec::new();
        for range in &self.of_tenant {
            // The choice row's dual is at least the least priced cost of the columns inside.
            let within = range
                .clone()
                .filter(|n| inside[*n])
                .map(|n| Self::priced(multipliers, self.columns[n].cost, &self.columns[n].rows))
                .fold(f64::INFINITY, f64::min);
            let tenant = range.clone().next().map(|n| self.columns[n].tenant);
            let shed = tenant.and_then(|t| self.shed[t].as_ref());
            let within = within.min(shed.map_or(f64::INFINITY, |(c, r)| Self::priced(multipliers, *c, r)));
            let mut better: Vec<(f64, usize)> = range
                .clone()
                .filter(|n| !inside[*n])
                .map(|n| (Self::priced(multipliers, self.columns[n].cost, &self.columns[n].rows), n))
                .filter(|(c, _)| *c < within - 1e-9 * within.abs().max(1.0))
                .collect();
            better.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            fresh.extend(better.into_iter().take(COLUMNS_PER_ROUND).map(|(_, n)| n));
        }
        fresh
    }

    fn slacks(&self, multipliers: &[f64]) -> Vec<Vec<f64>> {
        let mut slack = self.blank(f64::INFINITY);
        for (tenant, range) in self.of_tenant.iter().enumerate() {
            let least = self.least(multipliers, tenant);
            for n in range.clone() {
                let column = &self.columns[n];
                slack[tenant][column.option] = Self::priced(multipliers, column.cost, &column.rows) - least;
            }
        }
        slack
    }
}

fn option_rows(
    instance: &Instance,
    rows: &Rows,
    levels: &[LevelRow],
    tenant: usize,
    choice: &Choice,
) -> Sparse {
    let mut list = Sparse::new();
    let owner = &instance.tenants[tenant];
    if let Some(host) = &choice.host {
        let (q, m) = (host.class.at(), host.mode.at());
        let class = &instance.classes[q];
        let mode = &class.modes[m];
        list.extend(host.load.iter().filter(|(_, l)| *l > 0.0).map(|(u, l)| (rows.load[q][m][u.at()], *l)));
        list.push((rows.bandwidth[q][m], host.bandwidth.get() / mode.bandwidth.get().max(1.0)));
        list.push((rows.power[q][m], host.dynamic.get()));
        list.push((rows.memory[q], host.memory.get() / class.memory.get().max(1.0)));
        if let Some(site) = rows.site[class.site.at()] {
            list.push((site, host.dynamic.get()));
        }
        for rule in rows.together.iter().filter(|t| inside(instance, t.scope, t.group, q)) {
            if rule.tenant == tenant {
                list.push((rule.row, 1.0));
            } else if rule.other == tenant {
                list.push((rule.row, -1.0));
            }
        }
        for apart in &rows.apart {
            let rule = &instance.affinities[apart.rule];
            if inside(instance, rule.scope, apart.group, q) && rule.tenants.iter().any(|t| t.at() == tenant) {
                list.push((apart.row, 1.0));
            }
        }
        list.extend(rows.choice.get(&(tenant, q, m)).map(|row| (*row, 1.0)));
        if let (Some(row), Some(floor)) = (rows.fleet, instance.fleet_accuracy_floor) {
            list.push((row, -owner.priority * (owner.tiers[host.tier].accuracy - floor)));
        }
    }
    for (r, amount) in &choice.uses {
        list.push((rows.capacity[r.at()], amount / scale(instance.capacities[r.at()].capacity)));
    }
    for (level, row) in levels.iter().zip(&rows.levels) {
        // The running choice saves its price on some board of the class: take the least.
        let running = choice.host.as_ref().is_some_and(|h| {
            instance.classes[h.class.at()].devices.iter().any(|d| instance.is_running(owner, choice, *d))
        });
        let saved = if running { level.costs.switching(owner) } else { 0.0 };
        list.push((*row, level.costs.option(instance, owner, choice) - saved));
    }
    list.retain(|(_, a)| *a != 0.0);
    list
}

fn pooled_modes(instance: &Instance, costs: &Costs, rows: &Rows, levels: &[LevelRow]) -> Vec<PooledMode> {
    let mut list = Vec::new();
    for (q, class) in instance.classes.iter().enumerate() {
        let cost = |costs: &Costs, m: usize| {
            let idle = costs.power(instance, class.site, class.modes[m].idle);
            idle - costs.power(instance, class.site, class.off)
        };
        for (m, mode) in class.modes.iter().enumerate() {
            let mut sparse = Sparse::new();
            sparse.extend(mode.load_cap.iter().enumerate().map(|(u, cap)| (rows.load[q][m][u], -cap)));
            sparse.push((rows.bandwidth[q][m], -mode.bandwidth.get() / mode.bandwidth.get().max(1.0)));
            sparse.push((rows.power[q][m], -(mode.budget - mode.idle).get()));
            if let Some(site) = rows.site[class.site.at()] {
                sparse.push((site, (mode.idle - class.off).get()));
            }
            let mine = rows.choice.iter().filter(|((_, class, mode), _)| (*class, *mode) == (q, m));
            sparse.extend(mine.map(|(_, row)| (*row, -1.0)));
            sparse.extend(levels.iter().zip(&rows.levels).map(|(l, r)| (*r, cost(&l.costs, m))));
            sparse.retain(|(_, a)| *a != 0.0);
            list.push(PooledMode { class: ClassIx::new(q).at(), cost: cost(costs, m), rows: sparse });
        }
    }
    list
}
