//! What an index of tags can look up instead of trying a scope on every source.

use std::borrow::Cow;

use crate::expr::scope::{Expr, Pattern, Scope};

/// Tags of which a source must have one.
type AnyOf<'a> = Vec<Cow<'a, str>>;

impl Scope {
    /// Conditions that every source in this scope meets: to have one of some tags. They need
    /// not be enough; a scope such as `{*}` or `{!env:prod}` has none.
    pub(crate) fn required_tags(&self) -> Vec<AnyOf<'_>> {
        match self {
            Self::List(items) => {
                let items = items.iter().filter(|item| !item.negated);
                items.filter_map(|item| item.pattern.exact()).map(|tag| vec![tag]).collect()
            }
            Self::Boolean(expr) => expr.required_tags(),
        }
    }
}

impl Expr {
    fn required_tags(&self) -> Vec<AnyOf<'_>> {
        match self {
            Self::Tag(pattern) => pattern.exact().map(|tag| vec![tag]).into_iter().collect(),
            Self::In { key, values, negated: false } => {
                vec![values.iter().map(|value| format!("{key}:{value}").into()).collect()]
            }
            Self::In { negated: true, .. } | Self::Not(_) => Vec::new(),
            Self::And(all) => all.iter().flat_map(Self::required_tags).collect(),
            // One of the first condition of each.
            Self::Or(any) => {
                let first = any.iter().map(|it| it.required_tags().into_iter().next());
                let first: Option<Vec<_>> = first.collect();
                first.map(|first| first.concat()).into_iter().collect()
            }
        }
    }
}

impl Pattern {
    fn exact(&self) -> Option<Cow<'_, str>> {
        (!self.0.contains('*')).then(|| self.0.as_str().into())
    }
}

#[cfg(test)]
mod tests {
    use crate::expr::parse::parse_queries;

    #[track_caller]
    fn check(scope: &str, expected: &[&[&str]]) {
        let queries = parse_queries(&format!("avg:m{{{scope}}}")).unwrap();
        assert_eq!(queries[0].queries()[0].scope.required_tags(), expected, "{scope}");
    }

    #[test]
    fn exact_tags_that_must_be_there_can_be_looked_up() {
        check("*", &[]);
        check("env:prod,!canary,host:web-*", &[&["env:prod"]]);
        check("env:prod,canary", &[&["env:prod"], &["canary"]]);
        check("env:prod AND host IN (a,b)", &[&["env:prod"], &["host:a", "host:b"]]);
        check("(env:prod AND a:b) OR env:test", &[&["env:prod", "env:test"]]);
        check("env:prod OR NOT env:test", &[]);
        check("NOT env:prod AND host NOT IN (a)", &[]);
    }
}
