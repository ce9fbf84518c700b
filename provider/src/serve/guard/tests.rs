use std::time::Duration;

use axum::{
    Router, body::Body, http::header::RETRY_AFTER, middleware::from_fn_with_state, routing::get,
};
use tower::ServiceExt;

use super::*;

/// `/slow` takes two seconds, anything else no time.
fn router(limits: &Limits) -> Router {
    let slow = get(async || {
        tokio::time::sleep(Duration::from_secs(2)).await;
        "slow"
    });
    Router::new()
        .route("/slow", slow)
        .fallback(async || "quick")
        .layer(from_fn_with_state(Guard::new(limits), guard))
}

async fn send(router: &Router, path: &str, length: Option<&str>) -> Response {
    let mut request = Request::builder().uri(path);
    if let Some(length) = length {
        request = request.header(CONTENT_LENGTH, length);
    }
    router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn one_request_too_many_is_refused_but_for_probes() {
    let router = router(&Limits { requests: 1, ..Limits::default() });
    let slow = tokio::spawn({
        let router = router.clone();
        async move { send(&router, "/slow", None).await.status() }
    });
    tokio::task::yield_now().await;
    let refused = send(&router, "/apis", None).await;
    assert_eq!(refused.status(), 429);
    assert!(!refused.headers().contains_key(RETRY_AFTER));
    for probe in ["/healthz", "/livez", "/readyz"] {
        assert_eq!(send(&router, probe, None).await.status(), 200);
    }
    assert_eq!(slow.await.unwrap(), 200);
    assert_eq!(send(&router, "/apis", None).await.status(), 200);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_takes_too_long_is_given_up_and_leaves_its_place() {
    let limits = Limits { requests: 1, request_time: Duration::from_secs(1), ..Limits::default() };
    let router = router(&limits);
    let status = send(&router, "/slow", None).await;
    assert_eq!(status.status(), 504);
    assert_eq!(status.extensions().get::<Status>().unwrap().reason(), "Timeout");
    assert_eq!(send(&router, "/apis", None).await.status(), 200);
}

#[tokio::test]
async fn a_body_that_is_announced_as_big_is_refused() {
    let router = router(&Limits { body_bytes: 10, ..Limits::default() });
    for (length, code) in [("0", 200), ("10", 200), ("11", 413), ("18446744073709551615", 413)] {
        assert_eq!(send(&router, "/apis", Some(length)).await.status(), code, "{length}");
    }
}
