//! Seeded workloads for accelerator clusters.
//!
//! Arrivals are Poisson, as in the papers' evaluations; their parameters are arguments. Gaps are
//! drawn as the least of many uniform numbers, which is close to exponential and needs no logarithm
//! (whose last digit differs between platforms).

use super::Seed;
use crate::accelerators::{Named, Question};
use crate::format::accelerators_v1::{
    FORMAT, JobDto, MAX_JOBS, MAX_SERVERS, NamedDto, PatternDto, QuestionDto, SensitivityDto, ServerDto,
    TopologyDto, WorkloadDto,
};
use crate::issue::{Code, Collector, Issues};
use rand::Rng;
use rand::seq::IndexedRandom;

/// Uniform numbers of which the least is a gap.
const DRAWS: u32 = 32;

/// Speed of ResNet-18 over 1 to 9 CPUs for each GPU, 1 at three (Synergy, Mohan et al., OSDI 2022).
pub const RESNET_18: [f64; 9] = [0.37, 0.72, 1.0, 1.3, 1.53, 1.75, 2.4, 2.4, 2.4];

/// What to generate.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkloadSpec {
    /// Name.
    pub name: String,
    /// Seed.
    pub seed: Seed,
    /// What counts.
    pub question: Question,
    /// Topology of every server.
    pub topology: Named,
    /// Servers.
    pub servers: usize,
    /// Jobs.
    pub jobs: usize,
    /// Mean time between arrivals, s; 0: all come at once.
    pub gap_s: f64,
    /// Mean service time, s.
    pub service_s: f64,
}

impl Default for WorkloadSpec {
    fn default() -> Self {
        Self {
            name: "generated".to_owned(),
            seed: Seed(1),
            question: Question::Topology,
            topology: Named::Dgx1V100,
            servers: 1,
            jobs: 40,
            gap_s: 60.0,
            service_s: 600.0,
        }
    }
}

impl WorkloadSpec {
    /// Generates the workload: servers with three CPUs and 62.5 GB for each accelerator; with the
    /// question `topology` jobs of 1 to 5 accelerators, half of them sensitive to bandwidth, with
    /// `resources` jobs of 1, 2, 4 and 8, a third each hungry for CPUs, for memory and for neither.
    ///
    /// # Errors
    /// Sizes out of range; pointers name the field of the specification.
    pub fn generate(&self) -> Result<WorkloadDto, Issues> {
        let mut bad = Collector::default();
        for (at, count, most) in [("/servers", self.servers, MAX_SERVERS), ("/jobs", self.jobs, MAX_JOBS)] {
            if count == 0 {
                bad.push(Code::OutOfRange, at, "at least 1");
            } else if count > most {
                bad.push(Code::TooMany, at, format!("{count}, at most {most}"));
            }
        }
        bad.range("/gap_s", self.gap_s, 0.0, 1e4);
        bad.range("/service_s", self.service_s, 1.0, 1e6);
        bad.finish()?;
        let mut rng = self.seed.rng(10);
        let size = self.topology.topology().len();
        let accelerators = u32::try_from(size).unwrap_or(8);
        let mut now = 0.0;
        let jobs = (1..=self.jobs).map(|n| {
            let job = match self.question {
                Question::Topology => self.linked(n, size, now, &mut rng),
                Question::Resources => self.fed(n, size, now, &mut rng),
            };
            now = tenths(now + gap(self.gap_s, &mut rng));
            job
        });
        Ok(WorkloadDto {
            format: FORMAT.to_owned(),
            name: self.name.clone(),
            description: Some(format!(
                "Generated: seed {}, {} jobs, {} servers {}, mean gap {} s, mean service {} s.",
                self.seed,
                self.jobs,
                self.servers,
                self.topology.as_str(),
                self.gap_s,
                self.service_s
            )),
            question: match self.question {
                Question::Topology => QuestionDto::Topology,
                Question::Resources => QuestionDto::Resources,
            },
            jobs: jobs.collect(),
            servers: vec![ServerDto {
                id: "server".to_owned(),
                count: Some(self.servers as u64),
                topology: TopologyDto::Named(NamedDto::raise(self.topology)),
                cpus: 3 * accelerators,
                memory_gb: 62.5 * f64::from(accelerators),
            }],
        })
    }

