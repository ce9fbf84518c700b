//! Tags and metric names in the one form in which Datadog stores them.

use std::{collections::BTreeSet, sync::Arc};

/// Longest tag or metric name that Datadog keeps; the rest is cut off
/// (Datadog docs, "Define Tags" and "Custom metrics naming").
const MAX_CHARS: usize = 200;

/// The tags of one series: normalised, sorted, without doubles.
///
/// Cheap to clone, because every answer carries the tags of its sources.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tags(Arc<[String]>);

impl Tags {
    /// Normalises each of `tags` as Datadog does on intake; blank ones vanish.
    pub fn normalise<I>(tags: I) -> Self
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        let tags: BTreeSet<String> = tags
            .into_iter()
            .map(|tag| normalise_tag(tag.as_ref()))
            .filter(|tag| !tag.is_empty())
            .collect();
        Self(tags.into_iter().collect())
    }

    /// The tags, `key:value` or a bare word, in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Every value that the tag `key` has here; several are possible.
    pub fn values_of<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.iter().filter_map(move |tag| {
            let (k, value) = tag.split_once(':')?;
            (k == key).then_some(value)
        })
    }
}

/// True for a character that Datadog leaves as it is in a tag:
/// letters, digits, `_`, `-`, `:`, `.` and `/` (docs, "Define Tags").
pub(crate) fn is_tag_char(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-' | ':' | '.' | '/')
}

/// True for a character that a metric name may hold: ASCII letters and digits, `_` and `.`.
pub(crate) fn is_metric_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '.')
}

/// Lower-cases a tag and turns what Datadog does not allow into `_`.
fn normalise_tag(tag: &str) -> String {
    let lower = tag.trim().to_lowercase();
    let tag: String = lower.chars().map(replace_foreign).take(MAX_CHARS).collect();
    tag.trim_end_matches(':').to_owned()
}

/// Lower-cases a part of a query that is compared with normalised tags.
pub(crate) fn normalise_pattern(text: &str) -> String {
    let keep = |c| if c == '*' { c } else { replace_foreign(c) };
    text.to_lowercase().chars().map(keep).collect()
}

fn replace_foreign(c: char) -> char {
    if is_tag_char(c) { c } else { '_' }
}

/// The name under which Datadog stores a metric: case kept, foreign characters as `_`.
///
/// `None` when it does not begin with a letter, which Datadog refuses
/// (docs, "Custom metrics naming").
pub(crate) fn normalise_metric(name: &str) -> Option<String> {
    let name = name.trim();
    name.starts_with(|c: char| c.is_ascii_alphabetic()).then(|| {
        name.chars().map(|c| if is_metric_char(c) { c } else { '_' }).take(MAX_CHARS).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_lower_cased_sorted_and_unique() {
        let tags = Tags::normalise(["Pod:Web-1", "env:prod", "ENV:prod", " ", "a b:c!"]);
        assert_eq!(tags.iter().collect::<Vec<_>>(), ["a_b:c_", "env:prod", "pod:web-1"]);
    }

    #[test]
    fn a_key_can_have_several_values() {
        let tags = Tags::normalise(["role:db", "role:web", "roles:x", "role"]);
        assert_eq!(tags.values_of("role").collect::<Vec<_>>(), ["db", "web"]);
    }

    #[test]
    fn metric_names_keep_their_case_and_must_begin_with_a_letter() {
        assert_eq!(normalise_metric("Jobs.in-flight").as_deref(), Some("Jobs.in_flight"));
        assert_eq!(normalise_metric("1up"), None);
        assert_eq!(normalise_metric(""), None);
    }
}
