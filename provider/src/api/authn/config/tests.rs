use futures::stream;
use serde_json::{Value, json};

use super::*;
use crate::api::authn::tests::pki::Ca;

fn data(rows: &[(&str, &str)]) -> BTreeMap<String, String> {
    rows.iter().map(|(key, text)| ((*key).to_owned(), (*text).to_owned())).collect()
}

/// As kube-apiserver writes it.
fn usual(front_proxy: &str, users: &str) -> BTreeMap<String, String> {
    data(&[
        ("client-ca-file", users),
        ("requestheader-client-ca-file", front_proxy),
        ("requestheader-allowed-names", r#"["front-proxy-client"]"#),
        ("requestheader-username-headers", r#"["X-Remote-User"]"#),
        ("requestheader-uid-headers", r#"["X-Remote-Uid"]"#),
        ("requestheader-group-headers", r#"["X-Remote-Group"]"#),
        ("requestheader-extra-headers-prefix", r#"["X-Remote-Extra-"]"#),
    ])
}

fn pem(name: &str) -> String {
    Ca::new(name).certificate.pem()
}

#[test]
fn every_key_is_read_and_every_key_may_be_missing() {
    let (trust, problems) = parse(&usual(&pem("a"), &(pem("b") + &pem("c"))), &Trust::default());
    assert_eq!(problems, [""; 0]);
    assert!(trust.known);
    assert_eq!((trust.front_proxy.len(), trust.client.len()), (1, 2));
    assert_eq!(trust.allowed, Allowed::Only(vec!["front-proxy-client".to_owned()]));
    let headers = HeaderNames {
        users: vec![HeaderName::from_static("x-remote-user")],
        uids: vec![HeaderName::from_static("x-remote-uid")],
        groups: vec![HeaderName::from_static("x-remote-group")],
        extra_prefixes: vec!["x-remote-extra-".to_owned()],
    };
    assert_eq!(trust.headers, headers);
    // What is taken away is trusted no more.
    let (nothing, problems) = parse(&BTreeMap::new(), &trust);
    assert_eq!(problems, [""; 0]);
    assert!(nothing.known && nothing.front_proxy.is_empty() && nothing.client.is_empty());
    assert_eq!((nothing.allowed, nothing.headers), (Allowed::Anyone, HeaderNames::default()));
    for empty in ["", "[]", "null", " "] {
        let (trust, _) = parse(&data(&[("requestheader-allowed-names", empty)]), &trust);
        assert_eq!(trust.allowed, Allowed::Anyone, "{empty:?}");
    }
}

#[test]
fn what_cannot_be_read_leaves_what_was_there() {
    let (good, _) = parse(&usual(&pem("a"), &pem("b")), &Trust::default());
    let bad = data(&[
        ("client-ca-file", "no PEM"),
        (
            "requestheader-client-ca-file",
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----",
        ),
        ("requestheader-allowed-names", "front-proxy-client"),
        ("requestheader-username-headers", r#"["X Remote User"]"#),
        ("requestheader-uid-headers", "[1]"),
        ("requestheader-group-headers", "{}"),
        ("requestheader-extra-headers-prefix", r#"[""]"#),
    ]);
    let (trust, problems) = parse(&bad, &good);
    assert_eq!(trust, good);
    insta::assert_snapshot!(problems.join("\n"), @r#"
    ConfigMap kube-system/extension-apiserver-authentication, key requestheader-client-ca-file: certificate 1 cannot be read, so what was read of it before still holds, correct --requestheader-client-ca-file of kube-apiserver
    ConfigMap kube-system/extension-apiserver-authentication, key requestheader-allowed-names: "front-proxy-client" is no JSON list of strings, so what was read of it before still holds, correct --requestheader-allowed-names of kube-apiserver
    ConfigMap kube-system/extension-apiserver-authentication, key client-ca-file: holds no certificate, so what was read of it before still holds, correct --client-ca-file of kube-apiserver
    ConfigMap kube-system/extension-apiserver-authentication, key requestheader-username-headers: "X Remote User" is no name of a header, so what was read of it before still holds, correct --requestheader-username-headers of kube-apiserver
    ConfigMap kube-system/extension-apiserver-authentication, key requestheader-uid-headers: "[1]" is no JSON list of strings, so what was read of it before still holds, correct --requestheader-uid-headers of kube-apiserver
    ConfigMap kube-system/extension-apiserver-authentication, key requestheader-group-headers: "{}" is no JSON list of strings, so what was read of it before still holds, correct --requestheader-group-headers of kube-apiserver
    ConfigMap kube-system/extension-apiserver-authentication, key requestheader-extra-headers-prefix: "" is no name of a header, so what was read of it before still holds, correct --requestheader-extra-headers-prefix of kube-apiserver
    "#);
    // In the beginning nothing was there, and nobody is believed.
    let (trust, _) = parse(&bad, &Trust::default());
    assert_eq!(trust, Trust { known: true, ..Trust::default() });
    assert_eq!(trust.allowed, Allowed::Nobody);
}

fn event(data: &BTreeMap<String, String>) -> ConfigMap {
    let map: Value = json!({"metadata": {"name": NAME, "namespace": NAMESPACE}, "data": data});
    serde_json::from_value(map).unwrap()
}

/// What is known after each of the events.
async fn after(events: Vec<Event<ConfigMap>>) -> Vec<Trust> {
    let (sender, mut receiver) = watch::channel(Arc::new(Trust::default()));
    let mut known = Vec::new();
    for event in events {
        // One stream each: the state is in the sender.
        let begin = matches!(event, Event::InitDone).then_some(Ok(Event::Init));
        follow(stream::iter(begin.into_iter().chain([Ok(event)])), &sender).await;
        known.push(receiver.borrow_and_update().as_ref().clone());
    }
    known
}

#[tokio::test]
async fn each_change_is_a_generation_and_a_deletion_is_none() {
    let (first, second) = (usual(&pem("a"), &pem("b")), usual(&pem("a"), &pem("c")));
    let apply = |data| Event::Apply(event(data));
    let events = vec![
        Event::InitDone,
        apply(&first),
        apply(&first),
        apply(&second),
        Event::Delete(event(&second)),
        Event::InitDone,
    ];
    let known = after(events).await;
    assert!(known.iter().all(|trust| trust.known));
    let generations: Vec<_> = known.iter().map(|trust| trust.generation).collect();
    assert_eq!(generations, [1, 2, 2, 3, 3, 3]);
    assert_eq!(known[0].client.len(), 0);
    assert_ne!(known[2].client, known[3].client);
}
