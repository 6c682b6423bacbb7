//! Log lines in the form that the host reads from a provider's standard error.
//!
//! Owns: the level the user asked for, the shape of a line, the removal of secrets from it.
//! Refuses: deciding what is worth a line; the rest of the process says that through `tracing`.

use std::fmt;
use std::io::{self, Write};

use jiff::Timestamp;
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

use crate::secrets;

/// The host splits longer lines, and then cannot read either half.
const LINE_BYTES_MAX: usize = 60 * 1024;
/// Room that one value may take of a line.
const VALUE_BYTES_MAX: usize = 8 * 1024;

/// Libraries that would write down what passes over the wire, secrets in forms that no mask
/// knows.
const SILENT_TARGETS: [&str; 8] = [
    "h2",
    "hyper",
    "hyper_util",
    "mio",
    "rustls",
    "tokio_util",
    "tonic",
    "tower",
];

/// How much the user wants to see: `TF_LOG_PROVIDER`, else `TF_LOG`, else nothing.
pub fn level(variable: impl Fn(&str) -> Option<String>) -> LevelFilter {
    let wanted = ["TF_LOG_PROVIDER", "TF_LOG"]
        .into_iter()
        .filter_map(variable)
        .find(|value| !value.trim().is_empty());
    match wanted
        .map(|value| value.trim().to_ascii_uppercase())
        .as_deref()
    {
        None | Some("OFF") => LevelFilter::OFF,
        Some("ERROR") => LevelFilter::ERROR,
        Some("WARN") => LevelFilter::WARN,
        Some("INFO") => LevelFilter::INFO,
        Some("DEBUG") => LevelFilter::DEBUG,
        // JSON means everything, and the host takes a word it does not know for the same.
        Some(_) => LevelFilter::TRACE,
    }
}

/// Sends what `tracing` hears from now on to standard error. Does nothing when the level is off
/// or the program has a subscriber of its own.
pub fn install(level: LevelFilter, clock: fn() -> Timestamp) {
    if level == LevelFilter::OFF {
        return;
    }
    let lines = Lines::new(clock, io::stderr);
    let subscriber = tracing_subscriber::registry().with(level).with(lines);
    // An error means that an author's test has set up logging already, which is theirs to do.
    let _ = tracing::subscriber::set_global_default(subscriber);
}

/// An error and all that caused it, in one line.
pub fn error_chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        let source_text = source.to_string();
        // A transparent error says the same as its cause.
        if !text.ends_with(&source_text) {
            text = format!("{text}: {source_text}");
        }
        cause = source.source();
    }
    text
}

/// Writes each event as one line of JSON.
pub(crate) struct Lines<Open> {
    clock: fn() -> Timestamp,
    open: Open,
}

impl<Open, Output> Lines<Open>
where
    Open: Fn() -> Output,
    Output: Write,
{
    pub(crate) fn new(clock: fn() -> Timestamp, open: Open) -> Self {
        Self { clock, open }
    }

    fn line(&self, metadata: &Metadata<'_>, mut fields: Map<String, Value>) -> Option<Vec<u8>> {
        let message = match fields.remove("message") {
            Some(Value::String(message)) => message,
            Some(other) => other.to_string(),
            None => String::new(),
        };
        let mut line = Map::new();
        line.insert("@level".into(), level_name(*metadata.level()).into());
        line.insert("@message".into(), message.into());
        line.insert(
            "@module".into(),
            metadata.target().replace("::", ".").into(),
        );
        // Six digits exactly: with any other number the host shows the raw line.
        line.insert("@timestamp".into(), format!("{:.6}", (self.clock)()).into());
        let essential = line.clone();
        line.extend(fields);
        let mut bytes = serde_json::to_vec(&line).ok()?;
        if bytes.len() > LINE_BYTES_MAX {
            bytes = serde_json::to_vec(&essential).ok()?;
        }
        bytes.push(b'\n');
        Some(bytes)
    }
}