    /// A job whose links count.
    fn linked(&self, n: usize, size: usize, now: f64, rng: &mut impl Rng) -> JobDto {
        let sensitive = rng.random_bool(0.5);
        let pattern = if rng.random_bool(0.75) { PatternDto::Ring } else { PatternDto::AllToAll };
        JobDto {
            id: format!("job-{n}"),
            accelerators: rng.random_range(1..=size.min(5)) as u64,
            pattern,
            bandwidth_sensitive: sensitive,
            communication: if sensitive { f64::from(rng.random_range(20..=60)) / 100.0 } else { 0.0 },
            sensitivity: None,
            arrival_s: now,
            service_s: self.service(rng),
        }
    }

    /// A job that is to be fed.
    fn fed(&self, n: usize, size: usize, now: f64, rng: &mut impl Rng) -> JobDto {
        let sizes: Vec<usize> = [1, 1, 1, 1, 2, 2, 4, 8].into_iter().filter(|s| *s <= size).collect();
        let memory_gb: Vec<f64> = [20.0, 41.5, 62.5, 125.0].to_vec();
        let cpus: Vec<f64> = (1..=9_u32).map(f64::from).collect();
        let kind = rng.random_range(0..3);
        let steep = f64::from(rng.random_range(50..=100)) / 100.0;
        let speed = (0..9_usize)
            .map(|i| {
                let by_cpu = match kind {
                    // Images are decoded by CPUs; between ResNet-18's curve and half of its gain.
                    0 => 1.0 + (RESNET_18[i] - 1.0) * steep,
                    // The data set's cache is what counts; some CPUs are needed.
                    1 => [0.6, 0.9, 1.0][i.min(2)],
                    // Language models hardly need either.
                    _ => 1.0,
                };
                let by_memory = match kind {
                    0 => [0.8, 0.9, 1.0, 1.0],
                    1 => [0.5, 0.75, 1.0, 1.0 + 0.6 * steep],
                    _ => [1.0; 4],
                };
                by_memory.iter().map(|m| (by_cpu * m * 1e6).round() / 1e6).collect()
            })
            .collect();
        JobDto {
            id: format!("job-{n}"),
            accelerators: sizes.choose(rng).copied().unwrap_or(1) as u64,
            pattern: PatternDto::Ring,
            bandwidth_sensitive: false,
            communication: 0.0,
            sensitivity: Some(SensitivityDto { cpus, memory_gb, speed }),
            arrival_s: now,
            service_s: self.service(rng),
        }
    }

    /// From half to one and a half of the mean.
    fn service(&self, rng: &mut impl Rng) -> f64 {
        tenths(self.service_s * (0.5 + rng.random::<f64>()))
    }
}

/// The least of many uniform numbers, with mean `mean`.
fn gap(mean: f64, rng: &mut impl Rng) -> f64 {
    let least = (0..DRAWS).map(|_| rng.random::<f64>()).fold(1.0, f64::min);
    mean * least * (f64::from(DRAWS) + 1.0)
}

/// Tenths of a second.
fn tenths(seconds: f64) -> f64 {
    ((seconds * 10.0).round() / 10.0).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workloads_follow_their_own_rules_and_their_seed() {
        for question in [Question::Topology, Question::Resources] {
            for topology in Named::ALL {
                let spec = WorkloadSpec { question, topology, servers: 2, ..WorkloadSpec::default() };
                let dto = spec.generate().unwrap_or_else(|e| panic!("{e}"));
                let workload = dto.lower().unwrap_or_else(|e| panic!("{e}"));
                assert_eq!((workload.jobs().len(), workload.servers().len()), (40, 2));
                assert_eq!(spec.generate().as_ref(), Ok(&dto));
                let other = WorkloadSpec { seed: Seed(2), ..spec }.generate();
                assert_ne!(other.as_ref(), Ok(&dto));
            }
        }
    }

    #[test]
    fn gaps_have_their_mean() {
        let mut rng = Seed(3).rng(0);
        let sum: f64 = (0..4000).map(|_| gap(10.0, &mut rng)).sum();
        assert!((sum / 4000.0 - 10.0).abs() < 0.5, "{sum}");
    }
}
