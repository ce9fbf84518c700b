use super::*;

#[track_caller]
fn refused(fault: &Fault, expected: &str) {
    assert_eq!(fault.validate().unwrap_err().to_string(), expected);
}

#[test]
fn scripts_read_as_people_write_them() {
    let json = r#"{
        "metric": "m",
        "shape": {"step": [{"at": 0, "value": 0}, {"at": "1m 30s", "value": 25}]},
        "start": "-10m",
        "gaps": [{"at": "10s", "for": 2.5}]
    }"#;
    let script: Script = serde_json::from_str(json).unwrap();
    let steps = vec![
        Step { at: Span::from_secs(0), value: 0.0 },
        Step { at: Span::from_secs(90), value: 25.0 },
    ];
    let mut expected =
        Script::new("m", [""; 0], Shape::Step(steps)).starting(Start::Ago(Span::from_secs(600)));
    expected.gaps = vec![Gap {
        at: Span::from_secs(10),
        length: std::time::Duration::from_millis(2500).into(),
    }];
    assert_eq!(script, expected);
    let again = serde_json::to_string(&script).unwrap();
    assert_eq!(serde_json::from_str::<Script>(&again).unwrap(), script);
}

#[test]
fn starts_print_as_they_are_read() {
    for text in ["now", "-10m", "+30s", "2026-11-24T10:00:00Z"] {
        assert_eq!(text.parse::<Start>().unwrap().to_string(), text);
    }
    assert_eq!(
        "soon".parse::<Start>().unwrap_err().to_string(),
        "start `soon` is none of `now`, `-10m`, `+30s` or a time such as `2026-11-24T10:00:00Z`"
    );
}

#[test]
fn spans_that_are_none_are_refused() {
    for json in ["-1", "1e300", "\"a while\"", "99999999999", "true", "null"] {
        let error = serde_json::from_str::<Span>(json).unwrap_err().to_string();
        assert!(error.contains("expected a duration such as `90s`"), "{json}: {error}");
    }
}

#[test]
fn an_unknown_field_is_named() {
    let json = r#"{"metric": "m", "tag": [], "shape": {"constant": 1}}"#;
    let error = serde_json::from_str::<Script>(json).unwrap_err().to_string();
    assert!(error.starts_with("unknown field `tag`"), "{error}");
}

#[test]
fn faults_read_as_people_write_them() {
    let check = |effect: &str, expected: Effect| {
        let json = format!(r#"{{"name": "f", "effect": {effect}}}"#);
        assert_eq!(serde_json::from_str::<Fault>(&json).unwrap().effect, expected, "{json}");
    };
    check(r#"{"status": {"code": 503}}"#, Effect::status(503));
    check(r#"{"delay": "2s"}"#, Effect::Delay(Span::from_secs(2)));
    check(r#"{"query_error": "no"}"#, Effect::QueryError("no".to_owned()));
    check(r#""empty""#, Effect::Empty);
    check(r#"{"stale": "5m"}"#, Effect::Stale(Span::from_secs(300)));
}

#[test]
fn faults_that_cannot_work_are_refused() {
    refused(&Fault::new(" ", Effect::Empty), "a fault needs a name that is not blank");
    refused(
        &Fault::new("f", Effect::Empty).times(0),
        "times `0` hits no request, leave it out for all requests",
    );
    refused(&Fault::new("f", Effect::status(99)), "status code `99` must be from 200 to 599");
    refused(
        &Fault::new("f", Effect::Empty).on(Endpoint::Series),
        "effect `empty` works on queries, not on the endpoint given",
    );
    let headers = [("a b".to_owned(), "c".to_owned())].into();
    let status = StatusEffect { code: 500, body: None, headers };
    refused(&Fault::new("f", Effect::Status(status)), "header `a b` is no valid HTTP header");
}
