//! Two engines, of which one leads, against a simulated Datadog.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;
use crate::{
    lead::Role,
    store::{
        Snapshot,
        known::{Memory, News},
    },
};

/// A world that has come into being at the same moment as `other`.
fn beside(other: &World) -> World {
    let mut world = World::new();
    (world.start, world.wall, world.elapsed) = (other.start, other.wall, other.elapsed);
    world
}

impl World {
    fn is(&mut self, role: &Role) {
        let (wall, now) = self.now();
        self.engine.set_role(role, wall, now);
    }

    fn learn(&mut self, news: News) {
        let (wall, now) = self.now();
        self.engine.learn(news, wall, now);
    }

    fn snapshot(&self) -> Snapshot {
        self.engine.snapshot(self.now().1)
    }

    /// All that this one knows.
    fn news(&self) -> News {
        let snapshot = self.snapshot();
        let known = snapshot.iter().map(|(key, _, entry)| (key.clone(), Memory::from(&**entry)));
        let known = known.collect();
        News { complete: true, known, asking: Some(Asking::clone(&snapshot.asking)) }
    }
}

/// A leader with so many metrics after so many seconds, and a follower that was told all.
fn pair(metrics: usize, after: u64) -> (World, World) {
    let mut leader = World::new();
    leader.want(metrics);
    leader.run(seconds(after), values);
    let mut follower = beside(&leader);
    follower.is(&Role::Follower);
    follower.want(metrics);
    follower.learn(leader.news());
    (leader, follower)
}

/// When each query was asked.
fn times(sent: &[Sent]) -> HashMap<&String, Vec<Duration>> {
    let mut times: HashMap<&String, Vec<Duration>> = HashMap::new();
    for sent in sent {
        for query in &sent.queries {
            times.entry(query).or_default().push(sent.at);
        }
    }
    times
}

#[test]
fn a_follower_asks_nothing_and_knows_what_the_leader_knows() {
    let (leader, mut follower) = pair(100, 40);
    follower.run(seconds(3600), values);
    assert!(follower.sent.is_empty());
    let (own, told) = (follower.snapshot(), leader.snapshot());
    assert_eq!(told.len(), own.len());
    for (key, _, entry) in told.iter() {
        let (_, own) = own.get(key).unwrap();
        assert_eq!(own.sample, entry.sample, "{key}");
        assert_eq!(own.last.as_ref().unwrap().0, entry.last.as_ref().unwrap().0);
    }
    assert_eq!(own.asking.calls_per_hour.to_bits(), told.asking.calls_per_hour.to_bits());
}

#[test]
fn a_hand_over_costs_no_call_that_the_leader_would_not_have_made() {
    for after in [3, 29, 31, 45, 59, 100] {
        let (mut old, mut new) = pair(35, after);
        old.run(seconds(310), values);
        let due: Vec<_> =
            old.sent.iter().map(|it| it.at).filter(|at| *at > seconds(after)).collect();
        new.is(&Role::Leader);
        new.run(seconds(310), values);
        let asked: Vec<_> = new.sent.iter().map(|it| it.at).collect();
        assert_eq!(asked.len(), due.len(), "after {after} s: {asked:?}, not {due:?}");
        assert!(asked[0] >= due[0], "after {after} s: {asked:?}, not {due:?}");
    }
}

#[test]
fn after_a_hand_over_many_batches_keep_their_turns() {
    let (mut old, mut new) = pair(350, 100);
    new.is(&Role::Leader);
    old.sent.clear();
    old.run(seconds(160), values);
    new.run(seconds(160), values);
    assert_eq!(new.sent.len(), old.sent.len());
    for (new, old) in new.sent.iter().zip(&old.sent) {
        assert_eq!(new.queries, old.queries);
        assert!(new.at >= old.at && new.at < old.at + seconds(1), "{new:?} {old:?}");
    }
}

#[test]
fn what_is_new_is_asked_at_once_by_the_leader_alone() {
    let (mut leader, mut follower) = pair(35, 10);
    for world in [&mut leader, &mut follower] {
        world.sent.clear();
        world.want(40);
        world.run(seconds(11), values);
    }
    assert_eq!(leader.sent.len(), 1);
    assert_eq!(leader.sent[0].queries.len(), 5);
    assert!(follower.sent.is_empty());
    // The leader dies before it told: whoever is next asks, and only for those.
    follower.is(&Role::Leader);
    follower.run(seconds(12), values);
    assert_eq!(follower.sent.len(), 1, "urgent calls did not pile up");
    assert_eq!(follower.sent[0].queries.len(), 5);
}

