use proptest::prelude::*;

use super::*;

fn of(line: &str) -> Attributes {
    let (method, uri) = line.split_once(' ').unwrap();
    Attributes::of(&method.parse().unwrap(), &uri.parse().unwrap())
}

/// The attributes on one line: `verb resource/subresource name group/version namespace`.
fn short(line: &str) -> String {
    let dash = |text: &str| if text.is_empty() { "-".to_owned() } else { text.to_owned() };
    match of(line) {
        Attributes::Path { path, verb } => format!("{verb} path {path}"),
        Attributes::Resource(it) => {
            let all = [&*it.verb, &it.resource, &it.subresource, &it.name, &it.group, &it.version];
            let all: Vec<_> = all.into_iter().chain([&*it.namespace]).map(dash).collect();
            all.join(" ")
        }
    }
}

const V: &str = "/apis/external.metrics.k8s.io/v1beta1";
const GV: &str = "external.metrics.k8s.io v1beta1";

/// `verb resource subresource name group version namespace`, by hand from `requestinfo.go`.
#[test]
fn a_request_is_judged_as_kubernetes_judges_it() {
    for (line, expected) in [
        (format!("GET {V}/namespaces/web/queue.depth"), format!("list queue.depth - - {GV} web")),
        (format!("HEAD {V}/namespaces/web/m"), format!("list m - - {GV} web")),
        (format!("GET {V}/namespaces/*/m"), format!("list m - - {GV} *")),
        (format!("GET {V}/namespaces/web/m/x"), format!("get m - x {GV} web")),
        (format!("GET {V}/namespaces/web/m/x/y/z"), format!("get m y x {GV} web")),
        (format!("GET {V}/namespaces/web/status"), format!("get namespaces status web {GV} web")),
        (format!("GET {V}/namespaces/w/finalize"), format!("get namespaces finalize w {GV} w")),
        (format!("GET {V}/namespaces/web"), format!("get namespaces - web {GV} web")),
        (format!("GET {V}/namespaces"), format!("list namespaces - - {GV} -")),
        (format!("GET {V}/m"), format!("list m - - {GV} -")),
        (format!("GET {V}/namespaces/web/m?watch=true"), format!("watch m - - {GV} web")),
        (format!("GET {V}/namespaces/web/m?watch="), format!("watch m - - {GV} web")),
        (format!("GET {V}/namespaces/web/m?watch=FALSE"), format!("list m - - {GV} web")),
        (format!("GET {V}/namespaces/web/m?watch=0&watch=1"), format!("list m - - {GV} web")),
        (format!("GET {V}/watch/namespaces/web/m"), format!("watch m - - {GV} web")),
        (format!("GET {V}/proxy/m/x/y"), format!("proxy m - x {GV} -")),
        (format!("GET {V}/watch"), format!("list watch - - {GV} -")),
        (format!("POST {V}/namespaces/web/m"), format!("create m - - {GV} web")),
        (format!("PUT {V}/namespaces/web/m"), format!("update m - - {GV} web")),
        (format!("PATCH {V}/namespaces/web/m"), format!("patch m - - {GV} web")),
        (format!("DELETE {V}/namespaces/web/m"), format!("deletecollection m - - {GV} web")),
        (format!("DELETE {V}/namespaces/web/m/x"), format!("delete m - x {GV} web")),
        (format!("OPTIONS {V}/namespaces/web/m"), format!("- m - - {GV} web")),
        // Slashes too many are no way round: the router has no such paths.
        (format!("GET /{V}/namespaces/web/m/"), format!("list m - - {GV} web")),
        (format!("GET {V}/namespaces//m"), format!("list m - - {GV} -")),
        (format!("GET {V}//namespaces/web/m"), format!("get - web namespaces {GV} -")),
        // A name with a slash in it, and no other path.
        (format!("GET {V}/namespaces/web/a%2Fb"), format!("list a/b - - {GV} web")),
        (format!("GET {V}/namespaces/web%2fm/x"), format!("list x - - {GV} web/m")),
        (format!("GET {V}/namespaces/web/a%252Fb"), format!("list a%2Fb - - {GV} web")),
        (format!("GET {V}/namespaces/../m"), format!("list m - - {GV} ..")),
        (format!("GET {V}/namespaces/web/%2e%2E"), format!("list .. - - {GV} web")),
        (format!("GET {V}/namespaces/web/50%"), format!("list 50% - - {GV} web")),
        (format!("GET {V}/namespaces/web/%zz%4"), format!("list %zz%4 - - {GV} web")),
        (format!("GET {V}/namespaces/web/%C3%A9"), format!("list é - - {GV} web")),
        (format!("GET {V}/namespaces/web/a+b@c:d"), format!("list a+b@c:d - - {GV} web")),
        (format!("GET {V}"), format!("get path {V}")),
        (format!("GET {V}/"), format!("get path {V}/")),
        ("GET /apis".into(), "get path /apis".into()),
        ("GET /".into(), "get path /".into()),
        ("POST /metrics".into(), "post path /metrics".into()),
        ("GET /healthz/ping".into(), "get path /healthz/ping".into()),
        ("GET /%68ealthz".into(), "get path /healthz".into()),
        ("GET /openapi/v3/apis/g/v1?hash=A".into(), "get path /openapi/v3/apis/g/v1".into()),
        ("GET /api/v1/namespaces/web/pods/a/log".into(), "get pods log a - v1 web".into()),
        ("GET /api/v1".into(), "get path /api/v1".into()),
    ] {
        assert_eq!(short(&line), expected, "{line}");
    }
}

