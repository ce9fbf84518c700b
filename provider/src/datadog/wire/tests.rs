use proptest::prelude::*;

use super::*;

fn malformed(body: &str, queries: usize) -> String {
    match series(body.as_bytes(), queries) {
        Err(NoSeries::Malformed(reason)) => reason,
        other => panic!("{body}: {other:?}"),
    }
}

#[test]
fn series_are_tied_to_queries_by_their_index() {
    let body = br#"{"status":"ok","series":[
        {"query_index":1,"scope":"a:b","pointlist":[[1000,1.5],[2000.0,null]]}]}"#;
    let series = series(body, 2).unwrap();
    assert!(series[0].is_empty());
    let points = vec![(1000.0, Some(1.5)), (2000.0, None)];
    assert_eq!(series[1], [Series { points, scope: "a:b".into(), tags: vec![] }]);
}

// Datadog's agent's "missing queryIndex", of one query (facts/datadog.md §7.1, "Query").
#[test]
fn a_lone_query_needs_no_index() {
    let body = br#"{"status":"ok","series":[{"pointlist":[[1000,1]]}]}"#;
    assert_eq!(series(body, 1).unwrap()[0].len(), 1);
}

// Its "index missing/negative/outside (whole batch invalid)".
#[test]
fn an_index_that_fits_no_query_spoils_the_answer() {
    for index in ["", r#""query_index":null,"#, r#""query_index":-1,"#, r#""query_index":2,"#] {
        let body = format!(r#"{{"status":"ok","series":[{{{index}"pointlist":[]}}]}}"#);
        assert!(malformed(&body, 2).contains("fits no query"), "{index}");
    }
}

// Its "rewritten expression accepted": normalised, expanded group, missing.
#[test]
fn the_expression_of_a_series_does_not_matter() {
    for expression in [
        r#""expression":"avg:m { a:b } . rollup ( 30 )","#,
        r#""expression":"avg:m{host:x,a:b}","#,
        r#""expression":null,"#,
        "",
    ] {
        let body = format!(
            r#"{{"status":"ok","series":[{{{expression}"query_index":0,"pointlist":[[0,1]]}}]}}"#
        );
        assert_eq!(series(body.as_bytes(), 2).unwrap()[0].len(), 1, "{expression}");
    }
}

// Answers without them crash Datadog's agent (facts/datadog.md §1.5).
#[test]
fn null_metric_scope_and_tags_are_read() {
    let body = br#"{"status":"ok","series":[
        {"query_index":0,"metric":null,"scope":null,"tag_set":null,"pointlist":[]}]}"#;
    assert_eq!(series(body, 1).unwrap()[0][0].scope, "");
}

#[test]
fn bodies_that_are_none_are_malformed() {
    assert_eq!(malformed("", 1), "it is empty");
    assert_eq!(malformed(" \n", 1), "it is empty");
    assert_eq!(
        malformed("<html><title>Sign in</title>\n<p>to the network", 1)
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" "),
        "it is a page, not JSON, look for a proxy or portal in between: Sign in to the network"
    );
    for body in [
        "{}",
        "null",
        "[]",
        "{\"status\":7}",
        "{\"status\":\"ok\",\"series\":7}",
        "{\"status\":\"ok\",\"series\":[{}",
        "{\"status\":\"ok\",\"series\":[{\"pointlist\":7}]}",
        "{\"status\":\"ok\",\"series\":[{\"pointlist\":[[1,\"2\"]]}]}",
        "{\"status\":\"ok\",\"series\":[{\"pointlist\":[[1]]}]}",
        "{\"status\":\"ok\",\"series\":[{\"query_index\":\"0\"}]}",
        "{\"status\":\"ok\",\"series\":[{\"pointlist\":[[1,NaN]]}]}",
    ] {
        malformed(body, 1);
    }
}

#[test]
fn a_list_of_too_many_series_is_not_kept() {
    let body =
        |count: usize| format!(r#"{{"status":"ok","series":[{}]}}"#, vec!["{}"; count].join(","));
    assert_eq!(series(body(MOST_SERIES).as_bytes(), 1).unwrap()[0].len(), MOST_SERIES);
    assert!(malformed(&body(MOST_SERIES + 1), 1).starts_with("more than 100000 series"));
}

#[test]
fn an_error_in_a_200_is_the_querys_unless_it_speaks_of_datadog() {
    let no_series = |message: &str| {
        let body = serde_json::json!({ "status": "error", "error": message }).to_string();
        series(body.as_bytes(), 1).unwrap_err()
    };
    for query in [
        "Error parsing query:\nunable to parse avg:m{: Rule 'scope_expr' didn't match",
        "Invalid query input:\n",
        "Query timed out",
        "unknown aggregation for metric",
        "",
    ] {
        assert_eq!(no_series(query), NoSeries::Query(query.into()));
    }
    for failure in ["Rate limit of 1600 requests", "Internal error", "Service Unavailable"] {
        assert_eq!(no_series(failure), NoSeries::Failure(failure.into()));
    }
    let body = br#"{"status":"error"}"#;
    assert_eq!(series(body, 1).unwrap_err(), NoSeries::Query(String::new()));
}

#[test]
fn every_form_of_error_body_gives_its_words() {
    assert_eq!(error_message(br#"{"errors":["Forbidden"]}"#), "Forbidden");
    assert_eq!(
        error_message(br#"{"status":"error","error":"Error parsing query: x"}"#),
        "Error parsing query: x"
    );
    // The form of a 429 and a 403 (DataDog/datadog-agent#28497).
    let long = br#"{"status":"error","code":403,"errors":["Forbidden"],"statuspage":"http://status.datadoghq.com"}"#;
    assert_eq!(error_message(long), "Forbidden");
    assert_eq!(error_message(b"<html><h1>Bad Gateway</h1></html>").trim(), "Bad Gateway");
    assert_eq!(error_message(b"a < b"), "a < b");
    assert_eq!(error_message(b""), "");
}

proptest! {
    #[test]
    fn property_test_any_body_is_read_or_refused(
        body in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..200),
            "[<>{}\\[\\]\":,a-z0-9 ]{0,80}".prop_map(String::into_bytes),
        ],
        queries in 0usize..3
    ) {
        if let Ok(series) = series(&body, queries) {
            prop_assert_eq!(series.len(), queries);
        }
        error_message(&body);
    }
}
