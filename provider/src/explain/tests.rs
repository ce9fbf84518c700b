//! A healthy chain, and the same with exactly one thing broken.

use crate::{
    cli::paint::Paint,
    explain::{Explanation, Link, Mark, explain, facts::Facts, text},
};

mod cases;
mod fixture;

use cases::CASES;
use fixture::healthy;

fn broken_link(explanation: &Explanation) -> Option<Link> {
    Some(explanation.steps[explanation.broken?].link)
}

fn changed(change: fn(&mut Facts)) -> Explanation {
    let mut facts = healthy();
    change(&mut facts);
    explain(&facts)
}

#[test]
fn all_is_well() {
    let explanation = explain(&healthy());
    assert_eq!((explanation.exit_code(), broken_link(&explanation)), (0, None));
    insta::assert_snapshot!("healthy", text(&explanation, Paint::Plain));
}

#[test]
fn the_json_has_the_same() {
    insta::assert_json_snapshot!("json", changed(cases::datadog::typo));
}

#[test]
fn each_case_breaks_one_link() {
    for (name, change, link) in CASES {
        let explanation = changed(*change);
        let text = text(&explanation, Paint::Plain);
        assert_eq!(broken_link(&explanation), Some(*link), "{name}:\n{text}");
        assert_eq!(explanation.exit_code(), 1, "{name}");
        let broken = explanation.steps.iter().filter(|step| step.mark == Mark::Broken).count();
        assert_eq!(broken, 1, "{name} has one cause, all else follows:\n{text}");
    }
}

/// What of each case differs from the healthy chain.
#[test]
fn each_case_in_its_words() {
    let healthy = text(&explain(&healthy()), Paint::Plain);
    let mut all = String::new();
    for (name, change, _) in CASES {
        all.push_str("# ");
        all.push_str(name);
        all.push('\n');
        for line in text(&changed(*change), Paint::Plain).lines() {
            if !healthy.lines().any(|other| other == line) {
                all.push_str(line);
                all.push('\n');
            }
        }
        all.push('\n');
    }
    insta::assert_snapshot!("cases", all);
}

/// The page quotes what the command says, so that a search for it leads there.
#[test]
fn the_documentation_has_each_cases_words() {
    let page = include_str!("../../../docs/troubleshooting.md");
    for (name, change, _) in CASES {
        let explanation = changed(*change);
        let step = &explanation.steps[explanation.broken.unwrap()];
        assert!(
            page.contains(&step.finding),
            "{name} is not in docs/troubleshooting.md: {}",
            step.finding
        );
        let remedy = step.remedy.as_deref().unwrap();
        assert!(
            page.contains(remedy),
            "{name} has no such remedy in docs/troubleshooting.md: {remedy}"
        );
    }
}

#[test]
fn what_cannot_be_asked_is_said_and_breaks_nothing() {
    let explanation = changed(cases::nothing_but_the_hpa);
    assert_eq!(explanation.exit_code(), 0);
    insta::assert_snapshot!("nothing_known", text(&explanation, Paint::Plain));
}

#[test]
fn a_terminal_gets_colours_and_nothing_that_a_message_smuggles_in() {
    let explanation = changed(|facts| {
        facts.answers = fixture::refusal(503, "Datadog fails at x (HTTP 500: \u{1b}[2Jboo\nbar)");
    });
    let text = text(&explanation, Paint::Colour);
    assert!(text.contains("\u{1b}[31m✗\u{1b}[0m Calls to Datadog"), "{text}");
    assert!(!text.contains("\u{1b}[2J") && text.contains("[2Jboo bar"), "{text}");
}

#[test]
fn of_several_metrics_the_broken_one_is_named_and_the_largest_wins() {
    let two = changed(cases::two_metrics);
    insta::assert_snapshot!("two_metrics", text(&two, Paint::Plain));
    let one_broken = changed(|facts| {
        cases::two_metrics(facts);
        facts.answers[1] =
            fixture::refusal(404, &fixture::no_series("sum:redis.key{*}.rollup(30)")).remove(0);
        facts.view = crate::explain::facts::Found::Unknown("not asked".into());
    });
    let step = &one_broken.steps[one_broken.broken.unwrap()];
    assert_eq!((step.link, step.metric), (Link::Calls, Some(2)));
    let replicas = one_broken.steps.last().unwrap();
    assert!(replicas.finding.contains("25 fetched"), "{}", replicas.finding);
}
