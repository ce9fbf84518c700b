use std::sync::atomic::{AtomicBool, Ordering};

use axum::body::{Body, to_bytes};
use tower::ServiceExt;

use super::*;

struct Fixture {
    router: Router,
    good: Arc<AtomicBool>,
    stopping: CancellationToken,
}

fn fixture() -> Fixture {
    let stopping = CancellationToken::new();
    let good = Arc::new(AtomicBool::new(true));
    let look = good.clone();
    let demand = move || {
        if look.load(Ordering::Relaxed) { Ok(()) } else { Err("HPAs not read yet".to_owned()) }
    };
    let readiness = Readiness::new(stopping.clone()).with("demand", demand);
    Fixture { router: routes(readiness), good, stopping }
}

impl Fixture {
    async fn get(&self, path: &str) -> (u16, String) {
        let request = Request::builder().uri(path).body(Body::empty()).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let code = response.status().as_u16();
        let header = |name| response.headers()[name].to_str().unwrap().to_owned();
        if code != 404 {
            assert_eq!(header(CONTENT_TYPE), "text/plain; charset=utf-8");
            assert_eq!(header(X_CONTENT_TYPE_OPTIONS), "nosniff");
        }
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (code, String::from_utf8(body.to_vec()).unwrap())
    }
}

#[tokio::test]
async fn it_is_ok_or_verbose() {
    let fixture = fixture();
    for path in ["/healthz", "/livez", "/readyz", "/readyz/demand", "/livez/ping"] {
        assert_eq!(fixture.get(path).await, (200, "ok".to_owned()), "{path}");
    }
    let (code, body) = fixture.get("/readyz?verbose").await;
    assert_eq!(code, 200);
    insta::assert_snapshot!(body, @"
    [+]ping ok
    [+]shutdown ok
    [+]demand ok
    readyz check passed
    ");
    insta::assert_snapshot!(fixture.get("/livez?verbose=1").await.1, @"
    [+]ping ok
    livez check passed
    ");
    assert_eq!(fixture.get("/readyz/other").await.0, 404);
}

#[tokio::test]
async fn a_failure_is_told_without_its_reason() {
    let fixture = fixture();
    fixture.good.store(false, Ordering::Relaxed);
    let (code, body) = fixture.get("/readyz").await;
    assert_eq!(code, 500);
    insta::assert_snapshot!(body, @"
    [+]ping ok
    [+]shutdown ok
    [-]demand failed: reason withheld
    readyz check failed
    ");
    let (code, body) = fixture.get("/readyz/demand").await;
    assert_eq!((code, body.as_str()), (500, "internal server error: HPAs not read yet\n"));
    assert_eq!(fixture.get("/livez").await.0, 200);
}

#[tokio::test]
async fn excluded_checks_are_not_looked_at_and_unknown_ones_are_named() {
    let fixture = fixture();
    fixture.good.store(false, Ordering::Relaxed);
    fixture.stopping.cancel();
    assert_eq!(fixture.get("/readyz?exclude=demand").await.0, 500);
    let both = "/readyz?exclude=demand&exclude=shutdown";
    assert_eq!(fixture.get(both).await, (200, "ok".to_owned()));
    let (code, body) = fixture.get(&format!("{both}&exclude=a%22b&exclude=c&verbose")).await;
    assert_eq!(code, 200);
    insta::assert_snapshot!(body, @r#"
    [+]ping ok
    [+]shutdown excluded: ok
    [+]demand excluded: ok
    warn: some health checks cannot be excluded: no matches for "a\"b","c"
    readyz check passed
    "#);
}
