//! Other values for the points of an answer, in its text: `NaN` has no place in a JSON value.

use std::ops::Range;

use crate::control::Which;

/// The keys that points stand under: pairs of time and value in v1, values alone in v2.
const PAIRS: &[u8] = b"pointlist";
const VALUES: &[u8] = b"values";

/// The JSON text `body` with the values of some points of each series replaced by `value`.
///
/// `body` is an answer of this crate, so it is compact and well-formed; what is not is left as it
/// is.
pub(crate) fn replace_values(body: &[u8], which: Which, value: &str) -> Vec<u8> {
    let mut replaced = Vec::with_capacity(body.len());
    let mut copied = 0;
    for series in find_series(body) {
        for (index, place) in series.iter().enumerate() {
            if which.takes(index, series.len()) {
                replaced.extend_from_slice(&body[copied..place.start]);
                replaced.extend_from_slice(value.as_bytes());
                copied = place.end;
            }
        }
    }
    replaced.extend_from_slice(&body[copied..]);
    replaced
}

impl Which {
    /// Whether it takes the point at `index` of a series with `length` points.
    fn takes(self, index: usize, length: usize) -> bool {
        let count = |count: u32| usize::try_from(count).unwrap_or(usize::MAX);
        match self {
            Self::All => true,
            Self::Last(last) => length.saturating_sub(count(last)) <= index,
            Self::Every(nth) => (index + 1).is_multiple_of(count(nth)),
        }
    }
}

/// Where the values of each series stand.
fn find_series(body: &[u8]) -> Vec<Vec<Range<usize>>> {
    let mut all = Vec::new();
    let mut at = 0;
    while let Some(byte) = body.get(at) {
        if *byte != b'"' {
            at += 1;
            continue;
        }
        let text = string_at(body, at);
        at = text.end;
        let key = &body[text.start + 1..text.end.saturating_sub(1).max(text.start + 1)];
        if (key == PAIRS || key == VALUES) && body[at..].starts_with(b":[") {
            let (lists, end) = leaves(body, at + 1);
            if key == PAIRS {
                // Each pair is a list; its second leaf is the value.
                all.push(lists.into_iter().filter_map(|pair| pair.into_iter().nth(1)).collect());
            } else {
                all.extend(lists);
            }
            at = end;
        }
    }
    all
}

/// The numbers and nulls of the array at `start`, by the innermost list that they stand in, and
/// where the array ends.
fn leaves(body: &[u8], start: usize) -> (Vec<Vec<Range<usize>>>, usize) {
    let (mut lists, mut list) = (Vec::new(), Vec::new());
    let (mut at, mut depth) = (start, 0_usize);
    while let Some(byte) = body.get(at) {
        match byte {
            b'[' => depth += 1,
            b']' => {
                depth = depth.saturating_sub(1);
                if !list.is_empty() {
                    lists.push(std::mem::take(&mut list));
                }
                if depth == 0 {
                    return (lists, at + 1);
                }
            }
            b'"' => {
                at = string_at(body, at).end;
                continue;
            }
            b',' => {}
            _ => {
                let rest = &body[at..];
                let length = rest.iter().position(|it| matches!(it, b',' | b']'));
                let end = at + length.unwrap_or(rest.len());
                list.push(at..end);
                at = end;
                continue;
            }
        }
        at += 1;
    }
    (lists, at)
}

/// The string that begins at `start`, with its quotes.
fn string_at(body: &[u8], start: usize) -> Range<usize> {
    let mut at = start + 1;
    while let Some(byte) = body.get(at) {
        match byte {
            b'\\' => at += 2,
            b'"' => return start..at + 1,
            _ => at += 1,
        }
    }
    start..body.len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(body: &str, which: Which, expected: &str) {
        let replaced = replace_values(body.as_bytes(), which, "NaN");
        assert_eq!(String::from_utf8(replaced).unwrap(), expected);
    }

    #[test]
    fn points_of_the_old_form_are_pairs() {
        let body = r#"{"series":[{"metric":"\"pointlist\":[","pointlist":[[1000,2.5],[2000,null],[3000,4]],"unit":null},{"pointlist":[[1000,1.0]]}],"times":[],"values":[]}"#;
        check(
            body,
            Which::Last(2),
            r#"{"series":[{"metric":"\"pointlist\":[","pointlist":[[1000,2.5],[2000,NaN],[3000,NaN]],"unit":null},{"pointlist":[[1000,NaN]]}],"times":[],"values":[]}"#,
        );
        check(
            body,
            Which::Every(3),
            r#"{"series":[{"metric":"\"pointlist\":[","pointlist":[[1000,2.5],[2000,null],[3000,NaN]],"unit":null},{"pointlist":[[1000,1.0]]}],"times":[],"values":[]}"#,
        );
    }

    #[test]
    fn points_of_the_new_form_are_values_alone() {
        check(
            r#"{"times":[1000,2000],"values":[[1,null],[3,4]]}"#,
            Which::All,
            r#"{"times":[1000,2000],"values":[[NaN,NaN],[NaN,NaN]]}"#,
        );
        check(
            r#"{"columns":[{"name":"pod","values":[["a"],["b]"]]},{"values":[1.5,2]}]}"#,
            Which::Last(1),
            r#"{"columns":[{"name":"pod","values":[["a"],["b]"]]},{"values":[1.5,NaN]}]}"#,
        );
    }

    proptest! {
        #[test]
        fn property_test_any_text_is_taken(body in r#"[\[\]{}",:\\a0]{0,40}"#) {
            let body = format!(r#"{{"values":[{body}"#);
            replace_values(body.as_bytes(), Which::All, "null");
        }
    }
}
