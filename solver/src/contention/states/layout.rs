//! What the method works on: kinds of boards, slots (a kind in a mode), the items that may stand in a
//! slot, and the rows and fixed columns of the master program.
//!
//! Boards of a class are one kind as long as the same items with the same costs may run on them; a
//! pinned or running tenant sets a board apart.

use super::configure::Config;
use super::slots::slots;
use super::steps::Step;
use super::subset::Triple;
use crate::columns::Column;
use crate::pricing::Costs;
use ecomap_instances::Instance;
use ecomap_instances::ids::{ClassIx, DeviceIx, ModeIx, OptionIx, TenantIx};
use ecomap_instances::plan::Pick;
use ecomap_instances::scenario::{AffinityKind, Scope};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// Price of a watt above a cap, in prices of what another row lacks.
const WATT: f64 = 100.0;

/// Row and coefficient.
pub(super) type Sparse = Vec<(usize, f64)>;

/// An option of a tenant on the boards of a slot.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) tenant: usize,
    pub(super) option: OptionIx,
    pub(super) cost: f64,
    /// Priced dynamic draw, W.
    pub(super) dynamic: f64,
    /// Shares of the slot's limits (3), (5), (6a).
    pub(super) uses: Vec<f64>,
    /// Memory of its own, bytes.
    pub(super) memory: f64,
    /// Weight sets.
    pub(super) weights: Vec<usize>,
    /// Rows of the master that it enters, power left out.
    pub(super) rows: Sparse,
    /// Tier of its tenant, the position in the tenant's list.
    pub(super) tier: usize,
    /// What it loads each unit with.
    pub(super) load: Vec<f64>,
    /// Relative slowdown per unit of others' load, by unit.
    pub(super) slopes: Vec<f64>,
    /// Slowdown less 1 at which its objective breaks; infinite where nothing is promised of slowdowns.
    pub(super) limit: f64,
}

/// A kind of board in one mode, in one configuration of its site where those are told apart.
#[derive(Debug, Clone)]
pub(super) struct Slot {
    pub(super) kind: usize,
    /// First slot with the same kind and mode: verdicts are the same.
    pub(super) ground: usize,
    /// Configuration that it belongs to.
    pub(super) config: Option<usize>,
    /// Most boards in it; all of them where it belongs to a configuration.
    pub(super) boards: f64,
    pub(super) class: ClassIx,
    pub(super) mode: ModeIx,
    /// Cost of a board that is on and empty, over one that is off.
    pub(super) cost: f64,
    /// Draw of a board that is on and empty, over one that is off, W.
    pub(super) idle: f64,
    /// Most that a board may draw over one that is off, W: its mode's budget, and what the site's cap leaves when
    /// the configuration's other boards idle.
    pub(super) most: f64,
    /// Draw of a board that is off, W.
    pub(super) off: f64,
    /// Bytes, row (4).
    pub(super) memory: f64,
    /// What the shares of the items may sum to: 1 and the checker's tolerance.
    pub(super) room: Vec<f64>,
    /// Row that counts the slot's boards.
    pub(super) link: usize,
    /// Row of the site's cap.
    pub(super) cap: Option<usize>,
    /// By tenant, then option.
    pub(super) items: Rc<Vec<Item>>,
}

/// Boards that cannot be told apart.
#[derive(Debug)]
pub(super) struct Kind {
    pub(super) class: ClassIx,
    pub(super) devices: Vec<DeviceIx>,
    /// Slots by mode, where configurations of the site are not told apart.
    pub(super) slots: Vec<usize>,
}

impl Kind {
    pub(super) fn boards(&self) -> f64 {
        number(self.devices.len())
    }
}

/// A row: = or ≤ its right-hand side.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row {
    pub(super) equal: bool,
    pub(super) rhs: f64,
}

