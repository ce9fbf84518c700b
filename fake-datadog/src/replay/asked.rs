//! What makes two requests the same.

use std::fmt;

use axum::http::{Method, Uri};
use serde_json::Value;
use url::form_urlencoded;

use crate::{
    exchange::{Body, Request},
    record::{Scrubber, is_secret},
};

/// Paths whose bodies are questions, not data.
const QUERIES: &str = "/api/v2/query/";

/// A request as far as it matters for its answer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Asked {
    path: String,
    method: String,
    /// By name; `from` and `to` as the distance between them, unless it must be exact.
    params: Vec<(String, String)>,
    /// Of a query in the body.
    query: Option<String>,
}

/// The window of a request, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Asking {
    pub(super) from: i64,
    pub(super) to: i64,
}

/// A request as it would be recorded.
pub(super) fn request(method: &Method, uri: &Uri, body: &[u8]) -> Request {
    // What looks like a key is not in the recording either.
    let scrubber = Scrubber::default();
    let params = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes())
        .filter(|(name, _)| !is_secret(name))
        .map(|(name, value)| (scrubber.clean(&name), scrubber.clean(&value)))
        .collect();
    let text = std::str::from_utf8(body).ok().filter(|text| !text.is_empty());
    Request {
        method: method.to_string(),
        path: scrubber.clean(uri.path()),
        params,
        headers: std::collections::BTreeMap::new(),
        body: text.map(|text| Body::of(scrubber.clean(text))),
    }
}

/// The window that a request asks for.
pub(super) fn window(request: &Request) -> Option<Asking> {
    let param = |name: &str| {
        let (_, value) = request.params.iter().find(|(its, _)| its == name)?;
        Some(value.parse::<i64>().ok()?.saturating_mul(1000))
    };
    if let (Some(from), Some(to)) = (param("from"), param("to")) {
        return Some(Asking { from, to });
    }
    let body = query(request)?;
    let attributes = body.pointer("/data/attributes")?;
    Some(Asking { from: attributes.get("from")?.as_i64()?, to: attributes.get("to")?.as_i64()? })
}

/// The query in the body of a request.
fn query(request: &Request) -> Option<Value> {
    let body = request.body.as_ref().filter(|_| request.path.starts_with(QUERIES))?;
    serde_json::from_str(body.text()).ok()
}

impl Asked {
    pub(super) fn of(request: &Request, exact: bool) -> Self {
        let window = window(request).filter(|_| !exact);
        let mut params = request.params.clone();
        let mut query = query(request);
        if let Some(Asking { from, to }) = window {
            let distance = to.saturating_sub(from);
            params.retain(|(name, _)| name != "from" && name != "to");
            params.push(("to-from".to_owned(), format!("{distance}ms")));
            if let Some(Value::Object(attributes)) =
                query.as_mut().and_then(|it| it.pointer_mut("/data/attributes"))
            {
                attributes.remove("from");
                attributes.remove("to");
            }
        }
        params.sort();
        Self {
            path: request.path.clone(),
            method: request.method.clone(),
            params,
            query: query.map(|it| it.to_string()),
        }
    }
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.path)?;
        for (index, (name, value)) in self.params.iter().enumerate() {
            write!(f, "{}{name}={value}", if index == 0 { '?' } else { '&' })?;
        }
        self.query.as_ref().map_or(Ok(()), |query| write!(f, " {query}"))
    }
}
