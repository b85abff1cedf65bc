//! Arguments of `ecomap serve` on access and on telling others.

use crate::ServiceError;
use crate::access::AccessConfig;
use crate::access::bucket::Rate;
use crate::access::guard::Trusted;
use crate::telemetry::OtlpConfig;
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
pub(super) struct AccessArgs {
    /// Key file (`ecomap keys add`); with it, every request but health and pages needs a key
    #[arg(long, env = "ECOMAP_KEYS", value_name = "FILE")]
    keys: Option<PathBuf>,
    /// Requests a second, over time, of a key that has no rate of its own
    #[arg(long, env = "ECOMAP_RATE", value_name = "PER_SECOND", default_value = "50", value_parser = super::parse_seconds)]
    rate: f64,
    /// Requests at once of a key that has no burst of its own
    #[arg(long, env = "ECOMAP_BURST", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..))]
    burst: u32,
    /// Host name, beside the local ones, by which the service may be reached without keys
    #[arg(long, env = "ECOMAP_ALLOW_HOST", value_name = "NAME", value_delimiter = ',')]
    allow_host: Vec<String>,
    /// Origin (`https://ui.example`) whose pages may call the service and read its answers
    #[arg(long, env = "ECOMAP_CORS_ORIGIN", value_name = "ORIGIN", value_delimiter = ',')]
    cors_origin: Vec<String>,
    /// Audit log to append to, JSON lines; in the log when absent
    #[arg(long, env = "ECOMAP_AUDIT", value_name = "FILE")]
    audit: Option<PathBuf>,
    /// Bytes after which the audit log is renamed to FILE.1 and begun anew
    #[arg(long, env = "ECOMAP_AUDIT_MAX", value_name = "BYTES", default_value_t = 64 << 20)]
    audit_max: u64,
    /// OpenTelemetry collector to send spans to, as `http://host:4318`
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", value_name = "URL")]
    otlp: Option<String>,
}

impl AccessArgs {
    /// Access settings.
    pub(super) fn access(&self) -> Result<AccessConfig, ServiceError> {
        if let Some(origin) = self.cors_origin.iter().find(|o| !is_origin(o)) {
            return Err(ServiceError::Usage(format!(
                "--cors-origin: `{}` is not scheme://host[:port]",
                origin.escape_debug()
            )));
        }
        Ok(AccessConfig {
            keys: self.keys.clone(),
            audit: self.audit.clone(),
            audit_most: self.audit_max,
            trusted: Trusted { hosts: self.allow_host.clone(), origins: self.cors_origin.clone() },
            rate: Rate { per_s: self.rate, burst: f64::from(self.burst) },
        })
    }

    /// The collector. Headers and name come from the environment only: a command line can be read
    /// by everybody on the machine.
    pub(super) fn otlp(&self) -> Result<Option<OtlpConfig>, ServiceError> {
        let Some(endpoint) = &self.otlp else { return Ok(None) };
        let headers = std::env::var("OTEL_EXPORTER_OTLP_HEADERS").unwrap_or_default();
        let service = std::env::var("OTEL_SERVICE_NAME").unwrap_or_else(|_| "ecomap".to_owned());
        OtlpConfig::new(endpoint, &headers, &service).map(Some)
    }
}

/// What a browser sends as an origin: a scheme and an authority, nothing after it.
fn is_origin(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    rest.is_some_and(|rest| !rest.is_empty() && !rest.contains(['/', '*', ' ']))
}
