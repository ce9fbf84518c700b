use super::*;
use crate::control::{Effect, Endpoint, Right, Shape, Span};

#[track_caller]
fn refused(yaml: &str, expected: &str) {
    assert_eq!(Scenario::parse(yaml).unwrap_err().to_string(), expected);
}

#[test]
fn every_scenario_we_ship_can_be_served() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let mut found = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|it| it == "yaml") {
            assert!(!Scenario::load(&path).unwrap().series.is_empty());
            found += 1;
        }
    }
    assert!(0 < found);
}

#[test]
fn a_scenario_prints_as_it_is_read() {
    let yaml = "
seed: 7
time_scale: 60
query_error_mode: http200
series:
  - metric: app.load
    type: count
    interval: 10s
    noise: 0.5
    seed: 3
    start: -1h
    every: 10s
    gaps: [{at: 1m, for: 30s}]
    tags: ['pod:web-{pod}', 'zone:{zone}']
    for: {pod: 01..50, zone: [a, b]}
    per_series: {add: 2, ahead: 10s}
    shape: {random_walk: {start: 1, step: 0.1, min: 0, max: 2}}
  - {metric: b, shape: {burst: {base: 1, height: 9, every: 1h, for: 5m}}}
  - {metric: c, shape: {timeline: {points: [{at: 0s, value: 1}, {at: 1s, value: null}]}}}
faults: [{name: gone, at: 1m, for: 30s, effect: empty}]
rate_limits: [{endpoints: [query, scalar], limit: 9, period: 1h, name: q}]
";
    let scenario = Scenario::parse(yaml).unwrap();
    assert_eq!(scenario.count_series(), 102);
    let json = serde_json::to_string(&scenario).unwrap();
    assert_eq!(Scenario::parse(&json), Ok(scenario));
}

#[test]
fn files_of_values_lie_beside_the_scenario() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.yaml");
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("load.csv", "time,value\n0,1\n60,2\n");
    write("s.yaml", "series: [{metric: m, shape: {csv: {file: load.csv, repeat: true}}}]");
    let scenario = Scenario::load(&path).unwrap();
    assert!(matches!(&scenario.series[0].shape, Shape::Timeline { points, repeat: true }
        if points.len() == 2));
    write("load.csv", "0,1\n60,two\n");
    let error = Scenario::load(&path).unwrap_err().to_string();
    let (path, csv) = (path.display(), folder.path().join("load.csv"));
    let csv = csv.display();
    assert_eq!(error, format!("scenario {path}:1:10: {csv}:2:4: value `two` is no number"));
    refused(
        "series: [{metric: m, shape: {csv: {file: load.csv}}}]",
        "1:10: file `load.csv` can only be named in a scenario file, \
         give the values themselves here",
    );
}

#[test]
fn all_parts_are_optional() {
    assert_eq!(Scenario::parse("# nothing\n"), Ok(Scenario::default()));
    let scenario = Scenario::parse("query_error_mode: http200").unwrap();
    assert_eq!(scenario.query_error_mode, QueryErrorMode::Http200);
}

#[test]
fn shapes_and_faults_are_read() {
    let yaml = "
series:
  - {metric: a, shape: {constant: 3}}
  - metric: b
    shape:
      replay: {values: [1, null, 2.5], each: 10s}
    start: -5m
faults:
  - {name: gone, effect: empty, times: 2}
";
    let scenario = Scenario::parse(yaml).unwrap();
    assert_eq!(scenario.series[0].shape, Shape::Constant(3.0));
    assert!(matches!(&scenario.series[1].shape, Shape::Replay { values, .. }
        if *values == [Some(1.0), None, Some(2.5)]));
    assert_eq!(scenario.faults[0], Fault::new("gone", Effect::Empty).times(2));
}

