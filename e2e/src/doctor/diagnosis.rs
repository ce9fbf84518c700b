//! The diagnosis: lines in groups, and a verdict for each backend.

use crate::doctor::{building, existing, facts::Facts, kind, local, ready};

/// What was found.
#[derive(Debug)]
pub(crate) struct Diagnosis {
    pub(crate) groups: Vec<Group>,
    pub(crate) verdicts: Vec<(&'static str, Verdict)>,
    /// The backend that `--cluster auto` takes.
    pub(crate) auto: Option<&'static str>,
}

/// Lines about one backend.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) lines: Vec<Line>,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) what: String,
    pub(crate) found: String,
    pub(crate) mark: Mark,
}

/// How good that is; what is not good comes with a remedy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Mark {
    Ok,
    /// It will work, or may; here is how it would be better.
    Warn(String),
    /// It will not work before this is done.
    Fail(String),
}

/// What becomes of a backend here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It will work; with what it does first, if anything.
    Works(Option<String>),
    /// It will not: why, and what to do.
    Fails(String),
    /// It depends on something that is not tried here.
    Depends(String),
}

// === impl Diagnosis ===

impl Diagnosis {
    pub(crate) fn of(facts: &Facts) -> Self {
        let kind = match ready::decide(&facts.kind) {
            Ok(ready) => Verdict::Works(ready.first()),
            Err(why_not) => Verdict::Fails(why_not),
        };
        let local = local::verdict(facts);
        // kind first: a run in pods is nearer to production.
        let auto = [("kind", &kind), ("local", &local)];
        let auto = auto.into_iter().find(|(_, verdict)| verdict.works()).map(|(name, _)| name);
        Self {
            groups: vec![
                local::group(facts),
                kind::group(facts),
                existing::group(&facts.existing),
                building::group(&facts.building),
            ],
            auto,
            verdicts: vec![
                ("local", local),
                ("kind", kind),
                ("existing", existing::verdict(&facts.existing)),
            ],
        }
    }

    pub(crate) fn something_works(&self) -> bool {
        self.verdicts.iter().any(|(_, verdict)| verdict.works())
    }
}

// === impl Line ===

impl Line {
    pub(crate) fn ok(what: impl Into<String>, found: impl Into<String>) -> Self {
        Self { what: what.into(), found: found.into(), mark: Mark::Ok }
    }

    pub(crate) fn warn(
        what: impl Into<String>,
        found: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self { what: what.into(), found: found.into(), mark: Mark::Warn(remedy.into()) }
    }

    pub(crate) fn fail(
        what: impl Into<String>,
        found: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self { what: what.into(), found: found.into(), mark: Mark::Fail(remedy.into()) }
    }
}

// === impl Mark ===

impl Mark {
    /// As in JSON.
    pub(crate) fn as_str(&self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn(_) => "warn",
            Self::Fail(_) => "fail",
        }
    }

    pub(crate) fn remedy(&self) -> Option<&str> {
        match self {
            Self::Ok => None,
            Self::Warn(remedy) | Self::Fail(remedy) => Some(remedy),
        }
    }
}

// === impl Verdict ===

impl Verdict {
    pub(crate) fn works(&self) -> bool {
        matches!(self, Self::Works(_))
    }
}
