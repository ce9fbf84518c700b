use proptest::prelude::*;

use super::*;

type Read = fn(&[u8]) -> Result<(), Refusal>;

/// Every way in.
const BODIES: [Read; 6] = [
    |body| series_v1(body).map(drop),
    |body| series_v2_json(body).map(drop),
    |body| series_v2_protobuf(body).map(drop),
    |body| distribution_points(body).map(drop),
    |body| check_run(body).map(drop),
    |body| agent(body).map(drop),
];

/// Text that gets some way into a JSON body.
fn almost_json() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        r#"{"series":["#,
        r#"{"metric":"m","#,
        r#""points":["#,
        "[[1,2]],",
        r#"{"timestamp":1,"value":2}"#,
        r#""type":"#,
        r#""gauge","#,
        r#""tags":["a:b"],"#,
        r#""interval":"#,
        r#""host":"#,
        r#"{"check":"c","status":0}"#,
        "1e999",
        "-9223372036854775809",
        "null",
        "0",
        ",",
        "]",
        "}",
        "[",
        "\"",
        "\u{fe0f}",
    ]);
    prop::collection::vec(word, 0..24).prop_map(|words| words.concat())
}

proptest! {
    #[test]
    fn property_test_no_bytes_make_any_intake_panic(
        body in prop::collection::vec(any::<u8>(), 0..400),
    ) {
        for read in BODIES {
            let _ = read(&body);
        }
    }

    #[test]
    fn property_test_no_text_makes_any_intake_panic(body in almost_json()) {
        for read in BODIES {
            let _ = read(body.as_bytes());
        }
    }

    #[test]
    fn property_test_no_damage_makes_a_protobuf_body_panic(
        at in any::<prop::sample::Index>(), byte in any::<u8>(), value in any::<f64>(),
    ) {
        let mut body = protobuf::tests::payload("metric", value, 3);
        let at = at.index(body.len());
        body[at] = byte;
        let _ = series_v2_protobuf(&body);
        body.truncate(at);
        let _ = series_v2_protobuf(&body);
    }

    #[test]
    fn property_test_values_are_taken_as_they_are(
        time in -10_i64.pow(12)..10_i64.pow(12), value in prop::num::f64::NORMAL,
    ) {
        let body = serde_json::json!({"series": [{"metric": "m", "points": [[time, value]]}]});
        let batch = series_v1(body.to_string().as_bytes()).unwrap();
        prop_assert_eq!(&batch.series[0].points, &[(time, value)]);
    }
}

#[test]
fn host_and_device_become_tags() {
    let body = br#"{"series": [{"metric": "m", "points": [[10.0, 1], [20, null]], "type": "rate",
        "interval": 10, "host": "Web-1", "device": "", "tags": ["env:prod"]}]}"#;
    let batch = series_v1(body).unwrap();
    assert_eq!(
        batch.series,
        [Incoming {
            metric: "m".to_owned(),
            tags: Tags::normalise(["env:prod", "host:web-1"]),
            kind: Some(Kind::Rate),
            interval: Some(10),
            unit: None,
            points: vec![(10, 1.0)],
        }]
    );
    assert_eq!((batch.points(), batch.dropped), (1, 0));
}

#[test]
fn a_metric_without_a_name_costs_its_points_and_no_others() {
    let body = br#"{"series": [{"metric": "1m", "points": [[1, 1], [2, 2]]},
        {"metric": "m-1", "points": [[1, 1]]}]}"#;
    let batch = series_v1(body).unwrap();
    assert_eq!((batch.dropped, batch.series[0].metric.as_str()), (2, "m_1"));
}

#[test]
fn a_distribution_has_as_many_points_as_values() {
    let body = br#"{"series": [{"metric": "m", "type": "distribution", "host": "a",
        "points": [[10, [1.0, 2.0, 2.0]], [20, []]]}]}"#;
    let batch = distribution_points(body).unwrap();
    assert_eq!(batch.series[0].points, [(10, 1.0), (10, 2.0), (10, 2.0)]);
    assert_eq!(batch.series[0].kind, Some(Kind::Distribution));
}

#[test]
fn checks_come_in_lists_or_alone() {
    let one = r#"{"check": "app.ok", "host_name": "h", "status": 2, "tags": ["B:c"]}"#;
    let alone = check_run(one.as_bytes()).unwrap();
    assert_eq!(check_run(format!("[{one}]").as_bytes()).unwrap(), alone);
    assert_eq!(
        (alone[0].status, &alone[0].tags[..]),
        (CheckStatus::Critical, &["b:c".to_owned()][..])
    );
    assert!(check_run(br#"{"check": "app.ok", "status": 4}"#).is_err());
}

#[test]
fn events_are_found_in_what_agents_send() {
    let body = br#"{"apiKey": "", "internalHostname": "node-1", "meta": {"socket-hostname": "x"},
        "events": {"api": [{"msg_title": "t", "msg_text": "x", "timestamp": 5, "tags": null}]}}"#;
    let events = agent(body).unwrap();
    let seen: Vec<_> = events.iter().map(|it| (&*it.title, &*it.host, it.timestamp)).collect();
    assert_eq!(seen, [("t", "node-1", Some(5))]);
    assert_eq!(agent(br#"{"gohai": "{}", "agent-version": "7.60.0"}"#), Ok(Vec::new()));
}

#[test]
fn other_bodies_are_refused_with_what_is_wrong() {
    let refused = |read: fn(&[u8]) -> Result<Batch, Refusal>, body: &str| {
        read(body.as_bytes()).unwrap_err().to_string()
    };
    insta::assert_snapshot!(refused(series_v1, "{"), @"Payload is not in the expected format: EOF while parsing an object at line 1 column 1");
    insta::assert_snapshot!(refused(series_v1, r#"{"series": [{"metric": "m", "points": [[1, 1e999]]}]}"#), @"Payload is not in the expected format: number out of range at line 1 column 48");
    insta::assert_snapshot!(refused(series_v1, r#"{"series": [{"metric": "m", "points": [], "type": "set"}]}"#), @"Payload is not in the expected format: unknown type `set`");
    insta::assert_snapshot!(refused(series_v2_json, r#"{"series": [{"metric": "m", "points": [], "type": 9}]}"#), @"Payload is not in the expected format: unknown type 9");
    insta::assert_snapshot!(refused(distribution_points, r#"{"series": [{"metric": "m", "points": [[1, "2"]]}]}"#), @r#"Payload is not in the expected format: invalid type: string "2", expected a sequence at line 1 column 46"#);
}
