//! `magma`: Kao, Krishna, "MAGMA: An Optimization Framework for Mapping Multiple DNNs on Multiple
//! Accelerator Cores", HPCA 2022.
//!
//! Followed: a genetic algorithm whose individual has, for each job, a gene for the accelerator and a
//! gene for the priority with which it waits there; accelerators share the memory bandwidth; 100
//! individuals, 10 000 samples; the four operators of the paper: mutation, crossover of one kind of
//! gene (*gen*), of a range of jobs in both kinds (*rg*), of all jobs of one accelerator (*accel*).
//! It optimises throughput, that is the end of the last job, and knows neither power, tiers nor
//! latency objectives.
//!
//! Adapted: the accelerator gene names a placement on offer, so a job may use several units;
//! individuals are played by `timeline.rs`, everyone slowed alike when traffic exceeds the bandwidth;
//! the better half breeds; rates are 0.05 for mutation, *rg* and *accel* and 0.9 for *gen*.

use super::blind::{self, Desk};
use super::board::{Board, Deal};
use super::timeline::{Active, makespan, play};
use crate::error::SolverError;
use crate::solution::Solution;
use crate::solve::{Observer, SolveOptions, Solver};
use ecomap_instances::Instance;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Individuals.
const POPULATION: usize = 100;
/// Individuals rated, a board.
const SAMPLES: u64 = 10_000;
/// Chance of a gene to mutate; chance of the crossovers *rg* and *accel*.
const RARE: f64 = 0.05;
/// Chance of the crossover *gen*.
const GEN: f64 = 0.9;

/// The MAGMA baseline.
#[derive(Debug, Clone, Copy)]
pub struct Magma;

impl Solver for Magma {
    fn name(&self) -> &'static str {
        "magma"
    }

    fn summary(&self) -> &'static str {
        "genetic algorithm over placement and priority genes (MAGMA, HPCA 2022); no bound"
    }

    fn is_exact(&self) -> bool {
        false
    }

    fn solve(
        &self,
        instance: &Instance,
        options: &SolveOptions,
        observer: &mut dyn Observer,
    ) -> Result<Solution, SolverError> {
        blind::solve(self, instance, options, observer, Deal::LeastWork, place)
    }
}

/// One mapping and order.
#[derive(Debug, Clone, PartialEq)]
struct Individual {
    seats: Vec<usize>,
    priorities: Vec<f64>,
    end: f64,
}

fn place(board: &Board, desk: &mut Desk<'_, '_, '_>) -> Vec<usize> {
    let mut rng = ChaCha8Rng::seed_from_u64(desk.seed());
    let mut best: Option<Individual> = None;
    let mut rate = |mut one: Individual, desk: &mut Desk<'_, '_, '_>| {
        one.end = end(board, &one);
        if best.as_ref().is_none_or(|b| one.end < b.end - 1e-12) {
            desk.better(board, &one.seats);
            best = Some(one.clone());
        }
        one
    };
    let mut population: Vec<Individual> = Vec::with_capacity(POPULATION);
    let mut samples = 0;
    while samples < SAMPLES && desk.step() {
        samples += 1;
        if population.len() < POPULATION {
            population.push(rate(random(board, &mut rng), desk));
            continue;
        }
        // A generation: the better half stays and breeds the other half.
        if samples % (POPULATION as u64 / 2) == 1 {
            population.sort_by(|a, b| a.end.total_cmp(&b.end));
            population.truncate(POPULATION / 2);
        }
        let parents = population.len().min(POPULATION / 2);
        let (a, b) = (rng.random_range(0..parents), rng.random_range(0..parents));
        let child = bred(board, &population[a], &population[b], &mut rng);
        population.push(rate(child, desk));
    }
    best.map_or_else(|| vec![0; board.jobs.len()], |b| b.seats)
}

fn random(board: &Board, rng: &mut ChaCha8Rng) -> Individual {
    let seats = board.jobs.iter().map(|job| rng.random_range(0..job.seats.len())).collect();
    let priorities = board.jobs.iter().map(|_| rng.random::<f64>()).collect();
    Individual { seats, priorities, end: f64::INFINITY }
}

/// End of the last job, s.
fn end(board: &Board, one: &Individual) -> f64 {
    let mut order: Vec<usize> = (0..board.jobs.len()).collect();
    order.sort_by(|a, b| one.priorities[*b].total_cmp(&one.priorities[*a]).then(a.cmp(b)));
    makespan(&play(board, &one.seats, &order, |active| shared_bandwidth(board, active)))
}

