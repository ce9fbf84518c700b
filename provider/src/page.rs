//! The status page: what every autoscaler asks for, gets and does, for a browser.
//!
//! [`model`] says what is on it (pure), `view` writes it as HTML, [`history`] keeps the last hour,
//! [`objects`] reads the autoscalers on it from kube-apiserver, [`session`] says who may see it.
//! Nothing here changes anything but a browser's cookie.

use std::sync::Arc;

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Query, Request, State},
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{
            CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION, REFERRER_POLICY,
            SET_COOKIE, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
        },
    },
    response::{IntoResponse, Response},
    routing::{get, post},
};
use jiff::Timestamp;
use maud::Markup;
use ring::rand::{SecureRandom, SystemRandom};
use tokio::sync::watch;

use crate::{
    agent::token::Token,
    hex::hex,
    lead::Leadership,
    page::{
        history::History,
        model::{Filter, Model},
        objects::Objects,
        session::{Pass, Session},
    },
    store::Snapshot,
};

pub mod history;
pub mod model;
pub mod objects;
pub mod session;
mod spark;
mod view;

/// What the page is made of; cheap to clone.
#[derive(Debug, Clone)]
pub struct Page {
    /// The metrics.
    pub store: watch::Receiver<Arc<Snapshot>>,
    /// Who leads.
    pub leadership: watch::Receiver<Leadership>,
    /// Who knows it may see the page.
    pub tokens: watch::Receiver<Token>,
    /// The last hour.
    pub history: History,
    /// Reads autoscalers.
    pub objects: Objects,
}

/// Bytes of a login form; a token has about 64.
const LONGEST_FORM: usize = 4096;

/// The page and its login.
pub fn router(page: Page) -> Router {
    Router::new()
        .route("/", get(show))
        .route("/login", post(login))
        .route("/logout", post(logout))
        .fallback(async || (StatusCode::NOT_FOUND, "there is only /\n"))
        .with_state(page)
}

async fn show(
    State(page): State<Page>,
    Query(filter): Query<Filter>,
    headers: HeaderMap,
) -> Response {
    let now = Timestamp::now();
    let session = Session::of(page.tokens.borrow().expose());
    match session.pass(&headers, now) {
        Pass::Let => {}
        Pass::Unknown => return html(StatusCode::UNAUTHORIZED, |nonce| view::login(None, nonce)),
        Pass::Refused => return refused(),
    }
    let snapshot = page.store.borrow().clone();
    let leadership = page.leadership.borrow().clone();
    // Ten thousand autoscalers take some ten milliseconds: not on a thread that answers others.
    let model = tokio::task::spawn_blocking(move || Model::of(&snapshot, leadership, filter, now));
    let Ok(mut model) = model.await else {
        return (StatusCode::INTERNAL_SERVER_ERROR, "the page could not be made\n").into_response();
    };
    page.objects.fill(&mut model.rows).await;
    for metric in model.rows.iter_mut().flat_map(|row| &mut row.metrics) {
        metric.hour = page.history.of(&metric.key, now);
    }
    html(StatusCode::OK, |nonce| view::page(&model, nonce))
}

fn refused() -> Response {
    let why = "This is not the token. Compare it with DD_CLUSTER_AGENT_AUTH_TOKEN, or with \
               `kubectl get secret datadogtoken -o jsonpath='{.data.token}' | base64 -d`.";
    html(StatusCode::FORBIDDEN, |nonce| view::login(Some(why), nonce))
}

async fn login(State(page): State<Page>, request: Request) -> Response {
    let Ok(body) = to_bytes(request.into_body(), LONGEST_FORM).await else {
        return (StatusCode::PAYLOAD_TOO_LARGE, "the form is too long\n").into_response();
    };
    let mut fields = url::form_urlencoded::parse(&body);
    let typed = fields.find(|(name, _)| name == "token").map(|(_, value)| value);
    let session = Session::of(page.tokens.borrow().expose());
    match typed {
        Some(typed) if session.is_token(typed.trim()) => {
            see_page(&session.cookie(Timestamp::now()))
        }
        _ => refused(),
    }
}

async fn logout() -> Response {
    see_page(session::NO_COOKIE)
}

/// On to the page, so that a reload sends no form again.
fn see_page(cookie: &str) -> Response {
    let Ok(cookie) = HeaderValue::from_str(cookie) else { return refused() };
    let headers = [(LOCATION, HeaderValue::from_static("/")), (SET_COOKIE, cookie)];
    (StatusCode::SEE_OTHER, headers, [(CACHE_CONTROL, "no-store")]).into_response()
}

/// A document that may use nothing but the style sheet in it.
fn html(status: StatusCode, document: impl FnOnce(&str) -> Markup) -> Response {
    let mut random = [0; 16];
    if SystemRandom::new().fill(&mut random).is_err() {
        return (StatusCode::INTERNAL_SERVER_ERROR, "the system has no random numbers\n")
            .into_response();
    }
    let nonce = hex(&random);
    let policy = format!(
        "default-src 'none'; style-src 'nonce-{nonce}'; form-action 'self'; base-uri 'none'; \
         frame-ancestors 'none'"
    );
    let mut response = Response::new(Body::from(document(&nonce).into_string()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    for (name, value) in [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CACHE_CONTROL, "no-store"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "no-referrer"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        headers.insert(CONTENT_SECURITY_POLICY, policy);
    }
    response
}

#[cfg(test)]
mod tests;
