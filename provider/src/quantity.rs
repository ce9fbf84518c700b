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

    /// A reader for the test alone.
    fn read(text: &str) -> f64 {
        let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let suffix = &text[digits.len()..];
        let position = SUFFIXES.iter().position(|s| *s == suffix).unwrap();
        let exponent = i32::try_from(position).unwrap() * 3 - 9;
        digits.parse::<f64>().unwrap() * 10f64.powi(exponent)
    }

    proptest! {
        #[test]
        fn property_test_the_text_is_within_half_a_unit(value in -1e9..1e9f64) {
            let half = if value.abs() < 1.0 { 0.5e-9 } else { 0.5e-3 };
            let read = read(&format(value).unwrap());
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
