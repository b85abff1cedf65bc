//! Who a request comes from, and whether it may pass.
//!
//! In this order: foreign pages are turned away ([`guard`](super::guard)); the key is looked up; its
//! role is held against the route's need ([`rights`](super::rights)); its bucket gives a token.

use crate::ServiceError;
use crate::access::bucket::{Bucket, Level, Rate};
use crate::access::guard::Trusted;
use crate::access::keyfile::{Key, KeyFile};
use crate::access::rights::Need;
use crate::access::role::Role;
use crate::access::token::{KeyId, Token};
use crate::http::problem::{Kind, Problem};
use http::HeaderMap;
use http::header::AUTHORIZATION;
use jiff::Timestamp;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

/// Access settings.
#[derive(Debug, Clone, PartialEq)]
pub struct AccessConfig {
    /// Key file; without one, everybody on the loopback address may do everything.
    pub keys: Option<PathBuf>,
    /// Audit log; without one, audit lines go to the log.
    pub audit: Option<PathBuf>,
    /// Bytes after which a new audit file is begun.
    pub audit_most: u64,
    /// Hosts and origins trusted beyond the local ones.
    pub trusted: Trusted,
    /// Rate of a key that has none of its own.
    pub rate: Rate,
}

impl Default for AccessConfig {
    fn default() -> Self {
        Self {
            keys: None,
            audit: None,
            audit_most: 64 << 20,
            trusted: Trusted::default(),
            rate: Rate { per_s: 50.0, burst: 200.0 },
        }
    }
}

/// Who a request comes from.
#[derive(Debug, Clone, PartialEq)]
pub struct Caller {
    /// Id of the key; `None` without keys, or on an open route without one.
    pub key: Option<KeyId>,
    /// Name of the key; `local` without keys, empty for nobody in particular.
    pub name: Arc<str>,
    /// What it may do; `None` for nobody in particular, who reached an open route.
    pub role: Option<Role>,
    /// Most bytes of a body, where the key has a limit of its own.
    pub max_body: Option<u64>,
}

impl Caller {
    /// Everybody on the loopback address, where there are no keys.
    #[must_use]
    pub fn local() -> Self {
        Self { key: None, name: Arc::from("local"), role: Some(Role::Admin), max_body: None }
    }

    fn nobody() -> Self {
        Self { key: None, name: Arc::from(""), role: None, max_body: None }
    }

    fn of(key: &Key) -> Self {
        Self {
            key: Some(key.id.clone()),
            name: Arc::from(key.name.as_str()),
            role: Some(key.role),
            max_body: key.limits.max_body,
        }
    }

    /// Whose queue and jobs are meant: the key's id, or `local`.
    #[must_use]
    pub fn owner(&self) -> &str {
        self.key.as_ref().map_or("local", KeyId::as_str)
    }
}

/// What the gate decided.
#[derive(Debug)]
pub struct Decision {
    /// Who, as far as known.
    pub caller: Caller,
    /// Why not, if not.
    pub refusal: Option<Box<Problem>>,
    /// The bucket, where one was asked.
    pub level: Option<Level>,
}

impl Decision {
    fn refuse(caller: Caller, problem: Problem) -> Self {
        Self { caller, refusal: Some(Box::new(problem)), level: None }
    }
}

#[derive(Debug)]
struct Ring {
    keys: HashMap<KeyId, Key>,
}

impl Ring {
    fn of(file: &KeyFile) -> Arc<Self> {
        Arc::new(Self { keys: file.keys().iter().map(|k| (k.id.clone(), k.clone())).collect() })
    }
}

/// The gate.
#[derive(Debug)]
pub struct Gate {
    path: Option<PathBuf>,
    ring: Option<RwLock<Arc<Ring>>>,
    buckets: Mutex<HashMap<KeyId, Bucket>>,
    trusted: Trusted,
    rate: Rate,
}

impl Gate {
    /// Reads the key file, if there is one.
    ///
    /// # Errors
    /// [`ServiceError::KeysNeeded`] when `listen` is no loopback address and there is no active key;
    /// those of [`KeyFile::read`].
    pub fn open(config: &AccessConfig, listen: SocketAddr, now: Timestamp) -> Result<Self, ServiceError> {
        let file = config.keys.as_deref().map(KeyFile::read).transpose()?;
        let guarded = file.as_ref().is_some_and(|f| f.keys().iter().any(|k| k.active(now)));
        if !listen.ip().is_loopback() && !guarded {
            return Err(ServiceError::KeysNeeded { addr: listen });
        }
        Ok(Self {
            path: config.keys.clone(),
            ring: file.as_ref().map(|f| RwLock::new(Ring::of(f))),
            buckets: Mutex::new(HashMap::new()),
            trusted: config.trusted.clone(),
            rate: config.rate,
        })
    }

