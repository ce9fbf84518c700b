use axum::body::to_bytes;
use jiff::ToSpan;

use super::*;
use crate::metrics::Metrics;

async fn scrape(metrics: &Metrics) -> String {
    let body = to_bytes(metrics.encode().into_body(), usize::MAX).await.unwrap();
    String::from_utf8(body.to_vec()).unwrap()
}

/// `TestFreshness` of custom-metrics-apiserver v1.37.0; `OpenMetrics` writes whole numbers with a
/// fraction.
#[tokio::test]
async fn freshness_has_the_text_of_upstream() {
    let metrics = Metrics::default();
    let now = Timestamp::now();
    for seconds in [10, 10, 2] {
        metrics.served("external.metrics.k8s.io", now - seconds.seconds(), now);
    }
    for seconds in [5, 10, 25] {
        metrics.served("custom.metrics.k8s.io", now - seconds.seconds(), now);
    }
    let name = "metrics_apiserver_metric_freshness_seconds";
    let text = scrape(&metrics).await;
    let lines: Vec<&str> = text.lines().filter(|line| line.contains(name)).collect();
    assert_eq!(
        lines[..2],
        [
            format!("# HELP {name} Freshness of metrics exported."),
            format!("# TYPE {name} histogram"),
        ]
    );
    // The numbers are the same to the last bit; Rust's writer of them is not always the shortest.
    let prefix = format!("{name}_bucket{{le=\"");
    let buckets: Vec<(f64, u64)> = lines
        .iter()
        .filter(|line| line.contains("external.metrics.k8s.io"))
        .filter_map(|line| line.strip_prefix(&*prefix)?.split_once('"'))
        .filter_map(|(le, rest)| Some((le.parse().ok()?, rest.split_once(' ')?.1.parse().ok()?)))
        .collect();
    let upstream = [
        ("1.0", 0),
        ("1.364", 0),
        ("1.8604960000000004", 0),
        ("2.5377165440000007", 1),
        ("3.4614453660160014", 1),
        ("4.721411479245826", 1),
        ("6.440005257691307", 1),
        ("8.784167171490942", 1),
        ("11.981604021913647", 3),
        ("16.342907885890217", 3),
        ("22.291726356354257", 3),
        ("30.405914750067208", 3),
        ("41.47366771909167", 3),
        ("56.57008276884105", 3),
        ("77.16159289669919", 3),
        ("105.2484127110977", 3),
        ("143.55883493793726", 3),
        ("195.81425085534644", 3),
        ("267.09063816669254", 3),
        ("364.31163045936864", 3),
        ("+Inf", 3),
    ];
    let upstream: [(f64, u64); 21] = upstream.map(|(le, count)| (le.parse().unwrap(), count));
    assert_eq!(buckets, upstream);
    for line in [
        format!("{name}_sum{{group=\"external.metrics.k8s.io\"}} 22.0"),
        format!("{name}_count{{group=\"external.metrics.k8s.io\"}} 3"),
        format!("{name}_sum{{group=\"custom.metrics.k8s.io\"}} 40.0"),
    ] {
        assert!(lines.contains(&&*line), "{line}\n{text}");
    }
}

#[test]
fn no_name_that_a_client_makes_up_becomes_a_label() {
    let root = "/apis/external.metrics.k8s.io/v1beta1";
    for (method, path, verb, resource) in [
        ("GET", &*format!("{root}/namespaces/default/queue.depth"), "LIST", "metric"),
        ("GET", &format!("{root}/namespaces/default/externalmetrics"), "LIST", "externalmetrics"),
        ("GET", &format!("{root}/namespaces/externalmetrics/m"), "LIST", "metric"),
        ("DELETE", &format!("{root}/namespaces/default/queue.depth"), "DELETE", "metric"),
        ("GET", &format!("{root}/namespaces/default/a/b"), "GET", "apis"),
        ("GET", &format!("{root}/nodes/default/a"), "GET", "apis"),
        ("GET", root, "GET", "apis"),
        ("GET", "/apis", "GET", "apis"),
        ("GET", "/openapi/v2", "GET", "openapi"),
        ("GET", "/readyz/ping", "GET", "health"),
        ("HEAD", "/metrics", "GET", "other"),
        ("GET", &format!("{root}/externalmetrics"), "LIST", "externalmetrics"),
        ("GET", &format!("{root}/namespaces/a/externalmetrics/b"), "GET", "externalmetrics"),
        ("GET", &"/apis".repeat(20), "GET", "apis"),
        ("BREW", "/apisx/y", "other", "other"),
        ("GET", "*", "GET", "other"),
    ] {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        assert_eq!(Request::new(&method, path), Request { verb, resource }, "{method} {path}");
    }
}

#[tokio::test]
async fn requests_are_counted_by_kind_and_parts_add_metrics_of_their_own() {
    let metrics = Metrics::default();
    let request = Request { verb: "LIST", resource: "metric" };
    metrics.api_request(request, 404, Duration::from_millis(2));
    metrics.api_request(Request { verb: "GET", resource: "health" }, 200, Duration::ZERO);
    let own: Counter = metrics.register_with(|registry| add(registry, "own", "Of a part"));
    own.inc();
    let text = scrape(&metrics).await;
    for line in [
        "apiserver_request_total{verb=\"LIST\",resource=\"metric\",code=\"404\"} 1",
        "apiserver_request_total{verb=\"GET\",resource=\"health\",code=\"200\"} 1",
        "apiserver_request_duration_seconds_count{verb=\"LIST\",resource=\"metric\",code=\"404\"} 1",
        "external_metrics_api_requests_total{handler=\"get\",in_error=\"true\"} 1",
        "external_metrics_api_elapsed_count{handler=\"get\",in_error=\"true\"} 1",
        "own_total 1",
    ] {
        assert!(text.lines().any(|it| it == line), "{line}\n{text}");
    }
}
