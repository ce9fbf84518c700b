//! The rows of `TestExternalMetricsAPI` of custom-metrics-apiserver 1.37
//! (`pkg/apiserver/installer/apiserver_test.go`), over the metrics of its sample provider. Two of
//! seven are answered otherwise here, as `docs/architecture.md` says under "Answers".

use crate::upstream_api::fixture::{Metric, VERSION, json, router};

const SAMPLES: [Metric; 3] = [
    Metric { name: "my-external-metric", selector: "foo=bar", value: Some(42.0) },
    Metric { name: "my-external-metric", selector: "foo=baz", value: Some(43.0) },
    Metric { name: "other-external-metric", selector: "", value: Some(44.0) },
];

#[tokio::test]
async fn paths_that_are_no_metric_are_not_found() {
    let (router, _) = router(&SAMPLES);
    for (row, path) in [
        ("GET long prefix", "//apis/".to_owned()),
        ("GET at root scope", format!("/{VERSION}/nonexistent-metric")),
        ("GET at root scope", format!("{VERSION}/nonexistent-metric")),
        ("GET without metric name", format!("{VERSION}/namespaces/foo")),
        ("GET for metric with slashes", format!("{VERSION}/namespaces/foo/group/metric")),
    ] {
        let (code, body) = json(&router, &path).await;
        assert_eq!((code, body["kind"].as_str()), (404, Some("Status")), "{row}");
    }
}

#[tokio::test]
async fn a_selector_gives_its_one_item() {
    let (router, _) = router(&SAMPLES);
    for (selector, value) in [("foo%3Dbar", "42"), ("foo%3Dbaz", "43")] {
        let path =
            format!("{VERSION}/namespaces/default/my-external-metric?labelSelector={selector}");
        let (code, list) = json(&router, &path).await;
        assert_eq!((code, list["items"].as_array().unwrap().len()), (200, 1));
        assert_eq!(list["items"][0]["value"], value);
    }
    let (code, list) =
        json(&router, &format!("{VERSION}/namespaces/default/other-external-metric")).await;
    assert_eq!((code, list["items"].as_array().unwrap().len()), (200, 1));
}

/// There: 200 with both items, which the HPA controller would add up. Here a metric is what an HPA
/// wants, selector and all, and the message says with which selectors that is so.
#[tokio::test]
async fn without_its_selector_a_metric_is_another_one() {
    let (router, _) = router(&SAMPLES);
    let path = format!("{VERSION}/namespaces/default/my-external-metric");
    let (code, status) = json(&router, &path).await;
    assert_eq!(code, 404);
    let message = status["message"].as_str().unwrap();
    assert!(
        message.ends_with("with another selector it is wanted: {foo=bar}, {foo=baz}"),
        "{message}"
    );
}

/// There: 200 with no items, which the HPA controller calls an error without a reason.
#[tokio::test]
async fn a_metric_that_nobody_wants_is_not_found() {
    let (router, _) = router(&SAMPLES);
    let (code, status) =
        json(&router, &format!("{VERSION}/namespaces/foo/nonexistent-metric")).await;
    assert_eq!((code, status["reason"].as_str()), (404, Some("NotFound")));
    let message = status["message"].as_str().unwrap();
    assert!(message.contains("no HPA in namespace foo wants"), "{message}");
}
