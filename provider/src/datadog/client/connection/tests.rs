use super::*;

fn keys() -> Keys {
    Keys { api: "canary-api".into(), app: "canary-app".into() }
}

fn connection(url: &str) -> Result<Connection, BuildError> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let url = Url::parse(url).unwrap();
    let keys = KeyRing::fixed(keys());
    Connection::new(Endpoint { url, keys, setting: "DD_SITE".into() }, Duration::from_secs(1))
}

#[test]
fn the_path_of_an_endpoint_stays() {
    let url = |base: &str| connection(base).unwrap().url.to_string();
    assert_eq!(url("http://h:1"), "http://h:1/api/v1/query");
    assert_eq!(url("http://h:1/datadog/"), "http://h:1/datadog/api/v1/query");
}

#[test]
fn what_is_no_http_url_is_named_with_its_setting() {
    let error = connection("ftp://h/").unwrap_err().to_string();
    insta::assert_snapshot!(error, @"Datadog endpoint ftp://h/ (DD_SITE) cannot be used, give a URL such as https://api.datadoghq.com");
    assert!(connection("mailto:a@b").is_err());
}

#[test]
fn keys_are_in_no_debug_output() {
    assert!(!format!("{:?}", connection("http://h").unwrap()).contains("canary"));
}

#[test]
fn the_window_is_in_whole_seconds_and_queries_are_joined() {
    let now = Timestamp::from_millisecond(1_000_999).unwrap();
    let queries = [Query::new("avg:a{*}"), Query::new("avg:b{*}")];
    assert_eq!(
        parameters(&queries, now, Duration::from_secs(300)).map(|(_, value)| value),
        ["700", "1000", "avg:a{*},avg:b{*}"]
    );
}

#[test]
fn foreign_words_are_one_line_without_keys() {
    let check = |words: &str, expected: &str| assert_eq!(line(words, &keys()), expected);
    check("Error parsing\n query:\t x\u{1b}[31m", "Error parsing query: x [31m");
    check("API key canary-api\nis unknown", "API key *** is unknown");
    check(" \n", "no message");
    let long = line(&"é".repeat(600), &keys());
    assert_eq!((long.chars().count(), long.ends_with('…')), (501, true));
    // Cut only after the key is out, so that no half of one stays.
    let edge = line(&format!("{}canary-api", "x".repeat(495)), &keys());
    assert!(!edge.contains("canary"), "{edge}");
}

#[test]
fn only_our_own_machine_is_reached_without_a_proxy() {
    let check = |url: &str| is_loopback(&Url::parse(url).unwrap());
    assert!(check("http://127.0.0.1:1") && check("http://[::1]") && check("http://localhost:8"));
    assert!(!check("https://api.datadoghq.com") && !check("http://10.0.0.1"));
}
