//! Durations as Go writes them, such as `900s` or `1h30m`; pure.
//!
//! Grammar of Go's `time.ParseDuration`, without a sign: none of ours can be negative. (The parser
//! in kube panics on large numbers.)

use std::time::Duration;

/// Why a text is no duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no duration such as 900s, 15m or 1h30m")]
pub struct NoDuration;

/// Reads `text`; `0` needs no unit.
pub fn parse(text: &str) -> Result<Duration, NoDuration> {
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    let mut sum = Duration::ZERO;
    loop {
        let (number, unit, after) = part(rest)?;
        let seconds = number.parse::<f64>().map_err(|_| NoDuration)? * seconds(unit)?;
        let part = Duration::try_from_secs_f64(seconds).map_err(|_| NoDuration)?;
        sum = sum.checked_add(part).ok_or(NoDuration)?;
        if after.is_empty() {
            return Ok(sum);
        }
        rest = after;
    }
}

/// The first number, its unit, and what follows.
fn part(text: &str) -> Result<(&str, &str, &str), NoDuration> {
    let is_number = |c: char| c.is_ascii_digit() || c == '.';
    let unit = text.find(|c| !is_number(c)).ok_or(NoDuration)?;
    let (number, rest) = text.split_at(unit);
    let end = rest.find(is_number).unwrap_or(rest.len());
    let (unit, after) = rest.split_at(end);
    Ok((number, unit, after))
}

fn seconds(unit: &str) -> Result<f64, NoDuration> {
    match unit {
        "ns" => Ok(1e-9),
        "us" | "\u{b5}s" | "\u{3bc}s" => Ok(1e-6),
        "ms" => Ok(1e-3),
        "s" => Ok(1.0),
        "m" => Ok(60.0),
        "h" => Ok(3600.0),
        _ => Err(NoDuration),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_go_writes_is_read() {
        for (text, millis) in [
            ("0", 0),
            ("0s", 0),
            ("900s", 900_000),
            ("1h30m", 5_400_000),
            ("1h15m30.5s", 4_530_500),
            ("1.5h", 5_400_000),
            (".5m", 30_000),
            ("+2m", 120_000),
            ("250ms", 250),
            ("5000\u{b5}s", 5),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "s", "30", "-5m", "1d", "1h 30m", "1..5s", "5m3", "inf", "1e9h"] {
            assert_eq!(parse(text), Err(NoDuration), "{text}");
        }
        assert_eq!(parse(&format!("{}h", "9".repeat(400))), Err(NoDuration));
    }

    proptest! {
        #[test]
        fn property_test_no_text_panics_and_whole_parts_add_up(
            text in "[0-9.hmsn+é]{0,12}", hours in 0_u64..1000, seconds in 0_u64..100_000
        ) {
            _ = parse(&text);
            let expected = Duration::from_secs(hours * 3600 + seconds);
            prop_assert_eq!(parse(&format!("{hours}h{seconds}s")), Ok(expected));
        }
    }
}
