//! What is asked in groups has the same answers as what is asked query by query: the real client
//! against the fake, over random worlds of series.
//!
//! Series begin and end where they like, and have a point in each bucket between: gaps are the one
//! case in which Datadog answers a group differently, see `provider::datadog::coalesce`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "the helpers of these tests fail as the tests themselves do"
)]

use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use fake_datadog::FakeDatadog;
use jiff::Timestamp;
use proptest::{
    collection::{btree_map, btree_set, vec},
    prelude::*,
    sample::select,
    test_runner::TestRunner,
};
use provider::{
    datadog::{
        Client, Series,
        batch::Limits,
        client::Keys,
        coalesce::{Unit, coalesce},
    },
    query::{Aggregator, Ask, Plain, Query},
    sample::{NoSample, Sample, choose},
};

/// Seconds between two points, and the shorter of the two rollups.
const STEP: u64 = 10;
/// Steps in a window.
const STEPS: usize = 12;
const WINDOW: Duration = Duration::from_secs(STEP * STEPS as u64);

/// Coalesces whatever can be: with one query a request, each group saves calls.
const EAGER: Limits = Limits { queries: 1, characters: 7000 };

#[derive(Debug)]
struct Source {
    metric: &'static str,
    /// Keys may come twice: tags can have several values.
    tags: Vec<String>,
    /// The first point, in steps, and the values from there on.
    first: usize,
    values: Vec<i32>,
}

fn any_tag() -> impl Strategy<Value = (&'static str, &'static str)> {
    let hosts = select(vec!["a", "b", "B", "web-1", "Web-1", "web-10", "gone"]);
    let envs = select(vec!["x", "X", "y"]);
    prop_oneof![
        3 => hosts.prop_map(|host| ("host", host)),
        2 => envs.prop_map(|env| ("env", env)),
    ]
}

fn any_source() -> impl Strategy<Value = Source> {
    let values = vec(-1000..1000, 1..STEPS);
    let tags = vec(any_tag(), 0..5);
    (select(vec!["jobs", "load"]), tags, 0..STEPS, values).prop_map(
        |(metric, tags, first, values)| Source {
            metric,
            // Some that are asked for have no series at all.
            tags: tags
                .into_iter()
                .filter(|(_, value)| *value != "gone")
                .map(|(key, value)| format!("{key}:{value}"))
                .collect(),
            first,
            values,
        },
    )
}

fn any_ask() -> impl Strategy<Value = Ask> {
    let aggregator =
        select(vec![Aggregator::Avg, Aggregator::Sum, Aggregator::Min, Aggregator::Max]);
    let tags = btree_map(Just("host"), select(vec!["a", "b", "B", "web-1", "WEB-1", "gone"]), 0..2);
    let more = btree_map(Just("env"), select(vec!["x", "y", "Y"]), 0..2);
    let rollup = select(vec![STEP, STEP, 2 * STEP]);
    (aggregator, select(vec!["jobs", "load"]), tags, more, rollup).prop_map(
        |(aggregator, metric, tags, more, rollup)| {
            let tags = tags.into_iter().chain(more);
            let tags = tags.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
            let plain = Plain { aggregator, metric: metric.to_owned(), tags, rollup };
            Ask { window: WINDOW, query: plain.into() }
        },
    )
}

/// What the API would serve: a sample of each series.
type Answers = BTreeMap<Ask, Vec<Result<Sample, NoSample>>>;

/// How often something was seen, so that the test does not pass by seeing nothing.
#[derive(Default)]
struct Seen {
    found: Cell<usize>,
    missing: Cell<usize>,
    strangers: Cell<usize>,
}

/// Asks one client at one time.
struct Asker {
    client: Client,
    now: Timestamp,
}

impl Asker {
    async fn all(&self, queries: &[Query]) -> Vec<Vec<Series>> {
        let mut all = Vec::new();
        for queries in queries.chunks(35) {
            all.extend(self.client.ask(queries, self.now, WINDOW).await.result.unwrap());
        }
        all
    }

    async fn one_by_one(&self, asks: &[Ask]) -> Answers {
        let queries: Vec<Query> = asks.iter().map(|ask| ask.query.clone()).collect();
        let series = self.all(&queries).await;
        asks.iter().cloned().zip(series.iter().map(|series| samples(series))).collect()
    }

