//! Recorded exchanges with Datadog: what [`crate::record`] writes and [`crate::replay`] serves.
//!
//! A recording is a file of JSON lines. The first says what it is; each further one is an
//! [`Exchange`], in the order in which they were answered:
//!
//! ```text
//! {"format":"fake-datadog exchanges","version":1,"upstream":"https://api.datadoghq.com/"}
//! {"time":"2026-11-24T10:00:00Z","request":{"method":"GET","path":"/api/v1/query",…},"response":{"status":200,…},"duration_ms":84}
//! ```
//!
//! A body that is JSON stands there as JSON, so `jq .response.body.json` works. No key is in it.

mod running;

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

pub use crate::exchange::running::Running;

/// What the first line says that it is.
const FORMAT: &str = "fake-datadog exchanges";

/// The version of the format that is written, and the only one that is read.
const VERSION: u32 = 1;

/// One request and its answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Exchange {
    /// When the request came in.
    pub time: Timestamp,
    /// The request.
    pub request: Request,
    /// The answer.
    pub response: Response,
    /// Time until the answer was complete, in milliseconds.
    pub duration_ms: u64,
}

/// A request without its keys.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Request {
    /// HTTP method.
    pub method: String,
    /// Path without parameters.
    pub path: String,
    /// Decoded parameters, in their order.
    pub params: Vec<(String, String)>,
    /// The headers that say what the request is like.
    pub headers: BTreeMap<String, String>,
    /// The body, unpacked; without it, there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Body>,
}

/// An answer without its cookies.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Response {
    /// Status code.
    pub status: u16,
    /// Headers, but for those of the connection and the packing.
    pub headers: Vec<(String, String)>,
    /// The body, unpacked; without it, there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Body>,
}

/// A body: one of the fields is there.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Body {
    /// JSON, byte for byte as it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub json: Option<Box<RawValue>>,
    /// Other text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Why it is left out: what it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub omitted: Option<String>,
}

/// The first line.
#[derive(Debug, Serialize, Deserialize)]
struct Header {
    format: String,
    version: u32,
    upstream: String,
}

/// A recording that cannot be used. The message is one line and names the file.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// It cannot be read or written.
    #[error("recording {path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// It is no recording.
    #[error(
        "recording {path}:1:1: the first line must be `{{\"format\":\"{FORMAT}\",\"version\":{VERSION},…}}`"
    )]
    Header {
        /// The file.
        path: PathBuf,
    },
    /// A line is no exchange.
    #[error("recording {path}:{line}:{column}: {reason}")]
    Line {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
        /// What is wrong there.
        reason: String,
    },
}

/// The first line of a recording of `upstream`.
pub(crate) fn header(upstream: &str) -> String {
    let (format, upstream) = (FORMAT.to_owned(), upstream.to_owned());
    line(&Header { format, version: VERSION, upstream })
}

/// A line of a recording, with its end.
pub(crate) fn line(value: &impl Serialize) -> String {
    // Strings, numbers and maps with text for keys: nothing that JSON cannot say.
    serde_json::to_string(value).unwrap_or_default() + "\n"
}

/// True when `text` begins as a recording does.
pub(crate) fn is_recording(text: &str) -> bool {
    let first = text.lines().next().unwrap_or_default();
    serde_json::from_str::<Header>(first)
        .is_ok_and(|header| header.format == FORMAT && header.version == VERSION)
}

/// Reads the recording at `path`.
///
/// # Errors
///
/// When it cannot be read, or is no recording.
pub fn read(path: &Path) -> Result<Vec<Exchange>, RecordingError> {
    let text = fs::read_to_string(path);
    let text = text.map_err(|source| RecordingError::File { path: path.to_owned(), source })?;
    parse(path, &text)
}

/// The exchanges in `text`, which the file at `path` holds.
pub(crate) fn parse(path: &Path, text: &str) -> Result<Vec<Exchange>, RecordingError> {
    if !is_recording(text) {
        return Err(RecordingError::Header { path: path.to_owned() });
    }
    let mut exchanges = Vec::new();
    for (index, line) in text.lines().enumerate().skip(1) {
        match serde_json::from_str(line) {
            Ok(exchange) => exchanges.push(exchange),
            Err(_) if line.trim().is_empty() => {}
            // The writer was killed in the middle of its last line.
            Err(error) if error.is_eof() && !text.ends_with('\n') => {
                tracing::warn!(path = %path.display(), "last exchange incomplete");
            }
            Err(error) => {
                return Err(RecordingError::Line {
                    path: path.to_owned(),
                    line: index + 1,
                    column: error.column(),
                    reason: error.to_string(),
                });
            }
        }
    }
    Ok(exchanges)
}

impl Body {
    /// The body of a text; JSON as such when it fits on the line.
    pub(crate) fn of(text: String) -> Self {
        if !text.contains(['\n', '\r'])
            && let Ok(json) = serde_json::from_str::<Box<RawValue>>(&text)
            && json.get() == text
        {
            return Self { json: Some(json), ..Self::default() };
        }
        Self { text: Some(text), ..Self::default() }
    }

    /// A body that is not kept.
    pub(crate) fn omitted(what: String) -> Self {
        Self { omitted: Some(what), ..Self::default() }
    }

    /// Its text; of one left out, none.
    pub fn text(&self) -> &str {
        let json = self.json.as_deref().map(RawValue::get);
        json.or(self.text.as_deref()).unwrap_or_default()
    }
}
