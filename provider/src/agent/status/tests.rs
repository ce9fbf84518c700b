use std::time::Duration;

use super::*;
use crate::{
    demand::{Builder, Claim, Kind, Source},
    explain::view::View,
    query::{Aggregator, Fallback, Overrides},
    selector::{Operator, Requirement, Selector},
    store::{Outcome, Shortage},
    testing::{entry, hpa, rejected},
};

pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

/// Of the walkthrough.
pub(crate) const NOW: i64 = 1_532_042_334;

fn labels(labels: &[(&str, &str)]) -> Selector {
    let requirement = |(key, value): &(&str, &str)| Requirement {
        key: (*key).to_owned(),
        operator: Operator::In([(*value).to_owned()].into()),
    };
    labels.iter().map(requirement).collect()
}

fn claim(builder: &mut Builder, name: &str, selector: Selector, by: &demand::Autoscaler) {
    let key = MetricKey::new(&by.namespace, name, selector);
    let claim = Claim {
        name: name.to_owned(),
        source: Source::Selector,
        overrides: Overrides::default(),
        average_value: false,
        by: by.clone(),
    };
    builder.claim(key, claim);
}

/// One metric of each sort: with a value, refused, old with a fallback, without series, not asked.
pub(crate) fn snapshot() -> Snapshot {
    let mut builder = Builder::new(Aggregator::Sum);
    let (nginx, redis) = (hpa("default", "nginxext"), hpa("default", "redis"));
    let wpa = demand::Autoscaler { kind: Kind::Wpa, ..hpa("shop", "cart") };
    claim(
        &mut builder,
        "nginx.net.request_per_s",
        labels(&[("app", "puppet"), ("env", "demo")]),
        &nginx,
    );
    claim(&mut builder, "docker.mem.limit", labels(&[("dcos_version", "1.9.4")]), &nginx);
    claim(&mut builder, "redis.key", labels(&[("cluster", "eks")]), &redis);
    let exists = Requirement { key: "queue".to_owned(), operator: Operator::Exists };
    claim(&mut builder, "queue.depth", [exists].into_iter().collect(), &wpa);
    claim(&mut builder, "web.errors", Selector::default(), &redis);
    let key = MetricKey::new("default", "web.errors", Selector::default());
    let overrides = Overrides { aggregator: Some(Aggregator::Max), ..Overrides::default() };
    let younger = demand::Autoscaler { created: None, ..hpa("default", "zebra") };
    builder.claim(
        key,
        Claim {
            name: "web.errors".to_owned(),
            source: Source::Selector,
            overrides,
            average_value: false,
            by: younger,
        },
    );
    let demand = Arc::new(builder.build());
    let entries: Vec<_> = demand.iter().map(|(key, _)| Arc::new(known(&key.metric))).collect();
    Snapshot::new(demand, &entries)
}

fn known(metric: &str) -> Entry {
    let answered = |outcome| Some((at(NOW - 5), outcome));
    let entry = entry(&format!("sum:{metric}{{…}}.rollup(30)"));
    let sample = |value, age| Some(Sample { value, at: at(NOW - age) });
    match metric {
        "nginx.net.request_per_s" => {
            Entry { sample: sample(2472.0, 12), last: answered(Outcome::Sampled), ..entry }
        }
        "docker.mem.limit" => {
            Entry { sample: sample(268_435_456.0, 12), last: answered(Outcome::Sampled), ..entry }
        }
        "redis.key" => Entry { last: answered(Outcome::NoSeries), ..entry },
        "queue.depth" => Entry {
            sample: sample(7.0, 900),
            last: answered(Outcome::Failed(Arc::new(rejected("no such function")))),
            fallback: Some(Fallback { value: 3.0, after: Duration::from_secs(60) }),
            ..entry
        },
        _ => entry,
    }
}

