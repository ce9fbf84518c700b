//! A simulated clock and simulated Datadogs.

use std::collections::BTreeMap;

use super::super::*;
use crate::{
    datadog::{RateLimit, batch::Limits},
    demand::{Autoscaler, Builder, MetricKey, Source},
    query::Overrides,
    store::Entry,
    testing::{self, DEFAULTS, hpa, key},
};

pub(super) const REFRESH: Duration = Duration::from_secs(30);
pub(super) const LATENCY: Duration = Duration::from_millis(50);

pub(super) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// What went out, and when since the start.
#[derive(Debug, Clone)]
pub(super) struct Sent {
    pub(super) at: Duration,
    pub(super) queries: Vec<String>,
    /// HTTP 429 came back.
    pub(super) refused: bool,
}

pub(super) struct World {
    pub(super) engine: Engine,
    pub(super) start: Instant,
    pub(super) wall: Timestamp,
    pub(super) elapsed: Duration,
    under_way: Vec<(Duration, Call)>,
    pub(super) sent: Vec<Sent>,
    pub(super) most_in_flight: usize,
}

impl World {
    pub(super) fn new() -> Self {
        let settings = Settings { refresh: REFRESH, limits: Limits::DATADOG, coalesce: false };
        Self {
            engine: Engine::new(settings, DEFAULTS, Gate::new(REFRESH, 10, 1)),
            start: Instant::now(),
            wall: Timestamp::from_second(1_700_000_000).unwrap(),
            elapsed: Duration::ZERO,
            under_way: Vec::new(),
            sent: Vec::new(),
            most_in_flight: 0,
        }
    }

    pub(super) fn now(&self) -> (Timestamp, Instant) {
        (self.wall + self.elapsed, self.start + self.elapsed)
    }

    /// Coalesces, and wants one metric for so many hosts.
    pub(super) fn grouped(hosts: usize) -> Self {
        let mut world = Self::new();
        world.engine.settings.coalesce = true;
        let mut builder = Builder::default();
        for n in 0..hosts {
            let (source, overrides) = (Source::Selector, Overrides::default());
            builder.add(host(n), "m".into(), source, overrides, hpa("default", "hpa"));
        }
        let (wall, now) = world.now();
        world.engine.set_demand(&Arc::new(builder.build()), wall, now);
        world
    }

    pub(super) fn want(&mut self, metrics: usize) {
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
    pub(super) fn run(
        &mut self,
        until: Duration,
        mut datadog: impl FnMut(&[String], Duration) -> Exchange,
    ) {
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

    pub(super) fn entry(&self, n: usize) -> Arc<Entry> {
        self.engine.snapshot(self.now().1).get(&metric(n)).unwrap().1.clone()
    }

    /// How many of the first `metrics` have a fresh sample now.
    pub(super) fn fresh(&self, metrics: usize) -> usize {
        let snapshot = self.engine.snapshot(self.now().1);
        let fresh = |n| snapshot.get(&metric(n)).unwrap().1.fresh(self.now().0).is_some();
        (0..metrics).filter(|n| fresh(*n)).count()
    }

    pub(super) fn calls_between(&self, from: u64, to: u64) -> usize {
        self.sent.iter().filter(|s| s.at >= seconds(from) && s.at < seconds(to)).count()
    }
}

pub(super) fn metric(n: usize) -> MetricKey {
    key("default", &format!("m{n:05}"))
}

pub(super) fn host(n: usize) -> MetricKey {
    MetricKey::new("default", "m", crate::api::selector::parse(&format!("host=h{n:03}")).unwrap())
}

/// A Datadog that has a series for each host but `without`, and refuses what `refuses`.
pub(super) fn hosts(
    queries: &[String],
    elapsed: Duration,
    without: &str,
    refuses: impl Fn(&str) -> bool,
) -> Exchange {
    if queries.iter().any(|query| refuses(query)) {
        return rejected();
    }
    let points = values(&["m".to_owned()], elapsed).result.unwrap().remove(0).remove(0).points;
    let of = |query: &String| {
        let names = query.match_indices('h').filter_map(|(at, _)| query.get(at..at + 4));
        let known = names.filter(|name| name[1..].parse::<u16>().is_ok() && *name != without);
        known
            .map(|name| Series {
                points: points.clone(),
                scope: String::new(),
                tags: vec![format!("host:{name}")],
            })
            .collect::<Vec<_>>()
    };
    exchange(Ok(queries.iter().map(of).collect()), None)
}

/// A good answer: each query has a series whose newest complete bucket is the last but one.
pub(super) fn values(queries: &[String], elapsed: Duration) -> Exchange {
    let second = 1_700_000_000 + elapsed.as_secs();
    let points = [3, 2, 1, 0].map(|back| {
        #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
        let at = ((second / 30 - back) * 30 * 1000) as f64;
        (at, Some(1.0))
    });
    let series = || vec![Series { points: points.to_vec(), scope: "*".into(), tags: vec![] }];
    exchange(Ok(queries.iter().map(|_| series()).collect()), None)
}

pub(super) fn exchange(
    result: Result<Vec<Vec<Series>>, Error>,
    rate_limit: Option<RateLimit>,
) -> Exchange {
    Exchange {
        result,
        endpoint: "https://api.datadoghq.com".into(),
        requests: 1,
        rate_limit,
        clock_skew: None,
    }
}

pub(super) fn rejected() -> Exchange {
    exchange(Err(testing::rejected("Error parsing query")), None)
}

pub(super) fn down() -> Exchange {
    exchange(Err(testing::down()), None)
}

/// Datadog's own limiter: fixed windows of an hour, aligned to the start of the simulation.
pub(super) struct Limiter {
    limit: u32,
    pub(super) used: BTreeMap<u64, u32>,
}

impl Limiter {
    pub(super) fn new(limit: u32) -> Self {
        Self { limit, used: BTreeMap::new() }
    }

    pub(super) fn answer(&mut self, queries: &[String], elapsed: Duration) -> Exchange {
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
