//! Seals what must be read again but not by whoever reads the database: AES-256-GCM under a key
//! that is kept beside it.

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Key, Nonce};
use anyhow::{Context, anyhow};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hkdf::Hkdf;
use rand::TryRng;
use rand::rngs::SysRng;
use sha2::Sha256;

use crate::base::Private;

/// What every sealed text begins with, so that another way of sealing can be told apart.
const FIRST: &str = "v1.";

/// The bytes of a nonce (NIST SP 800-38D §8.2.2: random, so at most 2³² seals under one key).
const NONCE: usize = 12;

/// Seals and opens for one purpose.
#[derive(Clone)]
pub struct Seal(Aes256Gcm);

impl std::fmt::Debug for Seal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seal")
    }
}

impl Seal {
    /// A seal under a key of its own, which follows from the master key and the purpose
    /// (HKDF-SHA256, RFC 5869).
    pub fn new(master: &Private<[u8; 32]>, purpose: &str) -> Self {
        let mut key = [0; 32];
        Hkdf::<Sha256>::new(None, master.expose())
            .expand(purpose.as_bytes(), &mut key)
            .expect("32 bytes are fewer than HKDF can give");
        Self(Aes256Gcm::new(&Key::<Aes256Gcm>::from(key)))
    }

    /// Seals. `about` names what it belongs to: elsewhere it cannot be opened.
    ///
    /// # Errors
    /// If the system gives no random numbers.
    pub fn seal(&self, plain: &[u8], about: &str) -> anyhow::Result<Private<String>> {
        let mut nonce = [0; NONCE];
        SysRng.try_fill_bytes(&mut nonce)?;
        let payload = Payload { msg: plain, aad: about.as_bytes() };
        let sealed = self
            .0
            .encrypt(&Nonce::from(nonce), payload)
            .map_err(|_| anyhow!("too long to be sealed"))?;
        let bytes = [&nonce[..], &sealed].concat();
        Ok(format!("{FIRST}{}", BASE64_URL_SAFE_NO_PAD.encode(bytes)).into())
    }

    /// Opens what [`Self::seal`] has sealed.
    ///
    /// # Errors
    /// If it was changed, belongs to something else, or was sealed under another key.
    pub fn open(&self, sealed: &str, about: &str) -> anyhow::Result<Vec<u8>> {
        let text = sealed.strip_prefix(FIRST).context("not sealed by this program")?;
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).context("not sealed by this program")?;
        let (nonce, sealed) =
            bytes.split_first_chunk::<NONCE>().context("not sealed by this program")?;
        let payload = Payload { msg: sealed, aad: about.as_bytes() };
        self.0
            .decrypt(&Nonce::from(*nonce), payload)
            .map_err(|_| anyhow!("a sealed value was changed, or the key is another one"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_key_purpose_and_owner_open_it() {
        let key = Private::new([7; 32]);
        let seal = Seal::new(&key, "totp");
        let sealed = seal.seal(b"secret", "hanako").unwrap();
        assert_eq!(seal.open(sealed.expose(), "hanako").unwrap(), b"secret");
        assert!(seal.open(sealed.expose(), "taro").is_err());
        assert!(Seal::new(&key, "oidc").open(sealed.expose(), "hanako").is_err());
        assert!(Seal::new(&[8; 32].into(), "totp").open(sealed.expose(), "hanako").is_err());
        let again = seal.seal(b"secret", "hanako").unwrap();
        assert_ne!(sealed, again, "each has its own nonce");
    }

    #[test]
    fn what_was_changed_is_refused() {
        let seal = Seal::new(&Private::new([7; 32]), "totp");
        let sealed = seal.seal(b"secret", "").unwrap().expose().clone();
        let text = sealed.strip_prefix(FIRST).unwrap();
        let mut bytes = BASE64_URL_SAFE_NO_PAD.decode(text).unwrap();
        for index in [0, 12, bytes.len() - 1] {
            bytes[index] ^= 1;
            let changed = format!("v1.{}", BASE64_URL_SAFE_NO_PAD.encode(&bytes));
            assert!(seal.open(&changed, "").is_err(), "{index}");
            bytes[index] ^= 1;
        }
        for text in ["", "v1.", "v1.AAAA", "v2.AAAA", "plain"] {
            assert!(seal.open(text, "").is_err(), "{text}");
        }
    }
}
