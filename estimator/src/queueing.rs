//! Waiting time of a tenant behind its own earlier requests.
//!
//! Requests of one tenant arrive as a Poisson stream of rate λ at a unit whose service time S is
//! nearly constant: an M/D/1 queue with utilisation ρ = λS. Its mean wait is ρS / (2(1−ρ))
//! (Pollaczek–Khinchine); a request waits at all with probability ρ, and given that it waits, the
//! wait is taken as exponential with the exact conditional mean S / (2(1−ρ)) (Tijms, *A First
//! Course in Stochastic Models*, Wiley 2003, chapter 9, two-moment approximations):
//!
//! ```text
//! P(W > t) ≈ ρ · exp(−2(1−ρ)t / S)
//! W_q = max(0, S / (2(1−ρ)) · ln(ρ / (1−q)))
//! ```
//!
//! The unit test compares this with Erlang's exact M/D/1 distribution.

use ecomap_instances::units::Millis;

/// Highest utilisation at which a wait is given; beyond, the queue has no steady state.
pub const SATURATION: f64 = 0.999;

/// Quantile `q` of the waiting time at utilisation `rho` and service time `service`.
///
/// Non-decreasing in each argument. Utilisations above [`SATURATION`] are treated as
/// [`SATURATION`]: large, but finite.
#[must_use]
pub fn wait_quantile(service: Millis, rho: f64, q: f64) -> Millis {
    let rho = rho.min(SATURATION);
    let miss = 1.0 - q;
    if rho <= miss || service <= Millis::ZERO {
        return Millis::ZERO;
    }
    service * ((rho / miss).ln() / (2.0 * (1.0 - rho)))
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
    fn close_to_the_exact_distribution() {
        for rho in [0.2, 0.4, 0.6, 0.8] {
            for q in [0.5, 0.95, 0.99] {
                let t = wait_quantile(Millis::new(1.0), rho, q).get();
                let at = exact(t, rho);
                // Where no wait is predicted, at least q of the requests do not wait.
                if t == 0.0 {
                    assert!(at >= q - 1e-9, "rho {rho} q {q}: {at}");
                } else {
                    // Coarse at the median, close in the tail that SLOs speak of.
                    let tolerance = if q < 0.9 { 0.045 } else { 0.015 };
                    assert!((at - q).abs() < tolerance, "rho {rho} q {q}: {at}");
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