/// Everyone slows alike when together they ask for more than there is.
fn shared_bandwidth(board: &Board, active: &[Active]) -> Vec<f64> {
    let asked: f64 = active.iter().map(|a| a.traffic).sum();
    vec![(asked / board.bandwidth.max(1.0)).max(1.0); active.len()]
}

fn bred(board: &Board, mother: &Individual, father: &Individual, rng: &mut ChaCha8Rng) -> Individual {
    let mut child = mother.clone();
    if rng.random_bool(GEN) {
        cross_gen(&mut child, father, rng);
    }
    if rng.random_bool(RARE) {
        cross_range(&mut child, father, rng);
    }
    if rng.random_bool(RARE) {
        let unit = rng.random_range(0..board.units);
        cross_unit(board, &mut child, father, unit);
    }
    for (j, job) in board.jobs.iter().enumerate() {
        if rng.random_bool(RARE) {
            child.seats[j] = rng.random_range(0..job.seats.len());
        }
        if rng.random_bool(RARE) {
            child.priorities[j] = rng.random();
        }
    }
    child
}

/// One kind of gene, from a random point on, comes from the father.
fn cross_gen(child: &mut Individual, father: &Individual, rng: &mut ChaCha8Rng) {
    let from = rng.random_range(0..child.seats.len());
    if rng.random_bool(0.5) {
        child.seats[from..].copy_from_slice(&father.seats[from..]);
    } else {
        child.priorities[from..].copy_from_slice(&father.priorities[from..]);
    }
}

/// Both kinds of genes of a range of jobs come from the father.
fn cross_range(child: &mut Individual, father: &Individual, rng: &mut ChaCha8Rng) {
    let (a, b) = (rng.random_range(0..child.seats.len()), rng.random_range(0..child.seats.len()));
    let range = a.min(b)..=a.max(b);
    child.seats[range.clone()].copy_from_slice(&father.seats[range.clone()]);
    child.priorities[range.clone()].copy_from_slice(&father.priorities[range]);
}

/// The jobs that the father has on a unit come from the father, with their priorities.
fn cross_unit(board: &Board, child: &mut Individual, father: &Individual, unit: usize) {
    for (j, job) in board.jobs.iter().enumerate() {
        if job.patterns[father.seats[j]].contains(&unit) {
            child.seats[j] = father.seats[j];
            child.priorities[j] = father.priorities[j];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::baselines::throughput::tests::board;

    fn three() -> Board {
        let whole: &[&[(usize, usize, f64)]] = &[&[(0, 2, 10.0)], &[(1, 2, 22.0)]];
        board(&[whole, whole, whole])
    }

    #[test]
    fn crossovers_take_what_they_say() {
        let board = three();
        let mother = Individual { seats: vec![0, 0, 0], priorities: vec![0.1, 0.2, 0.3], end: 0.0 };
        let father = Individual { seats: vec![1, 0, 1], priorities: vec![0.7, 0.8, 0.9], end: 0.0 };
        let mut child = mother.clone();
        cross_unit(&board, &mut child, &father, 1);
        assert_eq!((child.seats, child.priorities), (vec![1, 0, 1], vec![0.7, 0.2, 0.9]));
        for seed in 0..20 {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let mut child = mother.clone();
            cross_gen(&mut child, &father, &mut rng);
            assert!(child.seats == mother.seats || child.priorities == mother.priorities);
            let mut child = mother.clone();
            cross_range(&mut child, &father, &mut rng);
            let taken: Vec<bool> = child.priorities.iter().map(|p| *p > 0.5).collect();
            assert!(taken.contains(&true));
            for (j, taken) in taken.into_iter().enumerate() {
                assert_eq!(child.seats[j], if taken { father.seats[j] } else { mother.seats[j] });
            }
        }
    }

    #[test]
    fn it_finds_the_best_of_a_small_board() {
        let board = three();
        let seats = blind::tests::on_desk(|desk| place(&board, desk));
        // Two on unit 0 end at 20, the third on unit 1 at 22; three on unit 0 at 30.
        assert_eq!(seats.iter().sum::<usize>(), 1, "{seats:?}");
    }

    #[test]
    fn traffic_beyond_the_bandwidth_slows_everyone_alike() {
        let board = three();
        let a = |traffic: f64| Active { job: 0, unit: 0, traffic };
        assert_eq!(shared_bandwidth(&board, &[a(60e9), a(90e9)]), vec![1.5, 1.5]);
        assert_eq!(shared_bandwidth(&board, &[a(60e9)]), vec![1.0]);
    }
}
