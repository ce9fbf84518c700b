//! Which queries share a request; pure.

/// What one request may carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Queries in one request, at least one.
    pub queries: usize,
    /// Characters of the URL-escaped queries, each counted with 16 more; keeps the URL
    /// below the length at which Datadog answers 414.
    pub characters: usize,
}

impl Limits {
    /// Datadog's own limits (`pkg/util/kubernetes/autoscalers/datadogexternal.go`).
    pub const DATADOG: Self = Self { queries: 35, characters: 7000 };
}

/// What each query is counted with besides its own text, as Datadog's agent does.
pub(super) const SEPARATOR: usize = 16;

/// Splits `items`, each with the text of a query, into requests, in their order. A query that alone
/// is over the limit goes alone: Datadog's answer to it says more than we could.
pub fn split<T>(
    items: impl IntoIterator<Item = T>,
    text: impl Fn(&T) -> &str,
    limits: Limits,
) -> Vec<Vec<T>> {
    let mut batches: Vec<Vec<T>> = Vec::new();
    let mut room = 0;
    for item in items {
        let length = escaped_length(text(&item)) + SEPARATOR;
        match batches.last_mut() {
            Some(batch) if batch.len() < limits.queries && length <= room => {
                room -= length;
                batch.push(item);
            }
            _ => {
                room = limits.characters.saturating_sub(length);
                batches.push(vec![item]);
            }
        }
    }
    batches
}

/// The length of `text` in a URL's query string (`application/x-www-form-urlencoded`).
pub(super) fn escaped_length(text: &str) -> usize {
    url::form_urlencoded::byte_serialize(text.as_bytes()).map(str::len).sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::query::Query;

    fn split(queries: impl IntoIterator<Item = Query>, limits: Limits) -> Vec<Vec<Query>> {
        super::split(queries, Query::as_str, limits)
    }

    fn queries(count: usize, length: usize) -> Vec<Query> {
        (0..count).map(|n| Query::new(format!("{n:0length$}"))).collect()
    }

    // The counts of Datadog's Cluster Agent's own tests (facts/datadog.md §7.1, "Batching").
    #[test]
    fn batches_fill_up_to_the_number_of_queries() {
        assert_eq!(split(queries(15, 10), Limits::DATADOG).len(), 1);
        assert_eq!(split(queries(159, 10), Limits::DATADOG).len(), 5);
        assert!(split([], Limits::DATADOG).is_empty());
    }

    #[test]
    fn long_queries_fill_a_batch_by_their_length() {
        assert_eq!(split(queries(21, 4000), Limits::DATADOG).len(), 21);
        assert_eq!(split(queries(4, 3000), Limits::DATADOG).len(), 2);
    }

    #[test]
    fn a_query_over_the_limit_goes_alone_and_takes_nobody_with_it() {
        let mut all = queries(3, 10);
        all.insert(1, Query::new("x".repeat(8000)));
        let sizes: Vec<_> = split(all, Limits::DATADOG).iter().map(Vec::len).collect();
        assert_eq!(sizes, [1, 1, 2]);
    }

    proptest! {
        #[test]
        fn property_test_nothing_is_lost_and_no_limit_is_passed(
            lengths in prop::collection::vec(0usize..9000, 0..80)
        ) {
            let all: Vec<_> = lengths.iter().map(|length| Query::new("é".repeat(length / 6))).collect();
            let batches = split(all.clone(), Limits::DATADOG);
            for batch in &batches {
                let characters: usize =
                    batch.iter().map(|query| escaped_length(query.as_str()) + SEPARATOR).sum();
                prop_assert!(batch.len() <= 35 && (characters <= 7000 || batch.len() == 1));
            }
            prop_assert_eq!(batches.concat(), all);
        }
    }
}
