//! Lets in only what the service has signed.
//!
//! Ed25519 (RFC 8032): the board holds the public half, with which nothing can be signed, so a board that is stolen or
//! broken into does not command the others. See `docs/adr/0022-two-phase-dispatch.md`.

use crate::agent::Problem;
use ecomap_instances::Code;
use ecomap_instances::format::agent_v1::signed_bytes;
use ed25519_dalek::{Signature, VerifyingKey};
use std::io;
use std::path::Path;

/// Checks signatures for one board.
#[derive(Debug, Clone)]
pub struct Gate {
    device: String,
    key: VerifyingKey,
}

impl Gate {
    /// For the board named `device`. `key` is the public key, 64 hexadecimal digits.
    ///
    /// # Errors
    /// [`Problem`] when that is not a public key.
    pub fn new(device: &str, key: &str) -> Result<Self, Problem> {
        let bytes: Option<[u8; 32]> = unhex(key.trim());
        let key = bytes
            .and_then(|bytes| VerifyingKey::from_bytes(&bytes).ok())
            .filter(|key| !key.is_weak())
            .ok_or_else(|| {
                Problem::new(Code::AgentSignature, "the public key is not 64 hexadecimal digits of one")
            })?;
        Ok(Self { device: device.to_owned(), key })
    }

    /// Reads the public key from a file.
    ///
    /// # Errors
    /// [`Problem`] when it cannot be read or is none.
    pub fn open(device: &str, path: &Path) -> Result<Self, Problem> {
        let failed = |e: io::Error| {
            Problem::new(Code::AgentSignature, format!("cannot read the public key {}: {e}", path.display()))
        };
        Self::new(device, &std::fs::read_to_string(path).map_err(failed)?)
    }

    /// Checks a request. `signature` is the text of the header `ecomap-signature`.
    ///
    /// # Errors
    /// [`Code::AgentSignature`].
    pub fn check(
        &self,
        method: &str,
        path: &str,
        body: &[u8],
        signature: Option<&str>,
    ) -> Result<(), Problem> {
        let refused = |what: &str| Problem::new(Code::AgentSignature, what);
        let text = signature.ok_or_else(|| refused("the request is not signed"))?;
        let bytes: [u8; 64] = text
            .trim()
            .strip_prefix("ed25519 ")
            .and_then(unhex)
            .ok_or_else(|| refused("the signature is not `ed25519 ` and 128 hexadecimal digits"))?;
        let signed = signed_bytes(&self.device, method, path, body);
        // Strict: refuses the weak keys and malleable signatures that RFC 8032 leaves open.
        self.key
            .verify_strict(&signed, &Signature::from_bytes(&bytes))
            .map_err(|_| refused("the signature is not that of the service for this board and request"))
    }
}

/// Exactly `N` bytes from hexadecimal digits.
fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut out = [0; N];
    if text.len() != 2 * N {
        return None;
    }
    for (slot, pair) in out.iter_mut().zip(text.as_bytes().chunks(2)) {
        let digit = |n: usize| pair.get(n).and_then(|b| char::from(*b).to_digit(16));
        *slot = u8::try_from(digit(0)? * 16 + digit(1)?).ok()?;
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ed25519_dalek::{Signer, SigningKey};

    // RFC 8032 section 7.1, test 1: a published key pair.
    const SECRET: &str = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
    const PUBLIC: &str = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";

    fn sign(device: &str, method: &str, path: &str, body: &[u8]) -> String {
        let key = SigningKey::from_bytes(&unhex(SECRET).unwrap());
        let digits: String = key
            .sign(&signed_bytes(device, method, path, body))
            .to_bytes()
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect();
        format!("ed25519 {digits}")
    }

    #[test]
    fn only_the_very_request_passes() {
        let gate = Gate::new("orin-1", PUBLIC).unwrap();
        let good = sign("orin-1", "PUT", "/agent/v1/plans/7", b"{}");
        gate.check("PUT", "/agent/v1/plans/7", b"{}", Some(&good)).unwrap();
        for (method, path, body) in [
            ("DELETE", "/agent/v1/plans/7", &b"{}"[..]),
            ("PUT", "/agent/v1/plans/8", b"{}"),
            ("PUT", "/agent/v1/plans/7", b"{ }"),
        ] {
            assert!(gate.check(method, path, body, Some(&good)).is_err(), "{method} {path}");
        }
        let elsewhere = sign("orin-2", "PUT", "/agent/v1/plans/7", b"{}");
        assert!(gate.check("PUT", "/agent/v1/plans/7", b"{}", Some(&elsewhere)).is_err());
        assert_eq!(gate.check("PUT", "/x", b"", None).unwrap_err().code, Code::AgentSignature);
    }

    #[test]
    fn keys_and_signatures_of_another_shape_are_refused() {
        for key in ["", "zz", &PUBLIC[1..], &"0".repeat(64)] {
            assert!(Gate::new("d", key).is_err(), "{key}");
        }
        let gate = Gate::new("d", PUBLIC).unwrap();
        for text in [
            "",
            "ed25519 ",
            "rsa 00",
            &format!("ed25519 {}", "é".repeat(64)),
            &format!("ed25519 {}", "0".repeat(128)),
        ] {
            assert!(gate.check("PUT", "/x", b"", Some(text)).is_err(), "{text}");
        }
    }
}
