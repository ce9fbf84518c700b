//! Numbers as Go prints them, for what the walkthrough shows.

/// As Go's `%v`: the fewest digits that tell the number apart, and below 1e-4 and from 1e+06 on an
/// exponent of two digits (`strconv.FormatFloat(value, 'g', -1, 64)`).
pub(super) fn go(value: f64) -> String {
    let scientific = format!("{value:e}");
    let parts = scientific.split_once('e');
    let parts = parts.and_then(|(digits, it)| Some((digits, it.parse::<i32>().ok()?)));
    match parts {
        Some((digits, exponent)) if !(-4..6).contains(&exponent) => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{digits}e{sign}{:02}", exponent.abs())
        }
        _ => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_walkthrough() {
        for (value, text) in [
            (1_532_042_322.0, "1.532042322e+09"),
            (268_435_456.0, "2.68435456e+08"),
            (2472.0, "2472"),
            (0.0, "0"),
            (0.5, "0.5"),
            (999_999.0, "999999"),
            (1e6, "1e+06"),
            (0.0001, "0.0001"),
            (0.000_012, "1.2e-05"),
            (-3e21, "-3e+21"),
        ] {
            assert_eq!(go(value), text);
        }
    }
}
