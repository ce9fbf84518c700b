//! The report at the end of a run.

use std::io::{self, Write};

use crate::outcome::Outcome;
use crate::report::{Colour, phase_result, verdict_result, words};

/// The whole report; each part is left out when there is nothing in it.
pub(crate) fn report(outcome: &Outcome, colour: Colour, out: &mut impl Write) -> io::Result<()> {
    let title = format!("{} on {}", outcome.scenario, outcome.cluster);
    let seed = format!("seed {}", outcome.seed);
    writeln!(out, "{}  {}", colour.strong(&title), colour.faint(&seed))?;
    phases(outcome, colour, out)?;
    timeline(outcome, colour, out)?;
    assertions(outcome, colour, out)?;
    pairs(&outcome.facts, colour, out)?;
    if outcome.failure.is_some() || outcome.artifacts.is_some() {
        writeln!(out)?;
    }
    if let Some(failure) = &outcome.failure {
        let indented = failure.trim_end().replace('\n', "\n  ");
        writeln!(out, "  {}", colour.bad(&indented))?;
    }
    if let Some(artifacts) = &outcome.artifacts {
        writeln!(out, "  artifacts are in {}", artifacts.display())?;
    }
    writeln!(out, "\n{}", verdict(outcome, colour))
}

/// `✓ walkthrough on local passed in 21.3s`
pub(crate) fn verdict(outcome: &Outcome, colour: Colour) -> String {
    let Outcome { scenario, cluster, verdict, took, .. } = outcome;
    let mark = colour.mark(verdict_result(*verdict));
    let took = words::seconds(*took);
    format!("{mark} {scenario} on {cluster} {} in {took}", colour.strong(verdict.as_str()))
}

fn phases(outcome: &Outcome, colour: Colour, out: &mut impl Write) -> io::Result<()> {
    if outcome.phases.is_empty() {
        return Ok(());
    }
    let width = widest(outcome.phases.iter().map(|phase| phase.name.as_str()));
    writeln!(out)?;
    for phase in &outcome.phases {
        let ended = phase.end.map_or(Err(()), |(_, end)| phase_result(end));
        let (mark, took) = (colour.mark(ended), words::took(phase));
        writeln!(out, "  {mark} {:width$}  {took:>6}", phase.name)?;
    }
    Ok(())
}

fn timeline(outcome: &Outcome, colour: Colour, out: &mut impl Write) -> io::Result<()> {
    let steps = outcome.timeline.steps();
    if steps.is_empty() {
        return Ok(());
    }
    let header = format!("  {:>6}  {:>8} → {} → {}", "time", "value", "desired", "ready");
    writeln!(out, "\n{}", colour.faint(&header))?;
    for step in steps {
        let [desired, ready] = [step.seen.desired, step.seen.ready].map(words::replicas);
        let (at, value) = (words::seconds(step.at), words::value(step.seen.value));
        writeln!(out, "  {at:>6}  {value:>8}   {desired:>7}   {ready:>5}")?;
    }
    Ok(())
}

fn assertions(outcome: &Outcome, colour: Colour, out: &mut impl Write) -> io::Result<()> {
    if outcome.assertions.is_empty() {
        return Ok(());
    }
    writeln!(out)?;
    for assertion in &outcome.assertions {
        let mark = colour.mark(assertion.result.as_ref().map(drop).map_err(drop));
        let (Ok(seen) | Err(seen)) = &assertion.result;
        writeln!(out, "  {mark} {}: {}", assertion.name, colour.faint(seen))?;
    }
    Ok(())
}

fn pairs(facts: &[(String, String)], colour: Colour, out: &mut impl Write) -> io::Result<()> {
    if facts.is_empty() {
        return Ok(());
    }
    let width = widest(facts.iter().map(|(name, _)| name.as_str()));
    writeln!(out)?;
    for (name, value) in facts {
        let value = value.replace('\n', &format!("\n{:indent$}", "", indent = width + 4));
        writeln!(out, "  {}  {value}", colour.faint(&format!("{name:width$}")))?;
    }
    Ok(())
}

fn widest<'a>(names: impl Iterator<Item = &'a str>) -> usize {
    names.map(|name| name.chars().count()).max().unwrap_or(0)
}

#[cfg(test)]
mod tests;
