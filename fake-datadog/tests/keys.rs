//! Which keys a request needs, and what it gets without them.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use fake_datadog::{
    FakeDatadog, Keys,
    control::{Effect, Fault, Key},
    keys::{DEFAULT_API_KEY, DEFAULT_APP_KEY},
};
use insta::assert_snapshot;
use reqwest::{Method, RequestBuilder};

#[path = "support/client.rs"]
mod client;

use crate::client::{control, fake, scenario, start};

/// Two organisations and keys of each kind.
const ACCOUNT: &str = "
keys:
  - {api: agent, name: agent}
  - {api: spare}
  - {api: leaked, revoked: true}
  - {app: admin}
  - {app: query, name: reader, scopes: [timeseries_query]}
  - {app: list, scopes: [metrics_read]}
  - {app: left, revoked: true}
  - {api: theirs, org: other}
  - {app: their app, org: other}
";

/// Method, path and a body that it takes.
type Call = (&'static str, &'static str, &'static str);

const QUERY: Call = ("GET", "api/v1/query?from=0&to=60&query=avg:m{*}", "");
const TIMESERIES: Call = (
    "POST",
    "api/v2/query/timeseries",
    r#"{"data":{"type":"timeseries_request","attributes":{"from":0,"to":60000,
    "queries":[{"data_source":"metrics","query":"avg:m{*}","name":"a"}]}}}"#,
);
const SCALAR: Call = (
    "POST",
    "api/v2/query/scalar",
    r#"{"data":{"type":"scalar_request","attributes":{"from":0,"to":60000,
    "queries":[{"data_source":"metrics","query":"avg:m{*}","name":"a","aggregator":"avg"}]}}}"#,
);
const LIST: Call = ("GET", "api/v1/metrics?from=0", "");
const LIST_V2: Call = ("GET", "api/v2/metrics", "");
const SEARCH: Call = ("GET", "api/v1/search?q=m", "");
const METADATA: Call = ("GET", "api/v1/metrics/m", "");
const TAGS: Call = ("GET", "api/v2/metrics/m/all-tags", "");
const UPDATE: Call = ("PUT", "api/v1/metrics/m", "{}");
const SUBMIT: Call = ("POST", "api/v1/series", r#"{"series":[]}"#);
const SUBMIT_V2: Call = ("POST", "api/v2/series", r#"{"series":[]}"#);
const VALIDATE: Call = ("GET", "api/v1/validate", "");
const VALIDATE_V2: Call = ("GET", "api/v2/validate", "");
const VALIDATE_KEYS: Call = ("GET", "api/v2/validate_keys", "");

const QUERIES: [Call; 3] = [QUERY, TIMESERIES, SCALAR];
const READS: [Call; 5] = [LIST, LIST_V2, SEARCH, METADATA, TAGS];

fn request(fake: &FakeDatadog, (method, path, body): (&str, &str, &'static str)) -> RequestBuilder {
    let url = fake.url().join(path).unwrap();
    reqwest::Client::new().request(Method::try_from(method).unwrap(), url).body(body)
}

/// Whether it is let through; what the metrics are like does not matter.
async fn allowed(request: RequestBuilder) -> bool {
    request.send().await.unwrap().status() != 403
}

/// The same with these keys in headers.
async fn may(fake: &FakeDatadog, api: &str, app: &str, call: Call) -> bool {
    let request = request(fake, call).header("DD-API-KEY", api);
    allowed(request.header("DD-APPLICATION-KEY", app)).await
}

async fn text(request: RequestBuilder) -> String {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    format!("{status} {}", response.text().await.unwrap())
}

#[tokio::test]
async fn each_family_of_endpoints_needs_its_right() {
    let fake = start(scenario(ACCOUNT)).await;
    for api in ["agent", "spare"] {
        for call in QUERIES {
            let may = [
                may(&fake, api, "admin", call).await,
                may(&fake, api, "query", call).await,
                may(&fake, api, "list", call).await,
            ];
            assert_eq!(may, [true, true, false], "{call:?}");
        }
        for call in READS {
            let may = [
                may(&fake, api, "admin", call).await,
                may(&fake, api, "query", call).await,
                may(&fake, api, "list", call).await,
            ];
            assert_eq!(may, [true, false, true], "{call:?}");
        }
        assert!(may(&fake, api, "admin", UPDATE).await);
        assert!(!may(&fake, api, "list", UPDATE).await);
        for call in [SUBMIT, SUBMIT_V2, VALIDATE, VALIDATE_V2] {
            assert!(allowed(request(&fake, call).header("DD-API-KEY", api)).await, "{call:?}");
        }
        assert!(may(&fake, api, "list", VALIDATE_KEYS).await, "no right is asked for");
    }
}

#[tokio::test]
async fn a_missing_right_is_refused_in_the_words_of_the_version() {
    let fake = start(scenario(ACCOUNT)).await;
    let with = |call, app| {
        request(&fake, call).header("DD-API-KEY", "agent").header("DD-APPLICATION-KEY", app)
    };
    assert_snapshot!(text(with(QUERY, "list")).await, @r#"403 {"status":"error","code":403,"errors":["Forbidden"],"statuspage":"http://status.datadoghq.com","twitter":"http://twitter.com/datadogops","email":"support@datadoghq.com"}"#);
    assert_snapshot!(text(with(TIMESERIES, "list")).await, @r#"403 {"errors":["Forbidden"]}"#);
    assert_snapshot!(text(with(LIST_V2, "query")).await, @r#"403 {"errors":["Forbidden"]}"#);
}

#[tokio::test]
async fn keys_of_another_organisation_or_revoked_ones_are_refused() {
    let fake = start(scenario(ACCOUNT)).await;
    assert!(may(&fake, "theirs", "their app", QUERY).await);
    for (api, app) in
        [("theirs", "admin"), ("agent", "their app"), ("leaked", "admin"), ("agent", "left")]
    {
        for call in QUERIES.into_iter().chain(READS).chain([UPDATE, VALIDATE_KEYS]) {
            assert!(!may(&fake, api, app, call).await, "{api} {app} {call:?}");
        }
    }
    for call in [SUBMIT, SUBMIT_V2, VALIDATE, VALIDATE_V2] {
        assert!(!may(&fake, "leaked", "admin", call).await, "{call:?}");
    }
    assert!(!may(&fake, DEFAULT_API_KEY, DEFAULT_APP_KEY, QUERY).await);
}

#[tokio::test]
async fn keys_may_be_parameters_and_the_header_goes_first() {
    let fake = start(scenario(ACCOUNT)).await;
    let with = |api: &str, app: &str| {
        request(&fake, QUERY).query(&[("api_key", api), ("application_key", app)])
    };
    assert!(allowed(with("spare", "query")).await);
    assert!(!allowed(with("spare", "list")).await);
    assert!(!allowed(with("spare", "query").header("DD-APPLICATION-KEY", "list")).await);
}

#[tokio::test]
async fn validation_tells_organisations_and_keys_apart() {
    let fake = start(scenario(ACCOUNT)).await;
    let validate = |call, key| text(request(&fake, call).header("DD-API-KEY", key));
    assert_snapshot!(validate(VALIDATE_V2, "agent").await, @r#"200 {"data":{"attributes":{"api_key_id":"5e617451-426f-8ff3-82b2-4816916a2650","api_key_scopes":[],"valid":true},"id":"2b734bb4-116f-8621-8c4f-238a6dec7120","type":"validate_v2"}}"#);
    assert_snapshot!(validate(VALIDATE_V2, "spare").await, @r#"200 {"data":{"attributes":{"api_key_id":"2c1f3954-6fe4-8005-86aa-e4c1f95c7365","api_key_scopes":[],"valid":true},"id":"2b734bb4-116f-8621-8c4f-238a6dec7120","type":"validate_v2"}}"#);
    assert_snapshot!(validate(VALIDATE_V2, "theirs").await, @r#"200 {"data":{"attributes":{"api_key_id":"be3a3619-83f1-8008-8000-2cb0610c8295","api_key_scopes":[],"valid":true},"id":"75472a54-957e-8e45-8a94-d2ea4c48864e","type":"validate_v2"}}"#);
    assert_snapshot!(validate(VALIDATE_V2, "leaked").await, @r#"403 {"errors":["Forbidden"]}"#);
    assert_snapshot!(validate(VALIDATE_KEYS, "agent").await, @r#"403 {"errors":["Forbidden"]}"#);
    let both = request(&fake, VALIDATE_KEYS).header("DD-API-KEY", "agent");
    assert_snapshot!(text(both.header("DD-APPLICATION-KEY", "list")).await, @r#"200 {"status":"ok"}"#);
    assert!(validate(VALIDATE, "leaked").await.starts_with(r#"403 {"status":"error","code":403"#));
}

#[tokio::test]
async fn a_fault_revokes_a_key_by_its_name() {
    let fake = start(scenario(ACCOUNT)).await;
    fake.fault(Fault::new("f", Effect::KeyRevoked(vec!["reader".to_owned()]))).unwrap();
    assert!(may(&fake, "agent", "admin", QUERY).await);
    assert!(!may(&fake, "agent", "query", QUERY).await);
    let v2 = request(&fake, TIMESERIES).header("DD-API-KEY", "agent");
    assert_snapshot!(text(v2.header("DD-APPLICATION-KEY", "query")).await, @r#"403 {"errors":["Forbidden"]}"#);
}

#[tokio::test]
async fn keys_of_a_scenario_stay_until_another_has_some() {
    let fake = fake().await;
    let control = control(&fake);
    assert!(may(&fake, DEFAULT_API_KEY, DEFAULT_APP_KEY, QUERY).await);
    control.set_scenario(ACCOUNT).await.unwrap();
    assert!(may(&fake, "agent", "admin", QUERY).await);

    let shown = control.scenario().await.unwrap();
    assert!(!shown.contains("agent") && !shown.contains("keys"), "{shown}");
    control.set_scenario(&shown).await.unwrap();
    control.reset().await.unwrap();
    assert!(may(&fake, "agent", "admin", QUERY).await);

    control.set_scenario("keys: [{api: a}, {app: b}]").await.unwrap();
    assert!(!may(&fake, "agent", "admin", QUERY).await);
    assert!(may(&fake, "a", "b", QUERY).await);
}

#[tokio::test]
async fn keys_given_to_the_fake_go_before_those_of_scenarios() {
    let keys = Keys::new("mine", "my app").and(Key::app("more"));
    let fake = start(scenario(ACCOUNT).keys(keys)).await;
    control(&fake).set_scenario(ACCOUNT).await.unwrap();
    assert!(may(&fake, "mine", "more", QUERY).await);
    assert!(!may(&fake, "agent", "admin", QUERY).await);
}