    async fn in_groups(&self, asks: &[Ask], seen: &Seen) -> Answers {
        let units = coalesce(asks, EAGER);
        let queries: Vec<Query> = units.iter().map(|unit| unit.ask().query.clone()).collect();
        let (mut answers, mut missing) = (Answers::new(), Vec::new());
        for (unit, series) in units.iter().zip(self.all(&queries).await) {
            match unit {
                Unit::Alone(ask) => {
                    answers.insert(ask.clone(), samples(&series));
                }
                Unit::Group(group) => {
                    let split = group.split(series);
                    seen.found.update(|found| found + split.found.len());
                    seen.strangers.update(|strangers| strangers + split.strangers);
                    let found = split.found.into_iter();
                    answers.extend(found.map(|(ask, series)| (ask, samples(&series))));
                    missing.extend(split.missing);
                }
            }
        }
        seen.missing.update(|before| before + missing.len());
        answers.extend(self.one_by_one(&missing).await);
        answers
    }
}

fn samples(series: &[Series]) -> Vec<Result<Sample, NoSample>> {
    series.iter().map(|series| choose(&series.points)).collect()
}

/// A fake with `sources`, and the end of the window in which they have their points: in the past,
/// so that all is told when the first query comes.
async fn world(sources: &[Source]) -> (FakeDatadog, Asker) {
    let fake = FakeDatadog::start().await.unwrap();
    let step = i64::try_from(STEP).unwrap();
    let now = Timestamp::now().as_second() / step * step - 60;
    let begin = now - i64::try_from(WINDOW.as_secs()).unwrap();
    for Source { metric, tags, first, values } in sources {
        let times = (begin..=now).step_by(STEP.try_into().unwrap()).skip(*first);
        let points: Vec<(i64, f64)> = times.zip(values.iter().copied().map(f64::from)).collect();
        fake.submit(metric, tags, &points);
    }
    let keys = Keys {
        api: fake_datadog::keys::DEFAULT_API_KEY.into(),
        app: fake_datadog::keys::DEFAULT_APP_KEY.into(),
    };
    let client = Client::new(fake.url(), keys, Duration::from_secs(20)).unwrap();
    (fake, Asker { client, now: Timestamp::from_second(now).unwrap() })
}

#[test]
fn property_test_groups_answer_as_single_queries_do() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let seen = Seen::default();
    let worlds = (vec(any_source(), 0..24), btree_set(any_ask(), 0..80));
    let mut runner = TestRunner::new(ProptestConfig { cases: 24, ..ProptestConfig::default() });
    let result = runner.run(&worlds, |(mut sources, asks)| {
        // Told twice, one series would have a gap, over which a grouped query interpolates.
        let mut told = BTreeSet::new();
        sources.retain(|Source { metric, tags, .. }| {
            told.insert((*metric, tags.iter().cloned().collect::<BTreeSet<_>>()))
        });
        let asks: Vec<Ask> = asks.into_iter().collect();
        runtime.block_on(async {
            let (_fake, asker) = world(&sources).await;
            let expected = asker.one_by_one(&asks).await;
            prop_assert_eq!(asker.in_groups(&asks, &seen).await, expected);
            Ok(())
        })
    });
    if let Err(error) = result {
        panic!("{error}");
    }
    let seen = [seen.found, seen.missing, seen.strangers].map(Cell::into_inner);
    assert!(seen.iter().all(|count| 20 < *count), "found, missing and strange series: {seen:?}");
}

/// The exception, so that a change of it is seen: a point between two others, made of both.
#[tokio::test]
async fn a_gap_in_a_lone_series_is_bridged_in_a_group() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let source = |host: &str, first| {
        let tags = vec![format!("host:{host}")];
        Source { metric: "jobs", tags, first, values: vec![first.try_into().unwrap()] }
    };
    let (_fake, asker) = world(&[source("a", 0), source("a", 2), source("b", 0)]).await;
    let ask = |host: &str| {
        let tags = [("host".to_owned(), host.to_owned())].into();
        let aggregator = Aggregator::Avg;
        let plain = Plain { aggregator, metric: "jobs".to_owned(), tags, rollup: STEP };
        Ask { window: WINDOW, query: plain.into() }
    };
    let asks = [ask("a"), ask("b")];
    let values = |answers: Answers| {
        let samples = answers.into_values().flatten();
        samples.map(|sample| sample.unwrap().value).collect::<Vec<_>>()
    };
    assert_eq!(values(asker.one_by_one(&asks).await), [0.0, 0.0]);
    assert_eq!(values(asker.in_groups(&asks, &Seen::default()).await), [1.0, 0.0]);
}
