//! How long a watch that fails waits before it is tried again.

use std::time::Duration;

use kube::runtime::utils::Backoff;
use tokio::time::Instant;

/// Back-off from 0.8 s to 30 s, with jitter, from the start again after two quiet minutes.
///
/// Not kube's `default_backoff`: a watcher that begins anew says `Event::Init` before each list,
/// which resets that one, so that a list which is refused (a CRD that is not installed, missing
/// rights) would be asked for about once a second for ever.
#[derive(Debug, Default)]
pub(crate) struct Patience {
    failures: u32,
    last: Option<Instant>,
}

impl Iterator for Patience {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        const FIRST: Duration = Duration::from_millis(800);
        const LONGEST: Duration = Duration::from_secs(30);
        const QUIET: Duration = Duration::from_secs(120);
        let now = Instant::now();
        if self.last.is_none_or(|last| now.duration_since(last) > QUIET) {
            self.failures = 0;
        }
        self.last = Some(now);
        let delay = (FIRST * 2_u32.pow(self.failures.min(6))).min(LONGEST);
        self.failures += 1;
        Some(delay.mul_f64(0.75 + fastrand::f64() / 4.0))
    }
}

impl Backoff for Patience {
    fn reset(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn patience_grows_until_it_was_quiet_for_long() {
        let mut patience = Patience::default();
        let mut delays = Vec::new();
        for _ in 0..8 {
            delays.push(patience.next().unwrap());
            patience.reset(); // as an `Event::Init` does
            tokio::time::advance(*delays.last().unwrap()).await;
        }
        assert!(delays[0] <= Duration::from_millis(800));
        assert!(delays.windows(2).take(5).all(|pair| pair[0] < pair[1]), "{delays:?}");
        assert!(delays[7] > Duration::from_secs(20) && delays[7] <= Duration::from_secs(30));
        tokio::time::advance(Duration::from_secs(121)).await;
        assert!(patience.next().unwrap() <= Duration::from_millis(800));
    }
}
