//! Rate limits of a running fake. They outlast resets and changes of the scenario.

use std::sync::{MutexGuard, PoisonError};

use jiff::Timestamp;

use crate::{
    control::{Endpoint, InvalidRateLimit, RateLimit},
    limit::{Limits, Standing},
    state::Shared,
};

impl Shared {
    pub(crate) fn set_rate_limits(&self, limits: Vec<RateLimit>) -> Result<(), InvalidRateLimit> {
        self.limits().set(limits)
    }

    pub(crate) fn rate_limits(&self) -> Vec<RateLimit> {
        self.limits().list()
    }

    /// Counts a request with the API key of that fingerprint; `None` when it has no limit.
    pub(crate) fn spend(&self, now: Timestamp, endpoint: Endpoint, key: &str) -> Option<Standing> {
        self.limits().take(now.as_second(), endpoint, key)
    }

    fn limits(&self) -> MutexGuard<'_, Limits> {
        self.0.limits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
