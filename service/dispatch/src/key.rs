//! The key with which the service signs what boards are told.

use ecomap_instances::format::agent_v1::signed_bytes;
use ed25519_dalek::{Signer, SigningKey};
use std::fmt;
use std::io;
use std::path::Path;

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The file cannot be read.
    #[error("cannot read the signing key {path}: {source}")]
    Read {
        /// File.
        path: String,
        /// Reason.
        source: io::Error,
    },
    /// Other users may read the file.
    #[error("the signing key {0} can be read by others: chmod 600 it")]
    Open(String),
    /// Not 64 hexadecimal digits.
    #[error("a signing key is 64 hexadecimal digits")]
    Shape,
}

/// An Ed25519 signing key (RFC 8032). It is never printed.
#[derive(Clone)]
pub struct Key(SigningKey);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key(public {})", self.public())
    }
}

impl Key {
    /// From its secret half, 64 hexadecimal digits, e.g. of `openssl rand -hex 32`.
    ///
    /// # Errors
    /// [`KeyError::Shape`].
    pub fn new(secret: &str) -> Result<Self, KeyError> {
        let mut bytes = [0_u8; 32];
        let text = secret.trim().as_bytes();
        if text.len() != 64 {
            return Err(KeyError::Shape);
        }
        for (slot, pair) in bytes.iter_mut().zip(text.chunks(2)) {
            let digit =
                |n: usize| pair.get(n).and_then(|b| char::from(*b).to_digit(16)).ok_or(KeyError::Shape);
            *slot = u8::try_from(digit(0)? * 16 + digit(1)?).map_err(|_| KeyError::Shape)?;
        }
        Ok(Self(SigningKey::from_bytes(&bytes)))
    }

    /// Reads the secret half from a file that only its owner may read.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn open(path: &Path) -> Result<Self, KeyError> {
        use std::os::unix::fs::PermissionsExt;
        let name = || path.display().to_string();
        let failed = |source| KeyError::Read { path: name(), source };
        if std::fs::metadata(path).map_err(failed)?.permissions().mode() & 0o077 != 0 {
            return Err(KeyError::Open(name()));
        }
        Self::new(&std::fs::read_to_string(path).map_err(failed)?)
    }

    /// Its public half, as agents take it: 64 hexadecimal digits.
    #[must_use]
    pub fn public(&self) -> String {
        hex(self.0.verifying_key().as_bytes())
    }

    /// Text of the header `ecomap-signature` for a request to a board.
    #[must_use]
    pub fn sign(&self, device: &str, method: &str, path: &str, body: &[u8]) -> String {
        let signature = self.0.sign(&signed_bytes(device, method, path, body));
        format!("ed25519 {}", hex(&signature.to_bytes()))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    // RFC 8032 section 7.1, test 1: a published key pair.
    const SECRET: &str = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";

    #[test]
    fn the_published_pair() {
        let key = Key::new(SECRET).unwrap();
        assert_eq!(key.public(), "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
        assert!(!format!("{key:?}").contains("9d61b19d"));
        assert!(Key::new("9d61").is_err() && Key::new(&"g".repeat(64)).is_err());
    }

    #[test]
    fn a_key_that_others_may_read_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        std::fs::write(&path, SECRET).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(Key::open(&path), Err(KeyError::Open(_))));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        Key::open(&path).unwrap();
    }
}
