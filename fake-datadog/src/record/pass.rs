//! Hands a request on to the upstream, and writes it down with its answer.

use std::{
    collections::BTreeMap,
    error::Error,
    sync::{Arc, PoisonError},
};

use axum::{
    Json, Router,
    body::{self, Body},
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use jiff::Timestamp;
use serde_json::json;
use tokio::time::Instant;
use url::form_urlencoded;

use crate::{
    exchange::{self, Exchange},
    intake::{Encoding, Limits},
    record::{Proxy, Scrubber, is_secret},
};

/// Largest body that goes through, in bytes, packed or not.
const MAX_BODY: usize = 64 << 20;

const LIMITS: Limits = Limits { sent: MAX_BODY, inflated: MAX_BODY as u64, zstd: true };

/// Headers of one connection, which a proxy does not hand on (RFC 9110, section 7.6.1).
const HOP_BY_HOP: [HeaderName; 8] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Headers of requests that carry keys.
const KEY_HEADERS: [&str; 5] =
    ["dd-api-key", "dd-application-key", "authorization", "cookie", "x-datadog-api-key"];

/// Headers of requests that are written down.
const SHOWN: [HeaderName; 4] =
    [header::ACCEPT, header::CONTENT_TYPE, header::CONTENT_ENCODING, header::USER_AGENT];

pub(super) fn router(proxy: Arc<Proxy>) -> Router {
    Router::new().fallback(pass).with_state(proxy)
}

async fn pass(State(proxy): State<Arc<Proxy>>, request: Request) -> Response {
    match exchange(&proxy, request).await {
        Ok(response) => response,
        Err((status, reason)) => {
            tracing::error!(reason, "not recorded");
            let reason = format!("fake-datadog record: {reason}");
            (status, Json(json!({ "errors": [reason] }))).into_response()
        }
    }
}

async fn exchange(proxy: &Proxy, request: Request) -> Result<Response, (StatusCode, String)> {
    let (time, started) = (Timestamp::now(), Instant::now());
    let (parts, sent) = request.into_parts();
    let sent = body::to_bytes(sent, MAX_BODY).await;
    let sent = sent.map_err(|error| (StatusCode::PAYLOAD_TOO_LARGE, one_line(&error)))?;

    let mut url = proxy.upstream.clone();
    url.set_path(&format!("{}{}", url.path().trim_end_matches('/'), parts.uri.path()));
    url.set_query(parts.uri.query());
    let headers = handed_on(&parts.headers);
    let asked = proxy.http.request(parts.method.clone(), url).headers(headers).body(sent.clone());
    let unreachable = |error: reqwest::Error| {
        let reason = one_line(&error.without_url());
        (StatusCode::BAD_GATEWAY, format!("cannot reach {}: {reason}", proxy.upstream))
    };
    let answer = asked.send().await.map_err(unreachable)?;
    let (status, answer_headers) = (answer.status(), answer.headers().clone());
    let got = answer.bytes().await.map_err(unreachable)?;

    let sent_text = unpacked(&parts.headers, &sent);
    let got_text = unpacked(&answer_headers, &got);
    let scrubber = learn(
        proxy,
        &parts.headers,
        &parts.uri,
        sent_text.as_deref().ok(),
        got_text.as_deref().ok(),
    );
    let kept = |text: Result<String, String>| match text {
        Ok(text) if text.is_empty() => None,
        Ok(text) => Some(exchange::Body::of(scrubber.clean(&text))),
        Err(what) => Some(exchange::Body::omitted(what)),
    };
    let exchange = Exchange {
        time,
        request: exchange::Request {
            method: parts.method.to_string(),
            path: scrubber.clean(parts.uri.path()),
            params: params(&parts.uri, &scrubber),
            headers: shown(&parts.headers, &scrubber),
            body: kept(sent_text),
        },
        response: exchange::Response {
            status: status.as_u16(),
            headers: answered(&answer_headers, &scrubber),
            body: kept(got_text),
        },
        duration_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
    };
    proxy.write(&exchange).map_err(|error| {
        (StatusCode::INTERNAL_SERVER_ERROR, format!("cannot write the exchange: {error}"))
    })?;

    let mut response = Response::new(Body::from(got));
    *response.status_mut() = status;
    *response.headers_mut() = answer_headers;
    drop_hops(response.headers_mut());
    response.headers_mut().remove(header::CONTENT_LENGTH);
    Ok(response)
}

/// The headers for the upstream. Answers may only be packed in the one way that is unpacked for
/// the file whatever the upstream prefers.
fn handed_on(headers: &HeaderMap) -> HeaderMap {
    let mut handed_on = headers.clone();
    drop_hops(&mut handed_on);
    handed_on.remove(header::HOST);
    handed_on.remove(header::CONTENT_LENGTH);
    let accepts = handed_on.get_all(header::ACCEPT_ENCODING).iter();
    let gzip = accepts.filter_map(|it| it.to_str().ok()).any(|it| it.contains("gzip"));
    let packing = HeaderValue::from_static(if gzip { "gzip" } else { "identity" });
    handed_on.insert(header::ACCEPT_ENCODING, packing);
    handed_on
}

fn drop_hops(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in HOP_BY_HOP.iter().chain(&named) {
        headers.remove(name);
    }
}

/// The text that was packed into a body, or what it is when it cannot be kept.
fn unpacked(headers: &HeaderMap, bytes: &[u8]) -> Result<String, String> {
    let value = |name| headers.get(name).and_then(|it| it.to_str().ok()).unwrap_or_default();
    let (packing, kind) = (value(header::CONTENT_ENCODING), value(header::CONTENT_TYPE));
    let encoding = Encoding::of(packing, LIMITS);
    let inflated =
        encoding.and_then(|it| it.inflate(bytes, LIMITS).map(std::borrow::Cow::into_owned));
    // A body that was not unpacked, or is no text, may hold a key that nobody sees.
    let text = inflated.ok().and_then(|it| String::from_utf8(it).ok());
    text.ok_or_else(|| {
        let what = [packing, kind].join(" ");
        format!("{} bytes {}", bytes.len(), what.trim())
    })
}

/// Remembers the keys of an exchange. Returns a scrubber that knows all so far.
fn learn(
    proxy: &Proxy,
    headers: &HeaderMap,
    uri: &Uri,
    sent: Option<&str>,
    got: Option<&str>,
) -> Scrubber {
    let mut scrubber = proxy.scrubber.lock().unwrap_or_else(PoisonError::into_inner);
    for value in KEY_HEADERS.iter().flat_map(|name| headers.get_all(*name)) {
        let value = String::from_utf8_lossy(value.as_bytes());
        scrubber.learn(&value);
        // `Bearer …`, `name=…; name=…`
        value.split([' ', ';', '=', ',']).for_each(|part| scrubber.learn(part));
    }
    for (name, value) in form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()) {
        scrubber.learn_named(&name, &value);
    }
    sent.into_iter().chain(got).for_each(|text| scrubber.learn_from_body(text));
    scrubber.clone()
}

