//! The shipped scenarios read, and are what their names promise.
#![allow(clippy::panic)] // helpers of tests

mod common;

use common::{catalog, check_or_bless, files, here};
use ecomap_instances::scenario::Scenario;
use ecomap_instances::scenarios;

fn scenario(name: &str) -> Scenario {
    match scenarios::read(name, catalog()) {
        Some(Ok(scenario)) => scenario,
        Some(Err(issues)) => panic!("{name}: {issues}"),
        None => panic!("{name} is not embedded"),
    }
}

#[test]
fn every_file_is_embedded_and_carries_its_name() {
    let mut names: Vec<String> = scenarios::ALL.iter().map(|(name, _)| format!("{name}.json")).collect();
    names.sort();
    assert_eq!(files(&here("data/scenarios")), names);
    for (name, _) in scenarios::ALL {
        assert_eq!(scenario(name).name, *name);
    }
    assert!(scenarios::embedded("nowhere").is_none());
    assert!(scenarios::read("nowhere", catalog()).is_none());
}

#[test]
fn sizes_are_as_documented() {
    let sizes = |name: &str| {
        let s = scenario(name);
        (s.devices.len(), s.tenants.len(), s.zones.len(), s.sites.len())
    };
    assert_eq!(sizes("tiny"), (1, 2, 1, 1));
    assert_eq!(sizes("xavier-3"), (1, 3, 1, 1));
    assert_eq!(sizes("xavier-4"), (1, 4, 1, 1));
    assert_eq!(sizes("xavier-5"), (1, 5, 1, 1));
    assert_eq!(sizes("campus"), (8, 24, 2, 3));
    assert_eq!(sizes("region"), (64, 300, 6, 12));
}

#[test]
fn every_site_has_a_cap_that_binds_below_the_boards_most() {
    for (name, _) in scenarios::ALL {
        let s = scenario(name);
        for (n, site) in s.sites.iter().enumerate() {
            let cap = site.budget.cap(s.zones[site.zone.at()].carbon);
            let cap = cap.unwrap_or_else(|| panic!("{name}: {} has no cap", site.id)).get();
            let most: f64 = s
                .devices
                .iter()
                .filter(|d| d.site.at() == n)
                .map(|d| d.modes.iter().map(|m| d.profile.modes[m.at()].budget.get()).fold(0.0, f64::max))
                .sum();
            assert!(cap > 0.0 && cap < most, "{name}: {} allows {cap} W of {most} W", site.id);
        }
    }
}

#[test]
fn tiny_can_be_enumerated() {
    let s = scenario("tiny");
    assert_eq!(s.pricing.max_segments, 1);
    assert!(s.pricing.max_placements <= 3);
    assert!(s.devices[0].modes.len() <= 2);
    assert!(s.tenants.iter().all(|t| t.tiers.len() == 2));
}

#[test]
fn region_is_generated() {
    let dto = scenarios::region_spec().generate(catalog()).unwrap_or_else(|e| panic!("{e}"));
    let text = format!("{:#}\n", serde_json::to_value(&dto).unwrap_or_else(|e| panic!("{e}")));
    check_or_bless(&here("data/scenarios/region.json"), &text);
}
