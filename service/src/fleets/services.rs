//! Services that know carbon intensities, as the operator configures them.
//!
//! Addresses and credentials come from here alone: a fleet's document names a service, never an address. Secrets are
//! read from files or environment variables, so that neither the configuration nor a command line holds them.

use crate::ServiceError;
use ecomap_carbon::poll::Pace;
use ecomap_carbon::source::carbon_aware::CarbonAware;
use ecomap_carbon::source::electricity_maps::ElectricityMaps;
use ecomap_carbon::source::uk::Uk;
use ecomap_carbon::source::watttime::WattTime;
use ecomap_carbon::source::{Place, Source};
use ecomap_carbon::{SampleError, Secret, Signal};
use jiff::SignedDuration;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Largest file of a secret, bytes.
const SECRET: u64 = 64 << 10;
/// Largest configuration, bytes.
const LARGEST: u64 = 1 << 20;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileDto {
    #[serde(default)]
    service: BTreeMap<String, ServiceDto>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ServiceDto {
    kind: KindDto,
    url: Option<String>,
    token_file: Option<PathBuf>,
    token_env: Option<String>,
    user_file: Option<PathBuf>,
    user_env: Option<String>,
    password_file: Option<PathBuf>,
    password_env: Option<String>,
    #[serde(default)]
    marginal: bool,
    interval_s: Option<u32>,
    requests_per_hour: Option<u32>,
    timeout_s: Option<u32>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum KindDto {
    ElectricityMaps,
    WattTime,
    UkCarbonIntensity,
    CarbonAware,
}

/// Who answers, and how it knows us.
#[derive(Debug, Clone)]
enum Kind {
    ElectricityMaps(Secret),
    WattTime(Secret, Secret),
    Uk,
    CarbonAware(Signal),
}

/// A configured service.
#[derive(Debug, Clone)]
pub struct Service {
    kind: Kind,
    /// Base address, without a slash at its end.
    pub url: String,
    /// How often it may be asked.
    pub pace: Pace,
    /// Most time for one answer.
    pub timeout: Duration,
}

impl Service {
    /// Which question its values answer.
    #[must_use]
    pub fn signal(&self) -> Signal {
        match &self.kind {
            Kind::ElectricityMaps(_) | Kind::Uk => Signal::Average,
            Kind::WattTime(..) => Signal::Marginal,
            Kind::CarbonAware(signal) => *signal,
        }
    }

    /// A conversation partner for one zone, which the service knows as `asked`.
    ///
    /// # Errors
    /// [`SampleError::Zone`] for what is no name of a zone.
    pub fn source(&self, zone: &str, asked: &str) -> Result<Box<dyn Source>, SampleError> {
        let place = Place::new(zone, asked)?;
        Ok(match &self.kind {
            Kind::ElectricityMaps(token) => Box::new(ElectricityMaps::new(place, token.clone())),
            Kind::WattTime(user, password) => Box::new(WattTime::new(place, user, password)),
            Kind::Uk => Box::new(Uk::new(place)),
            Kind::CarbonAware(signal) => Box::new(CarbonAware::new(place, *signal)),
        })
    }
}

/// The configured services, by name.
#[derive(Debug, Clone, Default)]
pub struct Services(BTreeMap<String, Service>);

impl Services {
    /// Reads a TOML file with a table `[service.NAME]` for each service.
    ///
    /// # Errors
    /// [`ServiceError::Sources`] with what is wrong; secrets do not appear in it.
    pub fn read(path: &Path) -> Result<Self, ServiceError> {
        let text = bounded(path, LARGEST)?;
        let wrong = |what: String| ServiceError::Sources { path: path.to_owned(), what };
        let file: FileDto = toml::from_str(&text).map_err(|e| wrong(e.message().to_owned()))?;
        let mut services = BTreeMap::new();
        for (name, dto) in file.service {
            let service = dto.read().map_err(|what| wrong(format!("service `{name}`: {what}")))?;
            services.insert(name, service);
        }
        Ok(Self(services))
    }

    /// The service of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Service> {
        self.0.get(name)
    }

    /// All names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

impl ServiceDto {
    fn read(&self) -> Result<Service, String> {
        let token = || secret("token", self.token_file.as_deref(), self.token_env.as_deref());
        let (kind, base) = match self.kind {
            KindDto::ElectricityMaps => (Kind::ElectricityMaps(token()?), Some(ElectricityMaps::BASE)),
            KindDto::WattTime => {
                let user = secret("user", self.user_file.as_deref(), self.user_env.as_deref())?;
                let password =
                    secret("password", self.password_file.as_deref(), self.password_env.as_deref())?;
                (Kind::WattTime(user, password), Some(WattTime::BASE))
            }
            KindDto::UkCarbonIntensity => (Kind::Uk, Some(Uk::BASE)),
            KindDto::CarbonAware => {
                let signal = if self.marginal { Signal::Marginal } else { Signal::Average };
                (Kind::CarbonAware(signal), None)
            }
        };
        if self.marginal && !matches!(self.kind, KindDto::CarbonAware) {
            return Err("`marginal` is for carbon_aware alone, the others have their own signal".to_owned());
        }
        let url = self.url.as_deref().or(base).ok_or("`url` is missing")?.trim_end_matches('/').to_owned();
        if !(url.starts_with("https://") || url.starts_with("http://")) || url.len() > 2_048 {
            return Err("`url` must begin with https:// or http://".to_owned());
        }
        let within = |what: &str, value: Option<u32>, default: u32, least: u32, most: u32| match value {
            Some(v) if !(least..=most).contains(&v) => Err(format!("`{what}` must be {least} to {most}")),
            v => Ok(v.unwrap_or(default)),
        };
        let pace = Pace {
            interval: SignedDuration::from_secs(i64::from(within(
                "interval_s",
                self.interval_s,
                300,
                1,
                86_400,
            )?)),
            hourly: within("requests_per_hour", self.requests_per_hour, 60, 1, 100_000)?,
            ..Pace::DEFAULT
        };
        let timeout = Duration::from_secs(u64::from(within("timeout_s", self.timeout_s, 10, 1, 300)?));
        Ok(Service { kind, url, pace, timeout })
    }
}

fn secret(what: &str, file: Option<&Path>, env: Option<&str>) -> Result<Secret, String> {
    let text = match (file, env) {
        (Some(file), None) => bounded(file, SECRET).map_err(|e| e.to_string())?,
        (None, Some(env)) => std::env::var(env).map_err(|_| format!("the environment has no `{env}`"))?,
        _ => return Err(format!("give one of `{what}_file` and `{what}_env`")),
    };
    if text.trim().is_empty() { Err(format!("the {what} is empty")) } else { Ok(Secret::new(&text)) }
}

fn bounded(path: &Path, most: u64) -> Result<String, ServiceError> {
    use std::io::Read as _;
    let failed = |source| ServiceError::Read { path: path.to_owned(), source };
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(most + 1).read_to_string(&mut text).map_err(failed)?;
    if text.len() as u64 > most {
        return Err(ServiceError::InputTooLarge { name: path.display().to_string(), limit: most });
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Services, ServiceError> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("token"), "hunter2\n").unwrap();
        let text = text.replace("TOKEN", &folder.path().join("token").display().to_string());
        let path = folder.path().join("sources.toml");
        std::fs::write(&path, text).unwrap();
        Services::read(&path)
    }

    #[test]
    fn services_are_read_and_secrets_stay_hidden() {
        let services = read(
            "[service.maps]\nkind = \"electricity_maps\"\ntoken_file = \"TOKEN\"\ninterval_s = 60\n\
             [service.uk]\nkind = \"uk_carbon_intensity\"\nurl = \"http://127.0.0.1:9/\"\n",
        )
        .unwrap();
        assert_eq!(services.names().collect::<Vec<_>>(), ["maps", "uk"]);
        let maps = services.get("maps").unwrap();
        assert_eq!((maps.signal(), maps.pace.interval.as_secs()), (Signal::Average, 60));
        assert_eq!(maps.url, ElectricityMaps::BASE);
        assert_eq!(services.get("uk").unwrap().url, "http://127.0.0.1:9");
        assert!(!format!("{services:?}").contains("hunter2"));
    }

    #[test]
    fn what_does_not_hold_is_said() {
        for (text, what) in [
            ("[service.a]\nkind = \"oracle\"", "oracle"),
            ("[service.a]\nkind = \"electricity_maps\"", "token_file"),
            ("[service.a]\nkind = \"carbon_aware\"", "url"),
            ("[service.a]\nkind = \"uk_carbon_intensity\"\nurl = \"file:///etc\"", "https"),
            ("[service.a]\nkind = \"uk_carbon_intensity\"\nmarginal = true", "marginal"),
            ("[service.a]\nkind = \"uk_carbon_intensity\"\ninterval_s = 0", "interval_s"),
            ("[service.a]\nkind = \"electricity_maps\"\ntoken_env = \"ECOMAP_NO_SUCH_TOKEN\"", "ECOMAP_NO"),
        ] {
            let why = read(text).unwrap_err().to_string();
            assert!(why.contains(what), "{why}");
        }
    }
}
