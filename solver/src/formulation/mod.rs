//! The mixed-integer program of `docs/src/formulation.md`, written with good_lp.
//!
//! `Formulation::build` lays out the variables, then each row family adds its rows; each family
//! is one file in `rows` with its equation number. `Formulation::into_highs` hands the result
//! to HiGHS; columns keep their order: x, z, y, w, u.

mod export;
mod rows;

pub use export::{ModelFormat, export};

use crate::columns::Column;
use crate::contention::cut::Cut;
use crate::error::SolverError;
use crate::pricing::Costs;
use ecomap_instances::Instance;
use ecomap_instances::ids::{DeviceIx, ModeIx, TenantIx, WeightIx};
use ecomap_instances::plan::{Assignment, Pick};
use ecomap_instances::scenario::Scope;
use good_lp::solvers::highs::highs;
use good_lp::variable::VariableDefinition;
use good_lp::{Constraint, Expression, ProblemVariables, SolverModel, Variable, variable};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Which optional rows to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Rows (2a), one for each tenant, device and mode: tighter, but many. They are implied by the
    /// other rows at integer points.
    pub disaggregated_modes: bool,
}

/// A linear constraint on the value of another objective: a level of a lexicographic one.
#[derive(Debug, Clone)]
pub struct LevelRow {
    /// Coefficients of the earlier level.
    pub costs: Costs,
    /// Its value must not exceed this.
    pub at_most: f64,
}

/// The program over a set of columns.
pub(crate) struct Formulation<'a> {
    instance: &'a Instance,
    costs: &'a Costs,
    columns: &'a [Column],
    vars: Variables,
    objective: Expression,
    /// The constant part of the objective, which HiGHS does not see.
    pub offset: f64,
    x: Vec<Var>,
    z: Vec<Option<Var>>,
    y: Vec<Vec<Var>>,
    w: BTreeMap<(DeviceIx, WeightIx), Var>,
    /// u[g] of row (10b), by rule and group.
    u: BTreeMap<(usize, usize), Var>,
    /// Columns by tenant, by device and mode: positions in `columns`.
    by_tenant: Vec<Vec<usize>>,
    by_mode: Vec<Vec<Vec<usize>>>,
    rows: Vec<(String, Constraint)>,
    /// Price of a watt above a site's cap; `None`: caps are hard.
    watt: Option<f64>,
}

/// A variable and its position in the model (good_lp keeps the position to itself).
#[derive(Debug, Clone, Copy)]
struct Var {
    var: Variable,
    at: usize,
}

/// Variables in the order in which HiGHS gets them, with their names.
struct Variables {
    list: ProblemVariables,
    names: Vec<String>,
}

impl Variables {
    fn add(&mut self, definition: VariableDefinition, name: String) -> Var {
        let at = self.names.len();
        self.names.push(name);
        Var { var: self.list.add(definition), at }
    }
}

impl<'a> Formulation<'a> {
    /// Writes the program over `columns`.
    #[must_use]
    pub(crate) fn build(
        instance: &'a Instance,
        costs: &'a Costs,
        columns: &'a [Column],
        levels: &[LevelRow],
        shape: Shape,
    ) -> Self {
        Self::build_with(instance, costs, columns, levels, shape, None)
    }

    /// Writes the program with caps that may be exceeded at `watt` a watt.
    #[must_use]
    pub(crate) fn elastic(
        instance: &'a Instance,
        costs: &'a Costs,
        columns: &'a [Column],
        shape: Shape,
        watt: f64,
    ) -> Self {
        Self::build_with(instance, costs, columns, &[], shape, Some(watt))
    }

    fn build_with(
        instance: &'a Instance,
        costs: &'a Costs,
        columns: &'a [Column],
        levels: &[LevelRow],
        shape: Shape,
        watt: Option<f64>,
    ) -> Self {
        let mut program = Self::variables(instance, costs, columns);
        program.watt = watt;
        rows::choice::add(&mut program);
        rows::mode::add(&mut program, shape);
        rows::load::add(&mut program);
        rows::memory::add(&mut program);
        rows::bandwidth::add(&mut program);
        rows::power::add(&mut program);
        rows::latency::debug_assert_admissible(&program);
        rows::accuracy::add(&mut program);
        rows::capacity::add(&mut program);
        rows::placement::add(&mut program);
        rows::switching::add(&mut program);
        for level in levels {
            rows::level::add(&mut program, level);
        }
        program
    }