fn params(uri: &Uri, scrubber: &Scrubber) -> Vec<(String, String)> {
    form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes())
        .filter(|(name, _)| !is_secret(name))
        .map(|(name, value)| (scrubber.clean(&name), scrubber.clean(&value)))
        .collect()
}

fn shown(headers: &HeaderMap, scrubber: &Scrubber) -> BTreeMap<String, String> {
    let shown = SHOWN.iter().filter_map(|name| Some((name, headers.get(name)?)));
    shown
        .map(|(name, value)| {
            (name.to_string(), scrubber.clean(&String::from_utf8_lossy(value.as_bytes())))
        })
        .collect()
}

/// The headers of an answer that are worth repeating.
fn answered(headers: &HeaderMap, scrubber: &Scrubber) -> Vec<(String, String)> {
    let mut kept = headers.clone();
    drop_hops(&mut kept);
    let dropped =
        [header::CONTENT_LENGTH, header::CONTENT_ENCODING, header::SET_COOKIE, header::DATE];
    for name in dropped {
        kept.remove(name);
    }
    kept.iter()
        .filter(|(name, _)| {
            !["key", "token", "secret", "auth"].iter().any(|it| name.as_str().contains(it))
        })
        .map(|(name, value)| {
            (name.to_string(), scrubber.clean(&String::from_utf8_lossy(value.as_bytes())))
        })
        .collect()
}

/// An error with its causes, on one line.
fn one_line(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
