//! What a text says, its passing numbers aside; pure.

/// Longest `note` of an Event in bytes (`k8s.io/kubernetes/pkg/apis/core/validation/events.go`,
/// `NoteLengthLimit`).
pub(super) const NOTE_LIMIT: usize = 1024;

/// Whether two texts differ at most in numbers that stand alone, such as ages, counts and HTTP
/// statuses. Numbers within a word, as in a query, count.
pub(super) fn same(one: &str, other: &str) -> bool {
    words(one).eq(words(other))
}

/// The words without lone numbers.
pub(super) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split_whitespace()
        .map(|word| word.trim_matches(|c: char| matches!(c, ',' | ';' | ':' | '(' | ')')))
        .filter(|word| !is_number(word))
}

/// Digits, with or without a unit of time.
fn is_number(word: &str) -> bool {
    let unit = word.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
    unit.len() < word.len()
        && matches!(unit, "" | "ns" | "us" | "ms" | "s" | "m" | "h" | "d" | "day" | "days")
}

/// `text`, cut at a character's boundary to at most `limit` bytes.
pub(super) fn cut(text: String, limit: usize) -> String {
    const END: &str = "…";
    if text.len() <= limit {
        return text;
    }
    let mut end = limit.saturating_sub(END.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{END}", &text[..end])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ages_and_counts_are_no_news() {
        for (one, other) in [
            ("the last sample is 121s old, the limit", "the last sample is 7200s old, the limit"),
            ("used up (HTTP 429, resets within 12s)", "used up (HTTP 429, resets within 1m 2s)"),
            ("used up (HTTP 429, resets within 12s)", "used up (HTTP 429, resets within 1h)"),
            ("Datadog answers HTTP 502: bad", "Datadog answers HTTP 500: bad"),
        ] {
            assert!(same(one, other), "{one} / {other}");
        }
    }

    #[test]
    fn words_and_queries_are_news() {
        for (one, other) in [
            ("no series for avg:a{*}.rollup(30)", "no series for avg:a{*}.rollup(60)"),
            ("no series for avg:a{x:1}", "no series for avg:a{x:2}"),
            ("Datadog rejects the keys", "Datadog rejects the query"),
        ] {
            assert!(!same(one, other), "{one} / {other}");
        }
    }

    proptest! {
        #[test]
        fn property_test_a_cut_text_is_the_beginning_and_fits(text in "\\PC{0,80}", limit in 3..60usize) {
            let short = cut(text.clone(), limit);
            prop_assert!(short.len() <= limit.max(3));
            let kept = short.strip_suffix('…').filter(|_| text.len() > limit).unwrap_or(&short);
            prop_assert!(text.starts_with(kept));
            prop_assert!(kept.len() + 8 > text.len().min(limit));
        }
    }
}
