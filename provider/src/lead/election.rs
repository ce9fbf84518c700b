//! Who holds the Lease, and what a candidate does next; pure.
//!
//! The rules are those of client-go (`tools/leaderelection`): a Lease of somebody else has expired
//! when we have not seen it change for as long as it says, by our own clock from the moment at which
//! we saw the last change. The times written in it are the holder's and are only shown.

use std::{net::SocketAddr, time::Duration};

use jiff::Timestamp;
use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::MicroTime,
};
use tokio::time::Instant;

use crate::lead::LeaseView;

/// Where the leader's port 5005 is.
pub(super) const ADDRESS: &str = "datadog-cluster-agent/address";

/// The times of an election, all of them shares of how long the Lease is valid.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    /// How long a Lease that is not renewed keeps others away.
    pub(super) lease: Duration,
    /// How long after its last renewal the leader may start calls. The rest of the Lease's time is
    /// for the calls that were started before.
    pub(super) deadline: Duration,
    /// From one renewal to the next.
    pub(super) renew: Duration,
    /// For one request; two of them and a pause fit between a renewal that is due and the deadline.
    pub(super) request: Duration,
    /// The pause after a request that failed.
    pub(super) again: Duration,
    /// From one look of a follower to the next.
    pub(super) look: Duration,
}

impl Times {
    /// Renew deadline and renewal are Datadog's: a half and a quarter.
    pub(super) fn of(lease: Duration) -> Self {
        Self {
            lease,
            deadline: lease / 2,
            renew: lease / 4,
            request: lease / 8,
            again: lease / 16,
            look: (lease / 8).min(Duration::from_secs(1)),
        }
    }
}

/// What to do now.
#[derive(Debug, PartialEq)]
pub(super) enum Act {
    /// Read the Lease.
    Read,
    /// Create it like this.
    Create(Box<Lease>),
    /// Replace what was read by this; its resource version makes sure that it is still that.
    Replace(Box<Lease>),
    /// Nothing before this moment.
    Rest(Instant),
}

/// The Lease as we know it.
#[derive(Debug)]
enum Seen {
    Nothing,
    Absent,
    Lease(Box<Lease>),
}

/// One candidate.
#[derive(Debug)]
pub(super) struct Election {
    identity: String,
    address: Option<SocketAddr>,
    times: Times,
    /// As it is while there is none.
    new: Lease,
    seen: Seen,
    /// When we first saw the Lease say what it says.
    changed: Instant,
    /// Until when the last holder that was not us may hold, whatever became of the Lease.
    held_until: Option<Instant>,
    /// Whether `seen` is good enough to write on.
    current: bool,
    /// When there is something to do.
    at: Instant,
    /// When the request was sent that renewed our Lease last; `None`: we do not lead.
    renewed: Option<Instant>,
}

impl Election {
    pub(super) fn new(
        name: (&str, &str),
        identity: String,
        address: Option<SocketAddr>,
        times: Times,
        now: Instant,
    ) -> Self {
        let mut new = Lease::default();
        new.metadata.namespace = Some(name.0.to_owned());
        new.metadata.name = Some(name.1.to_owned());
        Self {
            identity,
            address,
            times,
            new,
            seen: Seen::Nothing,
            changed: now,
            held_until: None,
            current: false,
            at: now,
            renewed: None,
        }
    }

    /// What to do at `now`; `wall` is what is written as the time.
    pub(super) fn next(&self, wall: Timestamp, now: Instant) -> Act {
        if now < self.at {
            return Act::Rest(self.at);
        }
        match &self.seen {
            _ if !self.current => Act::Read,
            Seen::Absent => Act::Create(Box::new(self.claim(self.new.clone(), wall))),
            Seen::Lease(lease) => Act::Replace(Box::new(self.claim(Lease::clone(lease), wall))),
            Seen::Nothing => Act::Read,
        }
    }

    /// The Lease was read: it is this, or there is none.
    pub(super) fn read(&mut self, lease: Option<Lease>, now: Instant) {
        self.see(lease, now);
        self.current = self.may_claim(now);
        self.at = if self.current { now } else { now + self.times.look };
    }

    /// Our Lease was written by a request that was sent at `sent`.
    pub(super) fn wrote(&mut self, lease: Lease, sent: Instant, now: Instant) {
        self.see(Some(lease), now);
        if !self.is_ours() {
            // An apiserver that answers something else than what was written.
            self.current = false;
            self.at = now + self.times.again;
            return;
        }
        self.renewed = Some(sent);
        self.current = true;
        self.at = sent + self.times.renew;
    }

    /// A request failed, or somebody else wrote in between.
    pub(super) fn failed(&mut self, now: Instant) {
        self.current = false;
        self.at = now + self.times.again;
    }

    /// Time has passed: a leader that was not renewed leads no more.
    pub(super) fn tick(&mut self, now: Instant) {
        self.renewed = self.renewed.filter(|renewed| now < *renewed + self.times.deadline);
    }

    /// Until when calls may start; `None` where we do not lead.
    pub(super) fn permit(&self) -> Option<Instant> {
        self.renewed.map(|renewed| renewed + self.times.deadline)
    }

