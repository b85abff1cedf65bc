//! Arguments of `ecomap serve` on jobs.

use super::parse_seconds;
use crate::jobs::JobsConfig;
use std::time::Duration;

#[derive(Debug, clap::Args)]
pub(super) struct JobsArgs {
    /// Seconds for which an ended job, and the answer under its Idempotency-Key, is kept
    #[arg(long, env = "ECOMAP_JOB_TTL", value_name = "SECONDS", default_value = "86400", value_parser = parse_seconds)]
    job_ttl: f64,
    /// Most jobs that have not ended
    #[arg(long, env = "ECOMAP_JOBS", value_name = "COUNT", default_value_t = 5000)]
    jobs: u64,
    /// Most jobs of one key that have not ended
    #[arg(long, env = "ECOMAP_JOBS_PER_KEY", value_name = "COUNT", default_value_t = 200)]
    jobs_per_key: u64,
    /// Most bytes of jobs in the store
    #[arg(long, env = "ECOMAP_JOBS_BYTES", value_name = "BYTES", default_value_t = 2 << 30)]
    jobs_bytes: u64,
}

impl JobsArgs {
    /// Bounds of jobs.
    pub(super) fn jobs(&self) -> JobsConfig {
        JobsConfig {
            ttl: Duration::from_secs_f64(self.job_ttl),
            most_own: self.jobs_per_key,
            most_open: self.jobs,
            most_bytes: self.jobs_bytes,
            ..JobsConfig::default()
        }
    }
}