/// What a fixed column stands for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Means {
    /// z of a tenant.
    Shed(usize),
    /// The number of tenants shed.
    Sheds,
    /// The number of boards in a slot.
    Boards(usize),
    /// The number of boards of a kind or at a site that are on.
    On,
    /// u of rule (10b) for a site.
    Group,
    /// Whether a site is in a configuration.
    Config(usize),
    /// An option without a host.
    Alone(TenantIx, Pick),
    /// What a row lacks, at a price that no plan is worth.
    Lack,
}

/// A column of the master that is there from the beginning.
#[derive(Debug)]
pub(super) struct Fixed {
    pub(super) means: Means,
    pub(super) cost: f64,
    pub(super) low: f64,
    pub(super) high: f64,
    pub(super) rows: Sparse,
}

/// The whole layout.
#[derive(Debug)]
pub(super) struct Layout<'a> {
    pub(super) instance: &'a Instance,
    pub(super) kinds: Vec<Kind>,
    pub(super) slots: Vec<Slot>,
    /// Slots by their ground.
    pub(super) alike: BTreeMap<usize, Vec<usize>>,
    pub(super) configs: Vec<Config>,
    pub(super) rows: Vec<Row>,
    pub(super) fixed: Vec<Fixed>,
    /// Whether no tenant is predicted faster than by linear interference.
    pub(super) linear: bool,
    /// Everything off, nobody served, all switching prices paid.
    pub(super) constant: f64,
    /// More than any plan can cost.
    pub(super) worst: f64,
    /// Largest multiplier of each row: what it costs to lack one.
    pub(super) most: Vec<f64>,
    /// Tenants that may not share a board, row (10c).
    apart: BTreeSet<(usize, usize)>,
    /// Tenants of which one board at most may run any, row (10b): the row and the members.
    pub(super) bundles: Vec<(usize, BTreeSet<usize>)>,
    /// Cuts on three tenants.
    pub(super) triples: Vec<Triple>,
    /// By slot, steps of the draw in cuts on caps.
    pub(super) steps: Vec<Vec<Step>>,
    /// Cuts on caps.
    pub(super) steps_count: usize,
}

pub(super) fn number(n: usize) -> f64 {
    #[allow(clippy::cast_precision_loss)] // boards, tenants
    let n = n as f64;
    n
}

/// Rows under construction, with the rules that items enter.
pub(super) struct Rules<'a> {
    pub(super) instance: &'a Instance,
    pub(super) rows: Vec<Row>,
    pub(super) fixed: Vec<Fixed>,
    capacity: Vec<usize>,
    /// Rows that count watts.
    pub(super) watts: Vec<usize>,
    fleet: Option<usize>,
    moves: Option<usize>,
    /// Member and site to the rows (10b), (10c) of a site.
    at_site: BTreeMap<(usize, usize), Vec<usize>>,
    apart: BTreeSet<(usize, usize)>,
    bundles: Vec<(usize, BTreeSet<usize>)>,
}

