//! The part between `{` and `}`: which sources of a metric take part.

mod required;

use std::fmt;

use crate::tags::{Tags, normalise_pattern};

/// A scope in one of Datadog's two notations, which must not be mixed
/// (docs, "Advanced Filtering").
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// `a:b,!c:d`: all of them hold. At least one item; `*` alone stands for every source.
    List(Vec<Item>),
    /// AND, OR, NOT, IN and parentheses.
    Boolean(Expr),
}

/// One entry of a comma list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// True when written with a leading `!`.
    pub negated: bool,
    /// What is looked for.
    pub pattern: Pattern,
}

/// A boolean scope. `NOT` binds tighter than `AND`, `AND` tighter than `OR`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expr {
    /// A single tag.
    Tag(Pattern),
    /// `key IN (a,b)` or `key NOT IN (a,b)`.
    In {
        /// Tag key, lower case.
        key: String,
        /// Accepted values, lower case, at least one, no wildcards.
        values: Vec<String>,
        /// True for `NOT IN`.
        negated: bool,
    },
    /// Negation.
    Not(Box<Expr>),
    /// All hold; at least two.
    And(Vec<Expr>),
    /// One holds; at least two.
    Or(Vec<Expr>),
}

/// A lower-case tag in which `*` stands for any run of characters.
///
/// `*` alone also matches a source without tags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(String);

// === impl Scope ===

impl Scope {
    /// The scope `{*}`.
    pub fn everything() -> Self {
        Self::List(vec![Item { negated: false, pattern: Pattern::new("*") }])
    }

    /// True when a source with these tags takes part.
    pub fn matches(&self, tags: &Tags) -> bool {
        match self {
            Self::List(items) => {
                items.iter().all(|item| item.pattern.matches(tags) != item.negated)
            }
            Self::Boolean(expr) => expr.matches(tags),
        }
    }

    /// The text of this scope narrowed to `tags`, in the notation of the scope itself, so that
    /// it is a valid scope again. `{*}` gives way to the tags.
    pub fn with_tags(&self, tags: &[String]) -> String {
        if tags.is_empty() {
            return self.to_string();
        }
        match self {
            Self::List(items) => {
                let items = items.iter().filter(|item| !item.is_everything());
                let items = items.map(ToString::to_string);
                items.chain(tags.iter().cloned()).collect::<Vec<_>>().join(",")
            }
            Self::Boolean(expr) => {
                let own = expr.inside(matches!(expr, Expr::Or(_)));
                format!("{own} AND {}", tags.join(" AND "))
            }
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    write!(f, "{}{item}", if index == 0 { "" } else { "," })?;
                }
                Ok(())
            }
            Self::Boolean(expr) => expr.fmt(f),
        }
    }
}

// === impl Item ===

impl Item {
    fn is_everything(&self) -> bool {
        !self.negated && self.pattern.0 == "*"
    }
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.negated { "!" } else { "" }, self.pattern.0)
    }
}

// === impl Expr ===

impl Expr {
    fn matches(&self, tags: &Tags) -> bool {
        match self {
            Self::Tag(pattern) => pattern.matches(tags),
            Self::In { key, values, negated } => {
                tags.values_of(key).any(|it| values.iter().any(|value| value == it)) != *negated
            }
            Self::Not(inner) => !inner.matches(tags),
            Self::And(all) => all.iter().all(|it| it.matches(tags)),
            Self::Or(any) => any.iter().any(|it| it.matches(tags)),
        }
    }

    /// The text of this expression, in parentheses when `wrap` says that it needs them.
    fn inside(&self, wrap: bool) -> String {
        if wrap { format!("({self})") } else { self.to_string() }
    }

    fn joins(&self) -> bool {
        matches!(self, Self::And(_) | Self::Or(_))
    }
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(pattern) => f.write_str(&pattern.0),
            Self::In { key, values, negated } => {
                let not = if *negated { "NOT " } else { "" };
                write!(f, "{key} {not}IN ({})", values.join(","))
            }
            Self::Not(inner) => write!(f, "NOT {}", inner.inside(inner.joins())),
            Self::And(all) => {
                let all: Vec<_> = all.iter().map(|it| it.inside(it.joins())).collect();
                f.write_str(&all.join(" AND "))
            }
            Self::Or(any) => {
                let wrap = |it: &Expr| matches!(it, Self::Or(_));
                let any: Vec<_> = any.iter().map(|it| it.inside(wrap(it))).collect();
                f.write_str(&any.join(" OR "))
            }
        }
    }
}

// === impl Pattern ===

