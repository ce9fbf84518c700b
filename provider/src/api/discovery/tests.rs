use axum::{
    body::{Body, to_bytes},
    http::Request,
};
use tower::ServiceExt;

use super::*;
use crate::api::protobuf::Protobuf;

const V2: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
const V2BETA1: &str = "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList";

async fn ask(accept: Option<&str>, etag: Option<&str>) -> (u16, HeaderMap, String) {
    let mut request = Request::get("/apis");
    for (name, value) in [(header::ACCEPT, accept), (header::IF_NONE_MATCH, etag)] {
        if let Some(value) = value {
            request = request.header(name, value);
        }
    }
    let response = routes().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let (head, body) = response.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    (head.status.as_u16(), head.headers, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn aggregated_discovery() {
    let (code, headers, body) = ask(Some(V2), None).await;
    assert_eq!(code, 200);
    assert_eq!(headers["content-type"], V2);
    assert_eq!(headers["vary"], "Accept");
    assert_eq!(headers["cache-control"], "public");
    insta::assert_snapshot!(headers["etag"].to_str().unwrap(), @r#""D596C86A59E27960DE9E016FBEFAEAC70677C2BF9260FB1921022C5FC53A89383BA2C4C4D219D6C758976B50B34F3300F68B7F54FD4CF10EF0790259B5AD3208""#);
    insta::assert_snapshot!(body, @r#"{"kind":"APIGroupDiscoveryList","apiVersion":"apidiscovery.k8s.io/v2","metadata":{},"items":[{"metadata":{"name":"external.metrics.k8s.io"},"versions":[{"version":"v1beta1","resources":[{"resource":"externalmetrics","responseKind":{"group":"external.metrics.k8s.io","version":"v1beta1","kind":"ExternalMetricValue"},"scope":"Namespaced","singularResource":"externalmetric","verbs":["get","list"]}],"freshness":"Current"}]}]}"#);
}

#[test]
fn both_forms_tell_the_same() {
    let legacy = serde_json::to_value(legacy::resources()).unwrap();
    let aggregated: serde_json::Value = serde_json::from_str(GROUP_DISCOVERY_LIST).unwrap();
    let old = &legacy["resources"][0];
    let new = &aggregated["items"][0]["versions"][0]["resources"][0];
    assert_eq!(old["name"], new["resource"]);
    assert_eq!(old["singularName"], new["singularResource"]);
    assert_eq!(old["kind"], new["responseKind"]["kind"]);
    assert_eq!(old["verbs"], new["verbs"]);
}

#[tokio::test]
async fn who_has_the_document_gets_304() {
    let (_, headers, _) = ask(Some(V2), None).await;
    let etag = headers["etag"].to_str().unwrap();
    for known in [etag, "*", &format!("\"OLD\", {etag}"), &format!("W/{etag}")] {
        let (code, headers, body) = ask(Some(V2), Some(known)).await;
        assert_eq!((code, body.as_str()), (304, ""), "{known}");
        assert_eq!(headers["etag"], etag);
        assert_eq!(headers["vary"], "Accept");
        assert_eq!(headers["cache-control"], "public");
    }
    for other in ["\"OLD\"", etag.trim_matches('"')] {
        assert_eq!(ask(Some(V2), Some(other)).await.0, 200, "{other}");
    }
    // The tag is the aggregated form's.
    assert_eq!(ask(Some("application/json"), Some(etag)).await.0, 200);
}

#[tokio::test]
async fn the_form_is_the_best_that_the_client_accepts() {
    let kube_apiserver = format!("{V2},{V2BETA1}");
    let kubectl = format!("{V2},{V2BETA1},application/json");
    let old = format!("{V2BETA1},application/json;as=APIGroupDiscoveryList;v=v2,*/*");
    let legacy_first = format!("{V2};q=0.5, application/json");
    let more = format!("{V2};profile=nopeer");
    for (accept, aggregated) in [
        (Some(V2), true),
        (Some("application/json; as=APIGroupDiscoveryList; v=v2; g=apidiscovery.k8s.io"), true),
        (Some(&more), true),
        (Some(&kube_apiserver), true),
        (Some(&kubectl), true),
        (Some(&legacy_first), false),
        (None, false),
        (Some("*/*"), false),
        (Some("application/json"), false),
        (Some(&old), false),
    ] {
        let (code, headers, body) = ask(accept, None).await;
        assert_eq!(code, 200, "{accept:?}");
        assert_eq!(headers["vary"], "Accept");
        let (content_type, kind) = if aggregated {
            (V2, "APIGroupDiscoveryList")
        } else {
            ("application/json", "APIGroupList")
        };
        assert_eq!(headers["content-type"], content_type, "{accept:?}");
        assert!(body.contains(&format!(r#""kind":"{kind}""#)), "{accept:?}: {body}");
    }
}

#[tokio::test]
async fn what_cannot_be_had_is_refused_which_sends_kube_apiserver_to_the_legacy_form() {
    for accept in [V2BETA1, "application/json;as=APIGroupDiscoveryList;v=v2", ";;, x, /"] {
        assert_eq!(ask(Some(accept), None).await.0, 406, "{accept}");
    }
}

/// By hand from `generated.proto`: Go writes what JSON leaves out.
#[test]
fn the_list_of_resources_has_the_bytes_of_go() {
    let resource: &[&[u8]] = &[
        b"\x0a\x0fexternalmetrics\x10\x01\x1a\x13ExternalMetricValue",
        b"\x22\x0b\x0a\x03get\x0a\x04list",
        b"\x32\x0eexternalmetric\x42\x00\x4a\x00\x52\x00",
    ];
    let expected: &[&[u8]] = &[
        b"k8s\0\x0a\x15\x0a\x02v1\x12\x0fAPIResourceList\x12\x6e",
        b"\x0a\x1fexternal.metrics.k8s.io/v1beta1\x12\x4b",
        &resource.concat(),
        b"\x1a\x00\x22\x00",
    ];
    assert_eq!(
        legacy::resources().protobuf().escape_ascii().to_string(),
        expected.concat().escape_ascii().to_string()
    );
}

#[test]
fn groups_have_the_bytes_of_go() {
    let version = b"\x0a\x1fexternal.metrics.k8s.io/v1beta1\x12\x07v1beta1";
    let group: &[&[u8]] = &[
        b"\x0a\x17external.metrics.k8s.io",
        &[&b"\x12\x2a"[..], version].concat(),
        &[&b"\x1a\x2a"[..], version].concat(),
    ];
    let group = group.concat();
    let bytes = legacy::group().protobuf();
    assert!(bytes.windows(group.len()).any(|part| part == group), "{}", bytes.escape_ascii());
    let list = legacy::groups().protobuf();
    let item = [&b"\x0a\x71"[..], &group].concat();
    assert!(list.windows(item.len()).any(|part| part == item), "{}", list.escape_ascii());
}
