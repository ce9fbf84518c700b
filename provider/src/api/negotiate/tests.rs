use proptest::prelude::*;

use super::*;

const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io";

#[track_caller]
fn check(accept: &str, expected: impl Into<Option<Format>>) {
    let got = negotiate(accept, VALUES).map(|accepted| accepted.format);
    assert_eq!(got, expected.into(), "{accept:?}");
}

#[test]
fn what_kubernetes_own_clients_send() {
    // availability checks and `curl` without a header
    check("", Format::Json);
    check("*/*", Format::Json);
    // the HPA controller
    check("application/vnd.kubernetes.protobuf, */*", Format::Protobuf);
    check("application/vnd.kubernetes.protobuf,application/json", Format::Protobuf);
    // `kubectl get`
    let beta = TABLE.replace("v=v1", "v=v1beta1");
    check(&format!("{TABLE},{beta},application/json"), Format::Table);
    check(&format!("{TABLE},application/json"), Format::Table);
    // a browser
    check("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", Format::Json);
}

#[test]
fn the_highest_quality_wins_then_the_most_exact_then_the_first() {
    check("application/json;q=0.5,application/vnd.kubernetes.protobuf;q=0.6", Format::Protobuf);
    check("application/json;q=0.5,application/vnd.kubernetes.protobuf", Format::Protobuf);
    check("application/vnd.kubernetes.protobuf;q=0.5,application/json", Format::Json);
    check("*/*,application/vnd.kubernetes.protobuf", Format::Protobuf);
    check("application/*,application/vnd.kubernetes.protobuf", Format::Protobuf);
    check("application/vnd.kubernetes.protobuf;q=0.1,*/*;q=0.2", Format::Json);
    check("application/json,application/vnd.kubernetes.protobuf", Format::Json);
    check("*", Format::Json);
}

#[test]
fn what_is_not_wanted_is_not_served() {
    check("application/json;q=0,*/*", Format::Protobuf);
    check("application/*;q=0,*/*", None);
    check("application/json;q=0,application/*;q=0.1", Format::Protobuf);
    check("application/json;q=0,application/json;q=0.1", Format::Json);
    check("application/vnd.kubernetes.protobuf;q=0,application/json;q=0", None);
    check("*/*;q=0", None);
}

#[test]
fn clauses_that_ask_for_what_cannot_be_had_are_skipped() {
    check("application/json;as=Table;v=v1beta1;g=meta.k8s.io", None);
    check("application/json;as=Table", None);
    check("application/json;g=meta.k8s.io;v=v1;as=PartialObjectMetadataList,*/*", Format::Json);
    check(
        "application/vnd.kubernetes.protobuf;as=Table;g=meta.k8s.io;v=v1,*/*;q=0.1",
        Format::Json,
    );
    check("application/json;stream=watch", Format::Json);
    check("application/json;stream=other", None);
    check("application/json;sv=v1", None);
    check("*/*;as=Table;g=meta.k8s.io;v=v1", Format::Table);
    check("application/json;charset=utf-8;sv=;profile=x", Format::Json);
    let errors = |accept| negotiate(accept, PLAIN).map(|accepted| accepted.format);
    assert_eq!(errors(TABLE), None);
    assert_eq!(errors(&format!("{TABLE},application/json")), Some(Format::Json));
}

#[test]
fn what_cannot_be_read_is_left_out() {
    for accept in ["text/html", "application", "application/yaml", "a/b/c", ",", ";", "/", " ", "é"]
    {
        check(accept, None);
    }
    check("application/json;q=high", None);
    check("application/json;q=NaN", None);
    check("application/JSON", None);
    check(",, ;q=1, application / json ; q = 0.3 ;x", Format::Json);
}

#[test]
fn pretty_comes_from_the_clause_the_parameter_or_the_program() {
    for (accept, pretty) in [("application/json;pretty=1", true), ("*/*;pretty=0", false)] {
        assert_eq!(negotiate(accept, PLAIN).unwrap().pretty, pretty, "{accept}");
    }
    for (query, user_agent, expected) in [
        ("", "curl/8.5.0", true),
        ("", "Wget/1.21", true),
        ("pretty=", "Mozilla/5.0 (X11)", true),
        ("pretty=false", "curl/8.5.0", false),
        ("a=b&pretty=true", "kubectl/v1.36.3", true),
        ("pretty=1&pretty=0", "", true),
        ("pretty=yes", "curl/8.5.0", false),
        ("", "kubectl/v1.36.3", false),
        ("ugly=true", "", false),
    ] {
        assert_eq!(wants_pretty(query, user_agent), expected, "{query} {user_agent}");
    }
}

proptest! {
    #[test]
    fn property_test_no_header_panics(
        accept in "\\PC{0,40}|[*/;,=. aq0-9]{0,40}|(application/(json|\\*)(;(q|as|g|v)=[a-z0-9.]{0,4}){0,3},?){0,4}",
    ) {
        negotiate(&accept, VALUES);
        wants_pretty(&accept, &accept);
    }

    #[test]
    fn property_test_unknown_types_change_nothing(
        accept in "application/(json|vnd\\.kubernetes\\.protobuf)(;q=0\\.[0-9])?",
        other in "[a-z]{1,8}/[a-z]{1,8}(;q=0\\.[0-9])?",
    ) {
        prop_assume!(!other.starts_with("application"));
        let alone = negotiate(&accept, VALUES);
        prop_assert_eq!(negotiate(&format!("{other},{accept}"), VALUES), alone);
        prop_assert_eq!(negotiate(&format!("{accept}, {other}"), VALUES), alone);
    }
}
