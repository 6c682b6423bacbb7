//! Settings that a user may give by their own names: which there are, and what they take.

/// What a setting takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParameterKind {
    /// A whole number, both ends included.
    Number {
        /// The least.
        min: u64,
        /// The most.
        max: u64,
    },
    /// One of these words.
    Word(&'static [&'static str]),
    /// Names of letters, digits, underscores and dots, separated by commas.
    Names,
}

/// A setting that a user may give by its own name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// What it takes.
    pub kind: ParameterKind,
}

impl Parameter {
    /// Whether it takes `value`; else what it takes, for people.
    pub fn check(&self, value: &str) -> Result<(), String> {
        match self.kind {
            ParameterKind::Number { min, max } => {
                // Only digits: a sign, a unit or white space would reach the file as written.
                let digits = !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit());
                match value.parse::<u64>() {
                    Ok(number) if digits && (min..=max).contains(&number) => Ok(()),
                    _ => Err(format!("a whole number from {min} to {max}")),
                }
            }
            ParameterKind::Word(words) if words.contains(&value) => Ok(()),
            ParameterKind::Word(words) => Err(format!("one of {}", words.join(", "))),
            ParameterKind::Names => {
                let named = |word: &str| {
                    let word = word.trim_matches(' ');
                    !word.is_empty()
                        && word
                            .bytes()
                            .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'.')
                };
                if value.len() <= 1000 && value.split(',').all(named) {
                    Ok(())
                } else {
                    Err("names separated by commas".to_owned())
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_gets_through_that_could_begin_another_line() {
        let kinds = [
            ParameterKind::Number { min: 0, max: 10 },
            ParameterKind::Word(&["0", "1"]),
            ParameterKind::Names,
        ];
        for kind in kinds {
            let parameter = Parameter { name: "x", kind };
            for bad in [
                "1\nlisten_addr = *",
                "1\r",
                "",
                "1;2",
                "a = b",
                "+1",
                "%include",
            ] {
                assert!(parameter.check(bad).is_err(), "{kind:?} took {bad:?}");
            }
        }
        let names = Parameter {
            name: "x",
            kind: ParameterKind::Names,
        };
        assert!(names.check("extra_float_digits, search_path").is_ok());
    }
}
