//! What the control API says of the scenario's time.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::control::{Span, TimeScale};

/// Where a scenario is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Clock {
    /// Real time.
    pub now: Timestamp,
    /// Scenario time since the scenario began, in seconds.
    pub elapsed_s: f64,
    /// Scenario seconds per real second.
    pub time_scale: TimeScale,
}

/// A change of the scenario's time. What was served of the past stays as it was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClockChange {
    /// Skip this much of the scenario, at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advance: Option<Span>,
    /// Go on at this speed; at 0, stand still.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_scale: Option<TimeScale>,
}
