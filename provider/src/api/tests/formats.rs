//! What clients get for what they accept.

use super::*;
use crate::api::protobuf::Protobuf;

/// Status code, type and body of the answer to `path` for a client that accepts `accept`.
async fn get(fixture: &Fixture, path: &str, accept: &str) -> (u16, String, Vec<u8>) {
    let request = Request::builder().uri(path).header("accept", accept);
    let (parts, body) = send(&fixture.router, request).await;
    assert_eq!(parts.headers["cache-control"], "no-cache, private");
    let content_type = parts.headers["content-type"].to_str().unwrap().to_owned();
    (parts.status.as_u16(), content_type, body)
}

fn text(body: Vec<u8>) -> String {
    String::from_utf8(body).unwrap()
}

const JSON: &str = "application/json";
const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";
const KUBECTL: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";

#[tokio::test]
async fn the_hpa_controller_gets_protobuf() {
    let fixture = fixture(wanted("queue=a", fresh(1.5)));
    let path = format!("{PATH}?labelSelector=queue%3Da");
    let (code, content_type, body) = get(&fixture, &path, &format!("{PROTOBUF}, */*")).await;
    assert_eq!((code, content_type.as_str()), (200, PROTOBUF));
    assert!(body.starts_with(b"k8s\0\x0a\x3a\x0a\x1fexternal.metrics.k8s.io/v1beta1"));
    let label: &[u8] = b"\x0a\x0bQueue.Depth\x12\x0a\x0a\x05queue\x12\x01a\x1a";
    assert!(body.windows(label.len()).any(|part| part == label), "{}", body.escape_ascii());
}

