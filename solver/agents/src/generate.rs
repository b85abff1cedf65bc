//! Seeded synthetic problems of the kind that the benchmarks use. Synthetic, not measured.

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use std::fmt::Write as _;

/// Compute units of a device: one large, two medium, two small, by speed.
const SPEED: [f64; 5] = [1.0, 0.6, 0.6, 0.25, 0.12];
/// Capacity of each unit and of the memory.
const UNIT: f64 = 1000.0;
const MEMORY: f64 = 1600.0;

/// A problem with several rows a device, to maximise.
#[derive(Debug, Clone, PartialEq)]
pub struct Cluster {
    /// Capacity of each row: for every device five units and the memory, then power.
    pub capacity: Vec<f64>,
    /// For each tenant its options: a value, and what they use of rows.
    pub tenants: Vec<Vec<Choice>>,
}

/// One option of a tenant.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    /// What it is worth.
    pub value: f64,
    /// Rows, ascending, and amounts.
    pub uses: Vec<(usize, f64)>,
}

/// Mapping of tenants on named devices, eight tenants to each.
///
/// An option is a device of a tenant's neighbourhood, a unit for the greater part and one for the
/// rest, and a tier: it uses both units, the device's memory and the site's power. Value rises with
/// the square root of the tier's size, with 10 % of noise; the power row is 60 % of what the best
/// options would draw. Three options of every tenant are of the lightest tier. Numbers are whole.
#[must_use]
pub fn cluster(tenants: usize, options: usize, seed: u64) -> Cluster {
    let mut rng = ChaCha8Rng::seed_from_u64(seed ^ (options as u64) << 48 ^ 77 << 40);
    let devices = (tenants / 8).max(1);
    let rows = SPEED.len() + 1;
    let power = devices * rows;
    let mut wanted = 0.0;
    let mut all = Vec::with_capacity(tenants);
    for _ in 0..tenants {
        let size = rng.random_range(0.3..1.7);
        let near: Vec<usize> =
            (0..(options / 5).min(devices).max(2)).map(|_| rng.random_range(0..devices)).collect();
        let mut list: Vec<Choice> = Vec::with_capacity(options);
        let mut best = (f64::NEG_INFINITY, 0.0);
        for option in 0..options {
            let device = near[rng.random_range(0..near.len())];
            let tier: f64 = rng.random_range(0.08..1.0);
            let tier = if option < 3 { 0.08 } else { tier };
            let main = rng.random_range(0..SPEED.len());
            let helper = (main + rng.random_range(1..SPEED.len())) % SPEED.len();
            let cut = rng.random_range(0.0..1.0);
            let value = (10_000.0 * size * tier.sqrt() * rng.random_range(0.9..1.1_f64)).round();
            let draw = (500.0 * size * tier * rng.random_range(0.6..1.4_f64)).ceil();
            let mut uses = vec![
                (device * rows + main, (300.0 * size * tier * cut / SPEED[main]).ceil()),
                (device * rows + helper, (300.0 * size * tier * (1.0 - cut) / SPEED[helper]).ceil()),
                (device * rows + rows - 1, (300.0 * size * tier.sqrt()).ceil()),
                (power, draw),
            ];
            uses.sort_by_key(|(row, _)| *row);
            if value > best.0 {
                best = (value, draw);
            }
            list.push(Choice { value, uses });
        }
        wanted += best.1;
        all.push(list);
    }
    let mut capacity = vec![UNIT; power + 1];
    for device in 0..devices {
        capacity[device * rows + rows - 1] = MEMORY;
    }
    capacity[power] = (0.6 * wanted).floor();
    Cluster { capacity, tenants: all }
}

impl Cluster {
    /// The problem as text: tenants and rows, capacities, and for each tenant the number of options
    /// and for each option its value, the number of rows used, rows and amounts.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = format!("{} {}\n", self.tenants.len(), self.capacity.len());
        for c in &self.capacity {
            let _ = write!(text, "{c} ");
        }
        for list in &self.tenants {
            let _ = write!(text, "\n{}", list.len());
            for choice in list {
                let _ = write!(text, "\n{} {}", choice.value, choice.uses.len());
                for (row, amount) in &choice.uses {
                    let _ = write!(text, " {row} {amount}");
                }
            }
        }
        text.push('\n');
        text
    }
}
