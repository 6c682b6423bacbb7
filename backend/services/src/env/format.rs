//! An environment as text, for programs that read files.

use super::read::Variable;
use berth_domain::{EnvName, Secret};

/// The longest line that Docker's reader of env files takes.
const DOCKER_LINE_BYTES_MAX: usize = 64 * 1024 - 1;

/// How an environment is written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// With quotes, as Compose and the dotenv libraries read it.
    Dotenv,
    /// Without quotes, as `docker run --env-file` reads it.
    Docker,
}

/// Why a variable cannot be written in a format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name} cannot stand in an env file of Docker: {reason}")]
pub struct Unwritable {
    /// The variable.
    pub name: EnvName,
    /// Why.
    pub reason: &'static str,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Dotenv, Self::Docker];

    /// The word on the wire, and the name of the file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dotenv => "dotenv",
            Self::Docker => "docker",
        }
    }

    /// The format of that name.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.as_str() == word)
    }

    /// The variables, a line for each. One without a value is left out.
    pub fn write(self, variables: &[Variable]) -> Result<Secret, Unwritable> {
        let mut text = String::new();
        for variable in variables {
            let Some(value) = &variable.value else {
                continue;
            };
            let name = variable.name.as_str();
            let value = value.reveal();
            match self {
                Self::Dotenv => text.push_str(&format!("{name}={}\n", quoted(value))),
                Self::Docker => {
                    if let Some(reason) = unfit_for_docker(name, value) {
                        return Err(Unwritable {
                            name: variable.name.clone(),
                            reason,
                        });
                    }
                    text.push_str(&format!("{name}={value}\n"));
                }
            }
        }
        Ok(Secret::new(text))
    }
}

/// Docker takes a line as it is: there is no way to write its end into a value.
fn unfit_for_docker(name: &str, value: &str) -> Option<&'static str> {
    if value.contains(['\n', '\r']) {
        return Some("its value has more than one line, and that format has no quotes");
    }
    (name.len() + 1 + value.len() > DOCKER_LINE_BYTES_MAX)
        .then_some("its line would be longer than Docker reads")
}

/// A value as Compose reads it back.
///
/// In single quotes everything is itself, but a quote ends them, a backslash does something to a
/// quote and, in Compose 1, to a backslash, and the two bytes of a Windows line's end become one.
/// What has any of these stands in double quotes, where a backslash makes the next character
/// itself and a dollar would begin a variable.
///
/// Compose 1 has no way to write a dollar there, and takes `${` for a variable even in single
/// quotes. Hence these whenever they will do.
fn quoted(value: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-./:@%+,=".contains(c);
    if !value.is_empty() && value.chars().all(is_plain) {
        return value.to_owned();
    }
    let ends_or_escapes = value.contains(['\'', '\r']) || value.contains(r"\\");
    if !ends_or_escapes && !value.ends_with('\\') {
        return format!("'{value}'");
    }
    let mut text = String::with_capacity(value.len() + 8);
    text.push('"');
    for c in value.chars() {
        match c {
            '"' | '\\' | '$' => text.extend(['\\', c]),
            '\r' => text.push_str("\\r"),
            c => text.push(c),
        }
    }
    text.push('"');
    text
}

#[cfg(test)]
mod tests {
    use super::super::read::Source;
    use super::*;
    use proptest::prelude::*;

    fn variable(name: &str, value: &str) -> Variable {
        Variable {
            name: EnvName::parse(name).unwrap(),
            value: Some(Secret::new(value)),
            sensitive: true,
            source: Source::User,
        }
    }

    /// Reads what one line (or more, in quotes) gives, by the rules of Compose's reader.
    fn read_back(text: &str) -> String {
        let text = text.replace("\r\n", "\n");
        let (_, rest) = text.split_once('=').unwrap();
        let rest = rest.strip_suffix('\n').unwrap();
        match rest.as_bytes().first() {
            Some(b'\'') => {
                let inner = rest[1..].strip_suffix('\'').unwrap();
                let means_more = inner.contains('\'') || inner.contains(r"\\");
                assert!(!means_more && !inner.ends_with('\\'), "{rest}");
                inner.to_owned()
            }
            Some(b'"') => {
                let inner = rest[1..].strip_suffix('"').unwrap();
                let mut value = String::new();
                let mut chars = inner.chars();
                while let Some(c) = chars.next() {
                    match c {
                        '\\' => match chars.next().unwrap() {
                            'r' => value.push('\r'),
                            c @ ('"' | '\\' | '$') => value.push(c),
                            other => panic!("\\{other} in {rest}"),
                        },
                        '"' | '$' => panic!("{c} stands bare in {rest}"),
                        c => value.push(c),
                    }
                }
                value
            }
            _ => {
                assert!(!rest.contains(['\n', '#', '$', ' ', '\'', '"']), "{rest}");
                rest.to_owned()
            }
        }
    }

    fn dotenv(value: &str) -> String {
        let written = Format::Dotenv.write(&[variable("V", value)]).unwrap();
        written.reveal().to_owned()
    }

    #[test]
    fn hard_values_have_the_quotes_that_keep_them() {
        for (value, line) in [
            ("postgresql://a:b@c:5432/d", "V=postgresql://a:b@c:5432/d\n"),
            ("", "V=''\n"),
            ("a b", "V='a b'\n"),
            ("two\nlines", "V='two\nlines'\n"),
            ("$HOME # no", "V='$HOME # no'\n"),
            ("say \"it\"", "V='say \"it\"'\n"),
            ("it's", "V=\"it's\"\n"),
            ("it's $5", "V=\"it's \\$5\"\n"),
            ("C:\\temp", "V='C:\\temp'\n"),
            ("C:\\", "V=\"C:\\\\\"\n"),
            ("\\\\host", "V=\"\\\\\\\\host\"\n"),
            ("\\$5", "V='\\$5'\n"),
            ("a\r\nb", "V=\"a\\r\nb\"\n"),
        ] {
            assert_eq!(dotenv(value), line);
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_what_is_read(value in "[ -~\n\r\t'\"$#\\\\`äß]{0,24}") {
            prop_assert_eq!(read_back(&dotenv(&value)), value);
        }
    }

    #[test]
    fn docker_gets_bare_lines_or_the_name_of_what_does_not_fit() {
        let written = Format::Docker.write(&[variable("A", "x y'\"#$"), variable("B", "")]);
        assert_eq!(written.unwrap().reveal(), "A=x y'\"#$\nB=\n");
        for value in ["a\nb", "a\rb", &"x".repeat(64 * 1024)] {
            let refused = Format::Docker
                .write(&[variable("HARD", value)])
                .unwrap_err();
            assert!(refused.to_string().starts_with("HARD "), "{refused}");
        }
    }

    #[test]
    fn a_variable_without_its_value_has_no_line() {
        let hidden = Variable {
            value: None,
            ..variable("A", "")
        };
        assert_eq!(Format::Dotenv.write(&[hidden]).unwrap().reveal(), "");
    }
}
