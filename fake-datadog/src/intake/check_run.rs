//! The body of `POST /api/v1/check_run` (`OpenAPI` v1, `ServiceChecks`).

use serde::{Deserialize, Serialize};

use crate::{
    intake::{Refusal, json},
    tags::Tags,
};

/// The state of something, as a check saw it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ServiceCheck {
    /// Name of the check, such as `app.ok`.
    pub check: String,
    /// Where it ran; empty when the body does not say.
    pub host_name: String,
    /// What it saw.
    pub status: CheckStatus,
    /// Its tags, normalised.
    pub tags: Vec<String>,
    /// Words beside the status.
    pub message: Option<String>,
    /// When, in Unix seconds; `None` for the moment at which it was submitted.
    pub timestamp: Option<i64>,
}

/// `OpenAPI` v1, `ServiceCheckStatus`: 0 OK, 1 warning, 2 critical, 3 unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub enum CheckStatus {
    /// All is well.
    Ok = 0,
    /// Something may go wrong.
    Warning = 1,
    /// Something is wrong.
    Critical = 2,
    /// The check could not tell.
    Unknown = 3,
}

/// Unknown fields are ignored. The `OpenAPI` file asks for host and tags too, but clients leave
/// them away.
#[derive(Debug, Deserialize)]
struct Submitted {
    check: String,
    status: CheckStatus,
    host_name: Option<String>,
    tags: Option<Vec<String>>,
    message: Option<String>,
    timestamp: Option<f64>,
}

/// Reads the body of `POST /api/v1/check_run`: a list of checks, or a single one, as the older
/// Python client `datadog` sends it (`api.ServiceCheck.check`).
///
/// # Errors
///
/// When it is no such JSON.
pub fn check_run(body: &[u8]) -> Result<Vec<ServiceCheck>, Refusal> {
    let is_single = body.trim_ascii_start().starts_with(b"{");
    let checks: Vec<Submitted> = if is_single { vec![json(body)?] } else { json(body)? };
    Ok(checks.into_iter().map(ServiceCheck::from).collect())
}

impl From<Submitted> for ServiceCheck {
    fn from(check: Submitted) -> Self {
        let tags = Tags::normalise(check.tags.into_iter().flatten());
        Self {
            check: check.check,
            host_name: check.host_name.unwrap_or_default(),
            status: check.status,
            tags: tags.iter().map(str::to_owned).collect(),
            message: check.message.filter(|message| !message.is_empty()),
            timestamp: check.timestamp.map(super::seconds),
        }
    }
}

impl TryFrom<u8> for CheckStatus {
    type Error = String;

    fn try_from(number: u8) -> Result<Self, String> {
        match number {
            0 => Ok(Self::Ok),
            1 => Ok(Self::Warning),
            2 => Ok(Self::Critical),
            3 => Ok(Self::Unknown),
            other => Err(format!("unknown status {other}")),
        }
    }
}

impl From<CheckStatus> for u8 {
    fn from(status: CheckStatus) -> Self {
        status as Self
    }
}
