use std::path::PathBuf;
use std::time::Duration;

use crate::outcome::{Assertion, Outcome, Phase, PhaseEnd, Verdict};
use crate::report::{Colour, summary, text};
use crate::timeline::{Observation, Timeline};

fn at(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

fn phase(name: &str, began: f64, ended: f64, end: PhaseEnd) -> Phase {
    Phase { name: name.into(), began: at(began), end: Some((at(ended), end)) }
}

fn timeline(rows: &[(f64, f64, i32, i32)]) -> Timeline {
    let mut timeline = Timeline::default();
    for &(seconds, value, desired, ready) in rows {
        let observation = Observation {
            value: Some(value),
            desired: Some(desired),
            current: None,
            ready: Some(ready),
        };
        timeline.record(at(seconds), observation);
    }
    timeline
}

fn assertion(name: &str, result: Result<&str, &str>) -> Assertion {
    let result = result.map(str::to_owned).map_err(str::to_owned);
    Assertion { at: Duration::ZERO, name: name.into(), result }
}

fn passed() -> Outcome {
    Outcome {
        scenario: "walkthrough".into(),
        cluster: "local".into(),
        verdict: Verdict::Passed,
        took: at(19.34),
        phases: vec![
            phase("control plane", 0.0, 4.12, PhaseEnd::Done),
            phase("deploy", 4.12, 5.5, PhaseEnd::Done),
            phase("scale up", 5.5, 9.0, PhaseEnd::Done),
            phase("hold at 3", 9.0, 19.34, PhaseEnd::Done),
        ],
        timeline: timeline(&[
            (5.6, 1.0, 1, 1),
            (7.9, 26.0, 1, 1),
            (8.2, 26.0, 3, 1),
            (8.4, 26.04, 3, 3),
            (19.0, 1.0, 1, 1),
        ]),
        assertions: vec![
            assertion("nginx counted what was offered", Ok("250 of 250")),
            assertion("the decision follows", Ok("26 per s / 9 → ceil 2.89 = 3")),
        ],
        facts: vec![
            ("kubernetes".into(), "1.37.2".into()),
            ("load".into(), "250 requests in 10.0s\nlatency p99 1.2 ms".into()),
        ],
        failure: None,
        artifacts: None,
        seed: 42,
    }
}

fn failed() -> Outcome {
    Outcome {
        verdict: Verdict::Failed,
        phases: vec![
            phase("control plane", 0.0, 4.12, PhaseEnd::Done),
            phase("load", 4.2, 40.0, PhaseEnd::Stopped),
            phase("scale up", 4.5, 40.0, PhaseEnd::Failed),
        ],
        timeline: timeline(&[(5.6, 0.0, 1, 1), (8.2, 26.0, 2, 1)]),
        assertions: vec![
            assertion("nginx counted what was offered", Ok("250 of 250")),
            assertion("the decision follows", Err("the HPA wants 2 replicas, not 3")),
        ],
        facts: Vec::new(),
        failure: Some(
            "the decision follows: the HPA wants 2 replicas, not 3 (in phase scale up)".into(),
        ),
        artifacts: Some(PathBuf::from("/tmp/e2e/walkthrough-42")),
        ..passed()
    }
}

fn written(outcome: &Outcome, colour: Colour) -> String {
    let mut out = Vec::new();
    text(outcome, colour, &mut out).expect("memory takes it");
    String::from_utf8(out).expect("text")
}

#[test]
fn a_passed_run_reads_from_phases_to_verdict() {
    insta::assert_snapshot!(written(&passed(), Colour::Off));
}

#[test]
fn a_failed_run_says_what_failed_where_and_where_to_look() {
    insta::assert_snapshot!(written(&failed(), Colour::Off));
}

#[test]
fn a_run_that_ended_before_it_began_is_only_its_error() {
    let outcome = Outcome {
        verdict: Verdict::Errored,
        took: at(0.02),
        phases: Vec::new(),
        timeline: Timeline::default(),
        assertions: Vec::new(),
        failure: Some("no etcd found\ntried --assets, the cache, a download, go build".into()),
        artifacts: None,
        ..failed()
    };
    insta::assert_snapshot!(written(&outcome, Colour::Off));
}

#[test]
fn colours_change_nothing_but_colours() {
    let coloured = written(&failed(), Colour::On);
    assert!(coloured.contains("\u{1b}[31m✗\u{1b}[0m"), "{coloured}");
    let mut without = String::new();
    let mut rest = coloured.as_str();
    while let Some((before, code)) = rest.split_once("\u{1b}[") {
        without.push_str(before);
        rest = code.split_once('m').expect("a whole code").1;
    }
    without.push_str(rest);
    assert_eq!(without, written(&failed(), Colour::Off));
}

#[test]
fn a_summary_is_one_line_a_run() {
    let mut out = Vec::new();
    summary(&[passed(), failed()], Colour::Off, &mut out).expect("memory takes it");
    let expected =
        "✓ walkthrough on local passed in 19.3s\n✗ walkthrough on local failed in 19.3s\n";
    assert_eq!(String::from_utf8(out).as_deref(), Ok(expected));
}