    /// The key file that is watched.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Whether keys are asked for.
    #[must_use]
    pub fn guarded(&self) -> bool {
        self.ring.is_some()
    }

    /// Keys that may be used now.
    #[must_use]
    pub fn active(&self, now: Timestamp) -> usize {
        self.ring().map_or(0, |ring| ring.keys.values().filter(|k| k.active(now)).count())
    }

    /// Whether a key of this name is known.
    #[must_use]
    pub fn knows_named(&self, name: &str) -> bool {
        self.ring().is_some_and(|ring| ring.keys.values().any(|k| k.name == name))
    }

    /// Origins trusted.
    #[must_use]
    pub fn trusted(&self) -> &Trusted {
        &self.trusted
    }

    /// Takes over a key file that has changed.
    pub fn replace(&self, file: &KeyFile) {
        let Some(ring) = &self.ring else { return };
        let next = Ring::of(file);
        self.buckets
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|id, _| next.keys.contains_key(id));
        *ring.write().unwrap_or_else(PoisonError::into_inner) = next;
    }

    fn ring(&self) -> Option<Arc<Ring>> {
        self.ring.as_ref().map(|ring| Arc::clone(&ring.read().unwrap_or_else(PoisonError::into_inner)))
    }

    /// Decides on a request from its head. `wall` is the time of day, `now` the monotonic time.
    #[must_use]
    pub fn decide(&self, headers: &HeaderMap, need: Need, wall: Timestamp, now: Duration) -> Decision {
        let Some(ring) = self.ring() else {
            let caller = Caller::local();
            return match self.trusted.check(headers) {
                Ok(()) => Decision { caller, refusal: None, level: None },
                Err(why) => Decision::refuse(Caller::nobody(), Problem::new(Kind::Foreign, why)),
            };
        };
        let Need::Role(least) = need else {
            return Decision { caller: Caller::nobody(), refusal: None, level: None };
        };
        let key = match presented(headers) {
            None => {
                let problem = Problem::new(Kind::Unauthorized, "a key is needed: Authorization: Bearer …");
                return Decision::refuse(Caller::nobody(), problem);
            }
            Some(token) => token
                .and_then(|token| ring.keys.get(token.id()).filter(|k| k.fits(&token)))
                .filter(|k| k.active(wall)),
        };
        let Some(key) = key else {
            let problem = Problem::new(Kind::Unauthorized, "the key is unknown, revoked or expired");
            return Decision::refuse(Caller::nobody(), problem);
        };
        let caller = Caller::of(key);
        let level = self.take(key, now);
        let refusal = if let Some(wait) = level.wait {
            let mut problem = Problem::new(Kind::TooMany, "this key has used up its requests for now");
            problem.retry_after_s = Some(ceil(wait).max(1));
            Some(Box::new(problem))
        } else if key.role < least {
            let text = format!("this needs the role `{least}`; the key `{}` has `{}`", key.name, key.role);
            Some(Box::new(Problem::new(Kind::Forbidden, text)))
        } else {
            None
        };
        Decision { caller, refusal, level: Some(level) }
    }

    fn take(&self, key: &Key, now: Duration) -> Level {
        let rate = Rate {
            per_s: key.limits.requests_per_s.unwrap_or(self.rate.per_s),
            burst: key.limits.burst.map_or(self.rate.burst, f64::from).max(1.0),
        };
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let bucket = buckets.entry(key.id.clone()).or_insert_with(|| Bucket::new(rate, now));
        if !bucket.has(rate) {
            *bucket = Bucket::new(rate, now);
        }
        bucket.take(now)
    }
}

/// The token of a request: `None` without the header, `Some(None)` for what is no token.
fn presented(headers: &HeaderMap) -> Option<Option<Token>> {
    let value = headers.get(AUTHORIZATION)?;
    let read = || {
        let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| Token::parse(token.trim()))?
    };
    Some(read())
}

