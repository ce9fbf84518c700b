use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::{
    demand::{Builder, Problem},
    sample::Sample,
    store::{Entry, Outcome},
    testing::{self, demand, entry, hpa, key},
};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

fn rejected(message: &str) -> Outcome {
    Outcome::Failed(Arc::new(testing::rejected(message)))
}

fn down() -> Outcome {
    Outcome::Failed(Arc::new(testing::down()))
}

/// A world of metrics m0, m1, …, each of an HPA `hpa` of its own namespace, with what was said last.
fn world(outcomes: &[Outcome]) -> Snapshot {
    let keys: Vec<_> = (0..outcomes.len()).map(|i| (key(&format!("ns{i:05}"), "m"), "m")).collect();
    let entries = outcomes.iter().map(|outcome| {
        let sample = outcome.is_sample().then_some(Sample { value: 1.0, at: at(0) });
        let age_limit = std::time::Duration::from_secs(1_000_000);
        let last = Some((at(0), outcome.clone()));
        Arc::new(Entry { age_limit, sample, last, ..entry("avg:m{*}.rollup(30)") })
    });
    Snapshot::new(demand(keys), &entries.collect::<Vec<_>>())
}

fn with_problems(notes: &[&str]) -> Snapshot {
    let problems = notes.iter().map(|note| {
        (hpa("default", "a"), Problem { reason: "InvalidOption", note: (*note).into() })
    });
    let mut demand = Builder::default().build();
    demand.problems = problems.collect();
    Snapshot::new(Arc::new(demand), &[])
}

/// Posts the next Event; gives `namespace reason`, with the new count of one that is counted up.
fn post(plan: &mut Plan, world: &Snapshot, now: Timestamp) -> Option<String> {
    let post = plan.next(world, now)?;
    let name = post.again.as_ref().map_or(format!("event-{now}"), |(name, _)| name.clone());
    plan.posted(&post, Some(name), now);
    let count = post.again.map(|(_, count)| format!(" x{count}")).unwrap_or_default();
    Some(format!("{} {}{count}", post.object.namespace, post.reason))
}

/// The same, until nothing is due.
fn posts(plan: &mut Plan, world: &Snapshot, now: Timestamp) -> Vec<String> {
    std::iter::from_fn(|| post(plan, world, now)).collect()
}

#[test]
fn what_persists_is_said_once_and_counted_up_every_ten_minutes() {
    let mut plan = Plan::default();
    let world = world(&[Outcome::NoSeries]);
    assert_eq!(posts(&mut plan, &world, at(0)), ["ns00000 NoSeries"]);
    assert_eq!(posts(&mut plan, &world, at(599)), Vec::<String>::new());
    assert_eq!(posts(&mut plan, &world, at(600)), ["ns00000 NoSeries x2"]);
    assert_eq!(posts(&mut plan, &world, at(1200)), ["ns00000 NoSeries x3"]);
}

#[test]
fn what_is_well_again_is_said_once_and_only_where_the_trouble_was() {
    let mut plan = Plan::default();
    posts(&mut plan, &world(&[down(), Outcome::Sampled]), at(0));
    let well = world(&[Outcome::Sampled, Outcome::Sampled]);
    let next = plan.next(&well, at(1)).unwrap();
    assert!(!next.warning);
    insta::assert_snapshot!(next.note, @"external metric m has a fresh value again (query avg:m{*}.rollup(30))");
    assert_eq!(posts(&mut plan, &well, at(1)), ["ns00000 MetricAvailable"]);
    assert_eq!(posts(&mut plan, &well, at(3000)), Vec::<String>::new());
}

#[test]
fn what_is_well_again_before_its_turn_is_never_said() {
    let mut plan = Plan::default();
    let down = world(&[down(), down(), down()]);
    assert_eq!(post(&mut plan, &down, at(0)).unwrap(), "ns00000 DatadogUnavailable");
    let well = world(&[Outcome::Sampled, Outcome::Sampled, Outcome::Sampled]);
    assert_eq!(posts(&mut plan, &well, at(1)), ["ns00000 MetricAvailable"]);
}

#[test]
fn what_comes_and_goes_is_said_at_most_once_a_minute() {
    let mut plan = Plan::default();
    let (down, well) = (world(&[down()]), world(&[Outcome::Sampled]));
    let mut said = vec![];
    for second in 0..180 {
        let world = if second % 2 == 0 { &down } else { &well };
        said.extend(posts(&mut plan, world, at(second)));
    }
    assert_eq!(
        said,
        [
            "ns00000 DatadogUnavailable",
            "ns00000 MetricAvailable",
            "ns00000 DatadogUnavailable x2",
            "ns00000 MetricAvailable x2",
            "ns00000 DatadogUnavailable x3",
            "ns00000 MetricAvailable x3",
        ]
    );
}

