//! The series that a script stands for.

use std::collections::HashSet;

use crate::{
    control::{InvalidScript, Script},
    script::MAX_SCRIPTS,
    tags::{Tags, normalise_metric},
};

/// The number of a series in its template, by this name.
const INDEX: &str = "index";

/// One series of a script.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Member {
    pub(super) metric: String,
    pub(super) tags: Tags,
    /// Its number in the template, from 0.
    pub(super) index: u32,
}

/// All series of a script: one, or those of its template.
pub(super) fn members(script: &Script) -> Result<Vec<Member>, InvalidScript> {
    if script.names.is_empty() {
        let metric = metric(&script.metric)?;
        return Ok(vec![Member { metric, tags: Tags::normalise(&script.tags), index: 0 }]);
    }
    if script.names.contains_key(INDEX) {
        return Err(InvalidScript::ReservedName(INDEX));
    }
    if let Some((name, _)) = script.names.iter().find(|(_, values)| values.len() == 0) {
        return Err(InvalidScript::NoChoice(name.clone()));
    }
    let count = script.names.values().fold(1_usize, |all, it| all.saturating_mul(it.len()));
    if MAX_SCRIPTS < count {
        return Err(InvalidScript::TooManyOfTemplate { count, most: MAX_SCRIPTS });
    }
    let mut seen = HashSet::new();
    let mut members = Vec::with_capacity(count);
    for (index, place) in (0..).zip(0..count) {
        let member = member(script, place, index)?;
        if !seen.insert((member.metric.clone(), member.tags.clone())) {
            return Err(InvalidScript::SameSeries(member.metric));
        }
        members.push(member);
    }
    Ok(members)
}

/// The series at a place among all combinations.
fn member(script: &Script, place: usize, index: u32) -> Result<Member, InvalidScript> {
    // As digits of a number: the last name changes fastest.
    let mut rest = place;
    let mut chosen = vec![(INDEX, index.to_string())];
    for (name, values) in script.names.iter().rev() {
        let value = values.get(rest % values.len()).unwrap_or_default();
        chosen.push((name, value.into_owned()));
        rest /= values.len();
    }
    let tags = script.tags.iter().map(|tag| fill(tag, &chosen)).collect::<Result<Vec<_>, _>>()?;
    let metric = metric(&fill(&script.metric, &chosen)?)?;
    Ok(Member { metric, tags: Tags::normalise(tags), index })
}

/// Puts what was chosen in place of `{name}`.
fn fill(text: &str, chosen: &[(&str, String)]) -> Result<String, InvalidScript> {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let unknown = || InvalidScript::UnknownName(text.to_owned());
        let (name, behind) = after.split_once('}').ok_or_else(unknown)?;
        let value = chosen.iter().find(|(its, _)| *its == name.trim()).ok_or_else(unknown)?;
        filled.push_str(before);
        filled.push_str(&value.1);
        rest = behind;
    }
    filled.push_str(rest);
    Ok(filled)
}

fn metric(name: &str) -> Result<String, InvalidScript> {
    if normalise_metric(name).as_deref() == Some(name) {
        Ok(name.to_owned())
    } else {
        Err(InvalidScript::Metric(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::{Shape, Values};

    fn template(metric: &str, tags: &[&str], names: &[(&str, Values)]) -> Script {
        let script = Script::new(metric, tags.iter().copied(), Shape::Constant(1.0));
        names.iter().fold(script, |script, (name, values)| script.for_each(*name, values.clone()))
    }

    fn one_to(last: u64) -> Values {
        Values::Range { first: 1, last, width: 1 }
    }

    #[track_caller]
    fn check(script: &Script, expected: &[&str]) {
        let members = members(script).unwrap();
        let texts: Vec<_> = members
            .iter()
            .map(|it| format!("{} {}", it.metric, it.tags.iter().collect::<Vec<_>>().join(",")))
            .collect();
        assert_eq!(texts, expected);
    }

    #[track_caller]
    fn refused(script: &Script, expected: &str) {
        assert_eq!(members(script).unwrap_err().to_string(), expected);
    }

    #[test]
    fn there_is_a_series_for_every_combination() {
        let zones = ["a", "b"].into_iter().collect();
        let script = template(
            "app.{zone}.load",
            &["pod:web-{pod}", "n:{ index }"],
            &[("zone", zones), ("pod", one_to(2))],
        );
        check(
            &script,
            &[
                "app.a.load n:0,pod:web-1",
                "app.b.load n:1,pod:web-1",
                "app.a.load n:2,pod:web-2",
                "app.b.load n:3,pod:web-2",
            ],
        );
    }

    #[test]
    fn braces_without_names_are_left_alone() {
        let script = template("m", &["a:{b}"], &[]);
        let expected = Tags::normalise(["a:{b}"]);
        assert_eq!(members(&script).unwrap()[0].tags, expected);
    }

    #[test]
    fn templates_without_sense_are_refused() {
        let of = |tags, names: &[(&str, Values)]| template("m", tags, names);
        refused(
            &of(&["pod:{pot}"], &[("pod", one_to(2))]),
            "`pod:{pot}` has a name in braces that `for` does not give",
        );
        refused(
            &of(&["pod:web"], &[("pod", one_to(2))]),
            "two series of the template have the metric `m` and the same tags, \
             use every name of `for` in its tags",
        );
        refused(&of(&[], &[("index", one_to(2))]), "name `index` is taken: it counts the series");
        refused(&of(&[], &[("pod", Values::List(vec![]))]), "name `pod` needs at least one value");
        refused(
            &of(&[], &[("pod", one_to(1000)), ("zone", one_to(51))]),
            "the template makes 51000 series, the most are 50000",
        );
    }
}
