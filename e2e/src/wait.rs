//! Waiting for a condition under a deadline, and what to wait for.
//!
//! Only what was really read counts: a read that fails, or does not come back, says nothing about
//! the cluster, so it neither fulfils a condition nor changes what was last seen.

use std::{fmt::Display, time::Duration};

use tokio::time::{Instant, sleep_until, timeout_at};

pub use self::conditions::{api_service_available, deployment_ready};

mod conditions;

#[cfg(test)]
mod tests;

/// What one look at the condition has shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probe<T> {
    /// It holds; the value is what the caller wanted to know.
    Ready(T),
    /// It does not, and this is how things stand, on one line.
    NotYet(String),
}

/// A condition that did not come true in time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "waited {} for {what}: {}; last seen: {}",
    humantime::format_duration(*.deadline),
    reads(*.observations, *.failures, .last_error.as_deref()),
    .last_seen.as_deref().unwrap_or("nothing")
)]
pub struct Timeout {
    /// What was waited for.
    pub what: String,
    /// For how long.
    pub deadline: Duration,
    /// How many looks came back with a state.
    pub observations: u32,
    /// How many failed, or did not come back in time.
    pub failures: u32,
    /// The newest state that was read; none when no read succeeded.
    pub last_seen: Option<String>,
    /// Why the newest failed read failed; none when all succeeded.
    pub last_error: Option<String>,
}

/// Looks every `every` until `probe` says it is ready, at most for `deadline`. The first look is at
/// once, and there is always one; a look that hangs is given up at the deadline.
///
/// `what` completes "waited 30s for …".
pub async fn until<T, E: Display>(
    what: &str,
    deadline: Duration,
    every: Duration,
    mut probe: impl AsyncFnMut() -> Result<Probe<T>, E>,
) -> Result<T, Timeout> {
    let end = Instant::now() + deadline;
    let mut timeout = Timeout {
        what: what.to_owned(),
        deadline,
        observations: 0,
        failures: 0,
        last_seen: None,
        last_error: None,
    };
    loop {
        let next = Instant::now() + every;
        match timeout_at(end, probe()).await {
            Ok(Ok(Probe::Ready(value))) => return Ok(value),
            Ok(Ok(Probe::NotYet(state))) => {
                timeout.observations += 1;
                timeout.last_seen = Some(state);
            }
            Ok(Err(error)) => {
                timeout.failures += 1;
                // The whole chain, where the error has one to show (anyhow's do).
                timeout.last_error = Some(format!("{error:#}"));
            }
            Err(_) => {
                timeout.failures += 1;
                timeout.last_error = Some("no answer before the deadline".to_owned());
            }
        }
        // A look may have taken longer than the interval.
        let next = next.max(Instant::now());
        if end <= next {
            sleep_until(end).await;
            return Err(timeout);
        }
        sleep_until(next).await;
    }
}

fn reads(observations: u32, failures: u32, last_error: Option<&str>) -> String {
    match last_error {
        Some(error) => format!("{observations} looks, and {failures} that failed, lastly: {error}"),
        None => format!("{observations} looks"),
    }
}
