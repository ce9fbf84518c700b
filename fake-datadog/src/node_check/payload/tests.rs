use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::node_check::{autodiscovery::TargetId, stub_status::StubStatus};

fn sample(seconds: u64, accepts: u64, handled: u64, requests: u64) -> Sample {
    Sample {
        at: Duration::from_secs(seconds),
        status: StubStatus {
            active: 8,
            accepts,
            handled,
            requests,
            reading: 1,
            writing: 2,
            waiting: 5,
        },
    }
}

fn target(pod: &str, node: Option<&str>) -> Target {
    Target {
        id: TargetId {
            namespace: "default".into(),
            pod: pod.into(),
            uid: "1".into(),
            container: "nginx".into(),
            instance: 0,
        },
        status_url: "http://10.0.0.1/nginx_status".parse().unwrap(),
        interval: None,
        node: node.map(str::to_owned),
        tags: vec!["kube_container_name:nginx".into(), format!("pod_name:{pod}")],
    }
}

#[test]
fn a_first_sample_has_gauges_only() {
    let measured = measure(None, &sample(1, 10, 10, 100)).unwrap();
    let seen: Vec<_> = measured.iter().map(|one| (one.metric, one.value)).collect();
    assert_eq!(
        seen,
        [
            ("nginx.net.connections", 8.0),
            ("nginx.net.reading", 1.0),
            ("nginx.net.writing", 2.0),
            ("nginx.net.waiting", 5.0),
        ]
    );
}

#[test]
fn a_second_sample_has_rates_too_but_none_of_a_counter_that_was_reset() {
    let measured = measure(Some(&sample(1, 10, 10, 100)), &sample(11, 40, 30, 7)).unwrap();
    let rates: Vec<_> = measured[4..].iter().map(|one| (one.metric, one.value)).collect();
    assert_eq!(
        rates,
        [("nginx.net.conn_opened_per_s", 3.0), ("nginx.net.conn_dropped_per_s", 1.0)]
    );
}

#[test]
fn two_samples_of_the_same_moment_are_refused() {
    assert!(measure(Some(&sample(1, 10, 10, 100)), &sample(1, 40, 30, 200)).is_err());
}

#[test]
fn the_body_has_a_point_for_each_metric_of_each_target() {
    let targets = [target("a", Some("node-1")), target("b", None)];
    let measurements = [
        Measurement { metric: "nginx.net.waiting", value: 5.0 },
        Measurement { metric: "nginx.net.request_per_s", value: 25.0 },
    ];
    let payload = Payload { series: series(&measurements, &targets, 1_795_000_000) };
    insta::assert_json_snapshot!(payload, @r#"
    {
      "series": [
        {
          "metric": "nginx.net.waiting",
          "points": [
            [
              1795000000,
              2.5
            ]
          ],
          "type": "gauge",
          "host": "node-1",
          "tags": [
            "kube_container_name:nginx",
            "pod_name:a"
          ]
        },
        {
          "metric": "nginx.net.request_per_s",
          "points": [
            [
              1795000000,
              12.5
            ]
          ],
          "type": "gauge",
          "host": "node-1",
          "tags": [
            "kube_container_name:nginx",
            "pod_name:a"
          ]
        },
        {
          "metric": "nginx.net.waiting",
          "points": [
            [
              1795000000,
              2.5
            ]
          ],
          "type": "gauge",
          "tags": [
            "kube_container_name:nginx",
            "pod_name:b"
          ]
        },
        {
          "metric": "nginx.net.request_per_s",
          "points": [
            [
              1795000000,
              12.5
            ]
          ],
          "type": "gauge",
          "tags": [
            "kube_container_name:nginx",
            "pod_name:b"
          ]
        }
      ]
    }
    "#);
}

#[test]
fn without_a_target_there_is_no_series() {
    let measurements = [Measurement { metric: "nginx.net.waiting", value: 5.0 }];
    assert!(series(&measurements, &[], 0).is_empty());
    assert_eq!(share(5.0, 0), None);
}

proptest! {
    #[test]
    fn property_test_shares_add_up_to_the_total(total in 0.0_f64..1e12, among in 1_usize..500) {
        let sum: f64 = std::iter::repeat_n(share(total, among).unwrap(), among).sum();
        prop_assert!((sum - total).abs() <= total * 1e-9, "{sum} is not {total}");
    }
}
