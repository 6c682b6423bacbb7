//! What is searched for: each secret in the forms that programs write.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// Shorter needles would be found by chance.
const BYTES_MIN: usize = 12;

/// One form of one secret.
#[derive(Debug)]
pub struct Needle {
    /// What it is.
    pub secret: &'static str,
    /// How it is written.
    pub form: &'static str,
    bytes: Vec<u8>,
}

/// All that is searched for.
pub struct Search {
    needles: Vec<Needle>,
    /// For each beginning of two bytes: the needles that begin so.
    starts: Vec<Vec<usize>>,
}

impl Default for Search {
    fn default() -> Self {
        Self {
            needles: Vec::new(),
            starts: vec![Vec::new(); 0x1_0000],
        }
    }
}

fn start(bytes: &[u8]) -> usize {
    usize::from(bytes[0]) << 8 | usize::from(bytes[1])
}

impl Search {
    fn push(&mut self, secret: &'static str, form: &'static str, bytes: Vec<u8>) {
        assert!(bytes.len() >= BYTES_MIN, "{secret} ({form}) is too short");
        if self.needles.iter().any(|needle| needle.bytes == bytes) {
            return;
        }
        self.starts[start(&bytes)].push(self.needles.len());
        self.needles.push(Needle {
            secret,
            form,
            bytes,
        });
    }

    /// Searches for a text: as it is, URL-encoded, and in base64 wherever in a longer text it
    /// stands.
    pub fn add(&mut self, secret: &'static str, text: &str) {
        self.push(secret, "plain", text.as_bytes().to_vec());
        self.push(secret, "URL-encoded", url_encoded(text).into_bytes());
        self.add_base64(secret, text.as_bytes());
    }

    /// Searches for a text as it is only.
    pub fn add_literal(&mut self, secret: &'static str, text: &str) {
        self.push(secret, "plain", text.as_bytes().to_vec());
    }

    /// Searches for a key that is given in hexadecimal: so, and as the bytes it is.
    pub fn add_key(&mut self, secret: &'static str, hexadecimal: &str) {
        let bytes = unhex(hexadecimal);
        self.add(secret, hexadecimal);
        let capitals = hexadecimal.to_uppercase();
        self.push(secret, "capitals", capitals.into_bytes());
        self.add_base64(secret, &bytes);
        self.push(secret, "raw", bytes);
    }

    fn add_base64(&mut self, secret: &'static str, bytes: &[u8]) {
        // A letter of base64 holds six bits: how a text is written depends on how many bytes
        // stand before it. Letters that also hold bits of its neighbours are left out.
        for before in 0..3 {
            let padded = [vec![0; before], bytes.to_vec()].concat();
            let first = (before * 8).div_ceil(6);
            let end = padded.len() * 8 / 6;
            for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
                let encoded = engine.encode(&padded);
                let inner = encoded.as_bytes()[first..end].to_vec();
                self.push(secret, "base64", inner);
            }
        }
    }

    /// The needles that are in there, once each.
    pub fn hits(&self, hay: &[u8]) -> impl Iterator<Item = &Needle> {
        let mut hits = vec![false; self.needles.len()];
        for at in 0..hay.len().saturating_sub(BYTES_MIN - 1) {
            for &index in &self.starts[start(&hay[at..])] {
                hits[index] |= hay[at..].starts_with(&self.needles[index].bytes);
            }
        }
        let needles = self.needles.iter().zip(hits);
        needles.filter(|(_, hit)| *hit).map(|(needle, _)| needle)
    }

    /// The first text of that secret, as it is.
    pub fn plain(&self, secret: &str) -> String {
        let is = |needle: &&Needle| needle.secret == secret && needle.form == "plain";
        let needle = self.needles.iter().find(is).unwrap();
        String::from_utf8(needle.bytes.clone()).unwrap()
    }
}

/// Whether a text is in there.
pub fn holds(hay: &[u8], text: &str) -> bool {
    hay.windows(text.len())
        .any(|window| window == text.as_bytes())
}

/// In base64, as most programs write it.
pub fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// As it stands in a URL.
pub fn url_encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded += &format!("%{byte:02X}");
        }
    }
    encoded
}

/// The bytes that hexadecimal digits stand for.
pub fn unhex(digits: &str) -> Vec<u8> {
    let pairs = digits.as_bytes().chunks(2);
    let pairs = pairs.map(|pair| std::str::from_utf8(pair).unwrap());
    pairs
        .map(|pair| u8::from_str_radix(pair, 16).unwrap())
        .collect()
}

/// The secret number of a P-256 key in PEM, in hexadecimal. The rest of such a file is the same
/// in all of them, or public.
pub fn secret_scalar(pem: &str) -> String {
    let body = pem.lines().filter(|line| !line.starts_with("-----"));
    let bytes = STANDARD.decode(body.collect::<String>()).unwrap();
    // An octet string of 32 bytes within the inner structure, right after its version.
    let mark = [0x02, 0x01, 0x01, 0x04, 0x20];
    let at = bytes.windows(5).position(|window| window == mark).unwrap() + 5;
    let digits = bytes[at..at + 32].iter().map(|byte| format!("{byte:02x}"));
    digits.collect()
}
