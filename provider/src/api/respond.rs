//! Writes objects in the format that the client wants.

use std::{borrow::Cow, convert::Infallible};

use axum::{
    extract::{FromRequestParts, Request},
    http::{
        HeaderMap, HeaderValue, StatusCode, Uri,
        header::{ACCEPT, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, USER_AGENT},
        request::Parts,
    },
    middleware::Next,
    response::{IntoResponse, Response},
};
use serde::Serialize;

use crate::api::{
    negotiate::{self, Accepted, Format, PLAIN, negotiate},
    protobuf::Protobuf,
    status::Status,
};

/// What the client says about the format of answers; read only where that is asked for, as the
/// middleware needs it for errors alone.
#[derive(Debug, Clone)]
pub struct Client {
    accept: Option<HeaderValue>,
    user_agent: Option<HeaderValue>,
    uri: Uri,
}

impl Client {
    fn of(headers: &HeaderMap, uri: &Uri) -> Self {
        // As Go does: of several headers the first counts.
        let first = |name: HeaderName| headers.get(name).cloned();
        Self { accept: first(ACCEPT), user_agent: first(USER_AGENT), uri: uri.clone() }
    }

    /// The format for an object, or the 406 that says what there is.
    pub fn negotiate(&self, offered: &[Format]) -> Result<Accepted, Status> {
        let Accepted { format, pretty } =
            negotiate(&text(self.accept.as_ref()), offered).ok_or_else(Status::not_acceptable)?;
        Ok(Accepted { format, pretty: pretty || self.wants_pretty() })
    }

    fn wants_pretty(&self) -> bool {
        let query = self.uri.query().unwrap_or_default();
        negotiate::wants_pretty(query, &text(self.user_agent.as_ref()))
    }

    /// `object`, which has no columns, in the format that the client wants.
    pub fn answer(&self, object: &(impl Protobuf + Serialize)) -> Result<Response, Status> {
        Ok(self.negotiate(PLAIN)?.write(object))
    }

    /// An error in the format that the client wants. Where none will do it is indented JSON: an
    /// error must not hide behind another one.
    fn refuse(&self, status: &Status) -> Response {
        let accepted = self.negotiate(PLAIN);
        let accepted = accepted.unwrap_or(Accepted { format: Format::Json, pretty: true });
        (status.code(), accepted.write(status)).into_response()
    }
}

impl<S: Sync> FromRequestParts<S> for Client {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::of(&parts.headers, &parts.uri))
    }
}

fn text(value: Option<&HeaderValue>) -> Cow<'_, str> {
    String::from_utf8_lossy(value.map_or(&b""[..], HeaderValue::as_bytes))
}

impl Accepted {
    /// `object`, in protobuf or JSON.
    pub fn write(self, object: &(impl Protobuf + Serialize)) -> Response {
        match self.format {
            Format::Protobuf => {
                ([(CONTENT_TYPE, negotiate::PROTOBUF)], object.protobuf()).into_response()
            }
            Format::Json | Format::Table | Format::AggregatedDiscovery => json(object, self.pretty),
        }
    }
}

/// `body` in JSON, byte for byte as Go's servers write it: a line, or indented without a line's
/// end.
pub fn json(body: &impl Serialize, pretty: bool) -> Response {
    let written = if pretty {
        serde_json::to_string_pretty(body)
    } else {
        serde_json::to_string(body).map(|line| line + "\n")
    };
    match written {
        Ok(json) => ([(CONTENT_TYPE, negotiate::JSON)], escape(json)).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

/// As Go, which escapes what could end a script in a page; outside strings JSON has none of it.
fn escape(json: String) -> String {
    const ESCAPED: [(char, &str); 5] = [
        ('<', r"\u003c"),
        ('>', r"\u003e"),
        ('&', r"\u0026"),
        ('\u{2028}', r"\u2028"),
        ('\u{2029}', r"\u2029"),
    ];
    // One look instead of five at what hardly ever has any: the last two begin with this byte.
    if !json.bytes().any(|byte| matches!(byte, b'<' | b'>' | b'&' | 0xe2)) {
        return json;
    }
    ESCAPED.iter().fold(
        json,
        |text, (c, escaped)| {
            if text.contains(*c) { text.replace(*c, escaped) } else { text }
        },
    )
}

/// Middleware around everything: each [`Status`] in the format that the client wants, and nothing
/// cached that does not say that it may be.
pub async fn finish(request: Request, next: Next) -> Response {
    let client = Client::of(request.headers(), request.uri());
    let mut response = next.run(request).await;
    if let Some(status) = response.extensions_mut().remove::<Status>() {
        let mut plain = response;
        response = client.refuse(&status);
        // What is said to those further out.
        *response.extensions_mut() = std::mem::take(plain.extensions_mut());
        // What else the answer says, `Allow` for one, holds for any format.
        for (name, value) in plain.headers().iter().filter(|(name, _)| *name != CONTENT_LENGTH) {
            response.headers_mut().entry(name).or_insert_with(|| value.clone());
        }
    }
    let private = HeaderValue::from_static("no-cache, private");
    response.headers_mut().entry(CACHE_CONTROL).or_insert(private);
    response
}
