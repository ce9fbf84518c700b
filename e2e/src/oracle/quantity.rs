//! Reads a Kubernetes quantity as the HPA controller does: as a whole number of thousandths.
//!
//! Source: `k8s.io/apimachinery/pkg/api/resource` (`quantity.go`, `MilliValue`). Written apart from
//! the provider's own printer on purpose: one shared mistake would hide itself.

/// The value of `text` in thousandths, rounded away from zero; `None` when it is no quantity or
/// when it is too large for 64 bits.
pub(crate) fn milli(text: &str) -> Option<i64> {
    let text = text.trim();
    let (negative, unsigned) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let end = unsigned.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(unsigned.len());
    let (number, suffix) = unsigned.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return None;
    }
    let mantissa: i128 = format!("{whole}{fraction}").parse().ok()?;
    let (power_of_two, power_of_ten) = scale(suffix)?;
    let exponent = power_of_ten + 3 - i32::try_from(fraction.len()).ok()?;
    let scaled = mantissa.checked_mul(1 << power_of_two)?;
    let magnitude = if exponent < 0 {
        // Past 38 digits below the point everything that is not zero counts as one thousandth.
        match 10_i128.checked_pow(exponent.unsigned_abs()) {
            Some(divisor) => scaled / divisor + i128::from(scaled % divisor != 0),
            None => i128::from(scaled != 0),
        }
    } else if scaled == 0 {
        0
    } else {
        scaled.checked_mul(10_i128.checked_pow(exponent.unsigned_abs())?)?
    };
    i64::try_from(if negative { -magnitude } else { magnitude }).ok()
}

/// Powers of two and of ten that a suffix stands for.
fn scale(suffix: &str) -> Option<(u32, i32)> {
    let scale = match suffix {
        "n" => (0, -9),
        "u" => (0, -6),
        "m" => (0, -3),
        "" => (0, 0),
        "k" => (0, 3),
        "M" => (0, 6),
        "G" => (0, 9),
        "T" => (0, 12),
        "P" => (0, 15),
        "E" => (0, 18),
        "Ki" => (10, 0),
        "Mi" => (20, 0),
        "Gi" => (30, 0),
        "Ti" => (40, 0),
        "Pi" => (50, 0),
        "Ei" => (60, 0),
        _ => (0, suffix.strip_prefix(['e', 'E'])?.parse::<i8>().ok()?.into()),
    };
    Some(scale)
}

#[cfg(test)]
mod tests {
    use super::milli;
    use proptest::prelude::{any, proptest};

    #[track_caller]
    fn check(text: &str, expected: Option<i64>) {
        assert_eq!(milli(text), expected, "{text:?}");
    }

    #[test]
    fn every_suffix_and_form_is_read_as_thousandths() {
        check("9", Some(9_000));
        check("8334m", Some(8_334));
        check("2.5", Some(2_500));
        check("5.", Some(5_000));
        check(".5", Some(500));
        check("-2250m", Some(-2_250));
        check("+1", Some(1_000));
        check("42k", Some(42_000_000));
        check("1Ki", Some(1_024_000));
        check("1.5Gi", Some(1_610_612_736_000));
        check("1e3", Some(1_000_000));
        check("1E-2", Some(10));
        check("-9223372036854775808m", Some(i64::MIN));
    }

    #[test]
    fn what_is_finer_than_a_thousandth_rounds_away_from_zero() {
        check("100u", Some(1));
        check("1n", Some(1));
        check("-1n", Some(-1));
        check("1e-99", Some(1));
        check("0e-99", Some(0));
    }

    #[test]
    fn what_is_no_quantity_is_refused() {
        for text in ["", "-", ".", "1.2.3", "1 k", "1K", "NaN", "Inf", "1e", "1e1000", "k", "99E"] {
            check(text, None);
        }
    }

    proptest! {
        #[test]
        fn property_test_a_milli_quantity_is_read_back(value in any::<i64>()) {
            check(&format!("{value}m"), Some(value));
        }

        #[test]
        fn property_test_no_text_makes_it_panic(text in "[-+0-9.eEkmKMGi]{0,50}") {
            milli(&text);
        }
    }
}
