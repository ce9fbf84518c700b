//! Counts of what was asked and of what needed no asking.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};

/// The counters of both kinds of review; a clone counts in the same ones.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    lookups: Family<Lookup, Counter>,
    reviews: Family<Review, Counter>,
}

/// Whose a token is.
pub(super) const TOKEN: &str = "token";
/// What somebody may do.
pub(super) const SUBJECT_ACCESS: &str = "subject_access";

/// How a question was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// From the cache.
    Hit,
    /// From the cache, past its time, because kube-apiserver does not answer.
    Held,
    /// By a review.
    Miss,
    /// Not at all: the review failed.
    Error,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Lookup {
    kind: &'static str,
    found: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Review {
    kind: &'static str,
    result: &'static str,
}

impl Metrics {
    /// Adds the counters to `registry`.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "review_cache_lookups",
            "Questions of who a client is and what it may do, by how they were answered",
            self.lookups.clone(),
        );
        registry.register(
            "reviews",
            "TokenReviews and SubjectAccessReviews that kube-apiserver was asked for",
            self.reviews.clone(),
        );
    }

    pub(super) fn found(&self, kind: &'static str, found: Found) {
        let found = match found {
            Found::Hit => "hit",
            Found::Held => "held",
            Found::Miss => "miss",
            Found::Error => "error",
        };
        self.lookups.get_or_create(&Lookup { kind, found }).inc();
    }

    pub(super) fn reviewed(&self, kind: &'static str, failed: bool) {
        let result = if failed { "error" } else { "success" };
        self.reviews.get_or_create(&Review { kind, result }).inc();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counters_have_names_and_labels() {
        let metrics = Metrics::default();
        metrics.found(SUBJECT_ACCESS, Found::Held);
        metrics.reviewed(TOKEN, true);
        let mut registry = Registry::default();
        metrics.register(&mut registry);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        let lines: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(
            lines,
            [
                r#"review_cache_lookups_total{kind="subject_access",found="held"} 1"#,
                r#"reviews_total{kind="token",result="error"} 1"#,
            ]
        );
    }
}
