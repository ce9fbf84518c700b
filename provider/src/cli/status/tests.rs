use super::*;
use crate::agent::status::tests::{fixed, sources};

#[test]
fn everything_is_shown() {
    insta::assert_snapshot!(text(&fixed(true, Some(&sources())), Paint::Plain));
}

#[test]
fn off_and_without_an_election() {
    insta::assert_snapshot!(text(&fixed(false, None), Paint::Plain));
}

#[test]
fn the_walkthroughs_log_is_word_for_word() {
    let log = provider_log(&fixed(true, Some(&sources())));
    insta::assert_snapshot!(log);
    let lines: Vec<_> = log.lines().collect();
    let walkthrough = "  Custom Metrics Provider
  =======================
  External Metrics
  ================
    ConfigMap name: datadog-hpa
    Number of external metrics detected: 5";
    assert_eq!(lines[..6], walkthrough.lines().collect::<Vec<_>>());
    let block = "    hpa:
    - name: nginxext
    - namespace: default
    labels:
    - app: puppet
    - env: demo
    metricName: nginx.net.request_per_s
    ts: 1.532042322e+09
    valid: true
    value: 2472
";
    assert!(log.contains(block), "{log}");
}

#[test]
fn a_failing_election_is_red_on_a_terminal() {
    let mut status = fixed(true, None);
    status.leader_election.error = Some("leases is forbidden".to_owned());
    status.leader_election.leader = None;
    let shown = text(&status, Paint::Colour);
    assert!(shown.contains("Status: \u{1b}[31mFailing\u{1b}[0m\n  Error: leases is forbidden\n"));
    assert!(shown.contains("nobody leads"));
}
