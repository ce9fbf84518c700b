//! Whether a text that a user wrote is one query; pure.
//!
//! Queries are sent several at once, joined by commas: a comma too many would shift the answers of
//! all the others, and an open bracket would swallow them. Upstream has the same guard
//! (`pkg/util/kubernetes/autoscalers`, 2026).

/// Why a text is not one query. Positions are characters from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RawError {
    /// Nothing to ask.
    #[error("the query is empty")]
    Blank,
    /// A comma that is in no bracket and in no quotes.
    #[error(
        "the query has a comma outside brackets at character {position}, which makes two queries of it; write one query"
    )]
    SeveralQueries {
        /// Where the comma is.
        position: usize,
    },
    /// A closing bracket that fits nothing.
    #[error("`{bracket}` at character {position} of the query closes nothing")]
    Unopened {
        /// The bracket.
        bracket: char,
        /// Where it is.
        position: usize,
    },
    /// An opening bracket that is never closed.
    #[error("`{bracket}` at character {position} of the query is not closed")]
    Unclosed {
        /// The bracket.
        bracket: char,
        /// Where it is.
        position: usize,
    },
    /// A quote without its end.
    #[error("the quote at character {position} of the query has no end")]
    OpenQuote {
        /// Where it begins.
        position: usize,
    },
}

/// Says why `text` cannot be sent as one query among others.
pub fn check(text: &str) -> Result<(), RawError> {
    if text.trim().is_empty() {
        return Err(RawError::Blank);
    }
    let mut open: Vec<(char, usize)> = Vec::new();
    let mut characters = text.chars().zip(1..);
    while let Some((character, position)) = characters.next() {
        match character {
            '(' | '{' | '[' => open.push((character, position)),
            ')' | '}' | ']' => match open.pop() {
                Some((bracket, _)) if closing(bracket) == character => {}
                _ => return Err(RawError::Unopened { bracket: character, position }),
            },
            '"' | '\'' => {
                skip_quoted(character, &mut characters).ok_or(RawError::OpenQuote { position })?;
            }
            ',' if open.is_empty() => return Err(RawError::SeveralQueries { position }),
            _ => {}
        }
    }
    match open.pop() {
        Some((bracket, position)) => Err(RawError::Unclosed { bracket, position }),
        None => Ok(()),
    }
}

fn closing(bracket: char) -> char {
    match bracket {
        '(' => ')',
        '{' => '}',
        _ => ']',
    }
}

/// Moves behind the end of a quoted text; a backslash takes the meaning from what follows it.
fn skip_quoted(quote: char, characters: &mut impl Iterator<Item = (char, usize)>) -> Option<()> {
    loop {
        match characters.next()?.0 {
            '\\' => _ = characters.next()?,
            character if character == quote => return Some(()),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn refused(text: &str, expected: &str) {
        assert_eq!(check(text).unwrap_err().to_string(), expected, "{text}");
    }

    // Upstream's eight cases (facts/datadog.md §1.3).
    #[test]
    fn commas_inside_scopes_functions_and_quotes_are_part_of_the_query() {
        for query in [
            "avg:m{a:b,c:d}.rollup(avg,60)",
            "top(sum:m{a IN (b,c)} by {d}, 5, 'mean', 'desc')",
            "avg:m{a:\"b,c\"}",
            "label_replace(\"a,\\\"b\")",
            "\"a,b\"",
        ] {
            assert_eq!(check(query), Ok(()), "{query}");
        }
    }

    #[test]
    fn what_would_touch_other_queries_is_refused_with_its_place() {
        refused("  \n", "the query is empty");
        refused(
            "avg:m{*},avg:n{*}",
            "the query has a comma outside brackets at character 9, which makes two queries of it; \
             write one query",
        );
        refused("avg:m(*}", "`}` at character 8 of the query closes nothing");
        refused("avg:m{*", "`{` at character 6 of the query is not closed");
        refused("avg:m{*})", "`)` at character 9 of the query closes nothing");
        refused("avg:m{a:\"b}", "the quote at character 9 of the query has no end");
        refused("avg:m{a:'b\\'}", "the quote at character 9 of the query has no end");
    }

    proptest! {
        #[test]
        fn property_test_an_accepted_text_stays_one_query_among_others(
            text in "[a{}()\\[\\],'\"\\\\ é]{0,16}"
        ) {
            if check(&text).is_ok() {
                let both = format!("{text},{text}");
                let comma = text.chars().count() + 1;
                prop_assert_eq!(check(&both), Err(RawError::SeveralQueries { position: comma }));
            }
        }
    }
}
