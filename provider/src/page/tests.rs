use axum::http::{Method, header::COOKIE};
use tower::ServiceExt;

use super::*;
use crate::{
    agent::token,
    demand::{Builder, Problem, Source},
    lead::Role,
    query::Overrides,
    sample::Sample,
    selector::{Operator, Requirement, Selector},
    store::{Entry, Outcome},
    testing,
};

const TOKEN: &str = "0123456789abcdef0123456789abcdef";
/// What a browser would run if the page took it for markup.
const HOSTILE: &str = "</style><script>window.hacked=1</script>\"'><img src=x onerror=hacked=1>";

fn page(snapshot: Snapshot) -> Page {
    let history = History::default();
    history.observe(&snapshot);
    let leadership = Leadership { role: Role::Leader, ..Leadership::default() };
    Page {
        store: watch::channel(Arc::new(snapshot)).1,
        leadership: watch::channel(leadership).1,
        tokens: watch::channel(Token::parse(TOKEN, &token::Source::Variable).unwrap()).1,
        history,
        objects: Objects::new(None),
    }
}

async fn ask(
    page: &Page,
    request: axum::http::request::Builder,
    body: &str,
) -> (StatusCode, HeaderMap, String) {
    let request = request.body(Body::from(body.to_owned())).unwrap();
    let response = router(page.clone()).oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    (parts.status, parts.headers, String::from_utf8(body.to_vec()).unwrap())
}

async fn see(page: &Page, uri: &str) -> String {
    let request = Request::builder().uri(uri).header("authorization", format!("Bearer {TOKEN}"));
    let (status, _, body) = ask(page, request, "").await;
    assert_eq!(status, StatusCode::OK, "{body}");
    body
}

fn form() -> axum::http::request::Builder {
    Request::builder().method(Method::POST).uri("/login")
}

#[tokio::test]
async fn without_the_token_there_is_a_form_and_nothing_else() {
    let page = page(testing::snapshot(testing::key("secret-team", "m"), "m", testing::entry("q")));
    let (status, headers, body) = ask(&page, Request::builder().uri("/"), "").await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert!(body.contains("name=\"token\"") && !body.contains("secret-team"), "{body}");
    let policy = headers[CONTENT_SECURITY_POLICY].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'; style-src 'nonce-"), "{policy}");
    assert!(policy.ends_with("frame-ancestors 'none'"), "{policy}");
    assert_eq!(headers[CACHE_CONTROL], "no-store");

    let wrong = Request::builder().uri("/").header("authorization", "Bearer wrong");
    let (status, _, body) = ask(&page, wrong, "").await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert!(
        body.contains("DD_CLUSTER_AGENT_AUTH_TOKEN") && !body.contains("secret-team"),
        "{body}"
    );
    assert!(!body.contains(TOKEN));
}

#[tokio::test]
async fn who_types_the_token_gets_a_cookie_that_opens_the_page() {
    let page = page(testing::snapshot(testing::key("team", "m"), "m", testing::entry("q")));
    let (status, headers, body) = ask(&page, form(), "token=wrong").await;
    assert_eq!((status, headers.get(SET_COOKIE)), (StatusCode::FORBIDDEN, None), "{body}");
    let (status, ..) = ask(&page, form(), &"x".repeat(LONGEST_FORM + 1)).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);

    let (status, headers, _) = ask(&page, form(), &format!("token={TOKEN}")).await;
    assert_eq!(
        (status, &headers[LOCATION]),
        (StatusCode::SEE_OTHER, &HeaderValue::from_static("/"))
    );
    let cookie = headers[SET_COOKIE].to_str().unwrap();
    assert!(!cookie.contains(TOKEN));
    let pair = cookie.split(';').next().unwrap();
    let (status, _, body) = ask(&page, Request::builder().uri("/").header(COOKIE, pair), "").await;
    assert_eq!(status, StatusCode::OK);
    assert!(body.contains("hpa:team/hpa"), "{body}");
}