#[test]
fn another_cause_is_said_at_once_and_other_words_are_another_event() {
    let mut plan = Plan::default();
    assert_eq!(posts(&mut plan, &world(&[down()]), at(0)), ["ns00000 DatadogUnavailable"]);
    let bad = world(&[rejected("unknown function")]);
    assert_eq!(posts(&mut plan, &bad, at(1)), ["ns00000 QueryRejected"]);
    let worse = world(&[rejected("unbalanced brackets")]);
    assert_eq!(posts(&mut plan, &worse, at(2)), Vec::<String>::new(), "the same reason waits");
    assert_eq!(posts(&mut plan, &worse, at(601)), ["ns00000 QueryRejected"]);
}

#[test]
fn problems_of_one_reason_are_told_apart_by_their_words() {
    let mut plan = Plan::default();
    let two = with_problems(&["rollup: 0 is too short", "aggregator: p99 is none"]);
    assert_eq!(posts(&mut plan, &two, at(0)).len(), 2);
    assert_eq!(posts(&mut plan, &two, at(1)).len(), 0);
    let mended = with_problems(&["rollup: 1 is too short"]);
    assert_eq!(posts(&mut plan, &mended, at(2)), ["default InvalidOption"]);
}

#[test]
fn everyone_has_a_turn_and_what_an_owner_can_mend_goes_first() {
    let mut plan = Plan::default();
    let mut outcomes = vec![down(); 4];
    assert_eq!(post(&mut plan, &world(&outcomes), at(0)).unwrap(), "ns00000 DatadogUnavailable");
    outcomes[3] = Outcome::NoSeries;
    let world = world(&outcomes);
    let order: Vec<_> = (0..4).filter_map(|i| post(&mut plan, &world, at(1200 + i))).collect();
    assert_eq!(
        order,
        [
            "ns00003 NoSeries",
            "ns00001 DatadogUnavailable",
            "ns00002 DatadogUnavailable",
            "ns00000 DatadogUnavailable x2",
        ]
    );
}

#[test]
fn memory_is_bounded_by_what_can_be_said_in_an_hour() {
    let mut plan = Plan::default();
    let world = world(&vec![down(); 300]);
    // One Event in half a minute: not all of them have a turn before the first is forgotten.
    for turn in 0..250 {
        assert!(post(&mut plan, &world, at(turn * 30)).is_some());
    }
    let (hour, until_it_is_looked_at) = (120, 20);
    assert!(plan.said.len() <= hour + until_it_is_looked_at, "{}", plan.said.len());
}

#[test]
fn an_event_that_was_refused_is_not_tried_again_at_once() {
    let mut plan = Plan::default();
    let world = world(&[Outcome::NoSeries]);
    let refused = plan.next(&world, at(0)).unwrap();
    plan.posted(&refused, None, at(0));
    assert_eq!(plan.next(&world, at(599)), None);
    assert_eq!(plan.next(&world, at(600)).unwrap().again, None);
}

fn outcomes() -> impl Strategy<Value = Vec<Outcome>> {
    let outcome = prop_oneof![
        Just(Outcome::Sampled),
        Just(Outcome::NoSeries),
        Just(down()),
        Just(rejected("no"))
    ];
    proptest::collection::vec(outcome, 3)
}

proptest! {
    /// Whatever happens: nothing is said twice in a minute, and once the world rests, the last word
    /// about each metric is true.
    #[test]
    fn property_test_events_are_rare_and_come_to_say_what_is(
        turns in proptest::collection::vec((0i64..90, outcomes()), 1..40)
    ) {
        let mut plan = Plan::default();
        let mut last = HashMap::new();
        let mut heard = HashMap::new();
        let mut second = 0;
        let (_, rest) = turns.last().unwrap().clone();
        for (pause, outcomes) in turns.into_iter().chain([(61, rest.clone())]) {
            second += pause;
            let world = world(&outcomes);
            while let Some(post) = plan.next(&world, at(second)) {
                plan.posted(&post, Some("event".into()), at(second));
                let before = last.insert((post.object.namespace.clone(), post.reason), second);
                prop_assert!(before.is_none_or(|before| second - before >= 60), "{post:?}");
                heard.insert(post.object.namespace, post.reason);
            }
        }
        for (metric, outcome) in rest.iter().enumerate() {
            let expected = match outcome {
                Outcome::Sampled => AVAILABLE,
                Outcome::NoSeries => "NoSeries",
                Outcome::Failed(error) if error.is_about_a_query() => "QueryRejected",
                _ => "DatadogUnavailable",
            };
            let heard = heard.get(&format!("ns{metric:05}")).copied();
            prop_assert!(heard == Some(expected) || (heard.is_none() && expected == AVAILABLE));
        }
    }
}
