//! What the parts of a query and of a submission cost.

#![allow(missing_docs, reason = "criterion's macros write functions without")]

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use fake_datadog::{
    expr::{
        data::Kind,
        scope::{Item, Pattern, Scope},
    },
    intake::{series_v1, series_v2_json},
    store::{Store, Submission},
    tags::Tags,
};

const NOW: i64 = 1_800_000_000;
const SERIES: usize = 50_000;

fn tags_of(host: usize) -> Tags {
    let service = host / 100;
    Tags::normalise([format!("host:h{host}"), format!("service:s{service}"), "env:prod".to_owned()])
}

fn insert(store: &mut Store, tags: &Tags, points: &[(i64, f64)]) {
    let kind = Kind::Gauge;
    store.insert(NOW, &Submission { metric: "m", tags, kind, interval: Some(10), points });
}

/// A minute of points in each of 50,000 series.
fn filled() -> Store {
    let mut store = Store::default();
    let points: Vec<_> = (0..6).map(|index| (NOW - 60 + index * 10, 1.5)).collect();
    for host in 0..SERIES {
        insert(&mut store, &tags_of(host), &points);
    }
    store
}

fn scope(items: &[&str]) -> Scope {
    let item = |text: &&str| {
        let (negated, text) = text.strip_prefix('!').map_or((false, *text), |rest| (true, rest));
        Item { negated, pattern: Pattern::new(text) }
    };
    Scope::List(items.iter().map(item).collect())
}

fn reading(criterion: &mut Criterion) {
    let store = filled();
    let mut group = criterion.benchmark_group("sources of one metric with 50,000 series");
    for (name, items) in [
        ("1 by host", &["host:h31415"][..]),
        ("100 by service", &["service:s314"]),
        ("100 by service and env", &["env:prod", "service:s314"]),
        ("none", &["host:nobody"]),
        ("11 by wildcard, a scan", &["host:h3141*"]),
        ("100 by negation, a scan", &["!host:h1*", "!host:h2*", "!host:h3*", "service:s*5"]),
    ] {
        let scope = scope(items);
        group.bench_function(name, |bencher| {
            bencher.iter(|| store.sources(black_box("m"), &scope, NOW - 60, NOW));
        });
    }
    group.finish();
}

fn writing(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("insert");
    group.throughput(Throughput::Elements(360));
    let regular: Vec<_> = (0..360).map(|index| (NOW - 3590 + index * 10, 1.5)).collect();
    let backwards: Vec<_> = regular.iter().rev().copied().collect();
    for (name, points) in [("360 points, one by one", regular), ("backwards", backwards)] {
        let tags = tags_of(0);
        let one_by_one = |mut store: Store| {
            for point in &points {
                insert(&mut store, &tags, std::slice::from_ref(point));
            }
            store
        };
        group.bench_function(name, |bencher| {
            bencher.iter_batched(Store::default, one_by_one, BatchSize::SmallInput);
        });
    }
    group.finish();
}

fn bodies(criterion: &mut Criterion) {
    let series = |points: &str| {
        format!(r#"{{"metric":"m","points":[{points}],"type":"gauge","tags":["env:prod","a:b"]}}"#)
    };
    let body = |points: &str| format!(r#"{{"series":[{}]}}"#, vec![series(points); 1000].join(","));
    let (v1, v2) = (body("[1800000000,1.25]"), body(r#"{"timestamp":1800000000,"value":1.25}"#));
    let v2 = v2.replace(r#""gauge""#, "3");
    let mut group = criterion.benchmark_group("body of 1,000 series");
    group.throughput(Throughput::Elements(1000));
    group.bench_function("version 1", |bencher| bencher.iter(|| series_v1(v1.as_bytes())));
    group.bench_function("version 2", |bencher| bencher.iter(|| series_v2_json(v2.as_bytes())));
    group.finish();
}

criterion_group!(benches, reading, writing, bodies);
criterion_main!(benches);
