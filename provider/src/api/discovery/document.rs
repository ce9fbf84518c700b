//! A document that never changes while the process runs, with what lets clients keep it.

use std::fmt::Write as _;

use axum::{
    body::Bytes,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use sha2::{Digest, Sha512};

/// A body, its type and its hash.
#[derive(Debug)]
pub(in crate::api) struct Document {
    content_type: &'static str,
    body: Bytes,
    hash: String,
}

impl Document {
    pub(in crate::api) fn new(content_type: &'static str, body: impl Into<Bytes>) -> Self {
        let body = body.into();
        let mut hash = String::new();
        for byte in Sha512::digest(&body) {
            // Writing to a String cannot fail.
            _ = write!(hash, "{byte:02X}");
        }
        Self { content_type, body, hash }
    }

    /// SHA-512 in upper-case hex, as Kubernetes' own servers do it.
    pub(in crate::api) fn hash(&self) -> &str {
        &self.hash
    }

    /// 200 with the document, or 304 if the client has it.
    pub(in crate::api) fn answer(&self, request: &HeaderMap) -> Response {
        let etag = format!("\"{}\"", self.hash);
        let known = request
            .get_all(header::IF_NONE_MATCH)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .map(str::trim)
            .any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag);
        let headers = [(header::ETAG, etag.as_str()), (header::VARY, "Accept")];
        if known {
            return (StatusCode::NOT_MODIFIED, headers).into_response();
        }
        let content_type = [(header::CONTENT_TYPE, self.content_type)];
        (headers, content_type, self.body.clone()).into_response()
    }
}
