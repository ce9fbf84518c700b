//! What to do next with CA and leaf: a function of what the Secret holds, what the APIService says,
//! and the time.
//!
//! A client that trusts the bundle of the APIService must accept every leaf that any replica may
//! serve, at any moment of a change. So the new CA is published first, signs only after the margin, and the old
//! one stays in the bundle until the last leaf that it signed has ended.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::serve::ca::{
    make,
    state::{Next, Previous, State},
    view::View,
};

/// How long things live. Leaf and CA are replaced when two thirds of their lives are over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lifetimes {
    /// A serving certificate.
    pub leaf: Duration,
    /// A CA.
    pub ca: Duration,
    /// From the moment in which the next CA is in the APIService until it signs: the time that
    /// every kube-apiserver surely takes to see it.
    pub margin: Duration,
}

/// One change, stored before the next is decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// There is nothing to do before this moment.
    Keep(Timestamp),
    /// A new CA and a leaf of it: there is none, or it has ended.
    Begin,
    /// A new leaf.
    NewLeaf,
    /// A new CA beside the old one, to be published.
    PrepareCa,
    /// The next CA is in the APIService as of now, or is no longer.
    Published(bool),
    /// The next CA signs, beginning with a new leaf.
    SwitchCa,
    /// What the old CA signed has ended.
    DropPrevious,
}

/// What to do next.
pub fn plan(
    state: Option<&State>,
    view: &View,
    names: &[String],
    lifetimes: &Lifetimes,
    now: Timestamp,
) -> Step {
    let Some(state) = state else { return Step::Begin };
    let ca_end = state.ca.certificate.not_after;
    let next = state.next.as_ref().filter(|next| now < next.authority.certificate.not_after);
    if ca_end <= now {
        return if next.is_some() { Step::SwitchCa } else { Step::Begin };
    }
    let mut due = Due { now, next: ca_end };
    if state.previous.as_ref().is_some_and(|previous| due.is(previous.until)) {
        return Step::DropPrevious;
    }
    match next {
        Some(next) => {
            let trusted = view.trusts(&next.authority.certificate);
            match (next.published, trusted) {
                (None, Some(true)) => return Step::Published(true),
                (Some(_), Some(false)) => return Step::Published(false),
                (Some(since), Some(true)) if due.is(after(since, lifetimes.margin)) => {
                    return Step::SwitchCa;
                }
                _ => {}
            }
        }
        None if state.previous.is_none() && due.is(before(ca_end, lifetimes.ca / 3)) => {
            return Step::PrepareCa;
        }
        None => {}
    }
    let Some(leaf) = &state.leaf else { return Step::NewLeaf };
    let end = leaf.certificate.not_after;
    // A leaf that ends with its CA cannot be made to live longer.
    let ends = end < ca_end && due.is(before(end, lifetimes.leaf / 3));
    if ends || names.iter().any(|name| !leaf.names.contains(name)) {
        return Step::NewLeaf;
    }
    Step::Keep(due.next)
}

/// Collects the earliest of the moments that are still to come.
struct Due {
    now: Timestamp,
    next: Timestamp,
}

impl Due {
    fn is(&mut self, moment: Timestamp) -> bool {
        if moment <= self.now {
            return true;
        }
        self.next = self.next.min(moment);
        false
    }
}

fn after(moment: Timestamp, duration: Duration) -> Timestamp {
    let duration = SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX);
    moment.checked_add(duration).unwrap_or(Timestamp::MAX)
}

fn before(moment: Timestamp, duration: Duration) -> Timestamp {
    let duration = SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX);
    moment.checked_sub(duration).unwrap_or(Timestamp::MIN)
}

impl Step {
    /// `state` after this step; `None` where there is nothing to store.
    pub fn apply(
        self,
        state: Option<&State>,
        names: &[String],
        lifetimes: &Lifetimes,
        now: Timestamp,
    ) -> Result<Option<State>, make::Error> {
        let Some(old) = state.filter(|_| self != Self::Begin) else {
            let ca = make::authority(now, lifetimes.ca)?;
            let leaf = Some(make::leaf(&ca, names, now, lifetimes.leaf)?);
            return Ok(Some(State { ca, leaf, next: None, previous: None }));
        };
        let mut new = old.clone();
        match self {
            Self::Keep(_) => return Ok(None),
            Self::Begin => {}
            Self::NewLeaf => new.leaf = Some(make::leaf(&old.ca, names, now, lifetimes.leaf)?),
            Self::PrepareCa => {
                let authority = make::authority(now, lifetimes.ca)?;
                new.next = Some(Next { authority, published: None });
            }
            Self::Published(is) => {
                if let Some(next) = &mut new.next {
                    next.published = is.then_some(now);
                }
            }
            Self::SwitchCa => {
                let Some(next) = new.next.take() else { return Ok(None) };
                let last = old.leaf.as_ref().map_or(now, |leaf| leaf.certificate.not_after);
                new.previous =
                    Some(Previous { certificate: old.ca.certificate.clone(), until: last });
                new.leaf = Some(make::leaf(&next.authority, names, now, lifetimes.leaf)?);
                new.ca = next.authority;
            }
            Self::DropPrevious => new.previous = None,
        }
        Ok(Some(new))
    }
}

#[cfg(test)]
mod tests;
