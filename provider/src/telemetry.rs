//! The log.

use clap::ValueEnum;
use tracing_subscriber::{EnvFilter, layer::SubscriberExt, util::SubscriberInitExt};

/// How a line of the log looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Plain,
    /// One JSON object a line.
    Json,
}

/// Why the log cannot be set up.
#[derive(Debug, thiserror::Error)]
#[error("log level {level:?} cannot be read ({reason}), use error, warn, info, debug or trace")]
pub struct LevelError {
    level: String,
    reason: String,
}

/// Logs to standard error from `level` on; a level or `tracing` directives such as
/// `info,provider::poll=debug`.
pub fn init(level: &str, format: Format) -> Result<(), LevelError> {
    let filter = EnvFilter::try_new(level)
        .map_err(|error| LevelError { level: level.to_owned(), reason: error.to_string() })?;
    let registry = tracing_subscriber::registry().with(filter);
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    // A subscriber that is there already (in tests) stays.
    let _ = match format {
        Format::Plain => registry.with(layer.with_ansi(false)).try_init(),
        Format::Json => registry.with(layer.json()).try_init(),
    };
    Ok(())
}
