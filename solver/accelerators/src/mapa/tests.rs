use super::*;
use ecomap_instances::format::accelerators_v1;

fn workload(jobs: &[(usize, bool)]) -> Workload {
    let jobs: Vec<String> = jobs
        .iter()
        .enumerate()
        .map(|(n, (k, sensitive))| {
            let share = if *sensitive { 0.5 } else { 0.0 };
            format!(
                r#"{{"id": "j{n}", "accelerators": {k}, "bandwidth_sensitive": {sensitive},
                "communication": {share}, "arrival_s": {n}, "service_s": 60}}"#
            )
        })
        .collect();
    let text = format!(
        r#"{{"format": "ecomap.accelerator-jobs/v1", "name": "x", "question": "topology",
        "servers": [{{"id": "d", "topology": {{"named": "dgx-1-v100"}}, "cpus": 24, "memory_gb": 500}}],
        "jobs": [{}]}}"#,
        jobs.join(",")
    );
    accelerators_v1::read(text.as_bytes()).unwrap_or_else(|e| panic!("{e}"))
}

/// Sets that a policy gives to the jobs, one after the other.
fn sets(policy: Policy, jobs: &[(usize, bool)]) -> Vec<Option<Vec<usize>>> {
    let workload = workload(jobs);
    let table = Table::new(&workload);
    let mut free = Free::new(&workload);
    let one = |job| {
        let placement = place(policy, &workload, &table, &free, job)?;
        free.take(&placement);
        let mut set = placement.parts[0].accelerators.clone();
        set.sort_unstable();
        Some(set)
    };
    workload.jobs().iter().map(one).collect()
}

#[test]
fn the_baseline_takes_the_lowest_free_numbers() {
    assert_eq!(
        sets(Policy::Baseline, &[(3, true), (2, false), (4, true)]),
        [Some(vec![0, 1, 2]), Some(vec![3, 4]), None]
    );
}

#[test]
fn topology_awareness_stays_in_a_block_while_one_has_room() {
    assert_eq!(
        sets(Policy::TopoAware, &[(3, true), (2, false), (3, false)]),
        [Some(vec![0, 1, 2]), Some(vec![4, 5]), Some(vec![3, 6, 7])]
    );
}

#[test]
fn greedy_and_preserve_take_double_links_for_a_sensitive_pair() {
    for policy in [Policy::Greedy, Policy::Preserve] {
        assert_eq!(sets(policy, &[(2, true)]), [Some(vec![0, 3])], "{policy:?}");
    }
}

#[test]
fn preserve_leaves_no_pair_that_would_preserve_more() {
    let kept = sets(Policy::Preserve, &[(2, false)]).swap_remove(0).unwrap_or_default();
    assert_eq!(kept.len(), 2);
    let topology = workload(&[(1, false)]).servers()[0].topology.clone();
    let mask = kept.iter().fold(0xff_u16, |mask, a| mask & !(1 << a));
    for a in 0..8 {
        for b in a + 1..8 {
            let other = preserved(&topology, 0xff & !(1 << a) & !(1 << b));
            assert!(
                preserved(&topology, mask).get() >= other.get(),
                "{a} and {b} preserve more than {kept:?}"
            );
        }
    }
}
