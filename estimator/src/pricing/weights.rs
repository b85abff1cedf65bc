//! Weight sets: what tenants on one board share (row 4).

use crate::table::{CostTable, Precisions};
use ecomap_instances::ids::WeightIx;
use ecomap_instances::instance::WeightSet;
use ecomap_instances::profile::Precision;
use std::collections::BTreeMap;

/// Weight sets in order of first use.
#[derive(Debug, Default)]
pub(crate) struct Weights {
    sets: Vec<WeightSet>,
    known: BTreeMap<String, BTreeMap<(usize, Precision), WeightIx>>,
}

impl Weights {
    /// The sets that a tier needs in the given precisions.
    pub(crate) fn needed(&mut self, table: &CostTable, precisions: Precisions) -> Vec<WeightIx> {
        let family = table.family();
        if !self.known.contains_key(family.id.as_str()) {
            self.known.insert(family.id.to_string(), BTreeMap::new());
        }
        let Some(of_family) = self.known.get_mut(family.id.as_str()) else { return Vec::new() };
        let sets = &mut self.sets;
        precisions
            .iter()
            .map(|precision| {
                *of_family.entry((table.tier(), precision)).or_insert_with(|| {
                    let tier = family.tiers.get(table.tier()).map_or("", |t| t.id.as_str());
                    sets.push(WeightSet {
                        id: format!("{}/{tier}@{}", family.id, precision.as_str()),
                        bytes: table.weights(precision),
                    });
                    WeightIx::new(sets.len() - 1)
                })
            })
            .collect()
    }

    /// All sets.
    pub(crate) fn into_sets(self) -> Vec<WeightSet> {
        self.sets
    }
}
