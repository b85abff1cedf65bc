//! The key file: `ecomap.keys/v1`, JSON, readable by its owner only.
//!
//! `ecomap keys` writes it, the service reads it. It holds salted hashes, never secrets.

use crate::ServiceError;
use crate::access::role::Role;
use crate::access::token::{HASH_BYTES, KeyId, SALT_BYTES, Token, hex, random, unhex};
use crate::wall::WireTime;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

/// Format tag.
const FORMAT: &str = "ecomap.keys/v1";
/// Longest file read, bytes.
const MOST_BYTES: u64 = 4 << 20;
/// Most keys in a file.
pub const MOST_KEYS: usize = 1000;
/// Longest name of a key.
const MOST_NAME: usize = 64;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileDto {
    format: String,
    keys: Vec<KeyDto>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyDto {
    id: String,
    name: String,
    role: Role,
    salt: String,
    sha256: String,
    created: WireTime,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires: Option<WireTime>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    revoked: Option<WireTime>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    requests_per_s: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    burst: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max_body_bytes: Option<u64>,
}

/// Limits of one key; what is `None` is the service's own.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct KeyLimits {
    /// Requests a second, over time.
    pub requests_per_s: Option<f64>,
    /// Requests at once.
    pub burst: Option<u32>,
    /// Bytes of a body.
    pub max_body: Option<u64>,
}

/// A key as the service knows it.
#[derive(Debug, Clone, PartialEq)]
pub struct Key {
    /// Id.
    pub id: KeyId,
    /// Name, for people.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// When it was made.
    pub created: Timestamp,
    /// When it ends.
    pub expires: Option<Timestamp>,
    /// When it was revoked.
    pub revoked: Option<Timestamp>,
    /// Its own limits.
    pub limits: KeyLimits,
    salt: [u8; SALT_BYTES],
    hash: [u8; HASH_BYTES],
}

impl Key {
    /// Whether it may be used.
    #[must_use]
    pub fn active(&self, now: Timestamp) -> bool {
        self.revoked.is_none() && self.expires.is_none_or(|end| now < end)
    }

    /// Whether a token is this key's.
    #[must_use]
    pub fn fits(&self, token: &Token) -> bool {
        token.fits(&self.salt, &self.hash)
    }
}

/// The keys of a file.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct KeyFile {
    keys: Vec<Key>,
}

fn broken(path: &Path, message: impl Into<String>) -> ServiceError {
    ServiceError::KeyFile { path: path.to_owned(), message: message.into() }
}

impl KeyFile {
    /// Reads a key file.
    ///
    /// # Errors
    /// [`ServiceError::Read`], or [`ServiceError::KeyFile`] for what is not a key file.
    pub fn read(path: &Path) -> Result<Self, ServiceError> {
        let fault = |source| ServiceError::Read { path: path.to_owned(), source };
        let mut text = Vec::new();
        File::open(path).map_err(fault)?.take(MOST_BYTES + 1).read_to_end(&mut text).map_err(fault)?;
        if text.len() as u64 > MOST_BYTES {
            return Err(broken(path, format!("larger than {MOST_BYTES} bytes")));
        }
        let dto: FileDto = serde_json::from_slice(&text).map_err(|e| broken(path, e.to_string()))?;
        Self::lower(dto).map_err(|message| broken(path, message))
    }

    /// As [`Self::read`]; no keys when there is no such file.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn read_or_empty(path: &Path) -> Result<Self, ServiceError> {
        match Self::read(path) {
            Err(ServiceError::Read { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                Ok(Self::default())
            }
            other => other,
        }
    }

    fn lower(dto: FileDto) -> Result<Self, String> {
        if dto.format != FORMAT {
            return Err(format!("its format is not {FORMAT}"));
        }
        if dto.keys.len() > MOST_KEYS {
            return Err(format!("{} keys, at most {MOST_KEYS}", dto.keys.len()));
        }
        let mut file = Self::default();
        for (n, dto) in dto.keys.into_iter().enumerate() {
            let key = key_of(dto).map_err(|what| format!("/keys/{n}/{what}"))?;
            if file.keys.iter().any(|k| k.id == key.id) {
                return Err(format!("/keys/{n}/id: given twice"));
            }
            file.keys.push(key);
        }
        Ok(file)
    }