impl Pattern {
    /// Lower-cases `text`, as Datadog does with tags.
    pub fn new(text: &str) -> Self {
        Self(normalise_pattern(text))
    }

    fn matches(&self, tags: &Tags) -> bool {
        self.0 == "*" || tags.iter().any(|tag| glob(self.0.as_bytes(), tag.as_bytes()))
    }
}

/// Whether `text` has the form of `pattern`, `*` standing for any run of bytes.
///
/// Only the last `*` met needs to be tried again on a mismatch, so this takes at most
/// `pattern × text` steps.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                retry = Some((p, t));
                p += 1;
            }
            Some(byte) if *byte == text[t] => {
                p += 1;
                t += 1;
            }
            _ => {
                let Some((star, from)) = retry else { return false };
                retry = Some((star, from + 1));
                p = star + 1;
                t = from + 1;
            }
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expr::parse::parse_queries;

    /// Which of four web servers a scope picks.
    #[track_caller]
    fn check(scope: &str, expected: &[&str]) {
        let servers = [
            ("prod-eu", vec!["env:prod", "region:eu", "name:web-1", "canary"]),
            ("prod-us", vec!["env:prod", "region:us", "name:web-2"]),
            ("test-eu", vec!["env:test", "region:eu", "name:db-1"]),
            ("bare", vec![]),
        ];
        let queries = parse_queries(&format!("avg:m{{{scope}}}")).unwrap();
        let picked: Vec<_> = servers
            .iter()
            .filter(|(_, tags)| queries[0].queries()[0].scope.matches(&Tags::normalise(tags)))
            .map(|(name, _)| *name)
            .collect();
        assert_eq!(picked, expected, "{scope}");
    }

    #[test]
    fn a_list_picks_what_has_all_of_it() {
        check("*", &["prod-eu", "prod-us", "test-eu", "bare"]);
        check("env:prod", &["prod-eu", "prod-us"]);
        check("ENV:Prod", &["prod-eu", "prod-us"]);
        check("env:prod,region:eu", &["prod-eu"]);
        check("env:prod,!region:eu", &["prod-us"]);
        check("!env:prod", &["test-eu", "bare"]);
        check("env:prod,env:test", &[]);
        check("canary", &["prod-eu"]);
        check("env", &[]);
        check("*,!env:prod", &["test-eu", "bare"]);
    }

    #[test]
    fn wildcards_stand_for_any_part_of_a_value() {
        check("env:*", &["prod-eu", "prod-us", "test-eu"]);
        check("!env:*", &["bare"]);
        check("name:web-*", &["prod-eu", "prod-us"]);
        check("name:*-1", &["prod-eu", "test-eu"]);
        check("name:*e*-*1*", &["prod-eu"]);
        check("name:web", &[]);
    }

    #[test]
    fn booleans_bind_not_before_and_before_or() {
        check("env:prod AND region:eu", &["prod-eu"]);
        check("env:prod OR region:eu", &["prod-eu", "prod-us", "test-eu"]);
        check("NOT env:prod AND region:eu", &["test-eu"]);
        check("NOT (env:prod AND region:eu)", &["prod-us", "test-eu", "bare"]);
        check("env:test OR env:prod AND region:us", &["prod-us", "test-eu"]);
        check("(env:test OR env:prod) and region:eu", &["prod-eu", "test-eu"]);
        check("region IN (eu, us)", &["prod-eu", "prod-us", "test-eu"]);
        check("region not in (EU)", &["prod-us", "bare"]);
        check("env:prod AND NOT region IN (us)", &["prod-eu"]);
    }

    #[test]
    fn a_group_narrows_the_scope_in_its_own_notation() {
        let narrowed = |scope: &str| {
            let queries = parse_queries(&format!("avg:m{{{scope}}} by {{host}}")).unwrap();
            queries[0].queries()[0].scope.with_tags(&["host:a".to_owned()])
        };
        assert_eq!(narrowed("*"), "host:a");
        assert_eq!(narrowed("env:prod,!canary"), "env:prod,!canary,host:a");
        assert_eq!(narrowed("a:b OR c:d"), "(a:b OR c:d) AND host:a");
        assert_eq!(narrowed("a:b AND c:d"), "a:b AND c:d AND host:a");
    }

    #[test]
    fn a_hostile_wildcard_is_not_slow() {
        let tags = Tags::normalise([format!("k:{}", "a".repeat(190))]);
        let pattern = Pattern::new(&format!("k:{}b", "a*".repeat(90)));
        assert!(!pattern.matches(&tags));
    }
}