#[test]
fn who_leads_no_more_makes_no_calls_but_takes_the_answers() {
    let mut world = World::new();
    world.want(35);
    let (wall, now) = world.now();
    let Next::Call(call) = world.engine.next(wall, now) else { panic!("no call") };
    world.is(&Role::Follower);
    let queries: Vec<_> = call.units.iter().map(|unit| unit.ask().query.to_string()).collect();
    world.engine.answered(call, values(&queries, Duration::ZERO), wall, now, 0.5);
    assert_eq!(world.fresh(35), 35);
    world.run(seconds(600), values);
    assert!(world.sent.is_empty());
    // A refusal calls for halves, which are not ours to ask.
    let mut world = World::new();
    world.want(35);
    let Next::Call(call) = world.engine.next(wall, now) else { panic!("no call") };
    world.is(&Role::Follower);
    world.engine.answered(call, rejected(), wall, now, 0.5);
    assert!(world.engine.urgent.is_empty());
}

#[test]
fn the_budget_is_taken_over() {
    let mut limiter = Limiter::new(1600);
    let mut leader = World::new();
    leader.want(700);
    leader.run(seconds(1200), |queries, elapsed| limiter.answer(queries, elapsed));
    let mut follower = beside(&leader);
    follower.is(&Role::Follower);
    follower.want(700);
    follower.learn(leader.news());
    let told = follower.snapshot().asking.budget.unwrap();
    assert_eq!(told.remaining, leader.snapshot().asking.budget.unwrap().remaining);
    follower.is(&Role::Leader);
    let asking = follower.snapshot().asking.clone();
    assert!(asking.period > REFRESH, "stretched before the first call");
    assert_eq!(asking.budget.map(|budget| budget.remaining), Some(told.remaining));
    for minute in 21..=70 {
        follower.run(seconds(minute * 60), |queries, elapsed| limiter.answer(queries, elapsed));
        assert_eq!(follower.fresh(700), 700, "in minute {minute}");
    }
    assert!(limiter.used.values().all(|used| *used <= 1600));
    assert!(follower.sent.iter().all(|sent| !sent.refused));
}

#[test]
fn a_used_up_budget_is_used_up_for_the_next_leader() {
    let mut limiter = Limiter::new(1);
    let mut leader = World::new();
    leader.want(70);
    leader.run(seconds(100), |queries, elapsed| limiter.answer(queries, elapsed));
    let mut follower = beside(&leader);
    follower.is(&Role::Follower);
    follower.want(70);
    follower.learn(leader.news());
    follower.is(&Role::Leader);
    let gate = &follower.engine.gate;
    let Passage::Closed(Some(until)) = gate.passage(follower.now().1) else { panic!("open") };
    let window = follower.start + seconds(3600)..follower.start + seconds(3605);
    assert!(window.contains(&until));
    assert_eq!(gate.passage(until), Passage::Open);
}

#[test]
fn a_refused_query_is_asked_no_sooner_and_an_outage_is_one_probe() {
    let bad = |queries: &[String], elapsed| {
        let is_bad = queries.iter().any(|query| query.contains("m00017"));
        if is_bad { rejected() } else { values(queries, elapsed) }
    };
    let mut old = World::new();
    old.want(35);
    old.run(seconds(700), bad);
    let mut new = beside(&old);
    new.is(&Role::Follower);
    new.want(35);
    new.learn(old.news());
    new.is(&Role::Leader);
    for world in [&mut old, &mut new] {
        world.sent.clear();
        world.run(seconds(4000), bad);
    }
    let first = |world: &World| {
        let mut sent = world.sent.iter();
        sent.find(|it| it.queries.iter().any(|query| query.contains("m00017"))).unwrap().clone()
    };
    assert_eq!(first(&new).queries.len(), 1, "alone");
    assert!(first(&new).at >= first(&old).at, "{:?} {:?}", first(&new), first(&old));
    assert_eq!(new.fresh(35), 34);

    let (mut old, mut new) = pair(350, 60);
    old.run(seconds(300), |_, _| down());
    new.run(seconds(300), values);
    new.learn(old.news());
    new.is(&Role::Leader);
    old.sent.clear();
    for world in [&mut old, &mut new] {
        world.run(seconds(600), |_, _| down());
    }
    assert!(new.sent.len() <= old.sent.len() + 1, "{} {}", new.sent.len(), old.sent.len());
    assert!(new.snapshot().asking.trouble.is_some());
}

#[test]
fn news_of_what_is_not_wanted_yet_waits_for_the_first_demand_and_a_minute_after() {
    let (leader, _) = pair(35, 10);
    let mut late = beside(&leader);
    late.is(&Role::Follower);
    late.learn(leader.news());
    // Much later: kube-apiserver was away.
    late.elapsed = seconds(70);
    assert!(late.snapshot().is_empty() && !late.snapshot().ready);
    late.want(20);
    assert_eq!(late.fresh(20), 20);
    late.want(35);
    assert!(late.entry(30).last.is_none(), "not kept for ever");
    late.learn(News { complete: false, ..leader.news() });
    late.want(20);
    late.learn(News { complete: false, ..leader.news() });
    late.want(35);
    assert_eq!(late.fresh(35), 35, "but our watch may be a little later than the leader's");
}