pub(crate) fn sources() -> Sources {
    let asking = Asking {
        budget: Some(crate::datadog::RateLimit {
            limit: 1600,
            period: Duration::from_secs(3600),
            remaining: 1590,
            reset: Duration::from_secs(1800),
        }),
        period: Duration::from_secs(30),
        calls_per_hour: 120.0,
        refused: 1,
        clock_skew: Some(jiff::SignedDuration::from_secs(7)),
        shortage: Some(Shortage {
            limit: 1600,
            period: Duration::from_secs(3600),
            queries: 9000,
            needed: 2000,
            fitting: 7000,
        }),
        trouble: None,
    };
    Sources {
        snapshot: snapshot().with(Arc::new(asking)),
        endpoints: vec![
            EndpointStatus {
                url: "https://api.datadoghq.com".into(),
                last_success: Some(at(NOW - 60)),
                last_failure: Some((
                    at(NOW - 5),
                    "Datadog's rate limit is used up (HTTP 429)".into(),
                )),
                skipped_until: Some(at(NOW + 25)),
            },
            EndpointStatus {
                url: "https://api.datadoghq.eu".into(),
                last_success: None,
                last_failure: None,
                skipped_until: None,
            },
        ],
        config_map: Some("default/datadog-hpa".to_owned()),
        datadog_metrics: true,
    }
}

pub(crate) fn leadership() -> Leadership {
    Leadership {
        role: Role::Leader,
        lease: Some(crate::lead::LeaseView {
            name: "default/datadog-leader-election".to_owned(),
            holder: "datadog-cluster-agent-7b7f6d5547-cmdtc".to_owned(),
            address: None,
            acquired: Some(at(NOW - 600)),
            renewed: Some(at(NOW - 2)),
            transitions: 3,
        }),
        error: None,
    }
}

/// A status in which nothing changes from run to run.
pub(crate) fn fixed(election: bool, external: Option<&Sources>) -> Status {
    let process = Process {
        started: at(NOW - 3600),
        pod: Some("datadog-cluster-agent-7b7f6d5547-cmdtc".to_owned()),
        log_level: "info".to_owned(),
    };
    let status = status(process, election, &leadership(), external, at(NOW));
    Status { version: "1.2.3".to_owned(), pid: 1, platform: "linux/x86_64".to_owned(), ..status }
}

#[test]
fn the_json_says_all_and_can_be_read_again() {
    let status = fixed(true, Some(&sources()));
    let json = serde_json::to_string_pretty(&status).unwrap();
    insta::assert_snapshot!(json);
    assert_eq!(serde_json::from_str::<Status>(&json).unwrap(), status);
    // `explain` reads some of it by the same names.
    let view: View = serde_json::from_str(&json).unwrap();
    let (seen, told) = (view.external_metrics.unwrap(), status.external_metrics.unwrap());
    assert_eq!(seen.metrics.len(), told.metrics.len());
    for (seen, told) in seen.metrics.iter().zip(&told.metrics) {
        assert_eq!((&seen.query, &seen.error), (&told.query, &told.error));
        assert_eq!((seen.value, seen.max_age), (told.value, Some(told.max_age)));
        let call = |at, error: &Option<String>| (at, error.clone());
        let seen = seen.last.as_ref().map(|it| call(it.at, &it.error));
        assert_eq!(seen, told.last.as_ref().map(|it| call(it.at, &it.error)));
    }
    assert_eq!(seen.problems.len(), told.problems.len());
}

#[test]
fn an_endpoint_is_judged_by_what_came_last() {
    let of = |success: Option<i64>, failure: Option<i64>| {
        let status = EndpointStatus {
            url: "https://h".into(),
            last_success: success.map(at),
            last_failure: failure.map(|it| (at(it), "down".to_owned())),
            skipped_until: None,
        };
        Endpoint::from(&status).status
    };
    assert_eq!(of(None, None), "Unknown");
    assert_eq!(of(None, Some(1)), "Failed");
    assert_eq!(of(Some(1), Some(2)), "Failed");
    assert_eq!(of(Some(2), Some(1)), "OK");
}

#[test]
fn nobody_leads_after_a_release() {
    let mut leadership = leadership();
    leadership.role = Role::Follower;
    leadership.lease.as_mut().unwrap().holder.clear();
    let election = LeaderElection::of(true, &leadership);
    assert!(!election.leads && election.leader.is_none());
}
