//! Seeded synthetic problems of the kinds that the benchmarks use. Synthetic, not measured.

use crate::problem::{Builder, Problem, ProblemError};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

/// Mapping of tenants on pools of interchangeable boards.
///
/// An option is a pool with a tier and a cut: it uses compute and memory of its pool, power and
/// bandwidth of the site. Value rises with the square root of the tier's size (diminishing
/// returns), with 3 % of noise; capacities are 50–70 % of what the unconstrained best would use.
/// Rows: P compute, P memory, power, bandwidth, so 2·P + 2; with five rows 3 compute, power,
/// bandwidth. All numbers are whole. The tiers' sizes are uniform on 0.08–1, a tenant's on
/// 0.3–1.7; one light option stands on every pool, so that a plan exists.
///
/// # Errors
/// [`ProblemError`] for sizes out of bounds.
pub fn pool(tenants: usize, options: usize, rows: usize, seed: u64) -> Result<Problem, ProblemError> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed ^ (rows as u64) << 40 ^ (options as u64) << 48);
    let with_memory = rows != 5;
    let pools = if with_memory { (rows.max(4) - 2) / 2 } else { 3 };
    let efficiency: Vec<f64> = (0..pools).map(|_| rng.random_range(0.6..1.4)).collect();
    let (power, bandwidth) = (rows - 2, rows - 1);
    let mut drawn: Vec<(f64, Vec<(usize, f64)>)> = Vec::with_capacity(tenants * options);
    let mut wanted = vec![0.0; rows];
    for _ in 0..tenants {
        let size: f64 = rng.random_range(0.3..1.7);
        let mut best: Option<usize> = None;
        for option in 0..options {
            let light = option < pools;
            let (on, scale): (usize, f64) = if light {
                (option, rng.random_range(0.08..0.12))
            } else {
                (rng.random_range(0..pools), rng.random_range(0.08..1.0))
            };
            let compute = (1000.0 * size * scale * rng.random_range(0.7..1.3)).ceil();
            let watts = (800.0 * size * scale * efficiency[on] * rng.random_range(0.7..1.3)).ceil();
            let traffic = (300.0 * size * rng.random_range(0.2..1.0)).ceil();
            let mut uses = vec![(on, compute), (power, watts), (bandwidth, traffic)];
            if with_memory {
                uses.push((pools + on, (600.0 * size * scale.sqrt() * rng.random_range(0.7..1.3)).ceil()));
            }
            let value = (10_000.0 * size * scale.sqrt() * rng.random_range(0.97..1.03)).round();
            drawn.push((value, uses));
            if best.is_none_or(|b| drawn[b].0 < value) {
                best = Some(drawn.len() - 1);
            }
        }
        for (row, amount) in best.map_or(&[][..], |b| &drawn[b].1) {
            wanted[*row] += amount;
        }
    }
    let mut capacity: Vec<f64> =
        wanted.iter().map(|w: &f64| (rng.random_range(0.5..0.7) * w.max(1.0)).floor()).collect();
    if let (Some(c), Some(w)) = (capacity.last_mut(), wanted.last()) {
        *c = (0.7 * w).floor();
    }
    let mut builder = Builder::new(capacity);
    for (n, (value, uses)) in drawn.iter().enumerate() {
        if n % options == 0 {
            builder.class();
        }
        builder.option(*value, uses);
    }
    builder.build()
}
