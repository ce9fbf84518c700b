//! What fails keeps failing: a line in the log when it begins, not one for each attempt.

use std::sync::Arc;

/// What was said last.
#[derive(Debug, Default)]
pub(crate) struct Said(Option<Arc<str>>);

impl Said {
    /// Calls `say`, unless `what` is what was said last.
    pub(crate) fn once(&mut self, what: &str, say: impl FnOnce()) {
        if self.0.as_deref() != Some(what) {
            self.0 = Some(what.into());
            say();
        }
    }

    /// It is over, so that it will be news again; tells whether anything had been said.
    pub(crate) fn clear(&mut self) -> bool {
        self.0.take().is_some()
    }
}