    fn variables(instance: &'a Instance, costs: &'a Costs, columns: &'a [Column]) -> Self {
        let mut vars = Variables { list: ProblemVariables::new(), names: Vec::new() };
        let mut objective = Expression::with_capacity(columns.len());
        let mut by_tenant = vec![Vec::new(); instance.tenants.len()];
        let mut by_mode: Vec<Vec<Vec<usize>>> = (0..instance.devices.len())
            .map(|d| vec![Vec::new(); instance.class_of(DeviceIx::new(d)).modes.len()])
            .collect();
        let mut x = Vec::with_capacity(columns.len());
        for (n, column) in columns.iter().enumerate() {
            by_tenant[column.tenant.at()].push(n);
            let tenant = tidy(instance.tenants[column.tenant.at()].id.as_str());
            let mut name = format!("x_{tenant}_t{}_o{}", column.tenant.at(), column.pick.option.at());
            if let Some((host, device)) = column.host(instance) {
                by_mode[device.at()][host.mode.at()].push(n);
                let _ = write!(name, "_d{}", device.at());
            }
            let var = vars.add(variable().binary(), name);
            objective.add_mul(column.cost, var.var);
            x.push(var);
        }
        let mut z = Vec::with_capacity(instance.tenants.len());
        for (i, tenant) in instance.tenants.iter().enumerate() {
            z.push(tenant.shedding.allowed.then(|| {
                let var = vars.add(variable().binary(), format!("z_{}_t{i}", tidy(tenant.id.as_str())));
                objective.add_mul(costs.shed(i), var.var);
                var
            }));
        }
        let mut offset = 0.0;
        let mut y = Vec::with_capacity(instance.devices.len());
        for (d, device) in instance.devices.iter().enumerate() {
            let class = &instance.classes[device.class.at()];
            let off = costs.power(instance, class.site, class.off);
            offset += off;
            let mut modes = Vec::with_capacity(class.modes.len());
            for (m, mode) in class.modes.iter().enumerate() {
                let var = vars.add(variable().binary(), format!("y_{}_d{d}_m{m}", tidy(device.id.as_str())));
                objective.add_mul(costs.power(instance, class.site, mode.idle) - off, var.var);
                modes.push(var);
            }
            y.push(modes);
        }
        Self {
            instance,
            costs,
            columns,
            vars,
            objective,
            offset,
            x,
            z,
            y,
            w: BTreeMap::new(),
            u: BTreeMap::new(),
            by_tenant,
            by_mode,
            rows: Vec::new(),
            watt: None,
        }
    }

    /// The variable e[s] ≥ 0, watts above the cap of site `s`, at its price; only in elastic
    /// programs.
    fn excess(&mut self, s: usize) -> Option<Variable> {
        let price = self.watt?;
        let var = self.vars.add(variable().min(0.0), format!("e_s{s}")).var;
        self.objective.add_mul(price, var);
        Some(var)
    }

    /// Adds rows (20).
    pub(crate) fn cut(&mut self, cuts: &[Cut]) {
        rows::contention::add(self, cuts);
    }

    /// Adds a named row.
    fn row(&mut self, name: String, constraint: Constraint) {
        self.rows.push((name, constraint));
    }

    /// The variable w[d,k], made when first asked for.
    fn weight(&mut self, device: DeviceIx, set: WeightIx) -> Var {
        let vars = &mut self.vars;
        *self.w.entry((device, set)).or_insert_with(|| {
            vars.add(variable().min(0.0).max(1.0), format!("w_d{}_k{}", device.at(), set.at()))
        })
    }

    /// The variable u[g] of a rule (10b).
    fn shared(&mut self, rule: usize, group: usize) -> Var {
        let vars = &mut self.vars;
        *self
            .u
            .entry((rule, group))
            .or_insert_with(|| vars.add(variable().binary(), format!("u_a{rule}_g{group}")))
    }

    /// Σ coefficient(column)·x over `positions`.
    fn sum(&self, positions: &[usize], coefficient: impl Fn(&Column) -> f64) -> Expression {
        let mut sum = Expression::with_capacity(positions.len());
        for &n in positions {
            let factor = coefficient(&self.columns[n]);
            if factor != 0.0 {
                sum.add_mul(factor, self.x[n].var);
            }
        }
        sum
    }