    /// Every key, in the order in which they were made.
    #[must_use]
    pub fn keys(&self) -> &[Key] {
        &self.keys
    }

    /// Adds a key and hands out its token, which nothing keeps.
    ///
    /// # Errors
    /// [`ServiceError::Usage`] for a bad or taken name, or too many keys; [`ServiceError::Random`].
    pub fn add(
        &mut self,
        name: &str,
        role: Role,
        limits: KeyLimits,
        expires: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<Token, ServiceError> {
        check_name(name).map_err(ServiceError::Usage)?;
        check_limits(limits).map_err(ServiceError::Usage)?;
        if self.keys.iter().any(|k| k.name == name && k.active(now)) {
            return Err(ServiceError::Usage(format!(
                "there is an active key of the name `{name}`; for its successor choose another name, e.g. `{name}-2`"
            )));
        }
        if self.keys.len() >= MOST_KEYS {
            return Err(ServiceError::Usage(format!("the file holds {MOST_KEYS} keys already")));
        }
        let token = Token::generate()?;
        let salt = random()?;
        self.keys.push(Key {
            id: token.id().clone(),
            name: name.to_owned(),
            role,
            created: now,
            expires,
            revoked: None,
            limits,
            hash: token.hash(&salt),
            salt,
        });
        Ok(token)
    }

    /// Revokes the active key of a name or id; returns its id.
    ///
    /// # Errors
    /// [`ServiceError::Usage`] when there is none.
    pub fn revoke(&mut self, name_or_id: &str, now: Timestamp) -> Result<KeyId, ServiceError> {
        let named = |k: &&mut Key| k.active(now) && (k.name == name_or_id || k.id.as_str() == name_or_id);
        let Some(key) = self.keys.iter_mut().find(named) else {
            return Err(ServiceError::Usage(format!(
                "there is no active key of the name or id `{}`",
                name_or_id.escape_debug()
            )));
        };
        key.revoked = Some(now);
        Ok(key.id.clone())
    }

    /// Writes the file as a whole or not at all, with rights for its owner only.
    ///
    /// # Errors
    /// [`ServiceError::Write`]; so when another process is about to write it.
    pub fn write(&self, path: &Path) -> Result<(), ServiceError> {
        let beside = sibling(path);
        let fault = |source| ServiceError::Write { path: beside.clone(), source };
        let mut options = OpenOptions::new();
        // Not over an existing one: of two writers at once, the second is refused.
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&beside).map_err(fault)?;
        let written = self.text().and_then(|text| {
            file.write_all(&text).and_then(|()| file.sync_all()).map_err(fault)?;
            std::fs::rename(&beside, path)
                .map_err(|source| ServiceError::Write { path: path.to_owned(), source })
        });
        if written.is_err() {
            let _ = std::fs::remove_file(&beside);
        }
        written
    }

    fn text(&self) -> Result<Vec<u8>, ServiceError> {
        let dto = FileDto { format: FORMAT.to_owned(), keys: self.keys.iter().map(dto_of).collect() };
        let mut text = serde_json::to_vec_pretty(&dto)?;
        text.push(b'\n');
        Ok(text)
    }
}

fn sibling(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    PathBuf::from(name)
}

fn check_name(name: &str) -> Result<(), String> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    if (1..=MOST_NAME).contains(&name.len()) && name.bytes().all(plain) {
        return Ok(());
    }
    Err(format!("name: not 1 to {MOST_NAME} letters, digits, `-`, `_` or `.`"))
}

fn check_limits(limits: KeyLimits) -> Result<(), String> {
    if limits.requests_per_s.is_some_and(|r| !(0.001..=1e6).contains(&r)) {
        return Err("requests_per_s: not from 0.001 to 1000000".to_owned());
    }
    if limits.burst == Some(0) {
        return Err("burst: not above 0".to_owned());
    }
    Ok(())
}

