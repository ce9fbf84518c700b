use std::time::Duration;

use super::*;
use crate::{demand::Kind, query::Fallback, testing};

fn autoscaler(name: &str, created: Option<i64>) -> Autoscaler {
    let created = created.map(|second| jiff::Timestamp::from_second(second).unwrap());
    Autoscaler { created, ..testing::hpa("default", name) }
}

fn claim(name: &str, overrides: Overrides, by: Autoscaler) -> Claim {
    Claim { name: name.into(), source: Source::Selector, overrides, average_value: false, by }
}

fn build(builder: Builder, claims: impl IntoIterator<Item = Claim>) -> Demand {
    let mut builder = builder;
    for claim in claims {
        builder.claim(testing::key("default", &claim.name), claim);
    }
    builder.build()
}

fn said(demand: &Demand) -> Vec<String> {
    let say = |(by, problem): &(Autoscaler, Problem)| {
        format!("{by} {}: {}", problem.reason, problem.note)
    };
    demand.problems.iter().map(say).collect()
}

fn aggregator(aggregator: Aggregator) -> Overrides {
    Overrides { aggregator: Some(aggregator), ..Overrides::default() }
}

#[test]
fn the_oldest_autoscaler_decides_how_the_name_is_spelt() {
    let demand = build(
        Builder::default(),
        [
            claim("Requests", Overrides::default(), autoscaler("young", Some(20))),
            claim("requests", Overrides::default(), autoscaler("unknown", None)),
            claim("REQUESTS", Overrides::default(), autoscaler("old", Some(10))),
        ],
    );
    let (_, wanted) = demand.iter().next().unwrap();
    assert_eq!(wanted.name, "REQUESTS");
    let names: Vec<_> = wanted.by.iter().map(|by| by.name.as_str()).collect();
    assert_eq!(names, ["old", "young", "unknown"]);
    assert_eq!(said(&demand), Vec::<String>::new());
}

#[test]
fn the_same_wish_twice_counts_once() {
    let wish = || claim("requests", aggregator(Aggregator::Sum), autoscaler("a", Some(1)));
    let demand = build(Builder::default(), [wish(), wish()]);
    assert_eq!(demand.iter().next().unwrap().1.by.len(), 1);
    assert_eq!(demand.len(), 1);
    assert_eq!(demand.position(&testing::key("default", "requests")), Some(0));
}

#[test]
fn an_hpa_and_a_wpa_of_one_name_are_two() {
    let hpa = autoscaler("a", Some(1));
    let wpa = Autoscaler { kind: Kind::Wpa, ..hpa.clone() };
    let demand =
        build(Builder::default(), [hpa, wpa].map(|by| claim("requests", Overrides::default(), by)));
    let by: Vec<_> = demand.iter().next().unwrap().1.by.iter().map(ToString::to_string).collect();
    assert_eq!(by, ["hpa:default/a", "wpa:default/a"]);
}

#[test]
fn where_two_disagree_the_older_holds_and_both_hear_of_it() {
    let fallback = Fallback { value: 7.0, after: Duration::from_secs(300) };
    let old = Overrides { fallback: Some(fallback), ..aggregator(Aggregator::Sum) };
    let demand = build(
        Builder::default(),
        [
            claim("requests", Overrides::default(), autoscaler("younger", Some(30))),
            claim("requests", old, autoscaler("old", Some(10))),
            claim("requests", old, autoscaler("agrees", Some(15))),
            claim(
                "requests",
                Overrides { aggregator: Some(Aggregator::Max), ..old },
                autoscaler("young", Some(20)),
            ),
        ],
    );
    assert_eq!(demand.iter().next().unwrap().1.overrides, old);
    insta::assert_snapshot!(said(&demand).join("\n"), @r"
    hpa:default/young ConflictingOptions: option aggregator of metric requests is max here and sum in hpa:default/old, which is older: the older one holds, write the same in both
    hpa:default/younger ConflictingOptions: option aggregator of metric requests is not set here and sum in hpa:default/old, which is older: the older one holds, write the same in both
    hpa:default/old ConflictingOptions: option aggregator of metric requests is sum here and max in hpa:default/young, which is younger: the older one holds, write the same in both (and in 1 more)
    hpa:default/younger ConflictingOptions: option fallback of metric requests is not set here and 7 after 300s in hpa:default/old, which is older: the older one holds, write the same in both
    hpa:default/old ConflictingOptions: option fallback of metric requests is 7 after 300s here and not set in hpa:default/younger, which is younger: the older one holds, write the same in both
    ");
}

#[test]
fn an_average_of_averages_is_said_to_whom_it_concerns() {
    let per_pod = |name: &str, overrides, by: &str| Claim {
        average_value: true,
        ..claim(name, overrides, autoscaler(by, Some(1)))
    };
    let claims = || {
        [
            per_pod("requests", Overrides::default(), "default"),
            per_pod("depth", aggregator(Aggregator::Sum), "sums"),
            per_pod("age", aggregator(Aggregator::Avg), "knows"),
            claim("total", Overrides::default(), autoscaler("value", Some(1))),
        ]
    };
    insta::assert_snapshot!(said(&build(Builder::new(Aggregator::Avg), claims())).join("\n"), @r"hpa:default/default AverageOfAverages: metric requests: the query is an average over the series and the target an AverageValue, so that what each pod reports is divided by the number of pods twice; set the annotation external-metrics.datadoghq.com/aggregator to sum (or to avg, if that is meant), or DD_EXTERNAL_METRICS_AGGREGATOR=sum for all");
    assert_eq!(said(&build(Builder::new(Aggregator::Sum), claims())), Vec::<String>::new());
}

#[test]
fn what_is_always_active_is_wanted_by_nobody() {
    let mut builder = Builder::default();
    let source = || Source::Selector;
    builder.always(testing::key("default", "a"), "a".into(), source());
    builder.always(testing::key("default", "b"), "b".into(), source());
    let demand = build(builder, [claim("b", Overrides::default(), autoscaler("hpa", Some(1)))]);
    let by: Vec<_> = demand.iter().map(|(_, wanted)| wanted.by.len()).collect();
    assert_eq!(by, [0, 1]);
}
