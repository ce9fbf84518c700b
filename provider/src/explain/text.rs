//! An explanation as text for people.

use std::fmt::Write;

use crate::{
    cli::paint::Paint,
    explain::{Explanation, Mark, Step},
};

/// Where the findings begin.
const COLUMN: usize = 26;
/// Most characters of what only follows; the JSON has all of it.
const SHORT: usize = 96;

/// The text, with a line break at its end.
pub fn text(explanation: &Explanation, paint: Paint) -> String {
    let mut text = String::new();
    for step in &explanation.steps {
        let title = title(step);
        // Writing to a String cannot fail.
        _ = write!(text, "{} {title:<COLUMN$}", mark(step.mark, paint));
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

fn mark(mark: Mark, paint: Paint) -> String {
    match mark {
        Mark::Ok => paint.good("✓"),
        Mark::Broken => paint.bad("✗"),
        Mark::Follows => paint.doubtful("✗"),
        Mark::Unknown => paint.doubtful("–"),
    }
}
