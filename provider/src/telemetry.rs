//! The log.

use clap::ValueEnum;
use tracing_subscriber::{
    EnvFilter, filter::LevelFilter, layer::SubscriberExt, util::SubscriberInitExt,
};

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

fn filter(level: &str) -> Result<EnvFilter, LevelError> {
    let error = |reason: String| LevelError { level: level.to_owned(), reason };
    // A word that is no level would be taken for the name of a module, and silence all others.
    let mut words = level.split(',').filter(|directive| !directive.contains('='));
    if let Some(word) = words.find(|word| word.parse::<LevelFilter>().is_err()) {
        return Err(error(format!("{word:?} is no level")));
    }
    EnvFilter::try_new(level).map_err(|failed| error(failed.to_string()))
}

/// Logs to standard error from `level` on; a level or `tracing` directives such as
/// `info,provider::poll=debug`.
pub fn init(level: &str, format: Format) -> Result<(), LevelError> {
    let filter = filter(level)?;
    let registry = tracing_subscriber::registry().with(filter);
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    // A subscriber that is there already (in tests) stays.
    let _ = match format {
        Format::Plain => registry.with(layer.with_ansi(false)).try_init(),
        Format::Json => registry.with(layer.json()).try_init(),
    };
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_and_directives_are_read_and_a_typo_is_named() {
        for good in ["info", "WARN", "off", "info,provider::poll=debug"] {
            assert!(filter(good).is_ok(), "{good}");
        }
        assert_eq!(
            filter("loud").unwrap_err().to_string(),
            "log level \"loud\" cannot be read (\"loud\" is no level), use error, warn, info, debug or trace"
        );
        assert!(filter("provider=loud").is_err());
        assert!(filter("loud,provider=debug").is_err());
    }
}
