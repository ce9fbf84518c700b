//! Values from a CSV file.

use std::{path::Path, time::Duration};

use jiff::Timestamp;

use crate::{
    control::{Moment, Shape, Span},
    scenario::files::FileError,
};

pub(super) use crate::control::CsvFile;

/// One value with its place in the file, for messages.
#[derive(Clone, Copy, Debug)]
struct Cell<'a> {
    line: usize,
    /// In characters.
    column: usize,
    text: &'a str,
}

/// Which cells of a line are meant.
#[derive(Clone, Copy, Debug)]
struct Columns {
    /// `None` for a file of one column.
    time: Option<usize>,
    value: usize,
    /// Number of cells of each line.
    count: usize,
}

/// The values of the file at `path`, which holds `text`.
pub(super) fn shape(wanted: &CsvFile, path: &Path, text: &str) -> Result<Shape, FileError> {
    let content = |reason: String| FileError::Content { path: path.to_owned(), reason };
    let place = |(cell, reason): (Cell<'_>, String)| FileError::Place {
        path: path.to_owned(),
        line: cell.line,
        column: cell.column,
        reason,
    };
    let mut lines = lines(text).peekable();
    let first = lines.peek().ok_or_else(|| content("it has no values".to_owned()))?;
    let columns = columns(wanted, first).map_err(content)?;
    if is_header(first, columns) {
        lines.next();
    }
    let Some(time_column) = columns.time else {
        let values = lines.map(|cells| value(columns.pick(&cells, columns.value)?));
        let values = values.collect::<Result<Vec<_>, _>>().map_err(place)?;
        let each = wanted.each.unwrap_or(Span::from_secs(1));
        return Ok(Shape::Replay { values, each, repeat: wanted.repeat });
    };
    let mut points: Vec<Moment> = Vec::new();
    let mut start = None;
    for cells in lines {
        let cell = columns.pick(&cells, time_column).map_err(place)?;
        let time = time(cell).map_err(place)?;
        let since = time - *start.get_or_insert(time);
        let at = Duration::try_from_secs_f64(since).map(Span::from);
        let later = at.ok().filter(|at| points.last().is_none_or(|last| last.at < *at));
        let at = later.ok_or_else(|| {
            place((cell, format!("time `{}` must come after the one before", cell.text)))
        })?;
        let value = columns.pick(&cells, columns.value).and_then(value).map_err(place)?;
        points.push(Moment { at, value });
    }
    Ok(Shape::Timeline { points, repeat: wanted.repeat })
}

/// The lines that are not blank, in cells.
fn lines(text: &str) -> impl Iterator<Item = Vec<Cell<'_>>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines.map(|(index, line)| {
        let mut column = 1;
        let cells = line.split(',').map(|raw| {
            let blanks = raw.chars().take_while(|it| it.is_whitespace()).count();
            let text = raw.trim();
            let text = text.strip_prefix('"').and_then(|it| it.strip_suffix('"')).unwrap_or(text);
            let cell = Cell { line: index + 1, column: column + blanks, text };
            column += raw.chars().count() + 1;
            cell
        });
        cells.collect()
    })
}

