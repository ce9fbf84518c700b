//! What an answer says it is.
//!
//! As in recorded answers: of `default_zero(sum:hits{code:2xx}.as_count())` the metric is
//! `default_zero(hits)`, the scope `code:2xx` and the aggregator `sum` (service level objectives'
//! history in the test recordings of `DataDog/datadog-api-client-go`). Of arithmetic none was
//! recorded; it is put together in the same way.

use crate::expr::{Aggregator, Expression, Query};

impl Expression {
    /// The metrics' names, with the functions and the arithmetic around them.
    pub(super) fn metric(&self) -> String {
        self.text(&|query| query.metric.clone())
    }

    /// The whole text for the one group that has `group_tags`.
    pub(super) fn for_group(&self, group_tags: &[String]) -> String {
        self.text(&|query| match query.own_tags(group_tags) {
            // Not grouped, or one series of all groups.
            own if own.is_empty() => query.to_string(),
            own => query.expression(&own),
        })
    }

    /// The scope of the group that has `group_tags`; those of several queries one after another.
    pub(super) fn scope(&self, group_tags: &[String]) -> String {
        let mut scopes: Vec<String> = Vec::new();
        for query in self.queries() {
            let scope = query.scope.with_tags(&query.own_tags(group_tags));
            if !scopes.contains(&scope) {
                scopes.push(scope);
            }
        }
        scopes.join(",")
    }

    /// How sources are combined, where all queries say the same.
    pub(super) fn aggregator(&self) -> Option<Aggregator> {
        let queries = self.queries();
        let (first, rest) = queries.split_first()?;
        first.aggregator.filter(|it| rest.iter().all(|other| other.aggregator == Some(*it)))
    }
}

impl Query {
    /// Those of a group's tags that this query is grouped by.
    fn own_tags(&self, group_tags: &[String]) -> Vec<String> {
        let has_key = |tag: &String, key: &String| {
            tag.strip_prefix(key.as_str()).is_some_and(|rest| rest.starts_with(':'))
        };
        let own =
            self.group_by.iter().filter_map(|key| group_tags.iter().find(|it| has_key(it, key)));
        own.cloned().collect()
    }
}