/// Whole seconds, rounded up.
#[must_use]
pub fn ceil(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::keyfile::KeyLimits;
    use http::HeaderValue;

    const NOW: Duration = Duration::from_secs(5);

    struct Fixture {
        _folder: tempfile::TempDir,
        gate: Gate,
        file: KeyFile,
        read: String,
        solve: String,
    }

    fn wall() -> Timestamp {
        Timestamp::UNIX_EPOCH
    }

    fn fixture() -> Fixture {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("keys.json");
        let mut file = KeyFile::default();
        let limits = KeyLimits { burst: Some(2), requests_per_s: Some(1.0), ..KeyLimits::default() };
        let read = file.add("watch", Role::Read, KeyLimits::default(), None, wall()).expect("added").reveal();
        let solve = file.add("plan", Role::Solve, limits, None, wall()).expect("added").reveal();
        file.write(&path).expect("written");
        let config = AccessConfig { keys: Some(path), ..AccessConfig::default() };
        let gate = Gate::open(&config, ([0, 0, 0, 0], 80).into(), wall()).expect("keys are there");
        Fixture { _folder: folder, gate, file, read, solve }
    }

    fn decide(gate: &Gate, token: Option<&str>, need: Need, now: Duration) -> (Option<Kind>, String) {
        let mut headers = HeaderMap::new();
        if let Some(token) = token {
            let value = HeaderValue::from_str(&format!("Bearer {token}")).expect("plain");
            headers.insert(AUTHORIZATION, value);
        }
        let decision = gate.decide(&headers, need, wall(), now);
        (decision.refusal.map(|p| p.kind), decision.caller.name.to_string())
    }

    #[test]
    fn roles_are_held_against_needs() {
        let f = fixture();
        let solve = Need::Role(Role::Solve);
        let told = |token, need| decide(&f.gate, token, need, NOW);
        assert_eq!(told(Some(&f.solve), solve), (None, "plan".to_owned()));
        assert_eq!(told(Some(&f.read), solve), (Some(Kind::Forbidden), "watch".to_owned()));
        assert_eq!(told(Some(&f.read), Need::Role(Role::Read)), (None, "watch".to_owned()));
        assert_eq!(told(None, solve).0, Some(Kind::Unauthorized));
        assert_eq!(told(Some("ecomap_x"), solve).0, Some(Kind::Unauthorized));
        let wrong = Token::generate().expect("random").reveal();
        assert_eq!(told(Some(&wrong), solve).0, Some(Kind::Unauthorized));
        // The id of one key with the secret of another.
        let (id, secret) = (f.read.split('_').nth(1), f.solve.split('_').nth(2));
        let mixed = format!("ecomap_{}_{}", id.expect("an id"), secret.expect("a secret"));
        assert_eq!(told(Some(&mixed), Need::Role(Role::Read)).0, Some(Kind::Unauthorized));
        // Open routes answer whatever is sent.
        assert_eq!(told(Some("nonsense"), Need::Nothing).0, None);
    }

    #[test]
    fn each_key_has_a_bucket_of_its_own() {
        let f = fixture();
        let read = Need::Role(Role::Read);
        let told = |token: &str, now| decide(&f.gate, Some(token), read, now).0;
        assert_eq!([told(&f.solve, NOW), told(&f.solve, NOW)], [None, None]);
        assert_eq!(told(&f.solve, NOW), Some(Kind::TooMany));
        assert_eq!(told(&f.read, NOW), None, "another key is not held up");
        assert_eq!(told(&f.solve, NOW + Duration::from_secs(1)), None);
    }

    #[test]
    fn a_revoked_key_ends_when_the_file_is_taken_over() {
        let mut f = fixture();
        let read = Need::Role(Role::Read);
        f.file.revoke("watch", wall()).expect("there");
        assert_eq!(decide(&f.gate, Some(&f.read), read, NOW).0, None);
        f.gate.replace(&f.file);
        assert_eq!(decide(&f.gate, Some(&f.read), read, NOW).0, Some(Kind::Unauthorized));
        assert_eq!(f.gate.active(wall()), 1);
    }

    #[test]
    fn off_the_loopback_keys_are_needed() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("keys.json");
        KeyFile::default().write(&path).expect("written");
        let open = |keys: Option<PathBuf>, listen: [u8; 4]| {
            let config = AccessConfig { keys, ..AccessConfig::default() };
            Gate::open(&config, (listen, 80).into(), wall())
        };
        assert!(matches!(open(None, [0, 0, 0, 0]), Err(ServiceError::KeysNeeded { .. })));
        assert!(matches!(open(Some(path.clone()), [10, 0, 0, 1]), Err(ServiceError::KeysNeeded { .. })));
        assert!(!open(None, [127, 0, 0, 1]).expect("trusted").guarded());
        // With a key file, keys are asked for on the loopback too: a proxy connects from there.
        let guarded = open(Some(path), [127, 0, 0, 1]).expect("nobody gets in, but it runs");
        assert_eq!(decide(&guarded, None, Need::Role(Role::Read), NOW).0, Some(Kind::Unauthorized));
    }
}
