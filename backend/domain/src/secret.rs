//! A secret knows that it is one.

use std::fmt;
use zeroize::Zeroizing;

/// A text that must never be printed, logged or serialised.
///
/// It has no `Display` and no serialisation; `Debug` tells nothing, not even the length.
/// The memory is overwritten when the last copy goes.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes a text into custody.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// Makes a password of 32 hexadecimal characters from sixteen random bytes.
    pub fn password(entropy: [u8; 16]) -> Self {
        Self::new(hex::encode(entropy))
    }

    /// The text itself. Each call is a place to look at in a review.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_tells_nothing() {
        let text = format!("{:?}", Secret::new("hunter2"));
        assert!(!text.contains("hunter2"));
    }
}
