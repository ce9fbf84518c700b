//! Rate limits of a running fake. A reset and a new scenario begin the scenario's anew.

use std::sync::{MutexGuard, PoisonError};

use jiff::Timestamp;

use crate::{
    control::{Endpoint, InvalidRateLimit, RateLimit},
    limit::{LimitState, Limits, Standing},
    state::Shared,
};

impl Shared {
    pub(crate) fn set_rate_limits(&self, limits: Vec<RateLimit>) -> Result<(), InvalidRateLimit> {
        limits.iter().try_for_each(RateLimit::validate)?;
        self.begin_rate_limits(limits);
        Ok(())
    }

    /// Puts these, which have been validated, in the place of all others; every window begins anew.
    pub(super) fn begin_rate_limits(&self, limits: Vec<RateLimit>) {
        *self.limits() = Limits::new(limits);
    }

    pub(crate) fn rate_limits(&self) -> Vec<RateLimit> {
        self.limits().list()
    }

    /// How every limit stands, without saying for which key.
    pub(crate) fn limit_states(&self, now: Timestamp) -> Vec<LimitState> {
        self.limits().states(now.as_second())
    }

    /// Counts a request with the API key of that fingerprint; `None` when it has no limit.
    pub(crate) fn spend(&self, now: Timestamp, endpoint: Endpoint, key: &str) -> Option<Standing> {
        self.limits().take(now.as_second(), endpoint, key)
    }

    fn limits(&self) -> MutexGuard<'_, Limits> {
        self.0.limits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
