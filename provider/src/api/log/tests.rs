use std::{
    io,
    sync::{Mutex, PoisonError},
};

use axum::{Router, body::Body, middleware, routing::get};
use tower::ServiceExt;
use tracing::instrument::WithSubscriber;

use super::*;

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The answer to a request with `headers`, and what was logged from `level` on.
async fn observed(level: Level, path: &str, headers: &[(&str, &str)]) -> (Response, String) {
    let failing = async || StatusCode::INTERNAL_SERVER_ERROR;
    let user = User { name: "jo\n\u{1b}[31m".to_owned(), ..User::default() };
    let known = async move || axum::Extension(Arc::new(user));
    let router = Router::new()
        .route("/apis", get(known))
        .route("/fails", get(failing))
        .route("/unavailable", get(async || StatusCode::SERVICE_UNAVAILABLE))
        .route("/slow", get(async || tokio::time::sleep(SLOW).await))
        .layer(middleware::from_fn_with_state(Arc::<Metrics>::default(), observe));
    let mut request = Request::builder().uri(path);
    for (name, value) in headers {
        request = request.header(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_ansi(false)
        .without_time()
        .with_writer(move || writer.clone())
        .finish();
    let answered = router.oneshot(request.body(Body::empty()).unwrap());
    let response = answered.with_subscriber(subscriber).await.unwrap();
    let bytes = lines.0.lock().unwrap().clone();
    (response, String::from_utf8(bytes).unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_line_says_who_asked_what_and_cannot_be_forged() {
    let headers = [("audit-id", "7f-1"), ("user-agent", "kubectl \u{9b}1m\t\"x\"")];
    let (response, log) = observed(Level::DEBUG, "/apis?a=%0Ab", &headers).await;
    assert_eq!(response.headers()["audit-id"], "7f-1");
    insta::assert_snapshot!(
        log.trim_end(),
        @r#"DEBUG provider::api::log: request audit_id="7f-1" user="jo\n\u{1b}[31m" verb="GET" method="GET" path="/apis" query="a=%0Ab" code=200 duration=0ns user_agent="kubectl \u{9b}1m\t\"x\"""#
    );
    assert_eq!(log.lines().count(), 1);
}

#[tokio::test(start_paused = true)]
async fn at_the_usual_level_only_failures_and_slow_requests_are_told() {
    for (path, told) in [("/apis", 0), ("/unavailable", 0), ("/fails", 1), ("/slow", 1)] {
        let (_, log) = observed(Level::INFO, path, &[]).await;
        assert_eq!(log.lines().count(), told, "{path}: {log}");
    }
}

#[tokio::test]
async fn a_request_without_a_good_id_gets_one() {
    let long = "a".repeat(MAX_AUDIT_ID + 1);
    for id in [None, Some(""), Some("a b"), Some("é"), Some(&*long)] {
        let headers: Vec<_> = id.map(|id| ("audit-id", id)).into_iter().collect();
        let (response, _) = observed(Level::INFO, "/apis", &headers).await;
        assert_eq!(response.headers()["audit-id"].len(), 36, "{id:?}");
    }
    assert_eq!(uuid(0), "00000000-0000-4000-8000-000000000000");
    assert_eq!(uuid(u128::MAX), "ffffffff-ffff-4fff-bfff-ffffffffffff");
}
