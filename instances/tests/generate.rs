//! What the generator makes is valid, repeatable and connected.
#![allow(clippy::panic)] // helpers of tests

mod common;

use common::catalog;
use ecomap_instances::format::{Input, scenario_v1};
use ecomap_instances::generate::GeneratorSpec;
use ecomap_instances::ids::SiteIx;
use ecomap_instances::network::Network;
use ecomap_instances::{Code, Seed};
use proptest::prelude::*;

fn print(dto: &scenario_v1::ScenarioDto) -> String {
    serde_json::to_string(dto).unwrap_or_else(|e| panic!("{e}"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn generated_scenarios_are_valid(
        seed: u64,
        sites in 1_usize..40,
        extra_devices in 0_usize..60,
        tenants in 1_usize..150,
        zone_share in 0.0..1.0,
        tightness in 0.0..2.0,
        modes in proptest::option::of(1_usize..5),
    ) {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let zones = 1 + (zone_share * (sites as f64)) as usize;
        let spec = GeneratorSpec {
            seed: Seed(seed),
            zones: zones.min(sites),
            sites,
            devices: (sites + extra_devices).saturating_sub(3).max(1),
            tenants,
            tightness,
            modes,
            ..GeneratorSpec::default()
        };
        let dto = spec.generate(catalog()).unwrap_or_else(|e| panic!("{e}"));
        prop_assert_eq!(&dto, &spec.generate(catalog()).unwrap_or_else(|e| panic!("{e}")));
        let scenario = dto.lower(catalog()).unwrap_or_else(|e| panic!("{e}"));
        prop_assert_eq!(scenario.devices.len(), spec.devices);
        prop_assert_eq!(scenario.tenants.len(), spec.tenants);
        prop_assert_eq!(scenario.sites.len(), spec.sites);
        prop_assert!(scenario.zones.iter().all(|z| (20.0..=700.0).contains(&z.carbon.get())));
        prop_assert!(scenario.links.iter().all(|l| (2.0..=30.0).contains(&l.latency.get())));
        let network = Network::new(scenario.sites.len(), &scenario.links);
        for site in 0..scenario.sites.len() {
            prop_assert!(network.path(SiteIx::new(0), SiteIx::new(site)).is_some());
        }
        // parse ∘ print = id
        let text = print(&dto);
        let again: scenario_v1::ScenarioDto =
            ecomap_instances::format::read_document(text.as_bytes()).unwrap_or_else(|e| panic!("{e}"));
        prop_assert_eq!(&again, &dto);
        prop_assert_eq!(&print(&again), &text);
        let read = ecomap_instances::format::read_any(
            ecomap_instances::format::Format::Scenario, text.as_bytes(), "", catalog());
        prop_assert_eq!(read, Ok(Input::Scenario(scenario)));
    }
}

#[test]
fn seeds_differ_and_streams_are_independent() {
    let base = GeneratorSpec::default();
    let make = |spec: &GeneratorSpec| spec.generate(catalog()).unwrap_or_else(|e| panic!("{e}"));
    let one = make(&base);
    assert_ne!(one, make(&GeneratorSpec { seed: Seed(2), ..base.clone() }));
    let more = make(&GeneratorSpec { tenants: base.tenants + 20, ..base });
    assert_eq!(one.devices, more.devices, "more tenants leave the fleet alone");
    assert_eq!(one.links, more.links);
}

#[test]
fn a_larger_tightness_gives_larger_caps_and_nothing_else() {
    let make = |tightness| {
        let spec = GeneratorSpec { tightness, ..GeneratorSpec::default() };
        spec.generate(catalog()).unwrap_or_else(|e| panic!("{e}"))
    };
    let (tight, loose) = (make(0.5), make(1.0));
    assert_eq!(tight.tenants, loose.tenants);
    let cap = |dto: &scenario_v1::ScenarioDto| -> f64 {
        let scenario = dto.lower(catalog()).unwrap_or_else(|e| panic!("{e}"));
        let caps = scenario.sites.iter().filter_map(|s| s.budget.cap(scenario.zones[s.zone.at()].carbon));
        caps.map(|w| w.get()).sum()
    };
    let ratio = cap(&tight) / cap(&loose);
    assert!((ratio - 0.5).abs() < 0.02, "{ratio}");
}

#[test]
fn everything_varied_shows_up() {
    let spec = GeneratorSpec { tenants: 300, devices: 64, sites: 12, zones: 6, ..GeneratorSpec::default() };
    let dto = spec.generate(catalog()).unwrap_or_else(|e| panic!("{e}"));
    let count = |f: &dyn Fn(&scenario_v1::TenantDto) -> bool| dto.tenants.iter().filter(|t| f(t)).count();
    for family in catalog().families() {
        assert!(count(&|t| t.family == family.id.as_str()) >= 20, "{}", family.id);
    }
    for priority in [1.0, 2.0, 3.0, 4.0] {
        assert!(count(&|t| t.priority == priority) > 10, "{priority}");
    }
    assert!(count(&|t| t.accuracy_floor.is_some()) > 10);
    assert!(count(&|t| t.slo.soft_price_per_ms.is_some()) > 10);
    assert!(count(&|t| t.pin.is_some()) > 3 && count(&|t| t.forbid.is_some()) > 3);
    assert!(dto.affinities.len() > 5);
    let profiles: std::collections::BTreeSet<&str> = dto.devices.iter().map(|d| d.profile.as_str()).collect();
    assert_eq!(profiles.len(), 5);
}

#[test]
fn sizes_and_names_are_checked() {
    let base = GeneratorSpec::default;
    let cases = [
        (GeneratorSpec { sites: 1001, ..base() }, Code::TooMany, "/sites"),
        (GeneratorSpec { devices: 10_001, ..base() }, Code::TooMany, "/devices"),
        (GeneratorSpec { tenants: 1_000_000_000, ..base() }, Code::TooMany, "/tenants"),
        (GeneratorSpec { tenants: 0, ..base() }, Code::OutOfRange, "/tenants"),
        (GeneratorSpec { zones: 5, ..base() }, Code::OutOfRange, "/zones"),
        (GeneratorSpec { tightness: f64::NAN, ..base() }, Code::OutOfRange, "/tightness"),
        (GeneratorSpec { tightness: -0.1, ..base() }, Code::OutOfRange, "/tightness"),
        (GeneratorSpec { link_ms: (0.0, 1.0), ..base() }, Code::OutOfRange, "/link_ms/0"),
        (GeneratorSpec { link_ms: (3.0, 2.0), ..base() }, Code::OutOfRange, "/link_ms/1"),
        (GeneratorSpec { modes: Some(0), ..base() }, Code::OutOfRange, "/modes"),
        (GeneratorSpec { max_segments: 4, ..base() }, Code::OutOfRange, "/max_segments"),
        (GeneratorSpec { max_placements: 0, ..base() }, Code::OutOfRange, "/max_placements"),
        (GeneratorSpec { name: "a b".to_owned(), ..base() }, Code::IllegalId, "/name"),
        (GeneratorSpec { profiles: vec!["z80".to_owned()], ..base() }, Code::UnknownProfile, "/profiles/0"),
        (GeneratorSpec { families: vec!["elm".to_owned()], ..base() }, Code::UnknownFamily, "/families/0"),
    ];
    for (spec, code, pointer) in cases {
        let issues = spec.generate(catalog()).err().unwrap_or_else(|| panic!("{pointer} passed"));
        let found: Vec<_> = issues.list().iter().map(|i| (i.code, i.pointer.as_str())).collect();
        assert_eq!(found, [(code, pointer)]);
    }
}

#[test]
fn the_largest_sizes_are_valid() {
    let spec = GeneratorSpec {
        sites: 1000,
        zones: 1000,
        devices: 10_000,
        tenants: 20_000,
        ..GeneratorSpec::default()
    };
    let dto = spec.generate(catalog()).unwrap_or_else(|e| panic!("{e}"));
    let scenario = dto.lower(catalog()).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!((scenario.devices.len(), scenario.tenants.len()), (10_000, 20_000));
}
