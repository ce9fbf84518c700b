//! Applies rate limits: headers on every answer that has a limit, 429 past it.

use std::collections::BTreeMap;

use axum::{
    extract::{Request, State},
    http::HeaderValue,
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
    let Some(standing) = standing(&shared, Timestamp::now(), &request) else {
        return next.run(request).await;
    };
    let mut response = match standing.refusal() {
        None => next.run(request).await,
        Some(refusal) => refusal,
    };
    standing.show(&mut response);
    response
}

fn standing(shared: &Shared, now: Timestamp, request: &Request) -> Option<Standing> {
    let uri = request.uri();
    let endpoint = Endpoint::of(uri.path())?;
    let keys = presented_keys(request.headers(), &Params::of(uri));
    shared.keys().check(&keys, Needs::Api).ok()?;
    shared.spend(now, endpoint, &fingerprint(&keys.api?))
}

impl Standing {
    /// The answer past the limit.
    fn refusal(&self) -> Option<Response> {
        let effect = || StatusEffect { code: 429, body: None, headers: BTreeMap::new() };
        (!self.within).then(|| status_answer(&effect()))
    }

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

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;
    use crate::{
        control::{RateLimit, Span},
        keys::DEFAULT_API_KEY,
        scenario::Scenario,
    };

    fn request(key: &str) -> Request {
        let request = Request::get("/api/v1/query").header("DD-API-KEY", key);
        request.body(Body::empty()).unwrap()
    }

    #[test]
    fn a_key_is_refused_until_the_next_window_and_its_headers_say_when_that_is() {
        let mut limit = RateLimit::new(Endpoint::Query, 1, Span::from_secs(60));
        limit.name = Some("query".to_owned());
        let scenario = Scenario { rate_limits: vec![limit], ..Scenario::default() };
        let shared = Shared::new(Timestamp::UNIX_EPOCH, None, scenario).unwrap();
        let ask = |second| {
            let now = Timestamp::from_second(second).unwrap();
            let standing = standing(&shared, now, &request(DEFAULT_API_KEY)).unwrap();
            let mut response = standing.refusal().unwrap_or_default();
            standing.show(&mut response);
            let shown = ["limit", "period", "remaining", "reset", "name"].map(|name| {
                response.headers()[format!("x-ratelimit-{name}")].to_str().unwrap().to_owned()
            });
            format!("{} {}", response.status().as_u16(), shown.join(" "))
        };
        assert_eq!(ask(60), "200 1 60 0 60 query");
        assert_eq!(ask(61), "429 1 60 0 59 query");
        assert_eq!(ask(119), "429 1 60 0 1 query");
        assert_eq!(ask(120), "200 1 60 0 60 query");
        shared.reset(Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!(ask(120), "200 1 60 0 60 query", "a reset begins windows anew");
        let stranger = standing(&shared, Timestamp::UNIX_EPOCH, &request("wrong"));
        assert_eq!(stranger, None);
    }
}
