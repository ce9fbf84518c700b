//! How much later followers know what the leader knows.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use jiff::Timestamp;
use tokio::time::{Instant, sleep};

use crate::scenario::replicas::Fleet;

/// Long enough for some points, of which there is one in two seconds.
const WATCHED: Duration = Duration::from_secs(6);
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// "Followers hold the same snapshot within a second."
const MOST: Duration = Duration::from_secs(1);

/// When each replica first answered with a point.
type Sightings = BTreeMap<Timestamp, BTreeMap<String, Instant>>;

/// Asserts that followers answer with a new point at most a second later than the leader.
pub(super) async fn followers(fleet: &Fleet<'_>) -> anyhow::Result<()> {
    let (leader, start) = (fleet.leader()?.pod.clone(), Instant::now());
    let mut sightings = Sightings::new();
    while start.elapsed() < WATCHED {
        for replica in fleet.provider.replicas() {
            let point = fleet.point(replica).await?;
            let replicas = sightings.entry(point).or_default();
            replicas.entry(replica.pod.clone()).or_insert_with(Instant::now);
        }
        sleep(LOOK_EVERY).await;
    }
    let lags = lags(&sightings, &leader);
    let name = "followers know a new value at most a second later than the leader";
    let most = lags.iter().max().copied();
    let text = |most: Duration| format!("{} ms, {} seen", most.as_millis(), lags.len());
    fleet.recorder.assertion(
        name,
        match most {
            Some(most) if most <= MOST => Ok(text(most)),
            Some(most) => Err(text(most)),
            None => Err("no new value was seen".to_owned()),
        },
    )?;
    Ok(())
}

/// How much later than the leader each follower had each point, for ever where it never had it; the first
/// point was there before, and the last one may not have come to all yet.
fn lags(sightings: &Sightings, leader: &str) -> Vec<Duration> {
    let all: BTreeSet<&String> = sightings.values().flat_map(BTreeMap::keys).collect();
    let changes = sightings.values().skip(1).take(sightings.len().saturating_sub(2));
    let lag = |seen: &BTreeMap<String, Instant>| {
        let first = seen.get(leader).copied();
        let followers = all.iter().filter(|replica| **replica != leader);
        let lags = followers.map(|replica| match seen.get(*replica) {
            Some(at) => at.saturating_duration_since(first.unwrap_or(*at)),
            None => Duration::MAX,
        });
        lags.collect::<Vec<_>>()
    };
    changes.flat_map(lag).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_follower_is_as_late_as_it_shows_a_point_after_the_leader() {
        let now = Instant::now();
        let sighting = |second, leader, follower| {
            let at = |millis| now + Duration::from_millis(millis);
            let replicas = [("a".to_owned(), at(leader)), ("b".to_owned(), at(follower))];
            (Timestamp::from_second(second).unwrap(), BTreeMap::from(replicas))
        };
        let sightings = [sighting(0, 0, 9), sighting(2, 2000, 2040), sighting(4, 4000, 4900)];
        let lags = lags(&BTreeMap::from(sightings), "a");
        assert_eq!(lags, [Duration::from_millis(40)]);
    }
}
