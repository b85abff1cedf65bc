//! What the method works on: kinds of boards, slots (a kind in a mode), the items that may stand in a
//! slot, and the rows and fixed columns of the master program.
//!
//! Boards of a class are one kind as long as the same items with the same costs may run on them; a
//! pinned or running tenant sets a board apart.

use crate::checker::TOLERANCE;
use crate::columns::Column;
use crate::pricing::Costs;
use ecomap_instances::Instance;
use ecomap_instances::ids::{ClassIx, DeviceIx, ModeIx, OptionIx, TenantIx};
use ecomap_instances::plan::Pick;
use ecomap_instances::scenario::{AffinityKind, Scope};
use std::collections::{BTreeMap, BTreeSet};

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
}

/// A kind of board in one mode.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) kind: usize,
    pub(super) class: ClassIx,
    pub(super) mode: ModeIx,
    /// Cost of a board that is on and empty, over one that is off.
    pub(super) cost: f64,
    /// Draw of a board that is on and empty, over one that is off, W.
    pub(super) idle: f64,
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
    pub(super) items: Vec<Item>,
}

/// Boards that cannot be told apart.
#[derive(Debug)]
pub(super) struct Kind {
    pub(super) devices: Vec<DeviceIx>,
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
    pub(super) rows: Vec<Row>,
    pub(super) fixed: Vec<Fixed>,
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
}

pub(super) fn number(n: usize) -> f64 {
    #[allow(clippy::cast_precision_loss)] // boards, tenants
    let n = n as f64;
    n
}

/// Items by option on one device: option, cost, whether it is the running choice.
type Signature = Vec<(usize, usize, u64, bool)>;

/// Rows under construction, with the rules that items enter.
struct Rules<'a> {
    instance: &'a Instance,
    rows: Vec<Row>,
    fixed: Vec<Fixed>,
    capacity: Vec<usize>,
    caps: Vec<Option<usize>>,
    fleet: Option<usize>,
    moves: Option<usize>,
    /// Member and site to the rows (10b), (10c) of a site.
    at_site: BTreeMap<(usize, usize), Vec<usize>>,
    apart: BTreeSet<(usize, usize)>,
    bundles: Vec<(usize, BTreeSet<usize>)>,
}

