//! Numbers in Kubernetes' canonical quantity form; pure.
//!
//! Source of the rules: `k8s.io/apimachinery/pkg/api/resource/quantity.go`. Only the decimal family
//! is written: an integer and one of `n u m (none) k M G T P E`, never a fraction.

/// The largest whole number that an `f64` can hold and whose milli-units fit into an `i64`; the HPA
/// controller reads quantities in milli-units, and above this the result would wrap.
const MAX_WHOLE: f64 = 9_223_372_036_854_774.0;
/// From 2^52 on an `f64` has no fraction, and a thousand times it would not be exact.
const NO_FRACTION: f64 = 4_503_599_627_370_496.0;

/// Steps of a thousand from nano upwards.
const SUFFIXES: [&str; 10] = ["n", "u", "m", "", "k", "M", "G", "T", "P", "E"];
/// Position of "no suffix" in [`SUFFIXES`].
const WHOLE: usize = 3;

/// `value` as a canonical quantity, to the nearest milli-unit (below 1 to the nearest nano-unit, the
/// finest that a quantity can hold), or `None` where it is no number.
///
/// Nearest and not upwards: `2.007 * 1000` is a hair more than 2007 in binary. Values beyond what
/// the HPA controller can read are clamped.
pub fn format(value: f64) -> Option<String> {
    if !value.is_finite() {
        return None;
    }
    let value = value.clamp(-MAX_WHOLE, MAX_WHOLE);
    let (scale, unit) = match value.abs() {
        small if small < 1.0 => (1e9, WHOLE - 3),
        large if large >= NO_FRACTION => (1.0, WHOLE),
        _ => (1e3, WHOLE - 1),
    };
    #[expect(clippy::cast_possible_truncation, reason = "clamped above: fits into 63 bits")]
    let units = (value * scale).round() as i64;
    Some(canonical(units, unit))
}

/// `units` of the suffix at `position` with factors of a thousand moved into the suffix.
fn canonical(mut units: i64, mut position: usize) -> String {
    if units == 0 {
        return "0".to_owned();
    }
    while units % 1000 == 0 && position + 1 < SUFFIXES.len() {
        units /= 1000;
        position += 1;
    }
    format!("{units}{}", SUFFIXES[position])
}

/// The number that `text` means, a plain one or a quantity of any family: `7`, `1500m`, `2Ki`,
/// `15e2`. `None` where it is neither, or too large.
pub fn parse(text: &str) -> Option<f64> {
    let is_number = |c: char| c.is_ascii_digit() || "+-.".contains(c);
    let end = text.find(|c| !is_number(c)).unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let exponent = suffix.strip_prefix(['e', 'E']).filter(|digits| !digits.is_empty());
    let value = if let Some(exponent) = exponent {
        scaled(number, exponent.parse().ok()?)?
    } else if let Some(position) = SUFFIXES.iter().position(|known| *known == suffix) {
        scaled(number, i32::try_from(position).ok()? * 3 - 9)?
    } else {
        let power = ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"].iter().position(|it| *it == suffix)? + 1;
        scaled(number, 0)? * 1024_f64.powi(i32::try_from(power).ok()?)
    };
    value.is_finite().then_some(value)
}

/// The nearest to `number * 10^exponent`: a product would round twice.
fn scaled(number: &str, exponent: i32) -> Option<f64> {
    format!("{number}e{exponent}").parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(value: f64, expected: &str) {
        assert_eq!(format(value).as_deref(), Some(expected), "{value}");
    }

    // The table of facts/aggregated-api.md §6.1 and 14.123 of Datadog's own tests.
    #[test]
    fn values_print_in_canonical_form() {
        for (value, expected) in [
            (0.0, "0"),
            (-0.0, "0"),
            (42.0, "42"),
            (1000.0, "1k"),
            (42000.0, "42k"),
            (1.5, "1500m"),
            (0.5, "500m"),
            (-2.25, "-2250m"),
            (0.0001, "100u"),
            (1e-9, "1n"),
            (12345.678, "12345678m"),
            (1_500_000.0, "1500k"),
            (1e9, "1G"),
            (110_000.0, "110k"),
            (14.123, "14123m"),
            (2.007, "2007m"),
            (9_223_372_036_854_774.0, "9223372036854774"),
        ] {
            check(value, expected);
        }
    }

    #[test]
    fn what_the_hpa_cannot_read_is_clamped_and_what_is_no_number_refused() {
        check(1e300, "9223372036854774");
        check(-1e300, "-9223372036854774");
        assert_eq!(format(f64::NAN), None);
        assert_eq!(format(f64::INFINITY), None);
    }

    #[test]
    fn numbers_and_quantities_of_every_family_are_read() {
        for (text, expected) in [
            ("7", 7.0),
            ("-2.5", -2.5),
            ("1500m", 1.5),
            ("2k", 2000.0),
            ("1E", 1e18),
            ("15e2", 1500.0),
            ("1E-3", 0.001),
            ("2Ki", 2048.0),
            ("1.5Gi", 1_610_612_736.0),
            ("100u", 0.0001),
        ] {
            assert_eq!(parse(text), Some(expected), "{text}");
        }
        for text in ["", "m", "seven", "1 k", "1K", "NaN", "inf", "1e999", "--1", "1.2.3", "1eé"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn property_test_no_text_panics(text in "[0-9+.eEikm-]{0,10}|\\PC{0,6}") {
            prop_assert!(parse(&text).is_none_or(f64::is_finite));
        }

        #[test]
        fn property_test_the_text_is_within_half_a_unit(value in -1e9..1e9f64) {
            let half = if value.abs() < 1.0 { 0.5e-9 } else { 0.5e-3 };
            let read = parse(&format(value).unwrap()).unwrap();
            prop_assert!((read - value).abs() <= half * 1.001, "{value} {read}");
        }

        #[test]
        fn property_test_thousandths_survive_exactly(milli in -9_000_000_000i64..9_000_000_000) {
            #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
            let value = milli as f64 / 1000.0;
            prop_assert_eq!(format(value).unwrap(), canonical(milli, WHOLE - 1));
        }
    }
}
