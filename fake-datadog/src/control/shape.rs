//! The courses that the values of a scripted series can take.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::control::{Span, script::one_second};

/// Values over the time since the script's start.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Shape {
    /// One value for ever.
    Constant(f64),
    /// Each value holds from its time to that of the next; no points before the first.
    Step(Vec<Step>),
    /// A straight line, then level.
    Ramp {
        /// Value at the start.
        from: f64,
        /// Value from `over` on.
        to: f64,
        /// How long it takes.
        over: Span,
    },
    /// `mean + amplitude · sin(2π · t / period)`.
    Sine {
        /// The middle.
        mean: f64,
        /// Largest distance from the middle.
        amplitude: f64,
        /// Time of one wave.
        period: Span,
    },
    /// A value that goes up and down by chance, and is turned back at its bounds. The same
    /// seed gives the same walk.
    RandomWalk {
        /// Value at the start.
        start: f64,
        /// Standard deviation of one step.
        step: f64,
        /// Time between two steps.
        #[serde(default = "one_second")]
        each: Span,
        /// Least value.
        min: f64,
        /// Largest value.
        max: f64,
    },
    /// A level with bursts above it; the first begins at the start.
    Burst {
        /// Value between bursts.
        base: f64,
        /// What a burst adds to it.
        height: f64,
        /// Time from the beginning of a burst to that of the next.
        every: Span,
        /// How long a burst holds.
        #[serde(rename = "for")]
        length: Span,
    },
    /// A list of values, one after the other; `null` is a missing point.
    Replay {
        /// The values.
        values: Vec<Option<f64>>,
        /// How long each of them holds.
        #[serde(default = "one_second")]
        each: Span,
        /// Begin again at the end; otherwise the series ends there.
        #[serde(default)]
        repeat: bool,
    },
    /// Values that hold until the next one's time. The last one holds as long as the one before
    /// it did; there the series ends, or begins again.
    Timeline {
        /// The values.
        points: Vec<Moment>,
        /// Begin again at the end.
        #[serde(default)]
        repeat: bool,
    },
    /// The values of a CSV file, which becomes a [`Shape::Replay`] or [`Shape::Timeline`] when
    /// the scenario is loaded.
    Csv(CsvFile),
    /// The values of a recorded answer of Datadog, which become a [`Shape::Timeline`] when the
    /// scenario is loaded.
    Answer(AnswerFile),
}

/// One value of [`Shape::Timeline`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Moment {
    /// Time since the start from which on it holds.
    pub at: Span,
    /// The value; `null` is none.
    pub value: Option<f64>,
}

/// A CSV file of values: `time,value`, or one column. A first line without numbers is a header.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CsvFile {
    /// The file, beside the scenario. Its times are seconds or RFC 3339, and count from the first
    /// of them; an empty value is a missing point.
    #[schemars(example = "traffic.csv")]
    pub file: PathBuf,
    /// Name of the column to take, when there are more than two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// How long each value of a single column holds; without it, one second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub each: Option<Span>,
    /// Begin again at the end; otherwise the series ends there.
    #[serde(default)]
    pub repeat: bool,
}

/// A recorded answer of `GET /api/v1/query`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AnswerFile {
    /// The file, beside the scenario: the body of an answer, or what `fake-datadog record` wrote.
    #[schemars(example = "answer.json")]
    pub file: PathBuf,
    /// The query whose answer is meant, when a recording has more than one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// Which series of the answer, from 0.
    #[serde(default)]
    pub series: usize,
    /// Begin again at the end; otherwise the series ends there.
    #[serde(default)]
    pub repeat: bool,
}

/// One level of [`Shape::Step`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Time since the start from which on it holds.
    pub at: Span,
    /// The value.
    pub value: f64,
}
