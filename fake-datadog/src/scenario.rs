//! Scenarios: what a fake serves from its start on, as a value or a YAML file.

use std::{io, path::Path, path::PathBuf};

use serde::Deserialize;
use serde_saphyr::{Location, Spanned};

use crate::{
    control::{Fault, InvalidFault, InvalidScript, Script},
    script,
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
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scenario {
    /// How a bad query is answered.
    pub query_error_mode: QueryErrorMode,
    /// Scripted series.
    pub series: Vec<Script>,
    /// Faults in force from the start.
    pub faults: Vec<Fault>,
}

/// How a query outside of the grammar is answered. Datadog has been seen to do either.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QueryErrorMode {
    /// HTTP 400 with `{"status":"error","error":"…"}`.
    #[default]
    Http400,
    /// HTTP 200 with `"status":"error"` and the text in `error`.
    Http200,
}

/// A scenario made in code that cannot be served.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum InvalidScenario {
    /// One of its series.
    #[error("series[{index}]: {source}")]
    Script {
        /// Position in the list, from 0.
        index: usize,
        /// What is wrong with it.
        source: InvalidScript,
    },
    /// One of its faults.
    #[error("faults[{index}]: {source}")]
    Fault {
        /// Position in the list, from 0.
        index: usize,
        /// What is wrong with it.
        source: InvalidFault,
    },
}

/// A text that is no scenario. The message is one line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{line}:{column}: {reason}")]
pub struct ParseError {
    /// Line, from 1.
    pub line: u64,
    /// Column, from 1.
    pub column: u64,
    /// What is wrong there and what was expected.
    pub reason: String,
}

/// A scenario file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// It cannot be read.
    #[error("cannot read scenario {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// It cannot be understood.
    #[error("scenario {path}:{source}")]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: ParseError,
    },
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
        Self::parse(&text).map_err(|source| LoadError::Parse { path: path.to_owned(), source })
    }

    /// Reads and checks a scenario in YAML.
    ///
    /// # Errors
    ///
    /// At the first thing that is not understood or cannot be served, with its place.
    pub fn parse(yaml: &str) -> Result<Self, ParseError> {
        // A file of comments only is an empty scenario.
        let wire: Option<Wire> =
            serde_saphyr::from_str(yaml).map_err(|error| ParseError::new(&error))?;
        let wire = wire.unwrap_or_default();
        for Spanned { value, referenced, .. } in &wire.series {
            script::validate(value).map_err(|error| ParseError::at(*referenced, &error))?;
        }
        for Spanned { value, referenced, .. } in &wire.faults {
            value.validate().map_err(|error| ParseError::at(*referenced, &error))?;
        }
        Ok(Self {
            query_error_mode: wire.query_error_mode,
            series: wire.series.into_iter().map(|it| it.value).collect(),
            faults: wire.faults.into_iter().map(|it| it.value).collect(),
        })
    }
}

impl ParseError {
    fn new(error: &serde_saphyr::Error) -> Self {
        let location = error.location().unwrap_or(Location::UNKNOWN);
        // The location is given in front already, and only one line is wanted.
        let text = error.without_snippet().to_string();
        let first = text.lines().next().unwrap_or_default();
        let place = format!(" at line {}, column {}", location.line(), location.column());
        let reason = first.strip_suffix(&place).unwrap_or(first);
        Self { reason: reason.to_owned(), ..Self::at(location, &"") }
    }

    fn at(location: Location, reason: &dyn ToString) -> Self {
        Self { line: location.line(), column: location.column(), reason: reason.to_string() }
    }
}

/// The YAML document.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    #[serde(default)]
    query_error_mode: QueryErrorMode,
    #[serde(default)]
    series: Vec<Spanned<Script>>,
    #[serde(default)]
    faults: Vec<Spanned<Fault>>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::{Effect, Shape};

    #[track_caller]
    fn refused(yaml: &str, expected: &str) {
        assert_eq!(Scenario::parse(yaml).unwrap_err().to_string(), expected);
    }

    #[test]
    fn every_scenario_we_ship_can_be_served() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
        let mut found = 0;
        for entry in std::fs::read_dir(folder).unwrap() {
            let scenario = Scenario::load(&entry.unwrap().path()).unwrap();
            assert!(!scenario.series.is_empty());
            found += 1;
        }
        assert!(0 < found);
    }

    #[test]
    fn all_parts_are_optional() {
        assert_eq!(Scenario::parse("# nothing\n"), Ok(Scenario::default()));
        let scenario = Scenario::parse("query_error_mode: http200").unwrap();
        assert_eq!(scenario.query_error_mode, QueryErrorMode::Http200);
    }

    #[test]
    fn shapes_and_faults_are_read() {
        let yaml = "
series:
  - {metric: a, shape: {constant: 3}}
  - metric: b
    shape:
      replay: {values: [1, null, 2.5], each: 10s}
    start: -5m
faults:
  - {name: gone, effect: empty, times: 2}
";
        let scenario = Scenario::parse(yaml).unwrap();
        assert_eq!(scenario.series[0].shape, Shape::Constant(3.0));
        assert!(matches!(&scenario.series[1].shape, Shape::Replay { values, .. }
            if *values == [Some(1.0), None, Some(2.5)]));
        assert_eq!(scenario.faults[0], Fault::new("gone", Effect::Empty).times(2));
    }

    #[test]
    fn mistakes_are_found_with_line_and_column() {
        refused("series: 5", "1:9: expected sequence start");
        refused(
            "series:\n  - metric: m\n    shap: {constant: 1}\n",
            "3:5: unknown field `shap`, expected one of metric, tags, shape, start, every, gaps",
        );
        refused(
            "series:\n  - metric: m\n    shape: {constant: x}\n",
            "3:23: invalid floating point",
        );
        refused(
            "series:\n  - metric: m\n    shape: {ramp: {from: 0, to: 1, over: soon}}\n",
            "3:36: invalid value: string \"soon\", \
             expected a duration such as `90s` or `1m 30s`, or a number of seconds",
        );
        refused(
            "series:\n  - metric: m\n    start: later\n    shape: {constant: 1}\n",
            "3:12: start `later` is none of `now`, `-10m`, `+30s` \
             or a time such as `2026-11-24T10:00:00Z`",
        );
        refused(
            "series:\n  - {metric: m, shape: {step: []}}\n",
            "2:5: step needs at least one value",
        );
        refused(
            "faults:\n  - {name: f, effect: {status: {code: 42}}}\n",
            "2:5: status code `42` must be from 200 to 599",
        );
        refused("series: [", "1:9: unclosed bracket '['");
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let error = Scenario::load(Path::new("no/such.yaml")).unwrap_err().to_string();
        assert!(error.starts_with("cannot read scenario no/such.yaml: "), "{error}");
    }
}
