//! A line of the last hour as an SVG path; pure.

use std::fmt::Write;

/// Of the view box.
pub(super) const WIDTH: f32 = 180.0;
pub(super) const HEIGHT: f32 = 36.0;
/// So that a line at the edge is not cut.
const MARGIN: f32 = 2.0;

/// The path of these values and the place of the last one; none where there are none. Gaps break
/// the line; a value alone is a dot.
pub(super) fn line(values: &[Option<f32>]) -> Option<(String, (f32, f32))> {
    let known = || values.iter().flatten().copied();
    let (low, high) = (known().reduce(f32::min)?, known().reduce(f32::max)?);
    // In f64: the difference of two f32 may be too large for one.
    let range = f64::from(high) - f64::from(low);
    let mut path = String::new();
    let mut last = None;
    let mut pen = 'M';
    for (position, value) in values.iter().enumerate() {
        let Some(value) = value else {
            pen = 'M';
            continue;
        };
        let share = if range > 0.0 { (f64::from(*value) - f64::from(low)) / range } else { 0.5 };
        let (x, y) = (x(position, values.len()), y(share));
        // Writing to a String cannot fail. A line of no length is a dot with round ends.
        _ = write!(path, "{pen}{x:.1} {y:.1}");
        if pen == 'M' {
            _ = write!(path, "h0");
        }
        pen = 'L';
        last = Some((x, y));
    }
    Some((path, last?))
}

#[expect(clippy::cast_precision_loss, reason = "there are 60 of them")]
fn x(position: usize, count: usize) -> f32 {
    let steps = count.saturating_sub(1).max(1) as f32;
    MARGIN + (WIDTH - 2.0 * MARGIN) * position as f32 / steps
}

#[expect(clippy::cast_possible_truncation, reason = "between 0 and 1")]
fn y(share: f64) -> f32 {
    HEIGHT - MARGIN - (HEIGHT - 2.0 * MARGIN) * share as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_break_the_line_and_one_value_is_a_dot() {
        let (path, last) = line(&[Some(0.0), Some(10.0), None, Some(5.0)]).unwrap();
        assert_eq!(path, "M2.0 34.0h0L60.7 2.0M178.0 18.0h0");
        assert_eq!(last, (178.0, 18.0));
        assert_eq!(line(&[Some(3.0)]).unwrap().0, "M2.0 18.0h0");
        assert_eq!(line(&[None, None]), None);
        assert_eq!(line(&[]), None);
    }

    #[test]
    fn the_largest_numbers_make_no_hole() {
        let (path, _) = line(&[Some(f32::MIN), Some(f32::MAX)]).unwrap();
        assert_eq!(path, "M2.0 34.0h0L178.0 2.0");
    }
}
