//! Waiting times of a queue with Poisson arrivals and constant service (M/D/1).
//!
//! The distribution of the wait is Franx' (G. J. Franx, "A simple solution for the M/D/c waiting
//! time distribution", Operations Research Letters 29, 2001), whose terms are all positive: for
//! `(k−1) S ≤ t < k S`, with `Q_m` the probability of at most `m` requests waiting,
//!
//! ```text
//! P(W ≤ t) = e^(−λ(kS−t)) Σ_{j<k} Q_{k−1−j} (λ(kS−t))^j / j!
//! ```
//!
//! The numbers in the system follow by level crossing from `p_0 = 1 − ρ`, again without
//! subtraction: `p_{n+1} a_0 = p_0 Ā_n + Σ_{1≤i≤n} p_i Ā_{n−i+1}`, where `a_j` is the Poisson
//! probability of `j` arrivals during a service and `Ā_j` that of more than `j`.
//!
//! Quantiles p50, p95 and p99 are tabulated over the utilisation once; other quantiles use the
//! two-moment approximation `P(W > t) ≈ ρ exp(−2(1−ρ)t/S)` (Tijms, *A First Course in Stochastic
//! Models*, Wiley 2003, chapter 9).

use ecomap_instances::units::Millis;
use std::sync::OnceLock;

/// Highest utilisation at which a wait is given; beyond, the queue has no steady state.
pub const SATURATION: f64 = 0.999;

/// Utilisation up to which quantiles are tabulated.
const TABLED: f64 = 0.98;
const STEPS: usize = 98;
const QUANTILES: [f64; 3] = [0.5, 0.95, 0.99];

/// Quantile `q` of the waiting time at utilisation `rho` and service time `service`.
///
/// Non-decreasing in each argument. Utilisations above [`SATURATION`] are treated as
/// [`SATURATION`]: large, but finite. Exact for p50, p95 and p99 up to a utilisation of 0.98, up
/// to interpolation in steps of 0.01.
#[must_use]
pub fn wait_quantile(service: Millis, rho: f64, q: f64) -> Millis {
    let rho = rho.min(SATURATION);
    let miss = 1.0 - q;
    if rho <= miss || service <= Millis::ZERO {
        return Millis::ZERO;
    }
    let Some(n) = QUANTILES.iter().position(|x| (x - q).abs() < 1e-12) else {
        return service * approximate(rho, q);
    };
    let table = &table()[n];
    if rho >= TABLED {
        // The approximation's shape, through the last exact value.
        let last = table.last().copied().unwrap_or(0.0);
        return service * (last * approximate(rho, q) / approximate(TABLED, q));
    }
    let at = rho * 100.0;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let below = (at.floor() as usize).min(STEPS - 1);
    let part = at - at.floor();
    service * (table[below] * (1.0 - part) + table[below + 1] * part)
}

fn approximate(rho: f64, q: f64) -> f64 {
    ((rho / (1.0 - q)).ln() / (2.0 * (1.0 - rho))).max(0.0)
}

fn table() -> &'static [[f64; STEPS + 1]; 3] {
    static TABLE: OnceLock<[[f64; STEPS + 1]; 3]> = OnceLock::new();
    TABLE.get_or_init(|| {
        let mut table = [[0.0; STEPS + 1]; 3];
        let mut rho = 0.0;
        for step in 1..=STEPS {
            rho += 0.01;
            let exact = Exact::new(rho, 200);
            for (row, q) in table.iter_mut().zip(QUANTILES) {
                row[step] = exact.quantile(q);
            }
        }
        table
    })
}

/// The exact distribution at service time 1.
struct Exact {
    rho: f64,
    /// Probability of at most that many requests waiting.
    waiting: Vec<f64>,
}

impl Exact {
    fn new(rho: f64, most: usize) -> Self {
        let mut arrivals = vec![(-rho).exp()];
        let mut j = 1.0;
        while arrivals.len() < most + 2 {
            arrivals.push(arrivals[arrivals.len() - 1] * rho / j);
            j += 1.0;
        }
        // Ā_j from the far end, where terms are smallest.
        let mut more = vec![0.0; arrivals.len()];
        for j in (0..arrivals.len() - 1).rev() {
            more[j] = more[j + 1] + arrivals[j + 1];
        }
        let mut p = vec![1.0 - rho];
        while p.len() <= most {
            let n = p.len() - 1;
            let inner: f64 = (1..=n).map(|i| p[i] * more[n - i + 1]).sum();
            p.push((p[0] * more[n] + inner) / arrivals[0]);
        }
        let mut sum = p[0];
        let waiting = p[1..]
            .iter()
            .map(|x| {
                sum += x;
                sum.min(1.0)
            })
            .collect();
        Self { rho, waiting }
    }

    /// P(W ≤ t).
    fn within(&self, t: f64) -> f64 {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let k = t.floor() as usize + 1;
        let left = self.rho * (t.floor() + 1.0 - t);
        let mut term = (-left).exp();
        let mut sum = 0.0;
        let mut j = 0.0;
        for back in (0..k).rev() {
            sum += term * self.waiting.get(back).copied().unwrap_or(1.0);
            j += 1.0;
            term *= left / j;
        }
        sum.min(1.0)
    }

    fn quantile(&self, q: f64) -> f64 {
        if self.within(0.0) >= q {
            return 0.0;
        }
        let (mut low, mut high) = (0.0, 199.0);
        for _ in 0..50 {
            let middle = (low + high) / 2.0;
            if self.within(middle) < q { low = middle } else { high = middle }
        }
        high
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Erlang (1909): P(W ≤ t) = (1−ρ) Σ_{k=0}^{⌊t/S⌋} (λ(kS − t))^k / k! · e^{−λ(kS−t)}.
    fn exact(t: f64, rho: f64) -> f64 {
        let mut sum = 0.0;
        let mut k = 0.0;
        let mut factorial = 1.0;
        while k <= t {
            let x = rho * (k - t);
            sum += x.powf(k) / factorial * (-x).exp();
            k += 1.0;
            factorial *= k;
        }
        (1.0 - rho) * sum
    }

    #[test]
    fn agrees_with_erlangs_distribution() {
        for rho in [0.2, 0.4, 0.6, 0.8] {
            for q in [0.5, 0.95, 0.99] {
                let t = wait_quantile(Millis::new(1.0), rho, q).get();
                let at = exact(t, rho);
                // Where no wait is predicted, at least q of the requests do not wait.
                if t == 0.0 {
                    assert!(at >= q - 1e-9, "rho {rho} q {q}: {at}");
                } else {
                    assert!((at - q).abs() < 1e-6, "rho {rho} q {q}: {at}");
                }
            }
        }
    }

    #[test]
    fn grows_with_load_and_quantile() {
        let s = Millis::new(10.0);
        let mut last = Millis::ZERO;
        for step in 0..120 {
            let rho = f64::from(step) / 100.0;
            let wait = wait_quantile(s, rho, 0.99);
            assert!(wait >= last);
            assert!(wait >= wait_quantile(s, rho, 0.95));
            last = wait;
        }
        assert!(last.get().is_finite());
    }
}
