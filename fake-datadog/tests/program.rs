//! The program as its users run it: exit codes, what it prints, how it stops.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::{
    io::{BufRead, BufReader, Read},
    process::{Child, Command, Output, Stdio},
};

use fake_datadog::control;
use url::Url;

fn program(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fake-datadog"));
    command.args(args).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn output(args: &[&str]) -> (Option<i32>, String) {
    let Output { status, stderr, .. } = program(args).output().unwrap();
    (status.code(), String::from_utf8(stderr).unwrap())
}

/// The address in the first line that a serving program prints.
fn address(child: &mut Child) -> Url {
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    line.strip_prefix("fake-datadog listening on ").unwrap().trim_end().parse().unwrap()
}

#[tokio::test]
async fn serving_prints_the_address_writes_the_port_and_stops_on_sigterm() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let folder = tempfile::tempdir().unwrap();
    let port_file = folder.path().join("port");
    let scenario = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios/walkthrough.yaml");
    let port_arg = format!("--port-file={}", port_file.display());
    let args = ["serve", "--listen=127.0.0.1:0", "--scenario", scenario, &port_arg];
    let mut child = program(&args).spawn().unwrap();

    let url = address(&mut child);
    let port = std::fs::read_to_string(&port_file).unwrap();
    assert_eq!(port.trim().parse().ok(), url.port());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no partial file is left");
    let health = control::Client::new(url).unwrap().health().await.unwrap();
    assert_eq!(health.scripts, 1);

    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let mut log = String::new();
    child.stderr.unwrap().read_to_string(&mut log).unwrap();
    assert!(log.contains("stopped"), "{log}");
}

#[test]
fn an_address_in_use_is_one_line_and_exit_code_3() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (code, stderr) = output(&["serve", "--listen", &address]);
    assert_eq!(code, Some(3));
    assert_eq!(
        stderr,
        format!(
            "fake-datadog: {address} is already in use, \
             choose another address such as `--listen 127.0.0.1:0`\n"
        )
    );
}

#[test]
fn a_bad_scenario_is_one_line_and_exit_code_2() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bad.yaml");
    std::fs::write(&path, "series:\n  - metric: m\n    shape: {constant: x}\n").unwrap();
    let path = path.display().to_string();
    let (code, stderr) = output(&["serve", "--listen=127.0.0.1:0", "--scenario", &path]);
    assert_eq!(code, Some(2));
    assert_eq!(stderr, format!("fake-datadog: scenario {path}:3:23: invalid floating point\n"));
}

#[test]
fn a_scenario_that_is_not_there_is_one_line_and_exit_code_2() {
    let (code, stderr) = output(&["serve", "--scenario", "no/such.yaml"]);
    assert_eq!(code, Some(2));
    assert!(stderr.starts_with("fake-datadog: cannot read scenario no/such.yaml: "), "{stderr}");
    assert_eq!(stderr.lines().count(), 1);
}

#[test]
fn scenarios_are_checked_without_serving_them() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let good = file("good.yaml", "series: [{metric: m, shape: {constant: 1}}]");
    let bad = file("bad.yaml", "series: [{metric: m, shape: {saw: 1}}]");
    let Output { status, stdout, stderr } = program(&["check", &good, &bad]).output().unwrap();
    assert_eq!(status.code(), Some(2));
    let stdout = String::from_utf8(stdout).unwrap();
    assert_eq!(stdout, format!("{good}: ok, 1 series, 0 faults\n"));
    let stderr = String::from_utf8(stderr).unwrap();
    assert!(stderr.contains("bad.yaml:1:30: unknown variant `saw`"), "{stderr}");
    assert_eq!(stderr.lines().count(), 1);
}

#[test]
fn the_schema_is_printed() {
    let Output { status, stdout, .. } = program(&["schema"]).output().unwrap();
    assert_eq!(status.code(), Some(0));
    assert!(stdout == include_bytes!("../scenario.schema.json"), "another than in the file");
}

#[tokio::test]
async fn a_recorder_that_is_stopped_leaves_a_recording_that_replays() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("exchanges.jsonl");
    let fake = fake_datadog::FakeDatadog::start().await.unwrap();
    let (upstream, file) = (fake.url().as_str(), out.to_str().unwrap());
    let args = ["record", "--listen=127.0.0.1:0", "--upstream", upstream, "--out", file];
    let mut recorder = program(&args).spawn().unwrap();
    let ask = async |url: Url| {
        reqwest::get(url.join("api/v1/validate").unwrap()).await.unwrap().status().as_u16()
    };
    assert_eq!(ask(address(&mut recorder)).await, 403);
    terminate(recorder);

    let mut replay = program(&["replay", "--listen=127.0.0.1:0", file]).spawn().unwrap();
    assert_eq!(ask(address(&mut replay)).await, 403);
    terminate(replay);
}

/// Stops a program, which must end well.
fn terminate(mut child: Child) {
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
