//! Scenarios: what a fake serves from its start on, as a value or a YAML file.

mod answer;
mod csv;
mod error;
mod files;
mod limits;
mod schema;

use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_saphyr::Spanned;

use crate::{
    control::{Fault, Key, RateLimit, Script, Shape, TimeScale},
    scenario::limits::RateLimits,
    script,
};

pub(crate) use crate::scenario::schema::text as schema_text;
pub use crate::scenario::{
    error::{InvalidScenario, LoadError, ParseError},
    files::FileError,
    schema::schema,
};

/// What a fake serves from its start, and again after each reset.
///
/// In YAML, every field may be left out:
///
/// ```
/// let scenario = fake_datadog::scenario::Scenario::parse("
/// series:
///   - metric: nginx.net.request_per_s
///     tags: [kube_container_name:nginx]
///     shape:
///       step: [{at: 0s, value: 0}, {at: 20s, value: 25}]
/// faults:
///   - name: slow
///     endpoint: query
///     effect: {delay: 200ms}
/// ")?;
/// assert_eq!(scenario.series[0].metric, "nginx.net.request_per_s");
/// # Ok::<(), fake_datadog::scenario::ParseError>(())
/// ```
///
/// Every span of time in it is scenario time, except for a series' `every` and `interval` and a
/// rate limit's `period`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// How a bad query is answered.
    #[serde(default)]
    pub query_error_mode: QueryErrorMode,
    /// What everything random derives from: the same seed gives the same values.
    #[serde(default)]
    pub seed: u64,
    /// Seconds of the scenario per real second.
    #[serde(default)]
    pub time_scale: TimeScale,
    /// Scripted series.
    #[serde(default)]
    pub series: Vec<Script>,
    /// Faults in force from the start.
    #[serde(default)]
    pub faults: Vec<Fault>,
    /// Rate limits, or `datadog` for those that Datadog was recorded to have; none unless given.
    #[serde(default)]
    #[schemars(with = "limits::Form")]
    pub rate_limits: Vec<RateLimit>,
    /// Keys to accept, and no others. Without any, those in force stay; at the start these are the
    /// usual pair. They are never shown, and keys given to the program go before them.
    #[serde(default, skip_serializing)]
    pub keys: Vec<Key>,
}

/// How a query outside of the grammar is answered. Datadog has been seen to do either.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum QueryErrorMode {
    /// HTTP 400 with `{"status":"error","error":"…"}`.
    #[default]
    Http400,
    /// HTTP 200 with `"status":"error"` and the text in `error`.
    Http200,
}

impl Scenario {
    /// Reads and checks a scenario file.
    ///
    /// # Errors
    ///
    /// When it cannot be read or understood; the message is one line with path, line and column.
    pub fn load(path: &Path) -> Result<Self, LoadError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| LoadError::Read { path: path.to_owned(), source })?;
        let folder = path.parent().unwrap_or(Path::new(""));
        Self::read(&text, Some(folder))
            .map_err(|source| LoadError::Parse { path: path.to_owned(), source })
    }

    /// Reads and checks a scenario in YAML.
    ///
    /// # Errors
    ///
    /// At the first thing that is not understood or cannot be served, with its place. Files of
    /// values can only be named where there is a folder: see [`Self::load`].
    pub fn parse(yaml: &str) -> Result<Self, ParseError> {
        Self::read(yaml, None)
    }

    /// Number of series that its scripts make.
    pub fn count_series(&self) -> usize {
        self.series.iter().map(script::count).sum()
    }

    /// Reads a scenario whose files of values are in `folder`.
    fn read(yaml: &str, folder: Option<&Path>) -> Result<Self, ParseError> {
        // A file of comments only is an empty scenario.
        let wire: Option<Wire> =
            serde_saphyr::from_str(yaml).map_err(|error| ParseError::new(&error))?;
        let mut wire = wire.unwrap_or_default();
        for Spanned { value, referenced, .. } in &mut wire.series {
            let shape = std::mem::replace(&mut value.shape, Shape::Constant(0.0));
            let loaded = files::load(shape, folder);
            value.shape = loaded.map_err(|error| ParseError::at(*referenced, &error))?;
            script::validate(value).map_err(|error| ParseError::at(*referenced, &error))?;
        }
        for Spanned { value, referenced, .. } in &wire.faults {
            value.validate().map_err(|error| ParseError::at(*referenced, &error))?;
        }
        let rate_limits = match wire.rate_limits {
            Some(limits) => limits.value.checked(limits.referenced)?,
            None => Vec::new(),
        };
        let mut keys = Vec::new();
        for Spanned { value, referenced, .. } in wire.keys {
            value.validate(&keys).map_err(|error| ParseError::at(referenced, &error))?;
            keys.push(value);
        }
        Ok(Self {
            query_error_mode: wire.query_error_mode,
            seed: wire.seed,
            time_scale: wire.time_scale,
            series: wire.series.into_iter().map(|it| it.value).collect(),
            faults: wire.faults.into_iter().map(|it| it.value).collect(),
            rate_limits,
            keys,
        })
    }
}

/// The YAML document.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    #[serde(default)]
    query_error_mode: QueryErrorMode,
    #[serde(default)]
    seed: u64,
    #[serde(default)]
    time_scale: TimeScale,
    #[serde(default)]
    series: Vec<Spanned<Script>>,
    #[serde(default)]
    faults: Vec<Spanned<Fault>>,
    #[serde(default)]
    rate_limits: Option<Spanned<RateLimits>>,
    #[serde(default)]
    keys: Vec<Spanned<Key>>,
}

#[cfg(test)]
mod tests;