#[tokio::test]
async fn nothing_that_others_write_becomes_markup() {
    let selector = Selector::from_iter([Requirement {
        key: HOSTILE.to_owned(),
        operator: Operator::In([HOSTILE.to_owned()].into()),
    }]);
    let key = crate::demand::MetricKey::new(HOSTILE, HOSTILE, selector);
    let by = crate::demand::Autoscaler { name: HOSTILE.into(), ..testing::hpa(HOSTILE, HOSTILE) };
    let mut demand = Builder::default();
    demand.add(key, HOSTILE.to_owned(), Source::Selector, Overrides::default(), by.clone());
    let mut demand = demand.build();
    demand.problems.push((by, Problem { reason: "Bad", note: HOSTILE.to_owned() }));
    let rejected = Arc::new(testing::rejected(HOSTILE));
    let last = Some((Timestamp::now(), Outcome::Failed(rejected.clone())));
    let entry = Entry { last, ..testing::entry(HOSTILE) };
    let snapshot = Snapshot::new(Arc::new(demand), &[Arc::new(entry)]);
    let asking = crate::store::Asking { trouble: Some(rejected), ..Default::default() };
    let mut page = page(snapshot.with(Arc::new(asking)));
    let lease = crate::lead::LeaseView {
        name: HOSTILE.into(),
        holder: HOSTILE.into(),
        address: None,
        acquired: None,
        renewed: None,
        transitions: 1,
    };
    page.leadership = watch::channel(Leadership {
        lease: Some(lease),
        error: Some(HOSTILE.into()),
        ..Leadership::default()
    })
    .1;
    for uri in [
        "/".to_owned(),
        format!("/?find={0}&namespace={0}&show={0}", "%3C%2Fstyle%3E%3Cscript%3E%22%3E"),
    ] {
        let body = see(&page, &uri).await;
        assert!(!body.contains("<script") && !body.contains("<img"), "{body}");
        assert_eq!(body.matches("</style>").count(), 1, "{body}");
        // In text a quotation mark may stand; in an attribute it would end the value.
        assert!(!body.contains("=\"\"'>") && !body.contains("\"\"'"), "{body}");
    }
}

#[tokio::test]
async fn ten_thousand_autoscalers_are_a_page_of_some_hundred_kilobytes() {
    let now = Timestamp::now();
    let mut demand = Builder::default();
    for number in 0..10_000 {
        let namespace = format!("team-{}", number % 100);
        let key = testing::key(&namespace, &format!("queue.depth.{number}"));
        let by = testing::hpa(&namespace, &format!("worker-{number}"));
        demand.add(
            key,
            format!("queue.depth.{number}"),
            Source::Selector,
            Overrides::default(),
            by,
        );
    }
    let demand = Arc::new(demand.build());
    let sample = Some(Sample { value: 26.5, at: now });
    let entry = Arc::new(Entry { sample, ..testing::entry("avg:queue.depth{a:b}.rollup(30)") });
    let page = page(Snapshot::new(demand.clone(), &vec![entry; demand.len()]));
    let body = see(&page, "/").await;
    assert!(body.len() < 300_000, "{}", body.len());
    assert!(body.contains("Page 1 of 200"), "{body}");
    assert!(see(&page, "/?page=200").await.contains("Page 200 of 200"));
    let body = see(&page, "/?namespace=team-7&find=worker-107").await;
    assert!(body.contains("hpa:team-7/worker-107<") && !body.contains("worker-207"), "{body}");
}

#[tokio::test]
async fn an_empty_page_says_what_to_do() {
    let body = see(&page(Snapshot::default()), "/").await;
    assert!(body.contains("have not been read yet") && body.contains("ClusterRole dca"), "{body}");
    let body = see(&page(Snapshot::new(Arc::default(), &[])), "/").await;
    assert!(body.contains("metric of type External"), "{body}");
    let page = page(testing::snapshot(testing::key("team", "m"), "m", testing::entry("q")));
    assert!(see(&page, "/?namespace=other").await.contains("Show all"));
}
