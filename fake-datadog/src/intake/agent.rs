//! The body of `POST /intake/`: what agents say about themselves and their host, and events.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    intake::{Refusal, json, seconds},
    tags::Tags,
};

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Event {
    /// One line.
    pub title: String,
    /// What there is to say; Markdown.
    pub text: String,
    /// Where; empty when the body does not say.
    pub host: String,
    /// `error`, `warning`, `info` or `success`, if it was said.
    pub alert_type: Option<String>,
    /// Its tags, normalised.
    pub tags: Vec<String>,
    /// When, in Unix seconds; `None` for the moment at which it was submitted.
    pub timestamp: Option<i64>,
}

/// Everything else that agents send here (`meta`, `gohai`, `systemStats`, `agent_checks`,
/// `external_host_tags` and so on, `comp/metadata` of `DataDog/datadog-agent`) is taken and
/// forgotten: no query can show it.
#[derive(Debug, Deserialize)]
struct Payload {
    /// By source (`pkg/serializer/internal/metrics/events.go` of `DataDog/datadog-agent`).
    events: Option<BTreeMap<String, Vec<AgentEvent>>>,
    #[serde(rename = "internalHostname")]
    internal_hostname: Option<String>,
}

#[derive(Debug, Deserialize)]
struct AgentEvent {
    #[serde(default)]
    msg_title: String,
    #[serde(default)]
    msg_text: String,
    host: Option<String>,
    alert_type: Option<String>,
    tags: Option<Vec<String>>,
    timestamp: Option<f64>,
}

/// Reads the body of `POST /intake/`. Returns the events in it.
///
/// # Errors
///
/// When it is no JSON object, or has events that are none.
pub fn agent(body: &[u8]) -> Result<Vec<Event>, Refusal> {
    let payload: Payload = json(body)?;
    let host = payload.internal_hostname.unwrap_or_default();
    let events = payload.events.into_iter().flat_map(BTreeMap::into_values).flatten();
    let event = |event: AgentEvent| Event {
        title: event.msg_title,
        text: event.msg_text,
        host: event.host.filter(|host| !host.is_empty()).unwrap_or_else(|| host.clone()),
        alert_type: event.alert_type,
        tags: {
            let tags = Tags::normalise(event.tags.into_iter().flatten());
            tags.iter().map(str::to_owned).collect()
        },
        timestamp: event.timestamp.map(seconds).filter(|seconds| *seconds != 0),
    };
    Ok(events.map(event).collect())
}
