use serde_json::json;

use super::*;
use crate::{
    demand::{Builder, Source},
    query::Overrides,
    sample::Sample,
    store::Outcome,
    testing,
};

fn now() -> Timestamp {
    Timestamp::from_second(1_000_000).unwrap()
}

/// HPAs with a metric each, those of an odd number without a series.
fn snapshot(count: usize) -> Snapshot {
    let mut demand = Builder::default();
    for number in 0..count {
        let namespace = format!("team-{}", number % 3);
        let key = testing::key(&namespace, &format!("depth.{number}"));
        let by = testing::hpa(&namespace, &format!("hpa-{number:05}"));
        demand.add(key, format!("Depth.{number}"), Source::Selector, Overrides::default(), by);
    }
    let demand = Arc::new(demand.build());
    let entries: Vec<_> = demand
        .iter()
        .map(|(key, _)| {
            let number: usize = key.metric.trim_start_matches("depth.").parse().unwrap();
            let mut entry = testing::entry(&format!("avg:{}{{*}}", key.metric));
            if number.is_multiple_of(2) {
                entry.sample = Some(Sample { value: 1.0, at: now() });
                entry.last = Some((now(), Outcome::Sampled));
            } else {
                entry.last = Some((now(), Outcome::NoSeries));
            }
            Arc::new(entry)
        })
        .collect();
    Snapshot::new(demand, &entries)
}

fn model(count: usize, filter: Filter) -> Model {
    Model::of(&snapshot(count), Leadership::default(), filter, now())
}

fn names(model: &Model) -> Vec<&str> {
    model.rows.iter().filter_map(|row| Some(row.autoscaler.as_ref()?.name.as_str())).collect()
}

#[test]
fn trouble_comes_first() {
    let model = model(5, Filter::default());
    assert_eq!(names(&model), ["hpa-00003", "hpa-00001", "hpa-00000", "hpa-00004", "hpa-00002"]);
    assert_eq!((model.metrics, model.autoscalers), ((3, 5), (2, 5, 5)));
    assert!(matches!(model.rows[0].metrics[0].state, State::Trouble("NoSeries", _)));
    assert_eq!(model.rows[2].metrics[0].state, State::Fresh);
    assert_eq!(model.namespaces, ["team-0", "team-1", "team-2"]);
}

#[test]
fn a_filter_leaves_what_fits() {
    let only = |namespace: &str, find: &str, show: &str| {
        let (namespace, find, show) = (namespace.into(), find.into(), show.into());
        model(9, Filter { namespace, find, show, ..Filter::default() })
    };
    assert_eq!(names(&only("team-1", "", "")), ["hpa-00001", "hpa-00007", "hpa-00004"]);
    assert_eq!(names(&only("", "Depth.4", "")), ["hpa-00004"]);
    assert_eq!(names(&only("team-0", "", "trouble")), ["hpa-00003"]);
    assert!(only("elsewhere", "", "").rows.is_empty());
}

#[test]
fn ten_thousand_are_many_pages() {
    let last = model(10_001, Filter { page: usize::MAX, ..Filter::default() });
    assert_eq!((last.pages, last.filter.page, last.rows.len()), (201, 201, 1));
    assert_eq!(model(10_001, Filter::default()).rows.len(), PER_PAGE);
}

#[test]
fn replicas_and_conditions_are_read_from_the_object() {
    let scaling = Scaling::read(&json!({
        "spec": {"minReplicas": 1, "maxReplicas": 5},
        "status": {"currentReplicas": 3, "desiredReplicas": 4, "conditions": [
            {"type": "ScalingActive", "status": "False", "reason": "FailedGet", "message": "no"},
            {"type": "ScalingLimited", "status": "False", "reason": "DesiredWithinRange"},
            "nonsense",
        ]},
    }));
    assert_eq!((scaling.current, scaling.desired), (Some(3), Some(4)));
    assert_eq!(scaling.bounds, (Some(1), Some(5)));
    let good: Vec<_> = scaling.conditions.iter().map(|it| it.good).collect();
    assert_eq!(good, [false, true, false]);
    assert_eq!(Scaling::read(&json!(null)), Scaling::default());
}