#[tokio::test]
async fn every_error_is_in_the_format_that_the_client_wants() {
    let fixture = fixture(wanted("", fresh(7.0)));
    for (path, expected) in [
        ("/apis/external.metrics.k8s.io/v1beta1/queue.depth", 404),
        (&PATH.replace("depth", "typo"), 404),
        (&format!("{PATH}?labelSelector=a+b"), 400),
        (&format!("{PATH}?watch=true"), 405),
        (&format!("{PATH}?resourceVersionMatch=Exact"), 422),
        (&PATH.replace("depth", "%ff"), 400),
    ] {
        let (code, content_type, body) = get(&fixture, path, PROTOBUF).await;
        assert_eq!((code, content_type.as_str()), (expected, PROTOBUF), "{path}");
        assert!(body.starts_with(b"k8s\0\x0a\x0c\x0a\x02v1\x12\x06Status"), "{path}");
        let (code, content_type, body) = get(&fixture, path, KUBECTL).await;
        assert_eq!((code, content_type.as_str()), (expected, JSON), "{path}");
        assert!(body.starts_with(br#"{"kind":"Status","apiVersion":"v1","#), "{path}");
    }
    let ignored = format!("{PATH}?limit=5&continue=x&resourceVersionMatch=Exact&resourceVersion=1");
    assert_eq!(get(&fixture, &ignored, JSON).await.0, 200);
    let status = Status::not_found("the server could not find the requested resource");
    let (_, _, body) = get(&fixture, "/typo", PROTOBUF).await;
    assert_eq!(body, status.protobuf());
}

#[tokio::test]
async fn a_wrong_method_still_says_which_are_right() {
    let fixture = fixture(wanted("", fresh(7.0)));
    let request = Request::builder().method("DELETE").uri(PATH).header("accept", PROTOBUF);
    let (parts, body) = send(&fixture.router, request).await;
    assert_eq!(parts.status, 405);
    assert_eq!(parts.headers["allow"], "GET,HEAD");
    assert_eq!(parts.headers["content-length"], body.len().to_string());
}

#[tokio::test]
async fn where_no_format_will_do_the_answer_is_json() {
    let fixture = fixture(wanted("", fresh(7.0)));
    let (code, content_type, body) = get(&fixture, PATH, "text/html, application/yaml").await;
    assert_eq!((code, content_type.as_str()), (406, JSON));
    let status = serde_json::to_string_pretty(&Status::not_acceptable()).unwrap();
    assert_eq!(text(body), status);
    insta::assert_snapshot!(status, @r#"
    {
      "kind": "Status",
      "apiVersion": "v1",
      "metadata": {},
      "status": "Failure",
      "message": "only the following media types are accepted: application/json, application/vnd.kubernetes.protobuf",
      "reason": "NotAcceptable",
      "code": 406
    }
    "#);
    let table = "application/json;as=Table;v=v1;g=meta.k8s.io";
    let (code, _, body) = get(&fixture, &PATH.replace("depth", "typo"), table).await;
    assert_eq!(code, 404, "{}", text(body));
}

#[tokio::test]
async fn kubectl_gets_a_table() {
    let now = Timestamp::now();
    let sample = Sample { value: 1.5, at: now - jiff::SignedDuration::from_secs(65) };
    let fixture = fixture(wanted("queue=a", sample));
    let path = format!("{PATH}?labelSelector=queue%3Da");
    let (code, content_type, body) = get(&fixture, &path, KUBECTL).await;
    assert_eq!((code, content_type.as_str()), (200, JSON));
    let body = text(body);
    let table: serde_json::Value = serde_json::from_str(&body).unwrap();
    let age = table["rows"][0]["cells"][3].as_str().unwrap();
    let seconds: u64 = age.strip_suffix('s').unwrap().parse().unwrap();
    assert!((65..120).contains(&seconds), "{age}");
    insta::assert_snapshot!(body.replace(&format!("\"{age}\""), "\"AGE\""), @r#"{"kind":"Table","apiVersion":"meta.k8s.io/v1","metadata":{},"columnDefinitions":[{"name":"Metric","type":"string","format":"name","description":"Name of the external metric, in its original case.","priority":0},{"name":"Labels","type":"string","format":"","description":"Labels that the selector fixes to one value.","priority":0},{"name":"Value","type":"string","format":"","description":"The value, a quantity.","priority":0},{"name":"Age","type":"string","format":"","description":"Time since the point that the value is of.","priority":0},{"name":"Window","type":"string","format":"","description":"Length of the bucket that the value stands for.","priority":0}],"rows":[{"cells":["Queue.Depth","queue=a","1500m","AGE","30s"],"object":{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":{"name":"Queue.Depth","namespace":"default"}}}]}
"#);
}

#[tokio::test]
async fn what_go_escapes_in_json_is_escaped() {
    let status = Status::bad_request("a<b>&\u{2028}\"é");
    let (_, body) = status.into_response().into_parts();
    let body = text(to_bytes(body, usize::MAX).await.unwrap().to_vec());
    // As k8s.io/apimachinery 0.36.3 writes it.
    assert_eq!(
        body,
        concat!(
            r#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","#,
            r#""message":"a\u003cb\u003e\u0026\u2028\"é","reason":"BadRequest","code":400}"#,
            "\n",
        )
    );
}

#[tokio::test]
async fn people_get_indented_json_and_programs_a_line() {
    let fixture = fixture(wanted("", fresh(7.0)));
    let ask = async |user_agent: &str, path: &str| {
        let request = Request::builder().uri(path).header("user-agent", user_agent);
        text(send(&fixture.router, request).await.1)
    };
    let line = ask("kubectl/v1.36.3", PATH).await;
    assert!(line.starts_with(r#"{"kind":"ExternalMetricValueList","apiVersion":"#), "{line}");
    assert!(line.ends_with("]}\n"), "{line}");
    let indented = ask("curl/8.5.0", PATH).await;
    assert!(indented.starts_with("{\n  \"kind\": \"ExternalMetricValueList\",\n"), "{indented}");
    assert!(indented.ends_with("  ]\n}"), "{indented}");
    assert_eq!(ask("curl/8.5.0", &format!("{PATH}?pretty=false")).await, line);
    assert!(ask("curl/8.5.0", "/typo").await.starts_with("{\n  \"kind\": \"Status\",\n"));
}
