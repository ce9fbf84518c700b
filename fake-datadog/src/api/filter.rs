//! Filters by tags, which are scopes without their braces.

use crate::expr::{parse::parse_queries, scope::Scope};

/// Parses the filter of a list of metrics; `None` when it is no scope.
pub(crate) fn parse_filter(text: &str) -> Option<Scope> {
    if text.contains(['{', '}']) {
        return None;
    }
    let queries = parse_queries(&format!("m{{{text}}}")).ok()?;
    queries[0].queries().first().map(|query| query.scope.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_a_scope_and_nothing_else() {
        let parsed = |text: &str| parse_filter(text).map(|scope| scope.to_string());
        assert_eq!(parsed("env:prod"), Some("env:prod".to_owned()));
        let boolean = "env IN (staging,test) AND service:web";
        assert_eq!(parsed(boolean), Some(boolean.to_owned()));
        assert_eq!(parsed("env:prod} by {host"), None);
        assert_eq!(parsed(""), None);
    }
}
