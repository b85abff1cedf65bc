//! The published files read with the sizes that their sources state.
#![allow(clippy::panic)] // helpers of tests

mod common;

use common::{data, files, read};
use ecomap_instances::Instance;
use ecomap_instances::format::{Format, gap, guess, mmkp};
use ecomap_instances::instance::Sense;
use std::collections::BTreeMap;

/// Rows of a CSV file without quotes, by the name in the first column.
fn table(text: &[u8]) -> BTreeMap<String, Vec<String>> {
    let text = String::from_utf8_lossy(text);
    let rows = text.lines().skip(1).map(|l| l.split(',').map(str::to_owned).collect::<Vec<_>>());
    rows.filter_map(|row| Some((row.first()?.clone(), row))).collect()
}

fn number(text: &str) -> usize {
    text.parse().unwrap_or_else(|e| panic!("{text}: {e}"))
}

/// Classes, rows, fewest and most options of a class.
fn sizes(instance: &Instance) -> (usize, usize, usize, usize) {
    let options =
        |f: fn(usize, usize) -> usize, start| instance.tenants.iter().map(|t| t.options.len()).fold(start, f);
    (
        instance.tenants.len(),
        instance.capacities.len(),
        options(usize::min, usize::MAX),
        options(usize::max, 0),
    )
}

#[test]
fn mmkp_library() {
    let Some(folder) = data("benchmarks/mmkp") else { return };
    let known = table(&read(&folder.join("bounds.csv")));
    assert_eq!(known.len(), 27);
    for (file, row) in known {
        let bytes = read(&folder.join(&file));
        assert_eq!(guess(&bytes), Some(Format::Mmkp), "{file}");
        let instance = mmkp::read(&bytes, &file).unwrap_or_else(|e| panic!("{file}: {e}"));
        let stated = (number(&row[1]), number(&row[2]), number(&row[3]), number(&row[4]));
        assert_eq!(sizes(&instance), stated, "{file}");
        assert_eq!((instance.sense, instance.name.as_str()), (Sense::Maximize, file.as_str()));
    }
}

#[test]
fn khan() {
    let Some(folder) = data("benchmarks/mmkp_khan") else { return };
    // Classes, options, rows and the right-hand side of every row.
    let stated = [
        (5, 5, 5, 25.0),
        (10, 5, 5, 50.0),
        (15, 10, 10, 75.0),
        (20, 10, 10, 100.0),
        (25, 10, 10, 125.0),
        (30, 10, 10, 150.0),
        (100, 10, 10, 500.0),
        (150, 10, 10, 750.0),
        (200, 10, 10, 1000.0),
        (250, 10, 10, 1250.0),
        (300, 10, 10, 1500.0),
        (350, 10, 10, 1750.0),
        (400, 10, 10, 2000.0),
    ];
    for (n, (classes, options, rows, capacity)) in stated.into_iter().enumerate() {
        let file = format!("I{:02}", n + 1);
        let bytes = read(&folder.join(&file));
        assert_eq!(guess(&bytes), Some(Format::MmkpKhan), "{file}");
        let instance = mmkp::read_khan(&bytes, &file).unwrap_or_else(|e| panic!("{file}: {e}"));
        assert_eq!(sizes(&instance), (classes, rows, options, options), "{file}");
        assert!(instance.capacities.iter().all(|c| c.capacity == capacity), "{file}");
    }
}

/// The exact solution printed at the end of I01 is feasible and worth what the file says.
#[test]
fn khans_own_solution_checks_out() {
    let Some(folder) = data("benchmarks/mmkp_khan") else { return };
    let instance = mmkp::read_khan(&read(&folder.join("I01")), "I01").unwrap_or_else(|e| panic!("{e}"));
    let picks = [3, 4, 1, 2, 3];
    let mut used = vec![0.0; instance.capacities.len()];
    let mut value = 0.0;
    for (tenant, pick) in instance.tenants.iter().zip(picks) {
        value += tenant.options[pick].value;
        for (row, amount) in &tenant.options[pick].uses {
            used[row.at()] += amount;
        }
    }
    assert_eq!(value, 173.0);
    assert!(used.iter().zip(&instance.capacities).all(|(u, c)| *u <= c.capacity), "{used:?}");
}

#[test]
fn generalized_assignment() {
    let Some(folder) = data("benchmarks/gap") else { return };
    let known = table(&read(&folder.join("best.csv")));
    let mut found = 0;
    for sub in ["cattrysse1994", "chu1997"] {
        for file in files(&folder.join(sub)) {
            let bytes = read(&folder.join(sub).join(&file));
            assert_eq!(guess(&bytes), Some(Format::Gap), "{file}");
            let instance = gap::read(&bytes, &file).unwrap_or_else(|e| panic!("{file}: {e}"));
            let row =
                known.get(&format!("{sub}/{file}")).unwrap_or_else(|| panic!("{file} is not in best.csv"));
            let (jobs, agents) = (number(&row[1]), number(&row[2]));
            assert_eq!(sizes(&instance), (jobs, agents, agents, agents), "{file}");
            assert_eq!(instance.sense, Sense::Minimize);
            // Every job's cheapest agents bound the published optimum from below.
            let cheapest: f64 = instance
                .tenants
                .iter()
                .map(|t| t.options.iter().map(|o| o.value).fold(f64::INFINITY, f64::min))
                .sum();
            let best: f64 = row[6].parse().unwrap_or_else(|e| panic!("{file}: {e}"));
            assert!(cheapest <= best, "{file}: {cheapest} > {best}");
            found += 1;
        }
    }
    assert_eq!(found, 84);
}
