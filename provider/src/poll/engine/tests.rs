//! The engine against a simulated Datadog and a simulated clock: hours pass in milliseconds.

use super::*;
use crate::store::Outcome;

mod roles;
mod world;

use world::*;

#[test]
fn new_metrics_are_asked_at_once_in_full_batches_and_then_once_a_period() {
    let mut world = World::new();
    world.want(159);
    world.run(seconds(5), values);
    let sizes: Vec<usize> = world.sent.iter().map(|sent| sent.queries.len()).collect();
    assert_eq!(sizes, [35, 35, 35, 35, 19]);
    assert_eq!(world.fresh(159), 159);
    world.run(seconds(3605), values);
    let hourly = world.calls_between(5, 3605);
    assert!((598..=602).contains(&hourly), "5 calls in each of 120 periods, not {hourly}");
    // Spread: in the steady state no 6 s pass without a call, nor with two.
    for from in (12..3600).step_by(6) {
        assert_eq!(world.calls_between(from, from + 6), 1, "at {from} s");
    }
}

#[test]
fn the_first_call_goes_alone_and_then_as_many_as_allowed_are_under_way() {
    let mut world = World::new();
    world.want(2000);
    let first = world.engine.next(world.wall, world.start);
    assert!(matches!(first, Next::Call(_)));
    assert!(matches!(world.engine.next(world.wall, world.start), Next::Wait(None)));
    let mut world = World::new();
    world.want(2000);
    world.run(seconds(5), values);
    assert_eq!(world.most_in_flight, 10);
    assert_eq!(world.fresh(2000), 2000);
}

#[test]
fn what_nobody_wants_any_more_is_not_asked_any_more() {
    let mut world = World::new();
    world.want(70);
    world.run(seconds(5), values);
    world.want(1);
    world.sent.clear();
    world.run(seconds(65), values);
    assert!(world.sent.iter().all(|sent| sent.queries.len() == 1), "{:?}", world.sent);
    world.want(0);
    world.sent.clear();
    world.run(seconds(600), values);
    assert!(world.sent.is_empty());
}

#[test]
fn one_bad_query_is_found_at_once_hurts_nobody_and_is_asked_ever_more_rarely() {
    let mut world = World::new();
    world.want(35);
    let bad = |queries: &[String], elapsed| {
        if queries.iter().any(|query| query.contains("m00017")) {
            return rejected();
        }
        values(queries, elapsed)
    };
    world.run(seconds(5), bad);
    assert_eq!(world.fresh(35), 34);
    assert!(world.sent.len() <= 13, "{} calls to find one of 35", world.sent.len());
    let entry = world.entry(17);
    assert!(matches!(&entry.last, Some((_, Outcome::Failed(error))) if error.is_about_a_query()));
    world.sent.clear();
    world.run(seconds(3605), bad);
    assert_eq!(world.fresh(35), 34);
    let (alone, together): (Vec<_>, Vec<_>) =
        world.sent.iter().partition(|sent| sent.queries.iter().any(|q| q.contains("m00017")));
    assert!(alone.iter().all(|sent| sent.queries.len() == 1), "out of the batch while it is bad");
    let waits: Vec<u64> = alone.windows(2).map(|w| w[1].at.as_secs() - w[0].at.as_secs()).collect();
    // In the middle of 60–120 s and so on, and 30 min from the sixth refusal.
    assert_eq!(waits.iter().map(|w| w / 10 * 10).collect::<Vec<_>>(), [90, 180, 360, 720, 1800]);
    assert!((119..=121).contains(&together.len()), "{}", together.len());
    // Mended: back in the batch at its next turn.
    world.run(seconds(3605 + 1900), values);
    assert_eq!(world.fresh(35), 35);
    assert_eq!(world.sent.last().unwrap().queries.len(), 35);
}

#[test]
fn where_every_query_is_refused_the_calls_do_not_multiply() {
    let mut world = World::new();
    world.want(2000);
    world.run(seconds(3600), |_, _| rejected());
    let first = world.calls_between(0, 30);
    // 58 batches at once and again within the period, and two calls for each halving.
    assert!(first <= 2 * 58 + 2 * HALVINGS + 2, "{first}");
    let last = world.calls_between(3000, 3600);
    assert!(last <= 400, "{last} calls in ten minutes");
}

#[test]
fn when_a_common_cause_of_refusals_is_mended_all_are_back_soon() {
    let mut world = World::new();
    world.want(200);
    world.run(seconds(1200), |_, _| rejected());
    assert_eq!(world.fresh(200), 0);
    world.run(seconds(1200 + 2000), values);
    assert_eq!(world.fresh(200), 200);
}

#[test]
fn trouble_that_is_no_querys_is_never_halved_and_one_probe_finds_its_end() {
    let mut world = World::new();
    world.want(350);
    world.run(seconds(60), values);
    world.sent.clear();
    world.run(seconds(360), |_, _| down());
    // Those under way when it began, then probes after 0.75, 1.5, 3, 6, 12, 22.5, 22.5 … s.
    assert!(world.sent.len() <= 20, "{}", world.sent.len());
    assert!(world.sent.iter().all(|sent| sent.queries.len() == 35), "whole batches");
    let snapshot = world.engine.snapshot(world.now().1);
    assert_eq!(
        snapshot.asking.trouble.as_ref().unwrap().to_string(),
        "Datadog fails at https://api.datadoghq.com (HTTP 503: down)"
    );
    assert_eq!(world.fresh(350), 0);
    world.sent.clear();
    world.run(seconds(391), values);
    assert_eq!(world.fresh(350), 350, "one probe, and all others at once: they are overdue");
    assert!(world.engine.snapshot(world.now().1).asking.trouble.is_none());
}