impl Rules<'_> {
    pub(super) fn row(&mut self, equal: bool, rhs: f64) -> usize {
        self.rows.push(Row { equal, rhs });
        self.rows.len() - 1
    }

    fn affinities(&mut self) {
        for rule in &self.instance.affinities {
            let members: BTreeSet<usize> = rule.tenants.iter().map(|t| t.at()).collect();
            match (rule.kind, rule.scope) {
                (AffinityKind::Apart, Scope::Device) => {
                    let pairs = members.iter().flat_map(|a| members.iter().map(move |b| (*a, *b)));
                    self.apart.extend(pairs.filter(|(a, b)| a != b));
                }
                (AffinityKind::Apart, Scope::Site) => {
                    for site in 0..self.instance.sites.len() {
                        let row = self.row(false, 1.0);
                        for member in &members {
                            self.at_site.entry((*member, site)).or_default().push(row);
                        }
                    }
                }
                (AffinityKind::Together, Scope::Device) => {
                    let row = self.row(false, 1.0);
                    self.bundles.push((row, members));
                }
                (AffinityKind::Together, Scope::Site) => {
                    let one = self.row(false, 1.0);
                    for site in 0..self.instance.sites.len() {
                        let mut rows = vec![(one, 1.0)];
                        for member in &members {
                            let row = self.row(false, 0.0);
                            self.at_site.entry((*member, site)).or_default().push(row);
                            rows.push((row, -1.0));
                        }
                        self.fixed.push(Fixed { means: Means::Group, cost: 0.0, low: 0.0, high: 1.0, rows });
                    }
                }
            }
        }
    }

    /// Rows that a column enters; on a device when it has one.
    pub(super) fn of(&self, column: &Column) -> Sparse {
        let tenant = &self.instance.tenants[column.tenant.at()];
        let choice = column.choice(self.instance);
        let mut rows = vec![(column.tenant.at(), 1.0)];
        for (r, amount) in &choice.uses {
            rows.push((self.capacity[r.at()], amount / scale(self.instance.capacities[r.at()].capacity)));
        }
        if let Some((host, device)) = column.host(self.instance) {
            if let (Some(row), Some(floor)) = (self.fleet, self.instance.fleet_accuracy_floor) {
                rows.push((row, -tenant.priority * (tenant.tiers[host.tier].accuracy - floor)));
            }
            let site = self.instance.classes[host.class.at()].site.at();
            let rules = self.at_site.get(&(column.tenant.at(), site));
            rows.extend(rules.into_iter().flatten().map(|row| (*row, 1.0)));
            if let Some(row) = self.moves.filter(|_| self.instance.is_running(tenant, choice, device)) {
                rows.push((row, -1.0));
            }
        }
        rows.retain(|(_, a)| *a != 0.0);
        rows
    }
}

fn scale(capacity: f64) -> f64 {
    if capacity > 1e5 { capacity } else { 1.0 }
}

impl<'a> Layout<'a> {
    /// The layout of an instance; `columns` by tenant.
    /// `linear`: no tenant is predicted faster than by linear interference; `configs`: most
    /// configurations of a site that are told apart.
    pub(super) fn new(
        instance: &'a Instance,
        costs: &Costs,
        columns: &[Vec<Column>],
        linear: bool,
        configs: usize,
    ) -> Self {
        let tenants = instance.tenants.len();
        let mut rules = Rules {
            instance,
            rows: vec![Row { equal: true, rhs: 1.0 }; tenants],
            fixed: Vec::new(),
            capacity: Vec::new(),
            watts: Vec::new(),
            fleet: None,
            moves: None,
            at_site: BTreeMap::new(),
            apart: BTreeSet::new(),
            bundles: Vec::new(),
        };
        rules.capacity =
            instance.capacities.iter().map(|c| rules.row(false, c.capacity / scale(c.capacity))).collect();
        rules.fleet = instance.fleet_accuracy_floor.map(|_| rules.row(false, 0.0));
        if let Some(most) = instance.stability.max_moves {
            let running = instance.tenants.iter().filter(|t| t.running.is_some()).count();
            let least = running.saturating_sub(most);
            rules.moves = Some(rules.row(false, -number(least)));
        }
        rules.affinities();
        let sheds = rules.row(true, 0.0);
        for (i, tenant) in instance.tenants.iter().enumerate() {
            let stays = instance.stability.frozen.contains(&TenantIx::new(i)) && tenant.running.is_some();
            let may = tenant.shedding.allowed && !stays;
            rules.fixed.push(Fixed {
                means: Means::Shed(i),
                cost: costs.shed(i),
                low: 0.0,
                high: if may { 1.0 } else { 0.0 },
                rows: vec![(i, 1.0), (sheds, 1.0)],
            });
        }
        rules.fixed.push(Fixed {
            means: Means::Sheds,
            cost: 0.0,
            low: 0.0,
            high: number(tenants),
            rows: vec![(sheds, -1.0)],
        });
        for column in columns.iter().flatten().filter(|c| c.host(instance).is_none()) {
            let rows = rules.of(column);
            rules.fixed.push(Fixed {
                means: Means::Alone(column.tenant, column.pick),
                cost: column.cost,
                low: 0.0,
                high: 1.0,
                rows,
            });
        }
        let mut layout = Self {
            instance,
            kinds: Vec::new(),
            slots: Vec::new(),
            alike: BTreeMap::new(),
            configs: Vec::new(),
            rows: Vec::new(),
            fixed: Vec::new(),
            linear,
            constant: constant(instance, costs),
            worst: worst(instance, costs, columns),
            most: Vec::new(),
            apart: BTreeSet::new(),
            bundles: Vec::new(),
            triples: Vec::new(),
            steps: Vec::new(),
            steps_count: 0,
        };
        slots(&mut layout, costs, columns, &mut rules, configs);
        layout.steps = vec![Vec::new(); layout.slots.len()];
        layout.close(rules);
        layout
    }

