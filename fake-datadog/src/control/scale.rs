//! How fast a scenario goes.

use std::{borrow::Cow, fmt};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, de};

/// Fastest: a day in a second.
const MAX_SCALE: f64 = 86_400.0;

/// Seconds of the scenario per real second: at `60`, a minute of the scenario takes a second.
/// At `0` the scenario stands still.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct TimeScale(f64);

/// A time scale that is none.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("time scale `{0}` must be from 0 to 86400 seconds of the scenario per real second")]
pub struct InvalidTimeScale(f64);

impl TimeScale {
    /// As real time goes.
    pub const REAL: Self = Self(1.0);

    /// The scenario stands still.
    pub const FROZEN: Self = Self(0.0);

    /// A scale of scenario seconds per real second.
    ///
    /// # Errors
    ///
    /// When it is not from 0 to 86,400.
    pub fn new(scale: f64) -> Result<Self, InvalidTimeScale> {
        if (0.0..=MAX_SCALE).contains(&scale) {
            Ok(Self(scale))
        } else {
            Err(InvalidTimeScale(scale))
        }
    }

    /// Scenario seconds per real second.
    pub const fn get(self) -> f64 {
        self.0
    }

    /// The nearest scale that is one.
    pub(crate) fn saturating(scale: f64) -> Self {
        Self(scale.clamp(0.0, MAX_SCALE))
    }
}

impl Default for TimeScale {
    fn default() -> Self {
        Self::REAL
    }
}

impl fmt::Display for TimeScale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<'de> Deserialize<'de> for TimeScale {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(f64::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

impl JsonSchema for TimeScale {
    fn schema_name() -> Cow<'static, str> {
        "TimeScale".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Seconds of the scenario per real second: at `60`, a minute of the \
                            scenario takes a second. At `0` it stands still.",
            "type": "number",
            "minimum": 0,
            "maximum": MAX_SCALE,
            "examples": [60],
        })
    }
}
