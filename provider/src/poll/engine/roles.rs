//! The engine as leader and as follower: what it learns from others, and how it goes on from that.

use std::{collections::HashSet, time::Duration};

use jiff::Timestamp;
use tokio::time::Instant;

use super::{Call, Engine, HALVINGS};
use crate::{
    lead::Role,
    poll::plan::{Plan, batches},
    query::Ask,
    store::{Asking, known::News},
};

impl Engine {
    /// Becomes what `role` says.
    pub(in crate::poll) fn set_role(&mut self, role: &Role, wall: Timestamp, now: Instant) {
        match (self.leads, role) {
            (true, Role::Follower) => self.follow(),
            (false, Role::Leader) => self.lead(wall, now),
            _ => {}
        }
    }

    /// Takes in what somebody else knows.
    pub(in crate::poll) fn learn(&mut self, news: News, wall: Timestamp, now: Instant) {
        if let Some(asking) = news.asking {
            self.told = Some((asking, now));
        }
        self.state.learn(news.known, news.complete, self.leads, wall, now);
        if self.leads {
            // From before our time: what outlived the last leader.
            if self.gate.knows_nothing() {
                self.resume_gate(wall, now);
            }
            self.told = None;
            self.resume_asked(wall, now);
            self.plan_is_old = true;
        }
    }

    /// How the asking goes, as the leader told.
    pub(super) fn told(&self, now: Instant) -> Option<Asking> {
        let (asking, at) = self.told.as_ref().filter(|_| !self.leads)?;
        let mut asking = asking.clone();
        if let Some(budget) = &mut asking.budget {
            budget.reset = budget.reset.saturating_sub(now.duration_since(*at));
        }
        Some(asking)
    }

    /// Asks at once for what was never asked before.
    pub(super) fn ask_new(&mut self, wall: Timestamp, now: Instant) {
        self.resume_asked(wall, now);
        let new: HashSet<Ask> = self
            .state
            .never_answered()
            .filter(|ask| !self.asked.contains_key(ask))
            .cloned()
            .collect();
        // The plan takes them as asked now: that is what happens next.
        self.asked.extend(new.iter().map(|ask| (ask.clone(), now)));
        self.make_plan(wall, now);
        let shed: HashSet<&Ask> = self.plan.shed.iter().collect();
        let wants = self.state.wants(|ask| new.contains(ask) && !shed.contains(ask));
        for batch in batches(&wants, &self.settings, &self.apart(now)) {
            self.urgent.push_back(Call { window: batch.window, units: batch.units, batch: None });
        }
    }

    /// No new calls; those under way still say what they know.
    fn follow(&mut self) {
        self.leads = false;
        self.urgent.clear();
        self.told = None;
    }

    /// Goes on where the leader before stopped, as far as we were told.
    fn lead(&mut self, wall: Timestamp, now: Instant) {
        self.leads = true;
        self.halvings = HALVINGS;
        self.state.lead();
        self.asked.clear();
        self.refused.retain(|_| false);
        self.resume_asked(wall, now);
        self.resume_gate(wall, now);
        self.told = None;
        self.plan = Plan::sent(self.asked.values().max().copied());
        self.ask_new(wall, now);
    }

    /// What is known without our having asked counts as asked when its answer says.
    fn resume_asked(&mut self, wall: Timestamp, now: Instant) {
        for known in self.state.answered() {
            if self.asked.contains_key(known.ask) {
                continue;
            }
            // Before this machine started: long ago.
            let Some(at) = moment(known.at, wall, now) else { continue };
            self.asked.insert(known.ask.clone(), at);
            if let Some(refused_for) = known.refused_for {
                self.refused.resume(known.ask, refused_for, at);
            }
        }
    }

    fn resume_gate(&mut self, wall: Timestamp, now: Instant) {
        let Some((asking, told_at)) = &self.told else { return };
        let last = self.state.answered().map(|known| known.at).max();
        let last = last.and_then(|at| moment(at, wall, now)).unwrap_or(now);
        self.gate.resume(asking, *told_at, last);
    }
}

/// `at` on our monotonic clock; not after `now`, whatever the clock of who told it says.
fn moment(at: Timestamp, wall: Timestamp, now: Instant) -> Option<Instant> {
    now.checked_sub(Duration::try_from(wall.duration_since(at)).unwrap_or(Duration::ZERO))
}
