//! What the control API says of the requests that came.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What clients asked since the start or the last reset.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RequestLog {
    /// Number of requests.
    pub total: u64,
    /// The same by method, path and status. Paths that the fake does not know count as `other`,
    /// and one with a part of its own as its pattern, such as `/api/v1/metrics/{metric}`.
    pub counts: Vec<RequestCount>,
    /// The last of them, oldest first; at most 1 000.
    pub requests: Vec<RecordedRequest>,
}

/// How often a request was answered with a status.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestCount {
    /// HTTP method.
    pub method: String,
    /// Path, its pattern, or `other`.
    pub path: String,
    /// Status code of the answer.
    pub status: u16,
    /// How often.
    pub count: u64,
}

/// One request and what became of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RecordedRequest {
    /// Its number, from 1, by which `GET /fake/requests/{id}` finds it. A reset does not start
    /// anew.
    #[serde(default)]
    pub id: u64,
    /// When it came in.
    pub time: Timestamp,
    /// HTTP method.
    pub method: String,
    /// Path without parameters.
    pub path: String,
    /// Its decoded parameters, keys left out; the last one of a name.
    pub query: BTreeMap<String, String>,
    /// Fingerprint of the API key: [`crate::keys::fingerprint`].
    pub api_key: Option<String>,
    /// Fingerprint of the application key.
    pub app_key: Option<String>,
    /// `User-Agent`.
    pub user_agent: Option<String>,
    /// Status code of the answer; 499, as nginx has it, when the client went away before.
    pub status: u16,
    /// Time until the answer was ready, in milliseconds, injected delays included.
    pub duration_ms: u64,
    /// Names of the faults that hit it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<String>,
    /// Headers and bodies; left out of lists unless asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exchange: Option<Box<Exchange>>,
}

/// Headers and bodies of a request and its answer. Keys are replaced by their fingerprints.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exchange {
    /// Headers of the request: name in lower case, value.
    pub request_headers: Vec<(String, String)>,
    /// Body of the request.
    pub request_body: RecordedBody,
    /// Headers of the answer.
    pub response_headers: Vec<(String, String)>,
    /// Body of the answer, as far as it has been sent.
    pub response_body: RecordedBody,
}

/// A body as it can be shown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedBody {
    /// Length in bytes on the wire, packed if it is packed.
    pub length: u64,
    /// True when only the head of the body is shown; at most its first 64 KiB are kept.
    #[serde(default)]
    pub truncated: bool,
    /// The text, unpacked. A body that is no text has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The first bytes of a body that is no text, in hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hex: Option<String>,
}

// === impl RecordedRequest ===

impl RecordedRequest {
    /// A header of the request; of several the first. The name is in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.exchange.iter().flat_map(|exchange| &exchange.request_headers);
        headers.find(|(its_name, _)| its_name == name).map(|(_, value)| value.as_str())
    }

    /// The body of the request; empty in a list without exchanges.
    pub fn body(&self) -> &str {
        let body = self.exchange.as_ref().map(|exchange| &exchange.request_body);
        body.and_then(|body| body.text.as_deref()).unwrap_or_default()
    }
}

// === impl RecordedBody ===

impl RecordedBody {
    /// The body as JSON, when it is and has been kept whole.
    pub fn json(&self) -> Option<serde_json::Value> {
        serde_json::from_str(self.text.as_deref()?).ok()
    }
}