fn key_of(dto: KeyDto) -> Result<Key, String> {
    check_name(&dto.name)?;
    let limits =
        KeyLimits { requests_per_s: dto.requests_per_s, burst: dto.burst, max_body: dto.max_body_bytes };
    check_limits(limits)?;
    Ok(Key {
        id: KeyId::parse(&dto.id).ok_or("id: not 12 hexadecimal digits")?,
        name: dto.name,
        role: dto.role,
        created: dto.created.0,
        expires: dto.expires.map(|t| t.0),
        revoked: dto.revoked.map(|t| t.0),
        limits,
        salt: unhex(&dto.salt).ok_or("salt: not 16 bytes in hexadecimal")?,
        hash: unhex(&dto.sha256).ok_or("sha256: not 32 bytes in hexadecimal")?,
    })
}

fn dto_of(key: &Key) -> KeyDto {
    KeyDto {
        id: key.id.as_str().to_owned(),
        name: key.name.clone(),
        role: key.role,
        salt: hex(&key.salt),
        sha256: hex(&key.hash),
        created: WireTime(key.created),
        expires: key.expires.map(WireTime),
        revoked: key.revoked.map(WireTime),
        requests_per_s: key.limits.requests_per_s,
        burst: key.limits.burst,
        max_body_bytes: key.limits.max_body,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("in range")
    }

    #[test]
    fn a_file_holds_hashes_and_reads_back() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("keys.json");
        let mut file = KeyFile::read_or_empty(&path).expect("nothing there");
        let limits = KeyLimits { requests_per_s: Some(2.5), burst: Some(4), max_body: Some(1000) };
        let token = file.add("ci", Role::Solve, limits, Some(at(2000)), at(1000)).expect("added");
        file.add("boss", Role::Admin, KeyLimits::default(), None, at(1000)).expect("added");
        file.write(&path).expect("written");
        let text = std::fs::read_to_string(&path).expect("text");
        assert!(!text.contains(token.reveal().split('_').nth(2).expect("a secret")), "{text}");
        let back = KeyFile::read(&path).expect("its own file");
        assert_eq!(back, file);
        let key = &back.keys()[0];
        assert!(key.fits(&token) && key.active(at(1999)) && !key.active(at(2000)));
        assert!(!back.keys()[1].fits(&token));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = std::fs::metadata(&path).expect("there").permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[test]
    fn names_are_taken_once_and_revoked_keys_free_them() {
        let mut file = KeyFile::default();
        let none = KeyLimits::default();
        file.add("a", Role::Read, none, None, at(1)).expect("added");
        assert!(file.add("a", Role::Read, none, None, at(2)).is_err());
        assert!(file.add("a b", Role::Read, none, None, at(2)).is_err());
        let id = file.revoke("a", at(3)).expect("there");
        assert!(file.revoke(id.as_str(), at(4)).is_err(), "revoked once");
        file.add("a", Role::Read, none, None, at(5)).expect("free again");
        assert_eq!(file.keys().iter().filter(|k| k.active(at(6))).count(), 1);
    }

    #[test]
    fn a_second_writer_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("keys.json");
        std::fs::write(sibling(&path), "").expect("another writer's file");
        assert!(matches!(KeyFile::default().write(&path), Err(ServiceError::Write { .. })));
        assert!(sibling(&path).exists(), "the other writer's file is left alone");
    }

    #[test]
    fn what_is_not_a_key_file_is_refused_with_its_place() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("keys.json");
        let key = r#"{"id":"0123456789ab","name":"a","role":"read","salt":"00","sha256":"","created":"2026-01-01T00:00:00Z"}"#;
        for (text, part) in [
            ("[]".to_owned(), "invalid"),
            (r#"{"format":"other","keys":[]}"#.to_owned(), "format"),
            (format!(r#"{{"format":"ecomap.keys/v1","keys":[{key}]}}"#), "/keys/0/salt"),
            (r#"{"format":"ecomap.keys/v1","keys":[],"more":1}"#.to_owned(), "more"),
        ] {
            std::fs::write(&path, text).expect("written");
            let error = KeyFile::read(&path).expect_err("refused").to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
