//! Energy and time of segments on real profiles and families: never negative, additive up to the
//! launch of a segment, and at most the unit's full power with its largest share.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use ecomap_estimator::parameters::Parameters;
use ecomap_estimator::table::CostTable;
use ecomap_instances::Catalog;
use ecomap_instances::ids::ModeIx;

const PROFILES: [&str; 4] =
    ["jetson-agx-xavier", "jetson-xavier-nx", "jetson-agx-orin-64gb", "jetson-orin-nano-8gb"];

#[test]
fn segments_add_up() {
    let (parameters, catalog) = (Parameters::embedded().unwrap(), Catalog::embedded().unwrap());
    let mut seen = 0;
    for profile in PROFILES {
        let profile = catalog.profile(profile).unwrap();
        for (family, tier) in [("resnet", 0), ("mobilenet-v2", 0), ("bert", 0), ("yolov8", 1)] {
            let family = catalog.family(family).unwrap();
            for (mode, setting) in profile.modes.iter().enumerate() {
                let table = CostTable::new(parameters, profile, ModeIx::new(mode), family, tier);
                let blocks = table.blocks();
                for (unit, kind) in table.units_on() {
                    let (Some(whole), Some(a), Some(b)) = (
                        table.segment(0, blocks, unit),
                        table.segment(0, blocks / 2, unit),
                        table.segment(blocks / 2, blocks, unit),
                    ) else {
                        continue;
                    };
                    seen += 1;
                    let spec = &profile.units[unit];
                    let fitted = parameters.unit(profile, kind).unwrap();
                    let full = setting.units[unit].unwrap().dynamic;
                    let launch = full * spec.fixed_overhead * fitted.power.overhead;
                    for part in [whole, a, b] {
                        assert!(part.energy.get() > 0.0 && part.overhead <= part.service);
                        let most = fitted.power.compute.max(fitted.power.memory).max(fitted.power.overhead);
                        let bound = (full * part.service).get() * most
                            + fitted.power.joules_per_byte * part.traffic.get();
                        assert!(part.energy.get() <= bound * (1.0 + 1e-9));
                    }
                    let sum = a.energy.get() + b.energy.get() - launch.get();
                    assert!((sum - whole.energy.get()).abs() <= 1e-9 * whole.energy.get().max(1e-6));
                }
            }
        }
    }
    assert!(seen > 100, "{seen}");
}

#[test]
fn a_second_of_memory_bound_work_never_draws_more_than_a_profile_allows() {
    // Shares of what placements use stay near the profile's figure: no unit is priced at more than
    // half again its full-load power.
    for u in &Parameters::embedded().unwrap().units {
        for share in [u.power.compute, u.power.memory, u.power.overhead] {
            assert!((0.0..=1.5).contains(&share), "{:?} {}", u.kind, u.generation);
        }
    }
}
