use clap::{CommandFactory, Parser, error::ErrorKind};

use super::*;

#[derive(Debug, Parser)]
struct Cli {
    #[command(flatten)]
    args: Args,
}

const REQUIRED: [&str; 5] = ["check", "--datadog-url", "http://127.0.0.1:8126", "--api-key", "k3y"];

fn parse(more: &[&str]) -> Result<Args, clap::Error> {
    Cli::try_parse_from(REQUIRED.iter().chain(more)).map(|cli| cli.args)
}

#[test]
fn the_flags_are_sound() {
    Cli::command().debug_assert();
}

#[test]
fn each_flag_has_a_variable_and_a_text() {
    for argument in Cli::command().get_arguments() {
        assert!(argument.get_env().is_some(), "{argument} has no variable");
        assert!(argument.get_help().is_some(), "{argument} has no help");
    }
}

#[test]
fn two_flags_are_enough() {
    let args = parse(&[]).unwrap();
    assert_eq!(args.interval, Duration::from_secs(15));
    assert_eq!((args.node, args.namespace, args.shared_status_url), (None, None, None));
}

#[test]
fn values_that_cannot_work_are_refused() {
    #[track_caller]
    fn check(flag: &str, value: &str) {
        assert_eq!(parse(&[flag, value]).unwrap_err().kind(), ErrorKind::ValueValidation);
    }
    check("--interval", "0s");
    check("--interval", "soon");
    check("--node", "");
    check("--namespace", "");
    check("--shared-status-url", "https://127.0.0.1/nginx_status");
    check("--shared-status-url", "127.0.0.1");
}

#[test]
fn the_key_is_absent_from_the_debug_form() {
    let args = parse(&[]).unwrap();
    let config = Config {
        datadog_url: args.datadog_url.clone(),
        api_key: args.api_key.clone(),
        interval: args.interval,
        shared_status_url: None,
        cluster_agent: None,
    };
    assert!(!format!("{args:?} {config:?}").contains("k3y"));
}

#[test]
fn a_key_with_a_line_end_is_refused_without_being_shown() {
    let url = "http://127.0.0.1:8126".parse().unwrap();
    let key = SecretString::from("k3y\n");
    let error = crate::node_check::http::Submitter::new(&url, &key).unwrap_err();
    assert!(!format!("{error:?} {error}").contains("k3y"));
}

#[test]
fn rounds_begin_in_the_middle_of_a_second() {
    #[track_caller]
    fn check(nanosecond: i32, expected_millis: u64) {
        let now = Timestamp::new(1_700_000_000, nanosecond).unwrap();
        assert_eq!(until_middle_of_a_second(now), Duration::from_millis(expected_millis));
    }
    check(0, 500);
    check(500_000_000, 0);
    check(499_000_000, 1);
    check(900_000_000, 600);
}