    /// Number of columns and rows.
    #[must_use]
    pub(crate) fn size(&self) -> (usize, usize) {
        (self.vars.names.len(), self.rows.len())
    }

    /// The start vector of a plan, or `None` when the plan uses a column that is not here.
    #[must_use]
    pub(crate) fn start(&self, plan: &Assignment) -> Option<Vec<f64>> {
        let mut values = vec![0.0; self.vars.names.len()];
        for (i, pick) in plan.picks.iter().enumerate() {
            match pick {
                None => values[self.z[i].as_ref()?.at] = 1.0,
                Some(pick) => {
                    let n = *self.by_tenant[i].iter().find(|n| self.columns[**n].pick == *pick)?;
                    values[self.x[n].at] = 1.0;
                    let column = &self.columns[n];
                    if let Some((host, device)) = column.host(self.instance) {
                        for set in &host.weights {
                            if let Some(var) = self.w.get(&(device, *set)) {
                                values[var.at] = 1.0;
                            }
                        }
                    }
                }
            }
        }
        for ((rule, group), u) in &self.u {
            let rule = &self.instance.affinities[*rule];
            let here = |device: DeviceIx| match rule.scope {
                Scope::Device => device.at() == *group,
                Scope::Site => self.instance.class_of(device).site.at() == *group,
            };
            let device = |i: &TenantIx| plan.picks[i.at()].and_then(|p| p.device);
            if rule.tenants.iter().filter_map(device).any(here) {
                values[u.at] = 1.0;
            }
        }
        for (d, mode) in plan.modes.iter().enumerate() {
            if let Some(mode) = mode {
                values[self.y[d][mode.at()].at] = 1.0;
            }
        }
        Some(values)
    }

    /// Reads plans out of solution vectors once the program itself is handed over.
    #[must_use]
    pub(crate) fn reader(&self) -> Reader {
        let positions = |list: &[Var]| list.iter().map(|v| v.at).collect();
        Reader {
            picks: self
                .by_tenant
                .iter()
                .map(|list| list.iter().map(|n| (self.x[*n].at, self.columns[*n].pick)).collect())
                .collect(),
            modes: self.y.iter().map(|list| positions(list)).collect(),
        }
    }

    /// The HiGHS model, with row names to pass on and column names.
    ///
    /// # Errors
    /// When HiGHS refuses the model.
    pub(crate) fn into_highs(self) -> Result<(::highs::Model, Vec<String>, Vec<String>), SolverError> {
        let mut problem = self.vars.list.minimise(self.objective).using(highs);
        let mut row_names = Vec::with_capacity(self.rows.len());
        for (name, constraint) in self.rows {
            problem.add_constraint(constraint);
            row_names.push(name);
        }
        let model =
            problem.try_into_inner().map_err(|_| SolverError::Highs { call: "Highs_passMip", status: -1 })?;
        Ok((model, self.vars.names, row_names))
    }

    /// Tenant indices.
    fn tenants(&self) -> impl Iterator<Item = TenantIx> + use<> {
        (0..self.instance.tenants.len()).map(TenantIx::new)
    }

    /// Device indices.
    fn devices(&self) -> impl Iterator<Item = DeviceIx> + use<> {
        (0..self.instance.devices.len()).map(DeviceIx::new)
    }
}

/// Where the plan stands in a solution vector.
#[derive(Debug, Clone)]
pub struct Reader {
    picks: Vec<Vec<(usize, Pick)>>,
    modes: Vec<Vec<usize>>,
}

impl Reader {
    /// The plan of a solution vector.
    #[must_use]
    pub fn plan(&self, values: &[f64]) -> Assignment {
        let on = |at: usize| values.get(at).is_some_and(|x| *x > 0.5);
        Assignment {
            picks: self
                .picks
                .iter()
                .map(|list| list.iter().find(|(at, _)| on(*at)).map(|(_, pick)| *pick))
                .collect(),
            modes: self
                .modes
                .iter()
                .map(|list| list.iter().position(|at| on(*at)).map(ModeIx::new))
                .collect(),
        }
    }
}

/// An identifier fit for MPS and LP files.
fn tidy(id: &str) -> String {
    id.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}
