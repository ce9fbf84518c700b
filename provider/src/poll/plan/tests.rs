use proptest::prelude::*;

use super::*;
use crate::query::Query;

const REFRESH: Duration = Duration::from_secs(30);
const SETTINGS: Settings = Settings { refresh: REFRESH, limits: Limits::DATADOG, coalesce: false };

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Wants in the order of their urgency, which is not the order of their queries.
fn wants(count: usize, longest_period: Duration) -> Vec<Want> {
    (0..count)
        .map(|n| Want {
            ask: Ask { window: seconds(300), query: Query::new(format!("q{:05}", count - n)) },
            longest_period,
            urgency: Urgency {
                unreferenced: false,
                created: Timestamp::from_second(i64::try_from(n).unwrap()).ok(),
            },
        })
        .collect()
}

fn plan(wants: Vec<Want>, allowed: Option<Allowed>) -> Plan {
    Plan::new(wants, &SETTINGS, &HashMap::new(), &HashSet::new(), allowed)
}

/// A budget of so many calls an hour.
fn hourly(calls: u32) -> Allowed {
    Allowed { rate: f64::from(calls) / 3600.0, limit: calls, window: seconds(3600) }
}

#[test]
fn batches_are_full_and_those_of_one_window_stand_together() {
    let mut wanted = wants(40, seconds(60));
    for want in wanted.iter_mut().step_by(2) {
        want.ask.window = seconds(600);
    }
    let sizes = |plan: &Plan| {
        plan.batches
            .iter()
            .map(|batch| (batch.window.as_secs(), batch.units.len()))
            .collect::<Vec<_>>()
    };
    assert_eq!(sizes(&plan(wanted, None)), [(300, 20), (600, 20)]);
    assert_eq!(sizes(&plan(wants(159, seconds(60)), None)).len(), 5);
}

#[test]
fn max_ages_that_are_nearly_equal_share_batches() {
    let mut wanted = wants(31, seconds(60));
    for (n, want) in (0_u64..).zip(&mut wanted) {
        want.longest_period = seconds(60 + n);
    }
    assert_eq!(plan(wanted, None).batches.len(), 2, "60 to 89 s, and 90 s");
}

#[test]
fn with_enough_budget_the_period_is_the_refresh_period() {
    assert_eq!(plan(wants(420, seconds(60)), Some(hourly(1441))).period, REFRESH);
    assert_eq!(plan(wants(420, seconds(60)), None).period, REFRESH);
}

#[test]
fn a_short_budget_stretches_the_period_as_far_as_max_age_allows() {
    // 12 batches, 1,440 calls an hour at 30 s, 960 at 45 s, 720 at 60 s.
    let stretched = plan(wants(420, seconds(60)), Some(hourly(960)));
    assert!(stretched.period.abs_diff(seconds(45)) < seconds(1), "{:?}", stretched.period);
    assert!(stretched.shed.is_empty() && stretched.shortage.is_none());
    assert!(stretched.calls_per_second() * 3600.0 <= 960.0);
    assert!(plan(wants(420, seconds(60)), Some(hourly(720))).shed.is_empty());
}

#[test]
fn beyond_that_the_youngest_are_left_out_so_that_the_others_stay_fresh() {
    let wanted = wants(420, seconds(60));
    let oldest: Vec<Ask> = wanted.iter().take(210).map(|want| want.ask.clone()).collect();
    let short = plan(wanted, Some(hourly(360)));
    assert_eq!(short.shed.len(), 210);
    assert!(short.shed.iter().all(|ask| !oldest.contains(ask)));
    let shortage = short.shortage.as_ref().unwrap();
    insta::assert_snapshot!(shortage, @"Datadog's query budget of 360 calls per 3600s is too small: 420 queries need 720 calls, 210 of them fit; the youngest autoscalers' are left out");
    assert!(short.calls_per_second() * 3600.0 <= 360.0);
}

#[test]
fn a_strict_max_age_keeps_its_own_pace_while_others_are_stretched() {
    let mut wanted = wants(70, seconds(60));
    for want in wanted.iter_mut().take(35) {
        want.longest_period = REFRESH;
    }
    // 240 calls an hour at 30 s; 120 + 60 at their longest.
    let stretched = plan(wanted, Some(hourly(200)));
    assert!(stretched.shed.is_empty());
    assert!(stretched.period > REFRESH);
    let mut periods: Vec<Duration> =
        stretched.batches.iter().map(|batch| batch.period(stretched.period)).collect();
    periods.sort();
    assert_eq!(periods, [REFRESH, stretched.period]);
}

#[test]
fn batches_asked_at_once_spread_over_the_period() {
    let mut plan = plan(wants(350, seconds(60)), None);
    let start = Instant::now();
    for _ in 0..10 {
        let (index, at) = plan.next(start).unwrap();
        assert!(at <= start, "what was never asked is due");
        plan.send(index, start);
        plan.batches[index].in_flight = false;
    }
    let mut sent = Vec::new();
    let mut now = start;
    while sent.len() < 20 {
        let (index, at) = plan.next(now).unwrap();
        now = now.max(at);
        plan.send(index, now);
        plan.batches[index].in_flight = false;
        sent.push((index, (now - start).as_millis()));
    }
    let times: Vec<u128> = sent.iter().map(|(_, at)| at / 100 * 100).collect();
    assert_eq!(times, (1..=20).map(|n| n * 3000).collect::<Vec<_>>(), "one each 3 s");
    let first: HashSet<usize> = sent[..10].iter().map(|(index, _)| *index).collect();
    assert_eq!(first.len(), 10, "each of them once a period");
}

#[test]
fn a_batch_in_flight_is_not_next() {
    let mut plan = plan(wants(70, seconds(60)), None);
    let now = Instant::now();
    let (first, _) = plan.next(now).unwrap();
    plan.send(first, now);
    let (second, _) = plan.next(now).unwrap();
    assert_ne!(first, second);
    plan.send(second, now);
    assert_eq!(plan.next(now), None);
}

#[test]
fn a_new_plan_knows_when_its_queries_were_asked() {
    let now = Instant::now();
    let wanted = wants(70, seconds(60));
    let asked = wanted.iter().map(|want| (want.ask.clone(), now)).collect();
    let plan = Plan::new(wanted, &SETTINGS, &asked, &HashSet::new(), None);
    assert_eq!(plan.next(now).unwrap().1, now + REFRESH);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn property_test_each_query_is_in_one_batch_or_left_out_and_the_calls_fit(
        count in 0usize..300,
        longest in prop::collection::vec(20u64..200, 300),
        calls in 1u32..3000,
    ) {
        let mut wanted = wants(count, seconds(60));
        for (want, longest) in wanted.iter_mut().zip(longest) {
            want.longest_period = seconds(longest);
        }
        let mut all: Vec<Ask> = wanted.iter().map(|want| want.ask.clone()).collect();
        let plan = plan(wanted, Some(hourly(calls)));
        let members = plan.batches.iter().flat_map(|batch| &batch.units).flat_map(Unit::members);
        let mut found: Vec<Ask> = members.chain(&plan.shed).cloned().collect();
        all.sort();
        found.sort();
        prop_assert_eq!(all, found);
        prop_assert!(plan.calls_per_second() * 3600.0 <= f64::from(calls) + 1e-6);
        prop_assert!(plan.period >= REFRESH);
        prop_assert_eq!(plan.shortage.is_some(), !plan.shed.is_empty());
    }
}