#[test]
fn after_a_429_nothing_is_asked_until_the_reset() {
    let mut world = World::new();
    world.want(350);
    let mut limiter = Limiter::new(15);
    world.run(seconds(3 * 3600), |queries, elapsed| limiter.answer(queries, elapsed));
    let refused = world.sent.iter().filter(|sent| sent.refused).count();
    assert_eq!(refused, 0, "the headers say when the budget is used up");
    // A Datadog that does not tell what is left: one refusal a window.
    let mut world = World::new();
    world.want(350);
    let mut limiter = Limiter::new(200);
    world.run(seconds(3 * 3600), |queries, elapsed| Exchange {
        rate_limit: None,
        ..limiter.answer(queries, elapsed)
    });
    let refused = world.sent.iter().filter(|sent| sent.refused).count();
    assert_eq!(refused, 3, "one in each window");
}

#[test]
fn the_budget_lasts_the_hour_and_samples_stay_fresh() {
    // 20 batches want 2,400 calls an hour; 1,600 are there.
    let mut world = World::new();
    world.want(700);
    let mut limiter = Limiter::new(1600);
    for minute in 1..=130 {
        world.run(seconds(minute * 60), |queries, elapsed| limiter.answer(queries, elapsed));
        assert_eq!(world.fresh(700), 700, "in minute {minute}");
    }
    assert!(limiter.used.values().all(|used| *used <= 1600));
    assert!(world.sent.iter().all(|sent| !sent.refused));
    let asking = world.engine.snapshot(world.now().1).asking.clone();
    assert!(asking.period > REFRESH && asking.period <= REFRESH * 2, "{:?}", asking.period);
    assert!(asking.calls_per_hour <= 1600.0);
}

#[test]
fn what_does_not_fit_is_left_out_whole_and_the_others_stay_fresh() {
    // 86 batches want 5,160 calls an hour even at 60 s.
    let mut world = World::new();
    world.want(3000);
    let mut limiter = Limiter::new(1600);
    world.run(seconds(600), |queries, elapsed| limiter.answer(queries, elapsed));
    let shortage = world.engine.snapshot(world.now().1).asking.shortage.clone().unwrap();
    assert!((600..900).contains(&shortage.fitting), "{shortage}");
    for minute in 11..=70 {
        world.run(seconds(minute * 60), |queries, elapsed| limiter.answer(queries, elapsed));
        assert_eq!(world.fresh(600), 600, "the oldest, in minute {minute}");
    }
    assert!(world.sent.iter().all(|sent| !sent.refused));
    assert!(matches!(world.entry(2999).last, Some((_, Outcome::Shed(_)))));
}

#[test]
fn queries_that_differ_in_one_tag_are_asked_as_one_and_answered_each() {
    let mut world = World::grouped(100);
    world.run(seconds(5), |queries, elapsed| hosts(queries, elapsed, "", |_| false));
    assert_eq!(world.sent.len(), 1);
    assert!(world.sent[0].queries.iter().all(|query| query.contains("host IN (")));
    let snapshot = world.engine.snapshot(world.now().1);
    assert!(snapshot.iter().all(|(_, _, entry)| entry.fresh(world.now().0).is_some()));
}

#[test]
fn a_group_that_is_missing_is_asked_alone_once_before_it_counts_as_no_series() {
    let mut world = World::grouped(100);
    world.run(seconds(5), |queries, elapsed| hosts(queries, elapsed, "h042", |_| false));
    let sent: Vec<_> = world.sent.iter().map(|sent| sent.queries.clone()).collect();
    assert_eq!(sent.len(), 2);
    assert_eq!(sent[1], ["sum:m{host:h042}.rollup(30)"]);
    let snapshot = world.engine.snapshot(world.now().1);
    let (_, entry) = snapshot.get(&host(42)).unwrap();
    assert!(matches!(entry.last, Some((_, Outcome::NoSeries))));
    world.run(seconds(65), |queries, elapsed| hosts(queries, elapsed, "h042", |_| false));
    assert_eq!(world.sent.len(), 4, "known to be absent: no more calls for it");
}

#[test]
fn a_group_that_datadog_refuses_is_asked_one_by_one_at_once() {
    let mut world = World::grouped(100);
    let grouped = |query: &str| query.contains(" by ");
    world.run(seconds(5), |queries, elapsed| hosts(queries, elapsed, "", grouped));
    let snapshot = world.engine.snapshot(world.now().1);
    assert!(snapshot.iter().all(|(_, _, entry)| entry.fresh(world.now().0).is_some()));
    world.sent.clear();
    world.run(seconds(605), |queries, elapsed| hosts(queries, elapsed, "", grouped));
    assert!(world.sent.iter().flat_map(|sent| &sent.queries).all(|query| !grouped(query)));
    assert!(world.sent.len() <= 61, "{}: 3 calls in each of 20 periods", world.sent.len());
}
