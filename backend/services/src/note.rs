//! What a user should know before agreeing to a plan.

/// How much a note matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Worth stopping for.
    Warning,
}

/// What a user should know before agreeing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// How much it matters.
    pub severity: Severity,
    /// The field it is about; none when it is about the whole.
    pub field: Option<&'static str>,
    /// One line.
    pub summary: String,
    /// Sentences.
    pub message: String,
}

impl Note {
    /// Something worth knowing about a field.
    pub fn info(
        field: &'static str,
        summary: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            severity: Severity::Info,
            field: Some(field),
            summary: summary.into(),
            message: message.into(),
        }
    }

    /// Something worth stopping for.
    pub fn warning(
        field: Option<&'static str>,
        summary: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            severity: Severity::Warning,
            field,
            summary: summary.into(),
            message: message.into(),
        }
    }
}

/// A number of days as people say it: `1 day`.
pub(crate) fn days_text(days: u32) -> String {
    match days {
        1 => "1 day".to_owned(),
        days => format!("{days} days"),
    }
}

/// A number of things as people say it: `1 database`, `2 databases`. The plural is regular.
pub(crate) fn counted(count: u64, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        count => format!("{count} {what}s"),
    }
}

/// A number of bytes as people say it: `12.3 GB`.
pub fn size_text(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["kB", "MB", "GB", "TB"];
    if bytes < 1000 {
        return format!("{bytes} bytes");
    }
    let mut value = bytes as f64 / 1000.0;
    let mut unit = 0;
    while value >= 999.95 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// `word` quoted, what was expected, and the nearest known word when one is near.
pub fn not_one_of(word: &str, what: &str, known: &[&str]) -> String {
    let shown: String = word.chars().take(64).collect();
    let hint = berth_domain::nearest(word, known.iter().copied())
        .map(|near| format!(" (did you mean \"{near}\"?)"))
        .unwrap_or_default();
    format!(
        "\"{shown}\" is not {what}: use one of {}{hint}",
        known.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_as_people_say_them() {
        assert_eq!(size_text(17), "17 bytes");
        assert_eq!(size_text(1_500), "1.5 kB");
        assert_eq!(size_text(12_340_000_000), "12.3 GB");
        assert_eq!(size_text(999_999), "1.0 MB");
        assert_eq!(days_text(1), "1 day");
        assert_eq!(days_text(0), "0 days");
        assert_eq!(counted(1, "database"), "1 database");
        assert_eq!(counted(0, "database"), "0 databases");
    }

    #[test]
    fn a_near_miss_is_answered_with_the_right_word() {
        let text = not_one_of("db-s-1vcpu-1g", "a plan", &["db-s-1vcpu-1gb", "x"]);
        assert!(
            text.ends_with("(did you mean \"db-s-1vcpu-1gb\"?)"),
            "{text}"
        );
    }
}
