//! Secrets of API keys: made, shown once, and kept as a salted hash only.
//!
//! A secret is 256 random bits, so that guessing is hopeless and a slow password hash would buy
//! nothing (ADR 0018); the salt keeps equal hashes from telling that two files hold one key.

use crate::ServiceError;
use sha2::{Digest, Sha256};
use std::fmt;
use subtle::ConstantTimeEq;

/// How a token begins, so that scanners of leaked secrets can know it.
const PREFIX: &str = "ecomap";
/// Hexadecimal digits of a key's id.
const ID_DIGITS: usize = 12;
/// Bytes of a secret.
const SECRET_BYTES: usize = 32;
/// Bytes of a salt.
pub const SALT_BYTES: usize = 16;
/// Bytes of a hash.
pub const HASH_BYTES: usize = 32;

/// Public name of a key: 12 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(String);

impl KeyId {
    /// An id from its text; `None` unless it is 12 lower-case hexadecimal digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let plain = text.len() == ID_DIGITS && text.bytes().all(is_digit);
        plain.then(|| Self(text.to_owned()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A token: the id of a key and its secret. Does not print its secret.
#[derive(Clone)]
pub struct Token {
    id: KeyId,
    secret: [u8; SECRET_BYTES],
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Token {
    /// A new token from the operating system's random source.
    ///
    /// # Errors
    /// [`ServiceError::Random`] when that source fails.
    pub fn generate() -> Result<Self, ServiceError> {
        let id: [u8; ID_DIGITS / 2] = random()?;
        Ok(Self { id: KeyId(hex(&id)), secret: random()? })
    }

    /// Reads `ecomap_<id>_<secret>`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('_');
        let (prefix, id, secret) = (parts.next()?, parts.next()?, parts.next()?);
        if prefix != PREFIX || parts.next().is_some() {
            return None;
        }
        Some(Self { id: KeyId::parse(id)?, secret: unhex(secret)? })
    }

    /// The text, for the one moment at which it is shown.
    #[must_use]
    pub fn reveal(&self) -> String {
        format!("{PREFIX}_{}_{}", self.id, hex(&self.secret))
    }

    /// The key that it claims to be.
    #[must_use]
    pub fn id(&self) -> &KeyId {
        &self.id
    }

    /// SHA-256 of salt and secret.
    #[must_use]
    pub fn hash(&self, salt: &[u8; SALT_BYTES]) -> [u8; HASH_BYTES] {
        Sha256::new().chain_update(salt).chain_update(self.secret).finalize().into()
    }

    /// Whether the secret is the one behind a hash, in a time that does not depend on where they
    /// differ.
    #[must_use]
    pub fn fits(&self, salt: &[u8; SALT_BYTES], hash: &[u8; HASH_BYTES]) -> bool {
        self.hash(salt).ct_eq(hash).into()
    }
}

/// Bytes from the operating system's random source.
///
/// # Errors
/// [`ServiceError::Random`] when it fails.
pub fn random<const N: usize>() -> Result<[u8; N], ServiceError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| ServiceError::Random(error.to_string()))?;
    Ok(bytes)
}

fn is_digit(byte: u8) -> bool {
    byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)
}

/// Lower-case hexadecimal digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: [char; 16] =
        ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    bytes.iter().flat_map(|b| [DIGITS[usize::from(b >> 4)], DIGITS[usize::from(b & 15)]]).collect()
}

/// The bytes behind exactly `2 N` lower-case hexadecimal digits.
#[must_use]
pub fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != 2 * N || !text.bytes().all(is_digit) {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_read_back_and_only_the_right_one_fits() {
        let token = Token::generate().expect("random");
        let text = token.reveal();
        let back = Token::parse(&text).expect("its own text");
        let salt: [u8; SALT_BYTES] = random().expect("random");
        let hash = token.hash(&salt);
        assert!(back.fits(&salt, &hash));
        let other = Token::generate().expect("random");
        assert!(!other.fits(&salt, &hash) && !token.fits(&[0; SALT_BYTES], &hash));
        let shown = format!("{token:?}");
        assert!(!shown.contains(&text[text.len() - 64..]), "{shown}");
    }

    #[test]
    fn what_is_not_a_token_is_not_read() {
        let good = Token::generate().expect("random").reveal();
        for bad in [
            String::new(),
            good.replace("ecomap", "other"),
            good[..good.len() - 1].to_owned(),
            format!("{good}_"),
            format!("{good}0"),
            good.replace('_', "-"),
            good.to_uppercase(),
            format!("ecomap_{}_{}", "é".repeat(6), "0".repeat(64)),
        ] {
            assert!(Token::parse(&bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn the_hash_is_the_published_one() {
        // SHA-256 of 16 + 32 zero bytes, by `head -c 48 /dev/zero | sha256sum`.
        let token = Token { id: KeyId("0".repeat(12)), secret: [0; SECRET_BYTES] };
        assert_eq!(
            hex(&token.hash(&[0; SALT_BYTES])),
            "17b0761f87b081d5cf10757ccc89f12be355c70e2e29df288b65b30710dcbcd1"
        );
    }
}
