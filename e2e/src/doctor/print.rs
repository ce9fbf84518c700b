//! The two forms of a diagnosis.

use std::io::{self, Write};

use serde_json::{Value, json};

use crate::{
    doctor::diagnosis::{Diagnosis, Group, Line, Mark, Verdict},
    report::Colour,
};

/// For people: a line for each thing, its remedy below it, the verdicts at the end.
pub(crate) fn text(diagnosis: &Diagnosis, colour: Colour, out: &mut impl Write) -> io::Result<()> {
    for group in &diagnosis.groups {
        let about = colour.faint(group.about);
        writeln!(out, "{}  {about}", colour.strong(group.name))?;
        let lines = group.lines.iter();
        let width = lines.map(|line| line.what.chars().count()).max().unwrap_or_default();
        for line in &group.lines {
            let mark = mark(&line.mark, colour);
            writeln!(out, "  {mark} {:width$}  {}", line.what, line.found)?;
            if let Some(remedy) = line.mark.remedy() {
                writeln!(out, "    {:width$}  → {remedy}", "")?;
            }
        }
        writeln!(out)?;
    }
    for (name, verdict) in &diagnosis.verdicts {
        writeln!(out, "{}: {}", colour.strong(name), sentence(verdict))?;
    }
    match diagnosis.auto {
        Some(name) => writeln!(out, "--cluster auto takes {name}"),
        None => writeln!(out, "--cluster auto has nothing to take"),
    }
}

/// For programs: the same, with the marks as `ok`, `warn` and `fail`.
pub(crate) fn json(diagnosis: &Diagnosis, out: &mut impl Write) -> io::Result<()> {
    let groups: Vec<_> = diagnosis.groups.iter().map(group).collect();
    let backends: Vec<_> = diagnosis
        .verdicts
        .iter()
        .map(|(name, verdict)| {
            // What depends on something that was not tried is neither.
            let works = match verdict {
                Verdict::Works(_) => Some(true),
                Verdict::Fails(_) => Some(false),
                Verdict::Depends(_) => None,
            };
            json!({ "name": name, "works": works, "verdict": sentence(verdict) })
        })
        .collect();
    let document = json!({ "groups": groups, "backends": backends, "auto": diagnosis.auto });
    writeln!(out, "{document:#}")
}

fn group(group: &Group) -> Value {
    let line = |line: &Line| {
        json!({
            "what": line.what,
            "mark": line.mark.as_str(),
            "found": line.found,
            "remedy": line.mark.remedy(),
        })
    };
    json!({ "name": group.name, "lines": group.lines.iter().map(line).collect::<Vec<_>>() })
}

fn mark(mark: &Mark, colour: Colour) -> String {
    match mark {
        Mark::Ok => colour.mark(Ok(())),
        Mark::Warn(_) => colour.warning("!"),
        Mark::Fail(_) => colour.mark(Err(())),
    }
}

fn sentence(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Works(None) => "will work".to_owned(),
        Verdict::Works(Some(first)) => format!("will work, {first}"),
        Verdict::Fails(why_not) => format!("will not work: {why_not}"),
        Verdict::Depends(on) => on.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::fixtures;

    fn printed(diagnosis: &Diagnosis) -> String {
        let mut out = Vec::new();
        text(diagnosis, Colour::Off, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_machine_on_which_everything_works() {
        let diagnosis = Diagnosis::of(&fixtures::good());
        assert!(diagnosis.something_works());
        insta::assert_snapshot!(printed(&diagnosis));
    }

    #[test]
    fn a_machine_on_which_nothing_works_is_told_what_to_do() {
        let diagnosis = Diagnosis::of(&fixtures::bad());
        assert!(!diagnosis.something_works());
        insta::assert_snapshot!(printed(&diagnosis));
    }

    #[test]
    fn programs_read_the_same_as_json() {
        let mut out = Vec::new();
        json(&Diagnosis::of(&fixtures::bad()), &mut out).unwrap();
        let document: Value = serde_json::from_slice(&out).unwrap();
        insta::assert_json_snapshot!(document);
    }
}