    /// What rows lack, so that the program always has a solution.
    fn close(&mut self, mut rules: Rules<'_>) {
        let caps = std::mem::take(&mut rules.watts);
        for (r, row) in rules.rows.iter().enumerate() {
            let sides: &[f64] = match row.equal {
                true if r < self.instance.tenants.len() => &[1.0],
                true => &[1.0, -1.0],
                false => &[-1.0],
            };
            for sign in sides {
                rules.fixed.push(Fixed {
                    means: Means::Lack,
                    // Watts come in small pieces.
                    cost: if caps.contains(&r) { WATT * self.lack() } else { self.lack() },
                    low: 0.0,
                    high: f64::INFINITY,
                    rows: vec![(r, *sign)],
                });
            }
        }
        self.most = (0..rules.rows.len())
            .map(|r| if caps.contains(&r) { WATT * self.lack() } else { self.lack() })
            .collect();
        self.rows = rules.rows;
        self.fixed = rules.fixed;
        self.apart = rules.apart;
        self.bundles = rules.bundles;
    }

    /// Price of what a row lacks.
    pub(super) fn lack(&self) -> f64 {
        50.0 * self.worst
    }

    /// Whether a rule keeps two tenants off each other's board.
    pub(super) fn apart(&self, a: usize, b: usize) -> bool {
        !self.apart.is_empty() && self.apart.contains(&(a, b))
    }

    /// Tenants.
    pub(super) fn tenants(&self) -> usize {
        self.instance.tenants.len()
    }

    /// Position of a pick among the items of a slot.
    pub(super) fn find(&self, slot: usize, tenant: usize, option: OptionIx) -> Option<u32> {
        let items = &self.slots[slot].items;
        let at = items.binary_search_by_key(&(tenant, option), |i| (i.tenant, i.option)).ok()?;
        u32::try_from(at).ok()
    }
}

fn constant(instance: &Instance, costs: &Costs) -> f64 {
    let off: f64 =
        instance.classes.iter().map(|c| number(c.devices.len()) * costs.power(instance, c.site, c.off)).sum();
    off + instance.tenants.iter().map(|t| costs.switching(t)).sum::<f64>()
}

/// More than the distance between any two plans.
fn worst(instance: &Instance, costs: &Costs, columns: &[Vec<Column>]) -> f64 {
    let dearest = |list: &Vec<Column>| list.iter().map(|c| c.cost.abs()).fold(0.0, f64::max);
    let served: f64 = columns.iter().map(dearest).sum();
    let shed: f64 = (0..instance.tenants.len()).map(|i| costs.shed(i).abs()).sum();
    let idle: f64 = instance
        .devices
        .iter()
        .map(|d| {
            let class = &instance.classes[d.class.at()];
            let draws = class.modes.iter().map(|m| m.idle).chain([class.off]);
            draws.map(|w| costs.power(instance, class.site, w).abs()).fold(0.0, f64::max)
        })
        .sum();
    1.0 + constant(instance, costs).abs() + served + shed + idle
}
