use proptest::prelude::*;

use super::*;

fn scrubbed(text: &str) -> String {
    Scrubber::default().scrub(text)
}

#[test]
fn what_is_known_is_found_anywhere() {
    let scrubber = Scrubber::new(["can\"ary-1", "canary-12 ", "abc"].map(SecretString::from));
    assert_eq!(
        scrubber.scrub(r#"a can"ary-1, xcanary-12y, {"v":"can\"ary-1"} abc"#),
        r#"a ********, x********y, {"v":"********"} abc"#
    );
}

#[test]
fn what_is_named_like_a_secret_is_taken_out() {
    for text in [
        "DD_API_KEY=canary",
        "DD-APPLICATION-KEY: canary",
        "{\"api_key\": \"canary\"}",
        "{\"a\":\"{\\\"app_key\\\":\\\"canary\\\"}\"}",
        "apiKey: 'canary with blanks'",
        "Authorization: Bearer canary",
        "authorization: bearer canary",
        "sent Bearer canary to it",
        "{\"Authorization\":\"Bearer canary\"}",
        "?api_key=canary&x=1",
        "--app-key=canary",
        "password = canary",
        "client_secret: canary",
        "token: Some(\"canary\")",
        "https://user:canary@host/path and http://canary@host",
        "-----BEGIN PRIVATE KEY-----\ncanary\n-----END PRIVATE KEY-----\n",
    ] {
        let clean = scrubbed(text);
        assert!(!clean.contains("canary") && clean.contains(MASK), "{text}: {clean}");
    }
    assert_eq!(scrubbed("a ?api_key=canary&x=1 b"), "a ?api_key=********&x=1 b");
    assert_eq!(scrubbed("see https://u:p@host:1/x."), "see https://********@host:1/x.");
    assert_eq!(
        scrubbed("-----BEGIN EC PRIVATE KEY-----\nab\n-----END EC PRIVATE KEY-----\nrest"),
        "********\n********\n********\nrest"
    );
}

#[test]
fn what_looks_like_a_key_is_taken_out() {
    for length in [32, 40, 64] {
        let key = "0123456789abcdef".repeat(4)[..length].to_owned();
        assert_eq!(scrubbed(&format!("it is {key}.")), "it is ********.");
        assert_eq!(scrubbed(&format!("x{key}")), format!("x{key}"));
    }
    let digest = format!("nginx@sha256:{}", "ab".repeat(32));
    assert_eq!(scrubbed(&digest), digest);
}

#[test]
fn what_tells_no_secret_stays() {
    for text in [
        "DD_API_KEY_FILE=/etc/keys/api",
        "DD_CLUSTER_AGENT_TOKEN_NAME=datadogtoken",
        "secretName: datadogtoken",
        "api_key: null",
        "DD_API_KEY=(32 characters, fingerprint 3ba3f5f4)",
        "sum:nginx.net.request_per_s{kube_container_name:nginx}.rollup(30)",
        "external_metrics_token_reviews_total{result=\"ok\"} 3",
        "user@example.com of https://host/a@b",
        "uid: 6f1c2c3e-0a5b-4d8e-9d3c-2f1e0a5b4d8e",
        "provider::agent::token: token::find",
        "basic, and bearer: both",
    ] {
        assert_eq!(scrubbed(text), text);
    }
}

#[test]
fn a_url_is_shown_without_its_user() {
    assert_eq!(url("https://user:p@ss@host/x"), "https://********@host/x");
    assert_eq!(url("user:pass@host"), "********@host");
    assert_eq!(url("https://host/x"), "https://host/x");
}

#[test]
fn a_secret_is_described_so_that_two_can_be_compared() {
    assert_eq!(describe("hunter2"), "(7 characters)");
    assert_eq!(describe(&"a".repeat(32)), "(32 characters, fingerprint 3ba3f5f4)");
}

#[test]
fn an_environment_is_sorted_and_its_secrets_are_described() {
    let variables = [
        ("PATH", "/bin"),
        ("DD_APP_KEY", "0123456789abcdef0123456789abcdef01234567"),
        ("DD_API_KEY", ""),
        ("HTTPS_PROXY", "http://user:canary@proxy:3128"),
        ("DD_EXTERNAL_METRICS_PROVIDER_ENDPOINTS", "[{}]"),
    ];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let shown = environment(variables, &Scrubber::default());
    let shown: Vec<_> = shown.iter().map(|(name, value)| format!("{name}={value}")).collect();
    insta::assert_snapshot!(shown.join("\n"), @r"
    DD_API_KEY=
    DD_APP_KEY=(40 characters, fingerprint deb87fab)
    DD_EXTERNAL_METRICS_PROVIDER_ENDPOINTS=(4 characters)
    HTTPS_PROXY=http://********@proxy:3128
    PATH=/bin
    ");
}

proptest! {
    #[test]
    fn property_test_a_second_time_changes_nothing(text in "[ a-f0-9:@/\"\\\\=\n,{}]{0,80}|(token|Bearer|api_key|://|=|: |\"|x@y| ){0,9}") {
        let once = scrubbed(&text);
        prop_assert_eq!(scrubbed(&once), once);
    }
}