#[test]
fn a_first_leader_goes_on_from_what_outlived_the_last() {
    let (old, _) = pair(35, 20);
    let mut new = beside(&old);
    // Seeds are there before the demand.
    new.learn(old.news());
    new.want(40);
    new.run(seconds(28), values);
    assert_eq!(new.sent.len(), 1);
    assert_eq!(new.sent[0].queries.len(), 5, "what nothing is known of");
    assert_eq!(new.fresh(40), 40);
    // Old news does not undo what was asked since.
    let asked = new.entry(3).last.as_ref().unwrap().0;
    new.run(seconds(70), values);
    new.learn(old.news());
    assert!(new.entry(3).last.as_ref().unwrap().0 > asked);
}

#[test]
fn an_answer_to_another_query_is_served_by_a_follower_and_asked_anew_by_a_leader() {
    let (leader, mut follower) = pair(2, 10);
    let mut news = News { complete: false, ..leader.news() };
    for (_, memory) in &mut news.known {
        memory.query = Some("avg:another{*}".to_owned());
        memory.sample.as_mut().unwrap().value = 7.0;
    }
    news.known.truncate(1);
    follower.learn(news.clone());
    assert_eq!(follower.entry(0).sample.unwrap().value.to_bits(), 7.0_f64.to_bits());
    follower.is(&Role::Leader);
    follower.run(seconds(11), values);
    assert_eq!(follower.sent.len(), 1, "at once");
    assert_eq!(follower.sent[0].queries.len(), 1, "and only this one");
    // Who leads is not told the answer to another question.
    follower.learn(news);
    assert_eq!(follower.entry(0).sample.unwrap().value.to_bits(), 1.0_f64.to_bits());
}

#[test]
fn complete_news_forget_what_is_not_in_them_once_it_is_stale() {
    let (leader, mut follower) = pair(2, 10);
    let mut news = leader.news();
    news.known.truncate(1);
    follower.learn(news.clone());
    assert_eq!(follower.fresh(2), 2, "a fresh sample is served");
    follower.elapsed = seconds(400);
    follower.learn(news);
    assert!(follower.entry(1).last.is_none() && follower.entry(1).sample.is_none());
    assert_eq!(follower.snapshot().len(), 2, "the demand is our own");
    // A leader that has just begun knows nothing yet, and takes nothing away.
    let mut begins = beside(&leader);
    begins.want(2);
    let (_, mut follower) = pair(2, 10);
    follower.learn(begins.news());
    assert_eq!(follower.fresh(2), 2);
}

#[test]
fn a_leader_whose_clock_is_ahead_is_no_reason_to_wait() {
    let (leader, mut follower) = pair(1, 10);
    let mut news = leader.news();
    let ahead = Timestamp::from_second(1_900_000_000).unwrap();
    news.known[0].1.last.as_mut().unwrap().0 = ahead;
    follower.learn(news);
    follower.is(&Role::Leader);
    follower.run(seconds(45), values);
    assert_eq!(follower.sent.len(), 1);
    assert!(follower.sent[0].at <= seconds(40));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// One permit wanders between two engines that tell each other all: each query is asked about
    /// once a period, as if there were one.
    #[test]
    fn alternating_leaders_ask_as_one_would(
        terms in proptest::collection::vec(1_u64..50, 1..20),
        metrics in 1_usize..36,
    ) {
        let mut a = World::new();
        let mut b = beside(&a);
        b.is(&Role::Follower);
        a.want(metrics);
        b.want(metrics);
        let mut until = 2;
        a.run(seconds(until), values);
        for term in terms {
            // A leader hands over when its calls have ended, and has told what they said.
            a.is(&Role::Follower);
            a.run(seconds(until) + LATENCY, values);
            b.elapsed = a.elapsed;
            b.learn(a.news());
            b.is(&Role::Leader);
            until += term;
            a.run(seconds(until), values);
            b.run(seconds(until), values);
            std::mem::swap(&mut a, &mut b);
        }
        let mut sent = [a.sent.clone(), b.sent.clone()].concat();
        sent.sort_by_key(|sent| sent.at);
        for (query, times) in times(&sent) {
            for pair in times.windows(2) {
                prop_assert!(pair[1] >= pair[0] + REFRESH, "{query} at {times:?}");
                prop_assert!(pair[1] <= pair[0] + REFRESH + seconds(1), "{query} at {times:?}");
            }
        }
        prop_assert_eq!(a.fresh(metrics), metrics);
    }
}
