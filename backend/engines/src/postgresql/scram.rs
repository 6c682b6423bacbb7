//! SCRAM-SHA-256 verifiers (RFC 5802, RFC 7677) in PostgreSQL's spelling.
//!
//! The same string goes into the role and into PgBouncer's user list: PgBouncer logs in to
//! the server with what it learnt from its client, which works only when salt and
//! iteration count are the same on both sides.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use berth_domain::Secret;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// PostgreSQL's default; PgBouncer takes what the verifier says.
const ITERATIONS: u32 = 4096;
const SCHEME: &str = "SCRAM-SHA-256";

pub(super) fn verifier(password: &Secret, salt: &[u8]) -> Secret {
    let salted = salted_password(password, salt, ITERATIONS);
    let stored_key = Sha256::digest(keyed(&salted, &[b"Client Key"]));
    let server_key = keyed(&salted, &[b"Server Key"]);
    Secret::new(format!(
        "{SCHEME}${ITERATIONS}:{}${}:{}",
        STANDARD.encode(salt),
        STANDARD.encode(stored_key),
        STANDARD.encode(server_key)
    ))
}

/// Whether `verifier` was made of `password`, in time that does not depend on where they
/// differ.
pub(super) fn verifies(password: &Secret, verifier: &Secret) -> bool {
    let Some((salt, iterations, stored_key)) = parse(verifier.reveal()) else {
        return false;
    };
    let salted = salted_password(password, &salt, iterations);
    let found = Sha256::digest(keyed(&salted, &[b"Client Key"]));
    bool::from(found.as_slice().ct_eq(&stored_key))
}

fn parse(text: &str) -> Option<(Vec<u8>, u32, Vec<u8>)> {
    let mut parts = text.split('$');
    (parts.next()? == SCHEME).then_some(())?;
    let (iterations, salt) = parts.next()?.split_once(':')?;
    let (stored_key, _) = parts.next()?.split_once(':')?;
    Some((
        STANDARD.decode(salt).ok()?,
        iterations.parse().ok()?,
        STANDARD.decode(stored_key).ok()?,
    ))
}

/// PBKDF2 with HMAC-SHA-256 and one block of output.
fn salted_password(password: &Secret, salt: &[u8], iterations: u32) -> [u8; 32] {
    // As libpq does: a password that SASLprep refuses is taken as it is.
    let prepared = stringprep::saslprep(password.reveal());
    let key = match &prepared {
        Ok(text) => text.as_bytes(),
        Err(_) => password.reveal().as_bytes(),
    };
    let mut block = keyed(key, &[salt, &1_u32.to_be_bytes()]);
    let mut sum = block;
    for _ in 1..iterations {
        block = keyed(key, &[&block]);
        for (into, from) in sum.iter_mut().zip(block) {
            *into ^= from;
        }
    }
    sum
}

fn keyed(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    // HMAC takes keys of any length, so the other arm is never reached; an all-zero answer
    // there would verify nothing.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else {
        return [0; 32];
    };
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The keys of the conversation in RFC 7677, section 3, follow from this verifier.
    #[test]
    fn the_rfcs_password_gives_the_rfcs_keys() {
        let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let made = verifier(&Secret::new("pencil"), &salt);
        assert_eq!(
            made.reveal(),
            "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
        );
    }

    #[test]
    fn a_verifier_knows_its_password_and_no_other() {
        let password = Secret::new("a b\u{fc}");
        let made = verifier(&password, &[7; 16]);
        assert!(verifies(&password, &made));
        assert!(!verifies(&Secret::new("a b"), &made));
        assert!(!verifies(&password, &Secret::new("md5abc")));
    }
}