    /// Until when a request that is sent at `now` may take.
    pub(super) fn request_until(&self, now: Instant) -> Instant {
        let until = now + self.times.request;
        self.permit().map_or(until, |permit| until.min(permit))
    }

    /// Steps down; no request may be under way.
    pub(super) fn resign(&mut self) {
        self.renewed = None;
    }

    /// `lease` given up, if we hold it: nobody has to wait for its end. As client-go writes it.
    pub(super) fn released(&self, mut lease: Lease, wall: Timestamp) -> Option<Lease> {
        if holder(&lease) != Some(&self.identity) {
            return None;
        }
        let spec = lease.spec.get_or_insert_default();
        spec.holder_identity = None;
        spec.lease_duration_seconds = Some(1);
        spec.acquire_time = Some(MicroTime(wall));
        spec.renew_time = Some(MicroTime(wall));
        if let Some(annotations) = &mut lease.metadata.annotations {
            annotations.remove(ADDRESS);
        }
        Some(lease)
    }

    /// What readers are told of the Lease.
    pub(super) fn view(&self) -> Option<LeaseView> {
        let Seen::Lease(lease) = &self.seen else { return None };
        let spec = lease.spec.as_ref();
        let time = |time: fn(&LeaseSpec) -> Option<&MicroTime>| Some(spec.and_then(time)?.0);
        let address = lease.metadata.annotations.as_ref().and_then(|all| all.get(ADDRESS));
        let (namespace, name) = (&self.new.metadata.namespace, &self.new.metadata.name);
        Some(LeaseView {
            name: [namespace, name].map(|it| it.as_deref().unwrap_or_default()).join("/"),
            holder: holder(lease).unwrap_or_default().to_owned(),
            address: address.and_then(|address| address.parse().ok()),
            acquired: time(|spec| spec.acquire_time.as_ref()),
            renewed: time(|spec| spec.renew_time.as_ref()),
            transitions: spec.and_then(|spec| spec.lease_transitions).unwrap_or_default(),
        })
    }

    fn see(&mut self, lease: Option<Lease>, now: Instant) {
        let before = match &self.seen {
            Seen::Lease(lease) => lease.spec.as_ref(),
            Seen::Nothing | Seen::Absent => None,
        };
        let Some(lease) = lease else {
            self.seen = Seen::Absent;
            return;
        };
        if before.is_none() || before != lease.spec.as_ref() {
            self.changed = now;
        }
        match holder(&lease) {
            Some(holder) if *holder != *self.identity => {
                self.held_until = Some(self.changed + validity(&lease, self.times.lease));
                self.renewed = None;
            }
            Some(_) => self.held_until = None,
            // Released: by somebody else, or by hand while we led.
            None => (self.held_until, self.renewed) = (None, None),
        }
        self.seen = Seen::Lease(Box::new(lease));
    }

    fn is_ours(&self) -> bool {
        matches!(&self.seen, Seen::Lease(lease) if holder(lease) == Some(&self.identity))
    }

    /// Whether nobody else can hold the Lease. One that was deleted still counts: its holder may not
    /// know yet.
    fn may_claim(&self, now: Instant) -> bool {
        self.held_until.is_none_or(|until| until <= now)
    }

    fn claim(&self, mut lease: Lease, wall: Timestamp) -> Lease {
        let is_new = lease.spec.is_none() && lease.metadata.resource_version.is_none();
        let is_ours = holder(&lease) == Some(&self.identity);
        let spec = lease.spec.get_or_insert_default();
        if !is_ours {
            let before = spec.lease_transitions.unwrap_or_default();
            spec.lease_transitions = Some(if is_new { 0 } else { before.saturating_add(1) });
            spec.acquire_time = Some(MicroTime(wall));
            spec.holder_identity = Some(self.identity.clone());
        }
        spec.renew_time = Some(MicroTime(wall));
        spec.lease_duration_seconds = Some(whole_seconds(self.times.lease));
        let annotations = lease.metadata.annotations.get_or_insert_default();
        match self.address {
            Some(address) => annotations.insert(ADDRESS.to_owned(), address.to_string()),
            None => annotations.remove(ADDRESS),
        };
        lease
    }
}

/// Who holds the Lease; `None` after a release.
fn holder(lease: &Lease) -> Option<&str> {
    lease.spec.as_ref()?.holder_identity.as_deref().filter(|holder| !holder.is_empty())
}

/// How long a Lease is valid: as it says, or as ours where it does not say.
fn validity(lease: &Lease, ours: Duration) -> Duration {
    let seconds = lease.spec.as_ref().and_then(|spec| spec.lease_duration_seconds);
    match seconds.and_then(|seconds| u64::try_from(seconds).ok()) {
        Some(seconds) if 0 < seconds => Duration::from_secs(seconds),
        _ => ours,
    }
}

/// Rounded up: the Lease must not end before we think so.
fn whole_seconds(duration: Duration) -> i32 {
    let up = duration.as_secs() + u64::from(0 < duration.subsec_nanos());
    i32::try_from(up).unwrap_or(i32::MAX).max(1)
}

#[cfg(test)]
mod tests;