fn selector(query: &str) -> String {
    match of(&format!("GET {V}/namespaces/web/m?{query}")) {
        Attributes::Resource(resource) => resource.selector.to_string(),
        path @ Attributes::Path { .. } => panic!("{path:?}"),
    }
}

#[test]
fn the_selector_is_the_first_one_and_limits_nothing_where_it_cannot_be_read() {
    assert_eq!(selector("labelSelector=a%3Db,c"), "a=b,c");
    assert_eq!(selector("x=1&labelSelector=b+in+(y,x)&labelSelector=a%3Db"), "b in (x,y)");
    assert_eq!(selector("labelSelector=&labelSelector=a%3Db"), "");
    assert_eq!(selector("labelSelector=a+b"), "");
    assert_eq!(selector("fieldSelector=metadata.name%3Da"), "");
}

#[test]
fn a_review_has_the_requirements_of_the_selector() {
    let query = "labelSelector=a%3Db,c,!d,e+notin+(y,x)";
    let attributes = of(&format!("GET {V}/namespaces/web/m?{query}"));
    insta::assert_json_snapshot!(attributes.resource(), @r#"
    {
      "group": "external.metrics.k8s.io",
      "labelSelector": {
        "requirements": [
          {
            "key": "a",
            "operator": "In",
            "values": [
              "b"
            ]
          },
          {
            "key": "c",
            "operator": "Exists"
          },
          {
            "key": "d",
            "operator": "DoesNotExist"
          },
          {
            "key": "e",
            "operator": "NotIn",
            "values": [
              "x",
              "y"
            ]
          }
        ]
      },
      "namespace": "web",
      "resource": "m",
      "verb": "list",
      "version": "v1beta1"
    }
    "#);
    assert_eq!(attributes.path(), None);
}

/// Which of the two kinds of answer the real router gives, and to whose question.
mod router {
    use axum::{Router, extract::Path, routing::get};
    use tower::ServiceExt;

    use super::*;

    /// A router with the metric path of [`crate::api::router`] and a fixed path, which tells what
    /// it would serve.
    async fn served(uri: &str) -> String {
        let metric = |Path((namespace, metric)): Path<(String, String)>| async move {
            format!("{namespace} {metric}")
        };
        let router: Router = Router::new()
            .route(&format!("{V}/namespaces/{{namespace}}/{{metric}}"), get(metric))
            .route("/healthz", get(|| async { "path /healthz" }))
            .route("/metrics", get(|| async { "path /metrics" }));

        let request = axum::http::Request::get(uri).body(axum::body::Body::empty()).unwrap();
        let response = router.oneshot(request).await.unwrap();
        if !response.status().is_success() {
            return String::new();
        }
        let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
        String::from_utf8(body.to_vec()).unwrap()
    }

    /// What is judged in the same words.
    fn judged(uri: &str) -> String {
        match of(&format!("GET {uri}")) {
            Attributes::Path { path, .. } => format!("path {path}"),
            Attributes::Resource(it) if !it.subresource.is_empty() => {
                format!("{} {}", it.name, it.subresource)
            }
            Attributes::Resource(it) => format!("{} {}", it.namespace, it.resource),
        }
    }

    proptest! {
        /// Whatever the router serves is what was judged.
        #[test]
        fn property_test_what_is_served_was_judged(
            tail in "(/namespaces|/%6eamespaces)?(/{0,2}(a|b%2[fF]c|\\.\\.|%2e|%|%zz|%2|status|finalize|namespaces|watch|é|%C3%A9|%FF|\\*|%00|;x|a%3Fb)){0,3}/?",
            front in "(/apis/external\\.metrics\\.k8s\\.io/v1beta1|//?(apis|%61pis|healthz|metrics|healthz%2F|metrics/\\.\\./healthz))",
        ) {
            let uri = format!("{front}{tail}");
            if uri.parse::<Uri>().is_ok() {
                let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
                let served = runtime.block_on(served(&uri));
                if !served.is_empty() {
                    prop_assert_eq!(judged(&uri), served, "{}", uri);
                }
            }
        }

        #[test]
        fn property_test_a_metric_path_is_never_judged_as_a_path(
            namespace in "[^/?#\\s\"<>`{}|^\\\\]{1,8}",
            metric in "[^/?#\\s\"<>`{}|^\\\\]{1,12}",
            query in "[a-z=&%+(),!]{0,24}",
        ) {
            let uri = format!("{V}/namespaces/{namespace}/{metric}?{query}");
            if let Ok(uri) = uri.parse::<Uri>() {
                for method in [Method::GET, Method::HEAD, Method::POST, Method::OPTIONS] {
                    let attributes = Attributes::of(&method, &uri);
                    prop_assert!(attributes.resource().is_some(), "{}", uri);
                }
            }
        }
    }
}
