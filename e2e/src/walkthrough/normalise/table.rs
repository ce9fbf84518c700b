//! Listings as kubectl prints them: their columns are as wide as the widest name, so a name that was
//! made the same needs its column laid out again.

/// What kubectl puts between columns.
const GAP: usize = 3;
/// What every age becomes.
const AGE: &str = "1m";

/// Each listing among the lines laid out anew, its rows in the order of their names.
pub(super) fn lay_out(lines: &[&str]) -> Vec<String> {
    let mut laid_out = Vec::new();
    for (index, paragraph) in lines.split(|line| line.is_empty()).enumerate() {
        if 0 < index {
            laid_out.push(String::new());
        }
        match rows(paragraph) {
            Some(rows) => laid_out.extend(print(&rows)),
            None => laid_out.extend(paragraph.iter().map(ToString::to_string)),
        }
    }
    laid_out
}

/// The cells, where it is a listing, which has a header and as many cells in each row.
fn rows<'a>(paragraph: &[&'a str]) -> Option<Vec<Vec<&'a str>>> {
    let mut rows: Vec<Vec<&str>> = paragraph.iter().map(|line| cells(line)).collect();
    let header = rows.first().filter(|header| is_header(header))?;
    if rows.iter().any(|row| row.len() != header.len()) {
        return None;
    }
    if let Some(age) = rows[0].iter().position(|&name| name == "AGE") {
        rows.iter_mut().skip(1).for_each(|row| row[age] = AGE);
    }
    if rows[0][0].starts_with("NAME") {
        rows[1..].sort();
    }
    Some(rows)
}

/// Two blanks at least are between columns; one may be in a cell.
fn cells(line: &str) -> Vec<&str> {
    line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect()
}

fn is_header(cells: &[&str]) -> bool {
    let is_title = |cell: &&str| {
        cell.starts_with(|c: char| c.is_ascii_uppercase())
            && cell.chars().all(|c| c.is_ascii_uppercase() || "()- ".contains(c))
    };
    2 <= cells.len() && cells.iter().all(is_title)
}

fn print(rows: &[Vec<&str>]) -> Vec<String> {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let print = |row: &Vec<&str>| {
        let cells = row.iter().enumerate();
        let padded = cells.map(|(column, cell)| {
            let width = width(column).unwrap_or_default() + GAP;
            format!("{cell:width$}")
        });
        padded.collect::<String>().trim_end().to_owned()
    };
    rows.iter().map(print).collect()
}
