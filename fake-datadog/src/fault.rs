//! Faults in force, and which requests they hit.

pub(crate) mod body;
mod draw;
mod effects;

use jiff::{SignedDuration, Timestamp};

pub(crate) use crate::fault::effects::Effects;
use crate::{
    control::{Effect, Endpoint, Fault, FaultList, FaultState, Handshake, InvalidFault, Span},
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
    /// Seconds that pass in the scenario for each second that passes here.
    time_scale: f64,
}

#[derive(Debug)]
struct Set {
    fault: Fault,
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
    /// None yet. A scenario runs `time_scale` times as fast as the clock.
    pub(crate) fn new(seed: u64, time_scale: f64) -> Self {
        Self { set: Vec::new(), seed, time_scale }
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
        let from = self.after(now, fault.at);
        let until = fault.length.map(|length| self.after(from, length));
        let draws = Draws::new(self.seed, &fault.name);
        self.set.push(Set { fault, from, until, hits: 0, draws });
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
                effects.add(&it.fault.effect, &mut it.draws);
            }
        }
        effects
    }

    #[cfg_attr(not(test), expect(dead_code, reason = "for HTTPS, which comes next"))]
    /// What happens to one TLS handshake; counted like a request.
    pub(crate) fn handshake(&mut self, now: Timestamp) -> Option<Handshake> {
        self.set.iter_mut().filter(|it| it.is_active(now)).find_map(|it| {
            let handshake = it.fault.effect.handshake()?;
            it.strikes().then_some(handshake)
        })
    }

    /// The moment that comes `span` of the scenario's time after `start`.
    fn after(&self, start: Timestamp, span: Span) -> Timestamp {
        let real = span.as_duration().as_secs_f64() / self.time_scale;
        // Spans are at most ten years; a scale that slows them beyond jiff's years means never.
        let real = SignedDuration::try_from_secs_f64(real).unwrap_or(SignedDuration::MAX);
        start.checked_add(real).unwrap_or(Timestamp::MAX)
    }
}

impl Default for Faults {
    fn default() -> Self {
        Self::new(0, 1.0)
    }
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
