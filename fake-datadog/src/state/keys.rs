//! The keys of a running fake. A scenario that has none leaves those in force as they are, so that
//! the scenario as it is shown, without its keys, can be given back.

use std::sync::{Arc, PoisonError, RwLock};

use crate::{
    control::Key,
    keys::Keys,
    scenario::{InvalidScenario, Scenario},
    state::Shared,
};

/// The keys in force, with a lock of its own.
#[derive(Debug)]
pub(super) struct Account {
    /// True for keys that no scenario can replace.
    is_fixed: bool,
    keys: RwLock<Arc<Keys>>,
}

impl Account {
    /// These keys whatever scenarios say; without any, the usual ones until a scenario has some.
    pub(super) fn new(keys: Option<Keys>) -> Self {
        let is_fixed = keys.is_some();
        Self { is_fixed, keys: RwLock::new(Arc::new(keys.unwrap_or_default())) }
    }

    pub(super) fn keys(&self) -> Arc<Keys> {
        // Only ever replaced as a whole.
        Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Has the keys of a scenario in force, if it has some and may.
    pub(super) fn adopt(&self, keys: &[Key]) {
        if !self.is_fixed && !keys.is_empty() {
            let keys = Arc::new(keys.iter().cloned().collect());
            *self.keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
        }
    }
}

impl Shared {
    pub(crate) fn keys(&self) -> Arc<Keys> {
        self.0.account.keys()
    }
}

/// Checks the keys of a scenario that was made in code.
pub(super) fn validate(scenario: &Scenario) -> Result<(), InvalidScenario> {
    scenario.keys.iter().enumerate().try_for_each(|(index, key)| {
        let checked = key.validate(&scenario.keys[..index]);
        checked.map_err(|source| InvalidScenario::Key { index, source })
    })
}