fn columns(wanted: &CsvFile, first: &[Cell<'_>]) -> Result<Columns, String> {
    let count = first.len();
    let value = match (&wanted.column, count) {
        (Some(name), _) => {
            let place = first.iter().position(|cell| cell.text == name);
            place.ok_or_else(|| {
                let names: Vec<_> = first.iter().map(|cell| cell.text).collect();
                format!("no column `{name}`, there are `{}`", names.join("`, `"))
            })?
        }
        (None, 1 | 2) => count - 1,
        (None, _) => return Err(format!("it has {count} columns, say which one by `column`")),
    };
    Ok(Columns { time: (value != 0).then_some(0), value, count })
}

/// A first line is a header when its value is no value.
fn is_header(first: &[Cell<'_>], columns: Columns) -> bool {
    columns.pick(first, columns.value).and_then(value).is_err()
}

/// A number; empty, `null` and `NaN` are a missing point.
fn value(cell: Cell<'_>) -> Result<Option<f64>, (Cell<'_>, String)> {
    if cell.text.is_empty() || cell.text.eq_ignore_ascii_case("null") {
        return Ok(None);
    }
    match cell.text.parse::<f64>() {
        Ok(value) if value.is_nan() => Ok(None),
        Ok(value) if value.is_finite() => Ok(Some(value)),
        _ => Err((cell, format!("value `{}` is no number", cell.text))),
    }
}

/// Seconds since whenever.
fn time(cell: Cell<'_>) -> Result<f64, (Cell<'_>, String)> {
    let seconds = cell.text.parse::<f64>().ok().filter(|it| it.is_finite());
    let date = || cell.text.parse::<Timestamp>().ok();
    let seconds = seconds.or_else(|| Some(date()?.as_duration().as_secs_f64()));
    seconds.ok_or_else(|| {
        let reason = format!("time `{}` is neither seconds nor a time in RFC 3339", cell.text);
        (cell, reason)
    })
}

impl Columns {
    fn pick<'a>(self, cells: &[Cell<'a>], index: usize) -> Result<Cell<'a>, (Cell<'a>, String)> {
        let nothing = Cell { line: 0, column: 0, text: "" };
        let last = cells.last().copied().unwrap_or(nothing);
        if cells.len() != self.count {
            let (found, wanted) = (cells.len(), self.count);
            let reason = format!("the line has {found} columns and the first one has {wanted}");
            return Err((last, reason));
        }
        Ok(cells.get(index).copied().unwrap_or(nothing))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, column: Option<&str>) -> Result<Shape, String> {
        let column = column.map(str::to_owned);
        let wanted = CsvFile { file: "f.csv".into(), column, each: None, repeat: false };
        shape(&wanted, Path::new("f.csv"), text).map_err(|error| error.to_string())
    }

    #[track_caller]
    fn timeline(text: &str, column: Option<&str>, expected: &[(u64, Option<f64>)]) {
        let Shape::Timeline { points, .. } = read(text, column).unwrap() else {
            panic!("no timeline")
        };
        let points: Vec<_> =
            points.iter().map(|it| (it.at.as_duration().as_secs(), it.value)).collect();
        assert_eq!(points, expected);
    }

    #[track_caller]
    fn refused(text: &str, column: Option<&str>, expected: &str) {
        assert_eq!(read(text, column).unwrap_err(), expected);
    }

    #[test]
    fn one_column_is_a_value_after_the_other() {
        for text in ["1\n\n2.5\nnull\n", "load\r\n1\r\n2.5\r\nNaN\r\n", "\u{feff}1\n2.5\n\"\""] {
            let Shape::Replay { values, .. } = read(text, None).unwrap() else {
                panic!("no replay")
            };
            assert_eq!(values, [Some(1.0), Some(2.5), None], "{text:?}");
        }
    }

    #[test]
    fn times_count_from_the_first() {
        let expected = [(0, Some(1.0)), (10, None), (25, Some(3.0))];
        timeline("time,value\n100,1\n110,\n125,3\n", None, &expected);
        timeline(
            "2026-11-24T10:00:00Z,1\n2026-11-24T10:00:10Z,\n2026-11-24T11:00:25+01:00, 3\n",
            None,
            &expected,
        );
        timeline("t,a,b\n0,9,1\n10,9,\n25,9,3\n", Some("b"), &expected);
    }

    #[test]
    fn mistakes_have_a_file_a_line_and_a_column() {
        refused("1\nx\n", None, "f.csv:2:1: value `x` is no number");
        refused("time,value\n0, 1\n1,  abc\n", None, "f.csv:3:5: value `abc` is no number");
        refused(
            "0,1\nsoon,2\n",
            None,
            "f.csv:2:1: time `soon` is neither seconds nor a time in RFC 3339",
        );
        refused("0,1\n0,2\n", None, "f.csv:2:1: time `0` must come after the one before");
        refused("0,1\n2\n", None, "f.csv:2:1: the line has 1 columns and the first one has 2");
        refused("a,b,c\n1,2,3\n", None, "f.csv: it has 3 columns, say which one by `column`");
        refused("a,b\n1,2\n", Some("c"), "f.csv: no column `c`, there are `a`, `b`");
        refused("\n", None, "f.csv: it has no values");
    }
}
