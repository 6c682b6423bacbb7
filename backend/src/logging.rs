//! berthd's own log: one line an event on stderr.

use tracing_subscriber::EnvFilter;

/// A filter that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("log: \"{found}\" is not a filter such as info or info,berth_control=debug")]
pub struct InvalidFilter {
    found: String,
    source: tracing_subscriber::filter::ParseError,
}

/// Begins to log what `filter` lets through.
pub fn start(filter: &str) -> Result<(), InvalidFilter> {
    let filter = EnvFilter::try_new(filter).map_err(|source| InvalidFilter {
        found: filter.to_owned(),
        source,
    })?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .init();
    Ok(())
}
