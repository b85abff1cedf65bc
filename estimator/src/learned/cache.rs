//! Answers kept by plan.

use crate::predictor::{DevicePlan, DevicePrediction};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// What a plan is told apart by: addresses of the profile and families, which the cached plan keeps
/// alive, and every number.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key(Vec<usize>);

impl Key {
    fn new(plan: &DevicePlan) -> Self {
        let mut key = vec![Arc::as_ptr(&plan.profile).cast::<u8>().addr(), plan.mode.at()];
        for task in &plan.tasks {
            key.push(Arc::as_ptr(&task.family).cast::<u8>().addr());
            key.push(task.tier);
            let bits = task.rate.get().to_bits();
            key.push(usize::try_from(bits >> 32).unwrap_or(0));
            key.push(usize::try_from(bits & 0xffff_ffff).unwrap_or(0));
            key.push(task.segments.len());
            for s in &task.segments {
                key.extend([s.from, s.to, s.unit]);
            }
        }
        Self(key)
    }
}

type Entries = HashMap<Key, (DevicePlan, DevicePrediction)>;

/// Two generations: when the younger is full, the older is dropped and they change places. So what
/// is asked again and again stays, at constant cost.
#[derive(Debug)]
pub(super) struct Cache {
    most: usize,
    generations: Mutex<(Entries, Entries)>,
}

impl Cache {
    /// Keeps up to `most` answers; 0 keeps none.
    pub(super) fn new(most: usize) -> Self {
        Self { most, generations: Mutex::default() }
    }

    pub(super) fn get(&self, plan: &DevicePlan) -> Option<DevicePrediction> {
        if self.most == 0 {
            return None;
        }
        let key = Key::new(plan);
        let mut generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, answer)) = generations.0.get(&key) {
            return Some(answer.clone());
        }
        let (key, entry) = generations.1.remove_entry(&key)?;
        let answer = entry.1.clone();
        self.insert(&mut generations, key, entry);
        Some(answer)
    }

    pub(super) fn put(&self, plan: &DevicePlan, answer: &DevicePrediction) {
        if self.most == 0 {
            return;
        }
        let mut generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        self.insert(&mut generations, Key::new(plan), (plan.clone(), answer.clone()));
    }

    fn insert(&self, generations: &mut (Entries, Entries), key: Key, entry: (DevicePlan, DevicePrediction)) {
        if generations.0.len() >= self.most.div_ceil(2) {
            generations.1 = std::mem::take(&mut generations.0);
        }
        generations.0.insert(key, entry);
    }

    /// Answers kept now.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        let generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        generations.0.len() + generations.1.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::predictor::{Source, Task};
    use crate::test_support::{block, family, toy_profile};
    use ecomap_instances::ids::ModeIx;
    use ecomap_instances::scenario::Segment;
    use ecomap_instances::units::{Hertz, Watts};

    fn plan(rate: f64, like: &DevicePlan) -> DevicePlan {
        let mut plan = like.clone();
        plan.tasks[0].rate = Hertz::new(rate);
        plan
    }

    fn answer(watts: f64) -> DevicePrediction {
        DevicePrediction {
            tasks: Vec::new(),
            power: Watts::new(watts),
            load: Vec::new(),
            source: Source::Analytic,
            extrapolated: false,
        }
    }

    #[test]
    fn keeps_what_is_asked_again_and_stays_small() {
        let first = DevicePlan {
            profile: toy_profile(),
            mode: ModeIx::new(0),
            tasks: vec![Task {
                family: family(vec![block(1e9, 4e6)]),
                tier: 0,
                segments: vec![Segment { from: 0, to: 1, unit: 0 }],
                rate: Hertz::new(1.0),
            }],
        };
        let cache = Cache::new(8);
        cache.put(&first, &answer(1.0));
        for n in 2..40 {
            cache.put(&plan(f64::from(n), &first), &answer(f64::from(n)));
            assert_eq!(cache.get(&first), Some(answer(1.0)), "after {n}");
            assert!(cache.len() <= 8);
        }
        assert_eq!(cache.get(&plan(39.0, &first)), Some(answer(39.0)));
        assert_eq!(cache.get(&plan(5.0, &first)), None);
        // Another family of the same content is another plan.
        let mut other = first.clone();
        other.tasks[0].family = family(vec![block(1e9, 4e6)]);
        assert_eq!(cache.get(&other), None);
        assert_eq!(Cache::new(0).get(&first), None);
    }
}