impl Rules<'_> {
    fn row(&mut self, equal: bool, rhs: f64) -> usize {
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
    fn of(&self, column: &Column) -> Sparse {
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
    pub(super) fn new(instance: &'a Instance, costs: &Costs, columns: &[Vec<Column>]) -> Self {
        let tenants = instance.tenants.len();
        let mut rules = Rules {
            instance,
            rows: vec![Row { equal: true, rhs: 1.0 }; tenants],
            fixed: Vec::new(),
            capacity: Vec::new(),
            caps: Vec::new(),
            fleet: None,
            moves: None,
            at_site: BTreeMap::new(),
            apart: BTreeSet::new(),
            bundles: Vec::new(),
        };
        rules.capacity =
            instance.capacities.iter().map(|c| rules.row(false, c.capacity / scale(c.capacity))).collect();
        for (s, site) in instance.sites.iter().enumerate() {
            let classes = instance.classes.iter().filter(|c| c.site.at() == s);
            let off: f64 = classes.map(|c| number(c.devices.len()) * c.off.get()).sum();
            let row = site.cap.map(|cap| rules.row(false, cap.get() - off));
            rules.caps.push(row);
        }
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
            rows: Vec::new(),
            fixed: Vec::new(),
            constant: constant(instance, costs),
            worst: worst(instance, costs, columns),
            most: Vec::new(),
            apart: BTreeSet::new(),
            bundles: Vec::new(),
        };
        layout.boards(costs, columns, &mut rules);
        layout.close(rules);
        layout
    }

    /// Kinds and slots.
    fn boards(&mut self, costs: &Costs, columns: &[Vec<Column>], rules: &mut Rules<'_>) {
        let instance = self.instance;
        let mut on: Vec<Vec<&Column>> = vec![Vec::new(); instance.devices.len()];
        for column in columns.iter().flatten() {
            if let Some((_, device)) = column.host(instance) {
                on[device.at()].push(column);
            }
        }
        let signature = |column: &&Column| {
            let tenant = &instance.tenants[column.tenant.at()];
            let stays =
                column.pick.device.is_some_and(|d| instance.is_running(tenant, column.choice(instance), d));
            (column.tenant.at(), column.pick.option.at(), column.cost.to_bits(), stays)
        };
        let mut kinds: BTreeMap<(usize, Signature), usize> = BTreeMap::new();
        for (d, columns) in on.iter().enumerate() {
            let class = instance.devices[d].class;
            let key = (class.at(), columns.iter().map(signature).collect());
            if let Some(kind) = kinds.get(&key) {
                self.kinds[*kind].devices.push(DeviceIx::new(d));
                continue;
            }
            let kind = self.kinds.len();
            kinds.insert(key, kind);
            let first = self.slots.len();
            for m in 0..instance.classes[class.at()].modes.len() {
                let mode = ModeIx::new(m);
                let mine = columns.iter().filter(|c| c.host(instance).is_some_and(|(h, _)| h.mode == mode));
                let slot = slot(instance, costs, rules, (kind, class, mode), mine.copied());
                self.slots.push(slot);
            }
            let slots = (first..self.slots.len()).collect();
            self.kinds.push(Kind { devices: vec![DeviceIx::new(d)], slots });
        }
        let sites: Vec<usize> = instance.sites.iter().map(|_| rules.row(true, 0.0)).collect();
        let mut boards = vec![0.0; sites.len()];
        for kind in &self.kinds {
            let class = &instance.classes[self.slots[kind.slots[0]].class.at()];
            let row = rules.row(true, 0.0);
            for slot in &kind.slots {
                rules.fixed.push(Fixed {
                    means: Means::Boards(*slot),
                    cost: 0.0,
                    low: 0.0,
                    high: kind.boards(),
                    rows: vec![(self.slots[*slot].link, -1.0), (row, 1.0)],
                });
            }
            boards[class.site.at()] += kind.boards();
            rules.fixed.push(Fixed {
                means: Means::On,
                cost: 0.0,
                low: if class.always_on { kind.boards() } else { 0.0 },
                high: kind.boards(),
                rows: vec![(row, -1.0), (sites[class.site.at()], 1.0)],
            });
        }
        for (row, high) in sites.into_iter().zip(boards) {
            rules.fixed.push(Fixed { means: Means::On, cost: 0.0, low: 0.0, high, rows: vec![(row, -1.0)] });
        }
    }

    /// What rows lack, so that the program always has a solution.
    fn close(&mut self, mut rules: Rules<'_>) {
        let caps: Vec<usize> = rules.caps.iter().flatten().copied().collect();
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

fn slot<'c>(
    instance: &Instance,
    costs: &Costs,
    rules: &mut Rules<'_>,
    (kind, class, mode): (usize, ClassIx, ModeIx),
    columns: impl Iterator<Item = &'c Column>,
) -> Slot {
    let board = &instance.classes[class.at()];
    let way = &board.modes[mode.at()];
    let share = |amount: f64, limit: f64| if amount > 0.0 { amount / limit.max(1e-12) } else { 0.0 };
    let room = |limit: &f64| 1.0 + TOLERANCE * limit.abs().max(1.0) / limit.max(1e-12);
    let limits = way.load_cap.iter().copied();
    let limits: Vec<f64> = limits.chain([way.bandwidth.get(), (way.budget - way.idle).get()]).collect();
    let mut items = Vec::new();
    for column in columns {
        let Some((host, _)) = column.host(instance) else { continue };
        let mut uses = vec![0.0; board.units.len()];
        for (unit, load) in &host.load {
            uses[unit.at()] += share(*load, way.load_cap[unit.at()]);
        }
        uses.push(share(host.bandwidth.get(), way.bandwidth.get()));
        uses.push(share(host.dynamic.get(), (way.budget - way.idle).get()));
        items.push(Item {
            tenant: column.tenant.at(),
            option: column.pick.option,
            cost: column.cost,
            dynamic: host.dynamic.get(),
            uses,
            memory: host.memory.get(),
            weights: host.weights.iter().map(|w| w.at()).collect(),
            rows: rules.of(column),
        });
    }
    items.sort_by_key(|i| (i.tenant, i.option));
    Slot {
        kind,
        class,
        mode,
        cost: costs.power(instance, board.site, way.idle) - costs.power(instance, board.site, board.off),
        idle: (way.idle - board.off).get(),
        off: board.off.get(),
        memory: board.memory.get(),
        room: limits.iter().map(room).collect(),
        link: rules.row(true, 0.0),
        cap: rules.caps[board.site.at()],
        items,
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
