//! How client-go in the HPA controller writes a request and reads its answer
//! (`k8s.io/metrics/pkg/client/external_metrics`, `k8s.io/client-go/rest`, 0.37).

use crate::upstream_api::fixture::{Metric, VERSION, get, json, router};

const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";

fn path(metric: &str, selector: &str) -> String {
    let parameter = if selector.is_empty() { "" } else { "?labelSelector=" };
    format!("{VERSION}/namespaces/default/{metric}{parameter}{selector}")
}

/// It writes names in lower case, and labels as they are.
#[tokio::test]
async fn the_name_loses_its_case_and_the_labels_keep_it() {
    let metric = Metric { name: "Queue.Depth", selector: "Team=Core", value: Some(1.5) };
    let (router, _) = router(&[metric]);
    let (code, list) = json(&router, &path("queue.depth", "Team%3DCore")).await;
    assert_eq!(code, 200);
    let item = &list["items"][0];
    assert_eq!(item["metricName"], "Queue.Depth");
    assert_eq!(item["metricLabels"], serde_json::json!({"Team": "Core"}));
    for other in ["team%3DCore", "Team%3Dcore"] {
        assert_eq!(json(&router, &path("queue.depth", other)).await.0, 404, "{other}");
    }
}

/// `url.PathEscape` leaves `@ : = + $ ; &` and more as they are, and escapes the rest.
#[tokio::test]
async fn names_arrive_escaped_or_not() {
    let names = ["a@b:c=d+e$f;g&h", "a|b*c(d)!", "a b", "grüße", "a~b_c-d.e"];
    let metrics = names.map(|name| Metric { name, selector: "", value: Some(1.0) });
    let (router, _) = router(&metrics);
    for escaped in [
        "a@b:c=d+e$f;g&h",
        "a%7Cb%2Ac%28d%29%21",
        "a%20b",
        "gr%C3%BC%C3%9Fe",
        "a~b_c-d.e",
        "a%40b%3ac%3Dd%2Be%24f%3Bg%26h",
    ] {
        let (code, list) = json(&router, &path(escaped, "")).await;
        assert_eq!(code, 200, "{escaped}: {list}");
    }
}

/// `labels.Selector.String` sorts keys and values and writes one value in parentheses too;
/// `url.Values.Encode` makes a space a plus.
#[tokio::test]
async fn every_selector_of_an_hpa_is_understood() {
    for (wanted, sent) in [
        ("a=b", "a%3Db"),
        ("a=b,c=d", "a%3Db%2Cc%3Dd"),
        ("a in (b)", "a+in+%28b%29"),
        ("a=b", "a+in+%28b%29"),
        ("a in (b,c)", "a+in+%28b%2Cc%29"),
        ("a notin (b,c)", "a+notin+%28b%2Cc%29"),
        ("a!=b", "a+notin+%28b%29"),
        ("a", "a"),
        ("!a", "%21a"),
        ("x.io/a=b,!c,d in (e,f),g", "%21c%2Cd+in+%28e%2Cf%29%2Cg%2Cx.io%2Fa%3Db"),
        ("a=", "a%3D"),
    ] {
        let (router, _) = router(&[Metric { name: "m", selector: wanted, value: Some(1.0) }]);
        let (code, body) = json(&router, &path("m", sent)).await;
        assert_eq!(code, 200, "{sent}: {body}");
    }
}

/// Its selector that matches nothing has the text of the one that matches everything.
#[tokio::test]
async fn no_selector_and_an_empty_one_are_the_same() {
    let (router, _) = router(&[Metric { name: "m", selector: "", value: Some(1.0) }]);
    for path in [path("m", ""), path("m", "") + "?labelSelector="] {
        assert_eq!(json(&router, &path).await.0, 200, "{path}");
    }
}

/// Whatever it accepts first, and errors too: a Status in text would lose its message.
#[tokio::test]
async fn answers_and_errors_have_the_type_that_is_asked_for_first() {
    let (router, _) = router(&[Metric { name: "m", selector: "", value: Some(1.0) }]);
    for (accept, expected) in [
        ("application/vnd.kubernetes.protobuf, */*", PROTOBUF),
        ("application/vnd.kubernetes.protobuf,application/json", PROTOBUF),
        ("application/json, */*", "application/json"),
        ("*/*", "application/json"),
    ] {
        for (metric, code) in [("m", 200), ("unknown", 404)] {
            let (answered, content_type, body) = get(&router, &path(metric, ""), accept).await;
            assert_eq!((answered, content_type.as_str()), (code, expected), "{accept}");
            assert_eq!(body.starts_with(b"k8s\0"), expected == PROTOBUF, "{accept}");
        }
    }
}

/// It would sleep in the HPA controller's worker, up to ten times.
#[tokio::test]
async fn no_answer_asks_to_be_repeated() {
    use tower::ServiceExt;
    let (router, _) = router(&[Metric { name: "m", selector: "", value: None }]);
    for path in [path("m", ""), path("unknown", ""), path("m", "a+b"), "/readyz".to_owned()] {
        let request = http::Request::builder().uri(&path).body(axum::body::Body::empty()).unwrap();
        let response = router.clone().oneshot(request).await.unwrap();
        assert!(!response.headers().contains_key("retry-after"), "{path}");
        assert!(!response.status().is_redirection(), "{path}");
    }
}
