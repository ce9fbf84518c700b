//! Faults in force, and which requests they hit.

pub(crate) mod body;
mod draw;
mod effects;

use jiff::Timestamp;

pub(crate) use crate::fault::effects::Effects;
use crate::{
    clock::ScenarioClock,
    control::{
        Effect, Endpoint, Fault, FaultList, FaultState, Handshake, InvalidFault, Span, TimeScale,
    },
    fault::draw::Draws,
};

/// Most faults at a time; more of them is a script gone wild.
const MAX_FAULTS: usize = 1000;

/// The faults that are set, oldest first.
#[derive(Debug)]
pub(crate) struct Faults {
    set: Vec<Set>,
    /// What all chances and latencies are drawn from.
    seed: u64,
    /// The scenario's time, which their spans are of.
    clock: ScenarioClock,
}

#[derive(Debug)]
struct Set {
    fault: Fault,
    /// The same as `from` in scenario time.
    begins: f64,
    from: Timestamp,
    /// `None` until it is lifted.
    until: Option<Timestamp>,
    hits: u64,
    draws: Draws,
}

/// A request, as far as faults care.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target<'a> {
    /// `None` for a path that the fake does not know.
    pub(crate) endpoint: Option<Endpoint>,
    pub(crate) path: &'a str,
    /// Names and fingerprints of the keys that it brings.
    pub(crate) keys: &'a [String],
}

impl Faults {
    /// None yet.
    pub(crate) fn new(seed: u64, clock: ScenarioClock) -> Self {
        Self { set: Vec::new(), seed, clock }
    }

    /// Goes by another time from now on: faults that are to come may come sooner or later.
    pub(crate) fn set_clock(&mut self, clock: ScenarioClock) {
        for set in &mut self.set {
            set.from = clock.real(set.begins);
            let ends = set.fault.length.map(|length| set.begins + seconds(length));
            set.until = ends.map(|ends| clock.real(ends));
        }
        self.clock = clock;
    }

    /// Sets a fault, whose time begins `now`; one of the same name gives way to it.
    pub(crate) fn set(&mut self, now: Timestamp, fault: Fault) -> Result<(), InvalidFault> {
        fault.validate()?;
        self.set.retain(|it| it.fault.name != fault.name);
        if MAX_FAULTS <= self.set.len() {
            self.set.retain(|it| !it.is_over(now));
        }
        if MAX_FAULTS <= self.set.len() {
            return Err(InvalidFault::TooMany(MAX_FAULTS));
        }
        let begins = self.clock.at(now) + seconds(fault.at);
        // Whatever the scenario's time does, even when it stands still.
        let from = if fault.at.is_zero() { now } else { self.clock.real(begins) };
        let until = fault.length.map(|length| self.clock.real(begins + seconds(length)));
        let draws = Draws::new(self.seed, &fault.name);
        self.set.push(Set { fault, begins, from, until, hits: 0, draws });
        Ok(())
    }

    /// Lifts the fault called `name`, or all of them. Returns how many of them were not yet over
    /// at `now`.
    pub(crate) fn clear(&mut self, now: Timestamp, name: Option<&str>) -> usize {
        let before = self.len(now);
        self.set.retain(|it| name.is_some_and(|name| it.fault.name != name));
        before - self.len(now)
    }

    /// Number of faults that are in force at `now` or will be.
    pub(crate) fn len(&self, now: Timestamp) -> usize {
        self.set.iter().filter(|it| !it.is_over(now)).count()
    }

    /// Every fault and how it stands.
    pub(crate) fn list(&self, now: Timestamp) -> FaultList {
        let state = |it: &Set| FaultState {
            fault: it.fault.clone(),
            active: it.is_active(now),
            hits: it.hits,
            remaining: it.remaining(),
            from: it.from,
            until: it.until,
        };
        FaultList { faults: self.set.iter().map(state).collect() }
    }

    /// What happens to one request. Counts it against the limit of each fault that hits it.
    ///
    /// Delays and shifts add up; of several answers the oldest fault's is given.
    pub(crate) fn hit(&mut self, now: Timestamp, target: Target<'_>) -> Effects {
        let mut effects = Effects::default();
        for it in self.set.iter_mut().filter(|it| it.is_active(now)) {
            let revoked = match &it.fault.effect {
                Effect::KeyRevoked(keys) => {
                    target.keys.iter().any(|key| keys.iter().any(|it| it == "*" || it == key))
                }
                _ => true,
            };
            if revoked && it.fault.means(target.endpoint, target.path) && it.strikes() {
                effects.names.push(it.fault.name.clone());
                effects.add(&it.fault.effect, &mut it.draws);
            }
        }
        effects
    }

    /// What happens to one TLS handshake; counted like a request.
    pub(crate) fn handshake(&mut self, now: Timestamp) -> Option<Handshake> {
        self.set.iter_mut().filter(|it| it.is_active(now)).find_map(|it| {
            let handshake = it.fault.effect.handshake()?;
            it.strikes().then_some(handshake)
        })
    }
}

impl Default for Faults {
    fn default() -> Self {
        Self::new(0, ScenarioClock::new(Timestamp::UNIX_EPOCH, TimeScale::REAL))
    }
}

fn seconds(span: Span) -> f64 {
    span.as_duration().as_secs_f64()
}

// === impl Set ===

impl Set {
    fn remaining(&self) -> Option<u32> {
        let hits = u32::try_from(self.hits).unwrap_or(u32::MAX);
        self.fault.times.map(|times| times.saturating_sub(hits))
    }

    fn is_over(&self, now: Timestamp) -> bool {
        self.remaining() == Some(0) || self.until.is_some_and(|until| until <= now)
    }

    fn is_active(&self, now: Timestamp) -> bool {
        self.from <= now && !self.is_over(now)
    }

    /// Whether chance lets it hit a request that it means; if so, the request is counted.
    fn strikes(&mut self) -> bool {
        let strikes = self.fault.probability.is_none_or(|it| self.draws.next() < it);
        if strikes {
            self.hits += 1;
        }
        strikes
    }
}

#[cfg(test)]
mod tests;
