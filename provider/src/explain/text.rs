//! An explanation as text for people.

use std::fmt::Write;

use crate::explain::{Explanation, Mark, Step};

/// Whether the text is for a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Without escape sequences.
    Plain,
    /// Marks in colour.
    Coloured,
}

/// Where the findings begin.
const COLUMN: usize = 26;
/// Most characters of what only follows; the JSON has all of it.
const SHORT: usize = 96;

/// The text, with a line break at its end.
pub fn text(explanation: &Explanation, style: Style) -> String {
    let mut text = String::new();
    for step in &explanation.steps {
        let title = title(step);
        // Writing to a String cannot fail.
        _ = write!(text, "{} {title:<COLUMN$}", mark(step.mark, style));
        match step.because_of.and_then(|cause| explanation.steps.get(cause)) {
            Some(cause) => {
                let finding = short(&step.finding);
                _ = writeln!(text, "follows from {}: {finding}", self::title(cause));
            }
            None => _ = writeln!(text, "{}", step.finding),
        }
        if let Some(remedy) = &step.remedy {
            _ = writeln!(text, "  {:<COLUMN$}→ {remedy}", "");
        }
    }
    text.push('\n');
    match explanation.broken.and_then(|broken| explanation.steps.get(broken)) {
        Some(step) => {
            _ = writeln!(text, "The broken link of {}: {}.", explanation.hpa, title(step));
        }
        None if explanation.steps.iter().any(|step| step.mark == Mark::Unknown) => {
            _ = writeln!(text, "Nothing is broken of {}, as far as can be seen.", explanation.hpa);
        }
        None => _ = writeln!(text, "Nothing is broken of {}.", explanation.hpa),
    }
    text
}

fn short(text: &str) -> String {
    let short: String = text.chars().take(SHORT).collect();
    if short.len() < text.len() { short + "…" } else { short }
}

fn title(step: &Step) -> String {
    match step.metric {
        Some(metric) => format!("{} {metric}", step.link.title()),
        None => step.link.title().to_owned(),
    }
}

fn mark(mark: Mark, style: Style) -> String {
    let (glyph, colour) = match mark {
        Mark::Ok => ("✓", 32),
        Mark::Broken => ("✗", 31),
        Mark::Follows => ("✗", 33),
        Mark::Unknown => ("–", 33),
    };
    match style {
        Style::Plain => glyph.to_owned(),
        Style::Coloured => format!("\u{1b}[{colour}m{glyph}\u{1b}[0m"),
    }
}
