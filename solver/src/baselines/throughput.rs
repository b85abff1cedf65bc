//! Throughput of DNNs that run back to back on one board, from the service times of their seats.
//!
//! Mapping papers train an estimator on measured mixes; here the priced service times stand for it,
//! the same for every method. Units are shared in turns: while every DNN on unit c makes one
//! request, c is busy for Σ_j demand[j,c], so DNN i completes
//! X_i = 1 / max over its units c of Σ_j demand[j,c] requests a second, at most 1 / its slowest stage.

use super::board::{Board, Seat};

/// Requests per second of each job of a board, one seat a job.
pub(crate) fn throughput(board: &Board, seats: &[usize]) -> Vec<f64> {
    let chosen: Vec<&Seat> = board.jobs.iter().zip(seats).map(|(job, seat)| &job.seats[*seat]).collect();
    let mut round = vec![0.0; board.units];
    for seat in &chosen {
        round.iter_mut().zip(&seat.demand).for_each(|(sum, d)| *sum += d);
    }
    chosen
        .iter()
        .map(|seat| {
            let used = round.iter().zip(&seat.demand).filter(|(_, d)| **d > 0.0);
            let slowest = used.map(|(sum, _)| *sum).fold(0.0, f64::max);
            if slowest > 0.0 { 1.0 / slowest } else { f64::from(u16::MAX) }
        })
        .collect()
}

/// Requests per second of a job that has the board to itself, in its best seat.
pub(crate) fn ideal(board: &Board, job: usize) -> f64 {
    let seats = board.jobs[job].seats.iter();
    let best = seats.map(|s| s.demand.iter().copied().fold(0.0, f64::max)).fold(f64::INFINITY, f64::min);
    if best > 0.0 { 1.0 / best } else { f64::from(u16::MAX) }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::baselines::board::{Job, Stage};
    use crate::columns::Column;
    use ecomap_instances::ids::{DeviceIx, OptionIx, TenantIx};
    use ecomap_instances::plan::Pick;

    /// A board of two units; each job is a list of seats, each seat a list of (unit, blocks, ms).
    #[allow(clippy::type_complexity)] // literals of tests
    pub(crate) fn board(jobs: &[&[&[(usize, usize, f64)]]]) -> Board {
        let jobs = jobs
            .iter()
            .zip(0..)
            .map(|(seats, tenant)| {
                let seats: Vec<Seat> = seats.iter().zip(0..).map(|(s, o)| seat(tenant, o, s)).collect();
                let patterns = seats.iter().map(Seat::units_by_block).collect();
                Job { tenant: TenantIx::new(tenant), priority: 1.0, deadline: None, seats, patterns }
            })
            .collect();
        Board { device: DeviceIx::new(0), units: 2, bandwidth: 100e9, jobs }
    }

    fn seat(tenant: usize, option: usize, parts: &[(usize, usize, f64)]) -> Seat {
        let mut demand = vec![0.0; 2];
        let (mut stages, mut from) = (Vec::new(), 0);
        for (unit, blocks, ms) in parts {
            demand[*unit] += ms / 1e3;
            stages.push(Stage { from, to: from + blocks, unit: *unit, seconds: ms / 1e3 });
            from += blocks;
        }
        let pick = Pick { option: OptionIx::new(option), device: Some(DeviceIx::new(0)) };
        let alone = demand.iter().sum();
        Seat {
            column: Column { tenant: TenantIx::new(tenant), pick, cost: 0.0 },
            stages,
            demand,
            alone,
            bytes: 0.0,
        }
    }

    #[test]
    fn units_are_shared_in_turns() {
        let board = board(&[&[&[(0, 2, 10.0)]], &[&[(0, 1, 30.0), (1, 1, 50.0)]]]);
        let rates = throughput(&board, &[0, 0]);
        assert!((rates[0] - 25.0).abs() < 1e-9, "one request each takes 40 ms of unit 0: {rates:?}");
        assert!((rates[1] - 20.0).abs() < 1e-9, "its own 50 ms of unit 1 are slower: {rates:?}");
        assert!((ideal(&board, 0) - 100.0).abs() < 1e-9);
    }
}
