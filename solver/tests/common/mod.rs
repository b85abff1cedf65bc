//! What the integration tests share: an instance made by hand, seeded tiny instances, the
//! brute-force oracle, and how two values are compared.

#![allow(dead_code, unreachable_pub)] // each test file uses its own part
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod by_hand;
pub mod draw;
pub mod hosted;
pub mod hostless;
pub mod oracle;

use ecomap_instances::objective::{EcomapWeights, Term};
use ecomap_instances::{Instance, Objective};
use ecomap_solver::{Solution, SolveOptions, by_name};

/// Relative to `max(1, |expected|)`.
pub const TOLERANCE: f64 = 1e-6;

/// Whether two values agree within [`TOLERANCE`].
pub fn close(value: f64, expected: f64) -> bool {
    (value - expected).abs() <= slack(expected)
}

/// What [`close`] lets pass.
pub fn slack(expected: f64) -> f64 {
    TOLERANCE * expected.abs().max(1.0)
}

/// Every kind of objective, for instances with devices.
pub fn objectives() -> Vec<Objective> {
    vec![
        Objective::default(),
        Objective::Ecomap(EcomapWeights { latency: 0.0, carbon: 2.0 }),
        Objective::Single(Term::Carbon),
        Objective::Single(Term::Energy),
        Objective::Single(Term::Latency),
        Objective::Single(Term::Accuracy),
        Objective::Single(Term::Value),
        Objective::Weighted(vec![
            (Term::Carbon, 0.5),
            (Term::Latency, 0.25),
            (Term::Accuracy, 2.0),
            (Term::Energy, 0.125),
            (Term::Value, 0.25),
        ]),
        Objective::Lexicographic(vec![Term::Accuracy, Term::Carbon]),
        Objective::Lexicographic(vec![Term::Carbon, Term::Latency, Term::Energy]),
    ]
}

/// The exact solver's answer, proven to 1e-9.
pub fn exact(instance: &Instance, objective: &Objective) -> Solution {
    solve("exact", instance, &options(objective))
}

/// Options that leave no room for a plan that is merely good.
pub fn options(objective: &Objective) -> SolveOptions {
    SolveOptions {
        objective: Some(objective.clone()),
        time_limit: None,
        gap: 1e-9,
        ..SolveOptions::default()
    }
}

/// What the solver `name` answers.
pub fn solve(name: &str, instance: &Instance, options: &SolveOptions) -> Solution {
    by_name(name)
        .unwrap()
        .solve(instance, options, &mut ())
        .unwrap_or_else(|error| panic!("{name} on {}: {error}", instance.name))
}