#[test]
fn rate_limits_are_a_list_or_those_of_datadog() {
    let limits = |yaml: &str| Scenario::parse(yaml).unwrap().rate_limits;
    assert_eq!(limits("seed: 1"), []);
    assert_eq!(limits("rate_limits: datadog"), RateLimit::datadog());
    assert_eq!(
        limits("rate_limits:\n  - {endpoints: [query], limit: 100, period: 1h}\n"),
        [RateLimit::new(Endpoint::Query, 100, Span::from_secs(3600))]
    );
    refused("rate_limits: keda", "1:14: rate limits `keda` are neither a list nor `datadog`");
    refused(
        "rate_limits:\n  - {endpoints: [query], limit: 1, period: 1h}\n  - {endpoints: [series], \
         limit: 1, period: 1h}\n",
        "3:5: endpoint `series` has no rate limit; limit single endpoints that read data",
    );
    refused(
        "rate_limits:\n  - {endpoints: [query], limit: 1, period: 500ms}\n",
        "2:5: period `500ms` must be a whole number of seconds, at least 1s",
    );
    refused(
        "rate_limits:\n  - {endpoints: [query], limits: 1}\n",
        "2:26: unknown field `limits`, expected one of endpoints, limit, period, name",
    );
}

#[test]
fn keys_are_read_and_never_shown() {
    let yaml = "
keys:
  - {api: 12345678901234567890123456789012, name: digits}
  - {app: hush, scopes: [timeseries_query, metrics_read]}
  - {app: 1234567e89, org: other, revoked: true}
";
    let scenario = Scenario::parse(yaml).unwrap();
    let rights = [Right::TimeseriesQuery, Right::MetricsRead];
    let expected = [
        Key::api("12345678901234567890123456789012").named("digits"),
        Key::app("hush").scoped(rights),
        Key::app("1234567e89").of("other").revoked(),
    ];
    assert_eq!(scenario.keys, expected);
    let shown = format!("{scenario:?} {}", serde_json::to_string(&scenario).unwrap());
    assert!(!["hush", "123456"].iter().any(|it| shown.contains(it)), "{shown}");
}

#[test]
fn mistakes_are_found_with_line_and_column() {
    refused("series: 5", "1:9: expected sequence start");
    refused(
        "series:\n  - metric: m\n    shap: {constant: 1}\n",
        "3:5: unknown field `shap`, expected one of metric, tags, for, per_series, \
         shape, start, every, gaps, type, interval, noise, seed",
    );
    refused("series:\n  - metric: m\n    shape: {constant: x}\n", "3:23: invalid floating point");
    refused(
        "series:\n  - metric: m\n    shape: {ramp: {from: 0, to: 1, over: soon}}\n",
        "3:36: invalid value: string \"soon\", \
         expected a duration such as `90s` or `1m 30s`, or a number of seconds",
    );
    refused(
        "series:\n  - metric: m\n    start: later\n    shape: {constant: 1}\n",
        "3:12: start `later` is none of `now`, `-10m`, `+30s` \
         or a time such as `2026-11-24T10:00:00Z`",
    );
    refused("series:\n  - {metric: m, shape: {step: []}}\n", "2:5: step needs at least one value");
    refused(
        "faults:\n  - {name: f, effect: {status: {code: 42}}}\n",
        "2:5: status code `42` must be from 200 to 599",
    );
    refused("keys:\n  - {name: n}\n", "2:5: a key needs either `api` or `app`");
    refused("keys:\n  - {api: a, app: b}\n", "2:5: a key needs either `api` or `app`");
    refused("keys: [{api: ' '}]", "1:8: a key must not be blank");
    refused(
        "keys:\n  - {api: a, scopes: [metrics_read]}\n",
        "2:5: an API key has no `scopes`, only an application key has",
    );
    refused(
        "keys:\n  - {app: a}\n  - {app: a, org: b}\n",
        "3:5: the key with the fingerprint `ca978112` is there twice",
    );
    refused(
        "keys:\n  - {app: a, scopes: [metric_read]}\n",
        "2:23: unknown variant `metric_read`, expected one of \
         timeseries_query, metrics_read, metrics_metadata_write",
    );
    refused("series: [", "1:9: unclosed bracket '['");
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let error = Scenario::load(Path::new("no/such.yaml")).unwrap_err().to_string();
    assert!(error.starts_with("cannot read scenario no/such.yaml: "), "{error}");
}

#[test]
fn the_scenarios_in_the_documentation_can_be_served() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/fake-datadog.md");
    let page = std::fs::read_to_string(page).unwrap();
    let blocks = page.split("```yaml\n").skip(1).filter_map(|it| it.split("```").next());
    let parsed: Vec<_> = blocks.map(|yaml| Scenario::parse(yaml).unwrap()).collect();
    assert!(2 <= parsed.len(), "{parsed:?}");
}
