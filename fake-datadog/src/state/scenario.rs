//! What the state holds of scenario and scripts.

use jiff::Timestamp;

use crate::{
    control::{Accepted, Clock, ClockChange, InvalidScript, Script, SeriesList},
    scenario::{InvalidScenario, QueryErrorMode, Scenario},
    script::Taken,
    state::{Shared, State},
    tags::Tags,
};

impl Shared {
    pub(crate) fn query_error_mode(&self) -> QueryErrorMode {
        self.lock().scenario.query_error_mode
    }

    /// The scenario in force, with the speed, scripts, faults and rate limits of `now`.
    pub(crate) fn scenario(&self, now: Timestamp) -> Scenario {
        let rate_limits = self.rate_limits();
        let state = self.lock();
        let faults = state.faults.list(now).faults.into_iter();
        Scenario {
            time_scale: state.clock.read(now).time_scale,
            series: state.scripts.scripts(),
            faults: faults.map(|it| it.fault).collect(),
            rate_limits,
            ..state.scenario.clone()
        }
    }

    /// Begins another scenario at `now`. Submitted points and the log of requests stay.
    pub(crate) fn set_scenario(
        &self,
        now: Timestamp,
        scenario: Scenario,
    ) -> Result<(), InvalidScenario> {
        let limits = scenario.rate_limits.clone();
        let fresh = State::new(now, scenario)?;
        self.0.account.adopt(&fresh.scenario.keys);
        *self.lock() = fresh;
        self.begin_rate_limits(limits);
        Ok(())
    }

    pub(crate) fn clock(&self, now: Timestamp) -> Clock {
        self.lock().clock.read(now)
    }

    pub(crate) fn set_clock(&self, now: Timestamp, change: ClockChange) -> Clock {
        let mut state = self.lock();
        let State { clock, faults, .. } = &mut *state;
        clock.apply(now, change);
        faults.set_clock(clock.clone());
        clock.read(now)
    }

    /// Sets the series of a script in place of those of the same metric and tags.
    pub(crate) fn script(&self, now: Timestamp, script: Script) -> Result<Accepted, InvalidScript> {
        let mut state = self.lock();
        let State { clock, scripts, .. } = &mut *state;
        let Taken { metric, tags, first, series } = scripts.set(clock, now, script)?;
        let tags = tags.iter().map(str::to_owned).collect();
        // Out of jiff's years -9999 to 9999 only when the clock itself is.
        let start = Timestamp::from_second(first).unwrap_or(now);
        Ok(Accepted { metric, tags, start, series })
    }

    /// The scripted series at `now`: all, or those of a metric.
    pub(crate) fn series(&self, now: Timestamp, metric: Option<&str>) -> SeriesList {
        let state = self.lock();
        SeriesList { series: state.scripts.states(&state.clock, now, metric) }
    }

    pub(crate) fn remove_scripts(&self, metric: Option<&str>, tags: Option<&Tags>) -> usize {
        self.lock().scripts.remove(metric, tags)
    }
}
