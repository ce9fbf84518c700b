//! What the nginxes of a cluster have counted.

use std::{collections::BTreeMap, time::Duration};

use tokio::time::Instant;

/// Every nginx's own count at a moment.
#[derive(Clone, Debug)]
pub struct Reading {
    /// When it was read.
    pub at: Instant,
    /// Each nginx by the name of its pod.
    pub targets: BTreeMap<String, Target>,
}

/// One nginx.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// Requests that it has counted, the one that asked included.
    pub requests: u64,
    /// For how long it runs.
    pub age: Duration,
}

/// What was counted between two readings.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Counted {
    /// Requests, without those of the later reading itself.
    pub requests: u64,
    /// Over this time.
    pub elapsed: Duration,
    /// The time that each nginx was there for, added up.
    pub target_time: Duration,
}

impl Reading {
    /// What was counted since `earlier`. An nginx that was not there then has counted from 0; one
    /// that has gone since is an error, because what it has counted is lost.
    pub fn since(&self, earlier: &Reading) -> Result<Counted, String> {
        let gone: Vec<&str> = earlier
            .targets
            .keys()
            .filter(|name| !self.targets.contains_key(*name))
            .map(String::as_str)
            .collect();
        if !gone.is_empty() {
            return Err(format!("{} has gone, with what it had counted", gone.join(", ")));
        }
        let elapsed = self.at - earlier.at;
        let (mut requests, mut target_time) = (0, Duration::ZERO);
        for (name, target) in &self.targets {
            let before = earlier.targets.get(name).map_or(0, |before| before.requests);
            // The reading is itself a request, which the target has counted.
            let counted = target.requests.checked_sub(before + 1);
            requests += counted.ok_or_else(|| format!("{name} counts from 0 again"))?;
            target_time += target.age.min(elapsed);
        }
        Ok(Counted { requests, elapsed, target_time })
    }
}

impl Counted {
    /// Requests per second.
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 requests")]
    pub fn per_second(&self) -> f64 {
        self.requests as f64 / self.elapsed.as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(at: Instant, targets: &[(&str, u64, u64)]) -> Reading {
        let targets = targets.iter().map(|(name, requests, age)| {
            let age = Duration::from_secs(*age);
            ((*name).to_owned(), Target { requests: *requests, age })
        });
        Reading { at, targets: targets.collect() }
    }

    #[test]
    fn what_came_in_between_is_counted_without_the_readings() {
        let start = Instant::now();
        let before = reading(start, &[("a", 100, 60)]);
        let after =
            reading(start + Duration::from_secs(10), &[("a", 181, 70), ("b", 41, 4), ("c", 1, 1)]);
        let counted = after.since(&before).unwrap();
        assert_eq!(counted.requests, 80 + 40);
        assert_eq!(counted.target_time, Duration::from_secs(10 + 4 + 1));
        assert!((counted.per_second() - 12.0).abs() < 1e-9);
    }

    #[test]
    fn a_count_that_is_lost_is_no_count() {
        let start = Instant::now();
        let before = reading(start, &[("a", 100, 60), ("b", 100, 60)]);
        let after = reading(start + Duration::from_secs(1), &[("a", 120, 61)]);
        assert_eq!(
            after.since(&before).unwrap_err(),
            "b has gone, with what it had counted".to_owned()
        );
        let after = reading(start + Duration::from_secs(1), &[("a", 2, 0), ("b", 120, 61)]);
        assert_eq!(after.since(&before).unwrap_err(), "a counts from 0 again".to_owned());
    }
}