impl<S, Open, Output> Layer<S> for Lines<Open>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    Open: Fn() -> Output + 'static,
    Output: Write,
{
    fn enabled(&self, metadata: &Metadata<'_>, _context: Context<'_, S>) -> bool {
        let root = metadata.target().split("::").next().unwrap_or_default();
        !SILENT_TARGETS.contains(&root)
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if let Some(span) = context.span(id) {
            let mut fields = Fields::default();
            attributes.record(&mut fields);
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<Fields>()
        {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        for span in context
            .event_scope(event)
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
        {
            if let Some(outer) = span.extensions().get::<Fields>() {
                for (key, value) in &outer.0 {
                    // From the innermost outwards: the nearest span speaks for the event.
                    fields.0.entry(key.clone()).or_insert_with(|| value.clone());
                }
            }
        }
        event.record(&mut fields);
        if let Some(line) = self.line(event.metadata(), fields.0) {
            // Standard error is where a failure would be told.
            let _ = (self.open)().write_all(&line);
        }
    }
}

fn level_name(level: Level) -> &'static str {
    match level {
        Level::TRACE => "trace",
        Level::DEBUG => "debug",
        Level::INFO => "info",
        Level::WARN => "warn",
        Level::ERROR => "error",
    }
}

/// The fields of a span or event, already without secrets.
#[derive(Default)]
struct Fields(Map<String, Value>);

impl Fields {
    fn text(&mut self, field: &Field, text: &str) {
        let masked = secrets::mask(text);
        let kept = masked.floor_char_boundary(VALUE_BYTES_MAX);
        let value = match masked.len() - kept {
            0 => masked.into_owned(),
            cut => format!("{} … and {cut} bytes more", &masked[..kept]),
        };
        // Names that start with "@" are the line's own.
        let name = field.name().trim_start_matches('@');
        self.0.insert(name.to_owned(), value.into());
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.text(field, &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.text(field, &error_chain(value));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Memory(Arc<Mutex<Vec<u8>>>);

    impl Write for Memory {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn clock() -> Timestamp {
        Timestamp::from_microsecond(1_700_000_000_000_000).unwrap()
    }

    fn lines_of(act: impl FnOnce()) -> Vec<Value> {
        let memory = Memory::default();
        let open = memory.clone();
        let subscriber =
            tracing_subscriber::registry().with(Lines::new(clock, move || open.clone()));
        tracing::subscriber::with_default(subscriber, act);
        let written = memory.0.lock().unwrap().clone();
        String::from_utf8(written)
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    #[test]
    fn a_line_has_the_four_keys_the_host_needs_and_the_fields_of_its_spans() {
        let lines = lines_of(|| {
            let span = tracing::info_span!("call", tf_rpc = "ReadResource", attempt = 1);
            let _entered = span.enter();
            tracing::warn!(target: "berth::client", attempt = 2, "slow {}", "answer");
        });
        assert_eq!(
            lines,
            [serde_json::json!({
                "@level": "warn",
                "@message": "slow answer",
                "@module": "berth.client",
                "@timestamp": "2023-11-14T22:13:20.000000Z",
                "tf_rpc": "ReadResource",
                "attempt": 2,
            })]
        );
    }

    #[test]
    fn secrets_and_floods_stay_out_and_a_missing_message_is_still_a_string() {
        secrets::remember("logging-test-secret");
        let lines = lines_of(|| {
            tracing::error!(token = "logging-test-secret", debug = ?Some("logging-test-secret"));
            tracing::error!(long = "x".repeat(1_000_000), "long");
        });
        assert_eq!(lines[0]["token"], secrets::MASK);
        assert_eq!(lines[0]["debug"], "Some(\"***\")");
        assert_eq!(lines[0]["@message"], "");
        let long = lines[1]["long"].as_str().unwrap();
        assert!(
            long.ends_with("and 991808 bytes more"),
            "{}",
            &long[long.len() - 40..]
        );
    }

    #[test]
    fn what_the_transport_says_is_not_written_down() {
        let lines = lines_of(|| {
            tracing::error!(target: "h2::codec", "frame");
            tracing::error!(target: "hyper", "frame");
            tracing::error!(target: "hyperion", "not the library");
        });
        assert_eq!(lines.len(), 1);
    }

    #[test]
    fn the_provider_variable_wins_over_the_general_one() {
        let level_of = |provider: &str, general: &str| {
            level(|name| match name {
                "TF_LOG_PROVIDER" => Some(provider.to_owned()),
                "TF_LOG" => Some(general.to_owned()),
                _ => None,
            })
        };
        assert_eq!(level_of("", ""), LevelFilter::OFF);
        assert_eq!(level_of("", "debug"), LevelFilter::DEBUG);
        assert_eq!(level_of("OFF", "TRACE"), LevelFilter::OFF);
        assert_eq!(level_of("warn", "TRACE"), LevelFilter::WARN);
        assert_eq!(level_of("JSON", ""), LevelFilter::TRACE);
    }
}
