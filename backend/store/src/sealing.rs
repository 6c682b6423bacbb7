//! Secrets at rest: root key, key-encryption key, data key of a row, ciphertext of a column.
//!
//! Each row has a random data key, which is wrapped with a key derived from the root key for one
//! key version; a new key version wraps the data keys again and leaves the payloads alone.
//! Wrapped key and ciphertext are both bound to where they stand, so that moving one to another
//! row, column or table makes it useless.

use crate::Error;
use aes_gcm_siv::aead::{Aead, KeyInit, Payload};
use aes_gcm_siv::{Aes256GcmSiv, Nonce};
use berth_domain::Secret;
use hkdf::Hkdf;
use rand::TryRng;
use rand::rngs::SysRng;
use sha2::Sha256;
use zeroize::Zeroizing;

const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 12;
/// The column that holds a row's wrapped data key.
const DATA_KEY: &str = "data_key";

type Key = Zeroizing<[u8; KEY_BYTES]>;

/// Where a sealed value stands, and the only place where it opens.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) table: &'static str,
    pub(crate) row: &'a str,
    pub(crate) column: &'static str,
}

impl Place<'_> {
    /// The associated data; lengths in front, so that no two places write the same bytes.
    fn bytes(&self, version: u32) -> Vec<u8> {
        let Self { table, row, column } = self;
        format!(
            "berth/{}:{table}/{}:{row}/{}:{column}/{version}",
            table.len(),
            row.len(),
            column.len()
        )
        .into_bytes()
    }

    fn unseal(&self) -> Error {
        Error::Unseal {
            table: self.table,
            row: self.row.to_owned(),
            column: self.column,
        }
    }

    fn seal(&self) -> Error {
        Error::Seal {
            table: self.table,
            column: self.column,
        }
    }
}

/// The keys by which sealed columns are written and read. Knows no `Debug`.
pub struct Keys {
    root: Key,
    version: u32,
}

impl Keys {
    /// Derives everything from the installation's root key.
    pub fn from_root(root: [u8; KEY_BYTES]) -> Self {
        Self {
            root: Zeroizing::new(root),
            version: 1,
        }
    }

    /// The key that wraps the data keys of one key version.
    fn wrapping_key(&self, version: u32, place: &Place<'_>) -> Result<Key, Error> {
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        let info = format!("berth data keys, version {version}");
        Hkdf::<Sha256>::new(None, self.root.as_slice())
            .expand(info.as_bytes(), key.as_mut_slice())
            .map_err(|_| place.seal())?;
        Ok(key)
    }

    /// Makes a data key for a row that is about to be written.
    pub(crate) fn new_row_key(&self, table: &'static str, row: &str) -> Result<RowKey, Error> {
        let place = Place {
            table,
            row,
            column: DATA_KEY,
        };
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        fill(key.as_mut_slice())?;
        let wrapping = self.wrapping_key(self.version, &place)?;
        let wrapped = encrypt(&wrapping, &place, self.version, key.as_slice())?;
        Ok(RowKey {
            key,
            stored: format!("{}.{wrapped}", self.version),
        })
    }

    /// Opens the data key that is stored in a row.
    pub(crate) fn row_key(
        &self,
        table: &'static str,
        row: &str,
        stored: &str,
    ) -> Result<RowKey, Error> {
        let place = Place {
            table,
            row,
            column: DATA_KEY,
        };
        let (version, wrapped) = stored.split_once('.').ok_or_else(|| place.unseal())?;
        let version: u32 = version.parse().map_err(|_| place.unseal())?;
        let wrapping = self.wrapping_key(version, &place)?;
        let opened = decrypt(&wrapping, &place, version, wrapped)?;
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        if opened.len() != KEY_BYTES {
            return Err(place.unseal());
        }
        key.copy_from_slice(&opened);
        Ok(RowKey {
            key,
            stored: stored.to_owned(),
        })
    }
}

/// The data key of one row.
pub(crate) struct RowKey {
    key: Key,
    stored: String,
}

impl RowKey {
    /// The wrapped key as it stands in the row.
    pub(crate) fn stored(&self) -> &str {
        &self.stored
    }

    /// Seals a secret for its place.
    pub(crate) fn seal(&self, place: Place<'_>, secret: &Secret) -> Result<String, Error> {
        // The data key changes version by being wrapped anew; what it sealed stays as it is.
        encrypt(&self.key, &place, 0, secret.reveal().as_bytes())
    }

