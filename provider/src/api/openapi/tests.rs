use axum::{
    body::{Body, to_bytes},
    http::Request,
};
use serde_json::Value;
use tower::ServiceExt;

use super::*;

const DOCUMENT: &str = "/openapi/v3/apis/external.metrics.k8s.io/v1beta1";

async fn ask(path: &str, headers: &[(&str, &str)]) -> (u16, HeaderMap, String) {
    let mut request = Request::get(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = routes().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let (head, body) = response.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    (head.status.as_u16(), head.headers, String::from_utf8(body.to_vec()).unwrap())
}

async fn document(path: &str) -> Value {
    let (code, headers, body) = ask(path, &[]).await;
    assert_eq!((code, headers["content-type"].as_bytes()), (200, &b"application/json"[..]));
    serde_json::from_str(&body).unwrap()
}

#[tokio::test]
async fn the_documents() {
    insta::assert_json_snapshot!("v2", document("/openapi/v2").await);
    insta::assert_json_snapshot!("v3", document(DOCUMENT).await);
}

#[tokio::test]
async fn references_resolve() {
    fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(fields) => {
                found.extend(fields.get("$ref").and_then(Value::as_str));
                fields.values().for_each(|field| references(field, found));
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }
    for path in ["/openapi/v2", DOCUMENT] {
        let document = document(path).await;
        let mut found = Vec::new();
        references(&document, &mut found);
        assert_eq!(found.len(), 3, "{path}: {found:?}");
        for reference in found {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{path}: {reference}");
        }
    }
}

#[tokio::test]
async fn the_index_names_the_document_by_its_etag() {
    let index = document("/openapi/v3").await;
    let url = index["paths"]["apis/external.metrics.k8s.io/v1beta1"]["serverRelativeURL"]
        .as_str()
        .unwrap();
    let (path, hash) = url.split_once("?hash=").unwrap();
    assert_eq!(path, DOCUMENT);
    let (code, headers, _) = ask(url, &[]).await;
    assert_eq!(code, 200);
    assert_eq!(headers["etag"], format!("\"{hash}\""));
    assert_eq!(headers["cache-control"], "public, immutable");
    assert_eq!(headers["vary"], "Accept");
    assert!(headers["expires"].to_str().unwrap().ends_with(" GMT"));
    assert_eq!((hash.len(), hash.to_uppercase().as_str()), (128, hash));
}

#[test]
fn a_year_is_an_http_date() {
    let now = "2026-11-25T05:06:07.9Z".parse().unwrap();
    assert_eq!(in_a_year(now), "Thu, 25 Nov 2027 05:06:07 GMT");
}

#[tokio::test]
async fn a_wrong_hash_leads_to_the_right_one() {
    let (code, headers, _) = ask(&format!("{DOCUMENT}?hash=ABC"), &[]).await;
    assert_eq!(code, 301);
    assert_eq!(headers["location"], v3_url());
    assert!(!headers.contains_key("cache-control"));
    let (code, headers, _) = ask(&format!("{DOCUMENT}?hash="), &[]).await;
    assert_eq!(code, 200);
    assert!(!headers.contains_key("cache-control") && !headers.contains_key("expires"));
}

#[tokio::test]
async fn who_has_the_document_gets_304() {
    for path in ["/openapi/v2", "/openapi/v3", DOCUMENT] {
        let (_, headers, _) = ask(path, &[]).await;
        let etag = headers["etag"].to_str().unwrap();
        let (code, headers, body) = ask(path, &[("if-none-match", etag)]).await;
        assert_eq!((code, body.as_str()), (304, ""), "{path}");
        assert_eq!(headers["etag"], etag);
        assert_eq!(ask(path, &[("if-none-match", "\"OTHER\"")]).await.0, 200, "{path}");
    }
}

#[tokio::test]
async fn json_or_406() {
    let v2 = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";
    let v3 = "application/com.github.proto-openapi.spec.v3.v1.0+protobuf";
    for (path, protobuf) in [("/openapi/v2", v2), (DOCUMENT, v3), (&v3_url(), v3)] {
        for (accept, expected) in [
            (protobuf.to_owned(), 406),
            (format!("{protobuf}, application/json;q=0.5"), 200),
            (format!("{protobuf}, */*"), 200),
            ("application/*".to_owned(), 200),
            ("application/json;q=0".to_owned(), 406),
            ("text/html".to_owned(), 406),
            (String::new(), 200),
        ] {
            let (code, headers, _) = ask(path, &[("accept", &accept)]).await;
            assert_eq!(code, expected, "{path} {accept}");
            assert_eq!(headers["vary"], "Accept");
        }
    }
}
