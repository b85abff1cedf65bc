//! The embedded catalogue is complete and sound.

use ecomap_instances::Catalog;
use ecomap_instances::profile::UnitKind;

#[test]
fn every_embedded_file_reads() {
    let catalog = Catalog::embedded().unwrap_or_else(|issues| panic!("{issues}"));
    assert_eq!(catalog.profiles().len(), 6);
    assert!(catalog.families().len() >= 10, "{}", catalog.families().len());
    for family in catalog.families() {
        assert!(family.tiers.len() >= 2, "{} is not a ladder", family.id);
    }
}

#[test]
fn every_mode_leaves_a_unit_on_and_every_block_runs_somewhere() {
    let catalog = Catalog::embedded().unwrap_or_else(|issues| panic!("{issues}"));
    for profile in catalog.profiles() {
        for mode in &profile.modes {
            assert!(mode.units.iter().any(Option::is_some), "{} {}", profile.id, mode.id);
            let general = profile
                .units
                .iter()
                .zip(&mode.units)
                .filter(|(u, m)| m.is_some() && u.kind != UnitKind::Dla)
                .count();
            assert!(general > 0, "{} {} has no GPU or CPU", profile.id, mode.id);
        }
        for family in catalog.families() {
            for tier in &family.tiers {
                for block in &tier.blocks {
                    let runs =
                        profile.units.iter().any(|u| block.ops.iter().all(|o| u.ops.contains(&o.kind)));
                    assert!(runs, "{} cannot run {} {}", profile.id, tier.id, block.name);
                }
            }
        }
    }
}
