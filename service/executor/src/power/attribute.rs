//! Who used the energy of an interval.
//!
//! A board's rails are shared, so energy is shared out by busy time: the board keeps what it draws with nothing
//! running, `idle · T`, and the rest goes to tenants in proportion to `Σ_c busy[i,c] · dynamic[c]`, the busy time on
//! each unit weighed with what the profile says that unit draws. Shares always sum to the rest; when nobody was busy
//! the board keeps it all.

use crate::power::meter::Metered;
use ecomap_instances::profile::Mode;
use ecomap_instances::units::Joules;
use std::time::Duration;

/// Energy of an interval, shared out.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Shares {
    /// By tenant, in the order given.
    pub tenants: Vec<Joules>,
    /// What nobody used.
    pub board: Joules,
}

/// Shares out `metered`, which covers a board in `mode`. `module` says that it covers the module alone: idle power then
/// leaves out the carrier board. `busy` is, by tenant, the time on each unit of the profile.
#[must_use]
pub fn share(metered: Metered, mode: &Mode, module: bool, busy: &[Vec<Duration>]) -> Shares {
    let weights: Vec<f64> = busy
        .iter()
        .map(|units| {
            let each = units.iter().zip(&mode.units);
            each.map(|(t, u)| t.as_secs_f64() * u.as_ref().map_or(0.0, |u| u.dynamic.get())).sum()
        })
        .collect();
    let all: f64 = weights.iter().sum();
    let total = metered.energy.max(Joules::ZERO);
    if all <= 0.0 {
        return Shares { tenants: vec![Joules::ZERO; busy.len()], board: total };
    }
    let idle = if module { mode.idle - mode.carrier } else { mode.idle };
    let board = Joules::new(idle.get().max(0.0) * metered.covered.as_secs_f64()).min(total);
    let rest = (total - board).get();
    Shares { tenants: weights.iter().map(|w| Joules::new(rest * w / all)).collect(), board }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ecomap_instances::Catalog;

    fn mode() -> Mode {
        let profile = Catalog::embedded().unwrap().profile("jetson-agx-xavier").unwrap();
        profile.modes[profile.mode_position("30W_ALL").unwrap()].clone()
    }

    fn metered(joules: f64) -> Metered {
        Metered { energy: Joules::new(joules), covered: Duration::from_secs(10) }
    }

    #[test]
    fn shares_follow_weighted_busy_time_and_sum_up() {
        let mode = mode();
        let on = |unit: usize, ms: u64| {
            let mut units = vec![Duration::ZERO; mode.units.len()];
            units[unit] = Duration::from_millis(ms);
            units
        };
        // 6.9 W idle; the GPU draws 11.19 W, a DLA 2.74 W: figures of the profile.
        let shares = share(metered(100.0), &mode, false, &[on(0, 2000), on(1, 2000)]);
        assert!((shares.board.get() - 69.0).abs() < 1e-9);
        let [gpu, dla] = shares.tenants[..] else { panic!("two tenants") };
        assert!((gpu / dla - 11.19 / 2.74).abs() < 1e-9);
        assert!((gpu + dla + shares.board - Joules::new(100.0)).get().abs() < 1e-9);
    }

    #[test]
    fn rails_of_the_module_leave_the_carrier_out() {
        let busy = vec![vec![Duration::from_secs(1); 5]];
        let shares = share(metered(100.0), &mode(), true, &busy);
        assert!((shares.board.get() - 10.0 * (6.9 - 2.5)).abs() < 1e-9);
    }

    #[test]
    fn less_than_idle_leaves_tenants_nothing_and_never_less() {
        let shares = share(metered(10.0), &mode(), false, &[vec![Duration::from_secs(1); 5]]);
        assert_eq!((shares.tenants[0], shares.board), (Joules::ZERO, Joules::new(10.0)));
        let silent = share(metered(100.0), &mode(), false, &[vec![Duration::ZERO; 5]]);
        assert_eq!((silent.tenants[0], silent.board), (Joules::ZERO, Joules::new(100.0)));
    }
}