    /// Opens what was sealed for this place.
    pub(crate) fn open(&self, place: Place<'_>, sealed: &str) -> Result<Secret, Error> {
        let bytes = decrypt(&self.key, &place, 0, sealed)?;
        let text = std::str::from_utf8(&bytes).map_err(|_| place.unseal())?;
        Ok(Secret::new(text))
    }
}

fn fill(bytes: &mut [u8]) -> Result<(), Error> {
    SysRng
        .try_fill_bytes(bytes)
        .map_err(|source| Error::Entropy {
            source: Box::new(source),
        })
}

fn encrypt(key: &Key, place: &Place<'_>, version: u32, plain: &[u8]) -> Result<String, Error> {
    let mut nonce = [0; NONCE_BYTES];
    fill(&mut nonce)?;
    let aad = place.bytes(version);
    let cipher = Aes256GcmSiv::new_from_slice(key.as_slice()).map_err(|_| place.seal())?;
    let sealed = cipher
        .encrypt(
            &Nonce::from(nonce),
            Payload {
                msg: plain,
                aad: &aad,
            },
        )
        .map_err(|_| place.seal())?;
    Ok(hex::encode([&nonce[..], &sealed].concat()))
}

fn decrypt(
    key: &Key,
    place: &Place<'_>,
    version: u32,
    sealed: &str,
) -> Result<Zeroizing<Vec<u8>>, Error> {
    let bytes = hex::decode(sealed).map_err(|_| place.unseal())?;
    let (nonce, body) = bytes
        .split_first_chunk::<NONCE_BYTES>()
        .ok_or_else(|| place.unseal())?;
    let aad = place.bytes(version);
    let cipher = Aes256GcmSiv::new_from_slice(key.as_slice()).map_err(|_| place.unseal())?;
    cipher
        .decrypt(
            &Nonce::from(*nonce),
            Payload {
                msg: body,
                aad: &aad,
            },
        )
        .map(Zeroizing::new)
        .map_err(|_| place.unseal())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place<'a>(row: &'a str, column: &'static str) -> Place<'a> {
        Place {
            table: "credentials",
            row,
            column,
        }
    }

    #[test]
    fn a_secret_opens_only_where_it_was_sealed() {
        let keys = Keys::from_root([7; 32]);
        let key = keys.new_row_key("credentials", "db_a/1").unwrap();
        let secret = Secret::new("hunter2");
        let sealed = key.seal(place("db_a/1", "password"), &secret).unwrap();
        let opened = key.open(place("db_a/1", "password"), &sealed).unwrap();
        assert_eq!(opened.reveal(), "hunter2");
        assert!(key.open(place("db_b/1", "password"), &sealed).is_err());
        assert!(key.open(place("db_a/1", "verifier"), &sealed).is_err());
        // The whole row copied under another id opens no more than the column alone.
        assert!(keys.row_key("credentials", "db_b/1", key.stored()).is_err());
        assert!(keys.row_key("secrets", "db_a/1", key.stored()).is_err());
        assert!(keys.row_key("credentials", "db_a/1", key.stored()).is_ok());
    }

    #[test]
    fn a_damaged_or_foreign_ciphertext_does_not_open() {
        let keys = Keys::from_root([7; 32]);
        let key = keys.new_row_key("secrets", "ca").unwrap();
        let at = place("ca", "sealed");
        let sealed = key.seal(at, &Secret::new("x")).unwrap();
        let flipped = if sealed.ends_with('0') { "1" } else { "0" };
        let damaged = format!("{}{flipped}", &sealed[..sealed.len() - 1]);
        for bad in [damaged.as_str(), "", "zz", "00"] {
            assert!(key.open(at, bad).is_err(), "{bad}");
        }
        let other = Keys::from_root([8; 32]);
        assert!(other.row_key("secrets", "ca", key.stored()).is_err());
        let relabelled = key.stored().replacen("1.", "2.", 1);
        assert!(keys.row_key("secrets", "ca", &relabelled).is_err());
    }

    #[test]
    fn equal_secrets_have_unequal_ciphertexts() {
        let keys = Keys::from_root([7; 32]);
        let key = keys.new_row_key("secrets", "ca").unwrap();
        let at = place("ca", "sealed");
        let secret = Secret::new("same");
        assert_ne!(
            key.seal(at, &secret).unwrap(),
            key.seal(at, &secret).unwrap()
        );
    }
}
