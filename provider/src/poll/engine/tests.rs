//! The engine against a simulated Datadog and a simulated clock: hours pass in milliseconds.

use std::collections::BTreeMap;

use super::*;
use crate::{
    datadog::{RateLimit, batch::Limits},
    demand::{Autoscaler, Builder, MetricKey, Source},
    query::Overrides,
    store::{Entry, Outcome},
    testing::{DEFAULTS, hpa, key},
};

const REFRESH: Duration = Duration::from_secs(30);
const LATENCY: Duration = Duration::from_millis(50);

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// What went out, and when since the start.
#[derive(Debug, Clone)]
struct Sent {
    at: Duration,
    queries: Vec<String>,
    /// HTTP 429 came back.
    refused: bool,
}

struct World {
    engine: Engine,
    start: Instant,
    wall: Timestamp,
    elapsed: Duration,
    under_way: Vec<(Duration, Call)>,
    sent: Vec<Sent>,
    most_in_flight: usize,
}

impl World {
    fn new() -> Self {
        let settings = Settings { refresh: REFRESH, limits: Limits::DATADOG, coalesce: false };
        Self {
            engine: Engine::new(settings, DEFAULTS, 10),
            start: Instant::now(),
            wall: Timestamp::from_second(1_700_000_000).unwrap(),
            elapsed: Duration::ZERO,
            under_way: Vec::new(),
            sent: Vec::new(),
            most_in_flight: 0,
        }
    }

    fn now(&self) -> (Timestamp, Instant) {
        (self.wall + self.elapsed, self.start + self.elapsed)
    }

    fn want(&mut self, metrics: usize) {
        let mut builder = Builder::default();
        for n in 0..metrics {
            let created = Timestamp::from_second(i64::try_from(n).unwrap()).ok();
            let by = Autoscaler { created, ..hpa("default", "hpa") };
            let (source, overrides) = (Source::Selector, Overrides::default());
            builder.add(metric(n), format!("m{n:05}"), source, overrides, by);
        }
        let (wall, now) = self.now();
        self.engine.set_demand(&Arc::new(builder.build()), wall, now);
    }

    /// Lets time pass until `until` since the start; `datadog` gives each call's answer.
    fn run(&mut self, until: Duration, mut datadog: impl FnMut(&[String], Duration) -> Exchange) {
        loop {
            let (wall, now) = self.now();
            let wake = match self.engine.next(wall, now) {
                Next::Call(call) => {
                    let queries =
                        call.units.iter().map(|unit| unit.ask().query.to_string()).collect();
                    self.sent.push(Sent { at: self.elapsed, queries, refused: false });
                    self.under_way.push((self.elapsed + LATENCY, call));
                    self.most_in_flight = self.most_in_flight.max(self.under_way.len());
                    continue;
                }
                Next::Wait(at) => at.map(|at| at - self.start),
            };
            let answer = self.under_way.first().map(|(at, _)| *at);
            let Some(next) = [wake, answer].into_iter().flatten().min() else { break };
            assert!(next > self.elapsed || Some(next) == answer, "the engine does not move on");
            if next > until {
                break;
            }
            self.elapsed = next;
            if answer == Some(next) {
                let (_, call) = self.under_way.remove(0);
                let queries: Vec<String> =
                    call.units.iter().map(|unit| unit.ask().query.to_string()).collect();
                let exchange = datadog(&queries, self.elapsed);
                if matches!(exchange.result, Err(Error::RateLimited { .. })) {
                    self.sent.iter_mut().rev().find(|s| s.queries == queries).unwrap().refused =
                        true;
                }
                let (wall, now) = self.now();
                self.engine.answered(call, exchange, wall, now, 0.5);
            }
        }
        self.elapsed = until;
    }

    fn entry(&self, n: usize) -> Arc<Entry> {
        self.engine.snapshot(self.now().1).get(&metric(n)).unwrap().1.clone()
    }

    /// How many of the first `metrics` have a fresh sample now.
    fn fresh(&self, metrics: usize) -> usize {
        let snapshot = self.engine.snapshot(self.now().1);
        let fresh = |n| snapshot.get(&metric(n)).unwrap().1.fresh(self.now().0).is_some();
        (0..metrics).filter(|n| fresh(*n)).count()
    }

    fn calls_between(&self, from: u64, to: u64) -> usize {
        self.sent.iter().filter(|s| s.at >= seconds(from) && s.at < seconds(to)).count()
    }
}

fn metric(n: usize) -> MetricKey {
    key("default", &format!("m{n:05}"))
}

/// A good answer: each query has a series whose newest complete bucket is the last but one.
fn values(queries: &[String], elapsed: Duration) -> Exchange {
    let second = 1_700_000_000 + elapsed.as_secs();
    let points = [3, 2, 1, 0].map(|back| {
        #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
        let at = ((second / 30 - back) * 30 * 1000) as f64;
        (at, Some(1.0))
    });
    let series = || vec![Series { points: points.to_vec(), scope: "*".into(), tags: vec![] }];
    exchange(Ok(queries.iter().map(|_| series()).collect()), None)
}

fn exchange(result: Result<Vec<Vec<Series>>, Error>, rate_limit: Option<RateLimit>) -> Exchange {
    Exchange {
        result,
        endpoint: "https://api.datadoghq.com".into(),
        requests: 1,
        rate_limit,
        clock_skew: None,
    }
}

fn rejected() -> Exchange {
    exchange(Err(Error::Rejected { message: "Error parsing query".into() }), None)
}

fn down() -> Exchange {
    exchange(Err(Error::Status { status: 503, message: "down".into() }), None)
}

/// Datadog's own limiter: fixed windows of an hour, aligned to the start of the simulation.
struct Limiter {
    limit: u32,
    used: BTreeMap<u64, u32>,
}

impl Limiter {
    fn new(limit: u32) -> Self {
        Self { limit, used: BTreeMap::new() }
    }

    fn answer(&mut self, queries: &[String], elapsed: Duration) -> Exchange {
        let used = self.used.entry(elapsed.as_secs() / 3600).or_default();
        let over = *used >= self.limit;
        *used += u32::from(!over);
        let limit = RateLimit {
            limit: self.limit,
            period: seconds(3600),
            remaining: self.limit - *used,
            reset: seconds(3600 - elapsed.as_secs() % 3600),
        };
        if over {
            return exchange(Err(Error::RateLimited { reset: Some(limit.reset) }), Some(limit));
        }
        Exchange { rate_limit: Some(limit), ..values(queries, elapsed) }
    }
}

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
    for from in (600..3600).step_by(6) {
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
    assert!(first <= 58 + 2 * HALVINGS + 10, "{first}");
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
        "Datadog answers HTTP 503: down"
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
