//! One request with its answer, as kept.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use jiff::Timestamp;

use crate::{
    control::{self, RecordedRequest},
    recorder::{
        body::{MAX_KEPT, Received, Sent},
        show,
    },
};

/// What requests to unknown paths and with unknown methods are counted as, so that a scanner
/// cannot fill memory.
const OTHER: &str = "other";

/// Headers that bring secrets.
const SECRET: [HeaderName; 5] = [
    HeaderName::from_static("dd-api-key"),
    HeaderName::from_static("dd-application-key"),
    header::AUTHORIZATION,
    header::PROXY_AUTHORIZATION,
    header::COOKIE,
];

/// What a request is counted as.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Route {
    pub(crate) method: &'static str,
    /// The pattern of the path.
    pub(crate) path: Arc<str>,
}

/// Fingerprints of the keys of a request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Prints {
    pub(crate) api: Option<String>,
    pub(crate) app: Option<String>,
}

/// One request with its answer.
#[derive(Debug)]
pub(crate) struct Exchange {
    /// Given by the recorder.
    pub(crate) id: u64,
    pub(crate) time: Timestamp,
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: BTreeMap<String, String>,
    pub(crate) prints: Prints,
    /// Without secrets, see [`scrubbed`].
    pub(crate) request_headers: HeaderMap,
    pub(crate) request_body: Received,
    pub(crate) status: u16,
    pub(crate) duration: Duration,
    /// Names of the faults that hit.
    pub(crate) faults: Vec<String>,
    pub(crate) response_headers: HeaderMap,
    pub(crate) response_body: Arc<Sent>,
    /// Most bytes that will be kept of the answer's body.
    pub(crate) response_weight: usize,
}

impl Route {
    /// The route of a request to `pattern`; none is a path that the fake does not serve.
    pub(crate) fn new(method: &Method, pattern: Option<&str>) -> Self {
        let Some(pattern) = pattern else { return Self { method: OTHER, path: OTHER.into() } };
        let known = [
            Method::GET,
            Method::POST,
            Method::PUT,
            Method::DELETE,
            Method::PATCH,
            Method::HEAD,
            Method::OPTIONS,
        ];
        let names = ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"];
        let place = known.iter().position(|it| it == method);
        Self { method: place.map_or(OTHER, |place| names[place]), path: pattern.into() }
    }
}

/// The headers with secrets replaced: keys by their fingerprints, others by nothing.
pub(crate) fn scrubbed(headers: &HeaderMap, prints: &Prints) -> HeaderMap {
    let mut headers = headers.clone();
    let prints = [prints.api.as_ref(), prints.app.as_ref(), None, None, None];
    for (name, print) in SECRET.iter().zip(prints) {
        if headers.contains_key(name) {
            let shown = print.map_or_else(|| "<secret>".to_owned(), |it| format!("<key {it}>"));
            let shown = HeaderValue::try_from(shown);
            let shown = shown.unwrap_or_else(|_| HeaderValue::from_static("<secret>"));
            // In place of all of that name.
            headers.insert(name, shown);
        }
    }
    headers
}

impl Exchange {
    /// Most bytes that this keeps, roughly.
    pub(crate) fn weight(&self) -> usize {
        let headers = |headers: &HeaderMap| {
            headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum::<usize>()
        };
        let query = self.query.iter().map(|(name, value)| name.len() + value.len());
        size_of::<Self>()
            + self.path.len()
            + query.sum::<usize>()
            + headers(&self.request_headers)
            + self.request_body.head.capacity()
            + headers(&self.response_headers)
            + self.response_weight.min(MAX_KEPT)
    }

    /// What lists show.
    pub(crate) fn summary(&self) -> RecordedRequest {
        let user_agent = self.request_headers.get(header::USER_AGENT);
        RecordedRequest {
            id: self.id,
            time: self.time,
            method: self.method.to_string(),
            path: self.path.clone(),
            query: self.query.clone(),
            api_key: self.prints.api.clone(),
            app_key: self.prints.app.clone(),
            user_agent: user_agent.map(|it| String::from_utf8_lossy(it.as_bytes()).into_owned()),
            status: self.status,
            duration_ms: u64::try_from(self.duration.as_millis()).unwrap_or(u64::MAX),
            faults: self.faults.clone(),
            exchange: None,
        }
    }

    /// The same with headers and bodies.
    pub(crate) fn full(&self) -> RecordedRequest {
        let (sent, length) = self.response_body.head();
        let exchange = control::Exchange {
            request_headers: show::headers(&self.request_headers),
            request_body: show::body(
                &self.request_headers,
                &self.request_body.head,
                self.request_body.length(),
            ),
            response_headers: show::headers(&self.response_headers),
            response_body: show::body(&self.response_headers, &sent, length),
        };
        RecordedRequest { exchange: Some(Box::new(exchange)), ..self.summary() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_do_not_get_into_the_headers_kept() {
        let mut headers = HeaderMap::new();
        for name in SECRET {
            headers.append(&name, HeaderValue::from_static("hush"));
            headers.append(&name, HeaderValue::from_static("hush"));
        }
        headers.insert(header::ACCEPT, HeaderValue::from_static("*/*"));
        let prints = Prints { api: Some("ba7816bf".to_owned()), app: None };
        let scrubbed = scrubbed(&headers, &prints);
        assert!(!format!("{scrubbed:?}").contains("hush"));
        assert_eq!(scrubbed["dd-api-key"], "<key ba7816bf>");
        assert_eq!(scrubbed["accept"], "*/*");
    }

    #[test]
    fn strange_methods_and_paths_are_counted_together() {
        let strange = Method::from_bytes(b"BREW").unwrap();
        assert_eq!(Route::new(&strange, Some("/pot")).method, "other");
        assert_eq!(Route::new(&Method::GET, None), Route::new(&strange, None));
    }
}
