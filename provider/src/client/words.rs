//! Sentences for users, out of what berthd and this program say.

use std::time::Duration;

/// The sentence that a complaint about a field makes. The API may leave the field out of it,
/// as in `is 0: use 1 to 16384`.
pub fn complaint(field: &str, message: &str) -> String {
    const VERBS: [&str; 8] = [
        "is", "are", "has", "have", "takes", "must", "needs", "cannot",
    ];
    let first = message.split(' ').next().unwrap_or_default();
    if VERBS.contains(&first) && !field.is_empty() {
        let message = message.trim_end_matches('.');
        format!("{field} {message}.")
    } else {
        said(message)
    }
}

/// By which berthd's log is searched; nothing when the answer names no request.
pub(super) fn traced(request_id: &str) -> String {
    if request_id.is_empty() {
        String::new()
    } else {
        format!(" (request {request_id})")
    }
}

/// The error and its causes, in one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let said = next.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        cause = next.source();
    }
    text
}

/// A duration as people say it.
pub(super) fn spoken(duration: Duration) -> String {
    match duration.as_secs() {
        0 => format!("{} milliseconds", duration.as_millis()),
        1 => "1 second".to_owned(),
        seconds => format!("{seconds} seconds"),
    }
}

/// How often, in words.
pub(super) fn times(count: u32) -> String {
    match count {
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        count => format!("{count} times"),
    }
}

/// What berthd says, as a sentence. It may begin with a user's name, which has no capital, so
/// that only words that are none get one.
pub(super) fn said(text: &str) -> String {
    const WORDS: [&str; 16] = [
        "a", "an", "another", "expected", "it", "its", "no", "not", "only", "set", "that", "the",
        "there", "this", "unknown", "use",
    ];
    let first = text.trim().split([' ', '.']).next().unwrap_or_default();
    if WORDS.contains(&first) {
        sentence(text)
    } else {
        ended(text.trim().trim_end_matches('.').to_owned())
    }
}

/// `text`, which is this program's own, with a capital at its start.
pub(super) fn sentence_start(text: &str) -> String {
    let text = text.trim().trim_end_matches('.');
    // Names of programs and arguments keep their small letters.
    let first = text.split(' ').next().unwrap_or_default();
    if first == "berthd" || first.contains('_') {
        return text.to_owned();
    }
    let mut letters = text.chars();
    letters
        .next()
        .map(|first| first.to_uppercase().chain(letters).collect())
        .unwrap_or_default()
}

/// `text`, which is this program's own, as a sentence.
pub(super) fn sentence(text: &str) -> String {
    ended(sentence_start(text))
}

fn ended(text: String) -> String {
    if text.ends_with(['!', '?']) {
        text
    } else {
        format!("{text}.")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_names_keep_their_letters_and_sentences_end() {
        assert_eq!(
            said("slowdb exists already as db_1"),
            "slowdb exists already as db_1."
        );
        assert_eq!(
            said("the image cannot be pulled."),
            "The image cannot be pulled."
        );
        assert_eq!(
            sentence("refused (os error 111)"),
            "Refused (os error 111)."
        );
    }
}
