//! Applies rate limits: headers on every answer that has a limit, 429 past it.

use std::collections::BTreeMap;

use axum::{
    extract::{Request, State},
    http::{HeaderValue, Uri},
    middleware::Next,
    response::Response,
};
use jiff::Timestamp;

use crate::{
    api::{
        error::status_answer,
        request::{Params, presented_keys},
    },
    control::{Endpoint, StatusEffect},
    keys::{Needs, fingerprint},
    limit::Standing,
    state::Shared,
};

/// The middleware around the handlers. Requests with a bad API key are not counted: the handler
/// refuses them.
pub(crate) async fn throttle(
    State(shared): State<Shared>,
    request: Request,
    next: Next,
) -> Response {
    let Some(standing) = standing(&shared, request.uri(), &request) else {
        return next.run(request).await;
    };
    let mut response = if standing.within {
        next.run(request).await
    } else {
        status_answer(&StatusEffect { code: 429, body: None, headers: BTreeMap::new() })
    };
    standing.show(&mut response);
    response
}

fn standing(shared: &Shared, uri: &Uri, request: &Request) -> Option<Standing> {
    let endpoint = Endpoint::of(uri.path())?;
    let keys = presented_keys(request.headers(), &Params::of(uri));
    shared.keys().check(&keys, Needs::Api).ok()?;
    shared.spend(Timestamp::now(), endpoint, &fingerprint(&keys.api?))
}

impl Standing {
    /// Adds the headers that were recorded (`DataDog/datadog-api-client-go`, 2021).
    fn show(&self, response: &mut Response) {
        let headers = response.headers_mut();
        headers.insert("x-ratelimit-limit", self.limit.into());
        headers.insert("x-ratelimit-period", self.period.into());
        headers.insert("x-ratelimit-remaining", self.remaining.into());
        headers.insert("x-ratelimit-reset", self.reset.into());
        if let Some(Ok(name)) = self.name.as_deref().map(HeaderValue::try_from) {
            headers.insert("x-ratelimit-name", name);
        }
    }
}
