//! The log and the traces.

use axum::http::HeaderMap;
use clap::ValueEnum;
use tracing::Span;
use tracing_subscriber::{
    EnvFilter, Layer, Registry, filter::LevelFilter, layer::SubscriberExt, util::SubscriberInitExt,
};

use crate::args;

mod recent;
#[cfg(feature = "otel")]
mod traces;

pub use crate::telemetry::recent::Recent;

/// Target of the spans that are for traces only; far below any level of the log.
pub const SPANS: &str = "otel";

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

/// What a level lets through, or why it is none.
pub fn filter(level: &str) -> Result<EnvFilter, LevelError> {
    let error = |reason: String| LevelError { level: level.to_owned(), reason };
    // A word that is no level would be taken for the name of a module, and silence all others.
    let mut words = level.split(',').filter(|directive| !directive.contains('='));
    if let Some(word) = words.find(|word| word.parse::<LevelFilter>().is_err()) {
        return Err(error(format!("{word:?} is no level")));
    }
    EnvFilter::try_new(level).map_err(|failed| error(failed.to_string()))
}

type BoxedLayer = Box<dyn Layer<Registry> + Send + Sync>;

/// What is to be finished when the process ends.
#[derive(Debug, Default)]
pub struct Telemetry {
    /// The last lines of the log.
    pub recent: Recent,
    #[cfg(feature = "otel")]
    traces: Option<traces::Traces>,
}

/// Logs to standard error, and sends traces where that is asked for.
pub fn start(args: &args::Log) -> anyhow::Result<Telemetry> {
    let log = log(&args.log_level, args.log_format)?;
    let telemetry = Telemetry {
        recent: Recent::default(),
        #[cfg(feature = "otel")]
        traces: args.otlp_endpoint.as_ref().map(traces::Traces::to).transpose()?,
    };
    let kept = tracing_subscriber::fmt::layer()
        .with_ansi(false)
        .with_writer(telemetry.recent.clone())
        .with_filter(filter(&args.log_level)?)
        .boxed();
    let layers: Vec<_> = telemetry.layer().into_iter().chain([log, kept]).collect();
    // A subscriber that is there already (in tests) stays.
    let _ = tracing_subscriber::registry().with(layers).try_init();
    Ok(telemetry)
}

#[cfg(feature = "otel")]
impl Telemetry {
    fn layer(&self) -> Option<BoxedLayer> {
        self.traces.as_ref().map(traces::Traces::layer)
    }

    /// Sends the spans that are left.
    pub async fn finish(self) {
        if let Some(traces) = self.traces {
            traces.finish().await;
        }
    }
}

#[cfg(not(feature = "otel"))]
#[allow(
    clippy::unnecessary_wraps,
    clippy::unused_async,
    clippy::unused_self,
    reason = "as where there are traces"
)]
impl Telemetry {
    fn layer(&self) -> Option<BoxedLayer> {
        None
    }

    /// There is nothing to finish.
    pub async fn finish(self) {}
}

fn log(level: &str, format: Format) -> Result<BoxedLayer, LevelError> {
    let filter = filter(level)?;
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    Ok(match format {
        Format::Plain => layer.with_ansi(false).with_filter(filter).boxed(),
        Format::Json => layer.json().with_filter(filter).boxed(),
    })
}

/// Makes `span` a part of the trace that the headers tell of, where traces are on.
#[cfg_attr(not(feature = "otel"), allow(unused_variables, reason = "there are no traces"))]
pub fn continue_trace(span: &Span, headers: &HeaderMap) {
    #[cfg(feature = "otel")]
    traces::continue_trace(span, headers);
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
