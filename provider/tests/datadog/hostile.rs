//! Bytes that the fake does not send: what stands behind an address by mistake, or by malice.

use std::io::Write;

use flate2::{Compression, write::GzEncoder};
use wiremock::{Mock, MockServer, ResponseTemplate, matchers::any};

use super::*;

/// For bodies that take a while on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

async fn server(answer: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(answer).mount(&server).await;
    server
}

async fn exchange_with(answer: ResponseTemplate) -> Exchange {
    let server = server(answer).await;
    ask_one(&client_with(&server.uri(), canaries(), PATIENCE)).await
}

/// The words of an error, with the address replaced.
async fn words(answer: ResponseTemplate) -> String {
    let server = server(answer).await;
    let error = error_of(&client_with(&server.uri(), canaries(), TIMEOUT)).await;
    error.to_string().replace(&server.uri(), "URL")
}

fn canaries() -> Keys {
    Keys { api: "canary-of-api".into(), app: "canary-of-app".into() }
}

fn ok(body: &str) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_string(body)
}

#[tokio::test]
async fn bodies_that_are_no_answer_say_what_they_are() {
    insta::assert_snapshot!(words(ok("")).await, @"Datadog's answer at URL cannot be read: it is empty");
    insta::assert_snapshot!(words(ok("<html><h1>Sign in</h1>\nto continue")).await, @"Datadog's answer at URL cannot be read: it is a page, not JSON, look for a proxy or portal in between: Sign in to continue");
    insta::assert_snapshot!(words(ok("{\"status\":\"ok\",\"series\":7}")).await, @"Datadog's answer at URL cannot be read: invalid type: integer `7`, expected a list of series at line 1 column 25");
    insta::assert_snapshot!(words(ok("{\"status\":\"ok\",\"series\":[{}")).await, @"Datadog's answer at URL cannot be read: EOF while parsing a list at line 1 column 27");
    insta::assert_snapshot!(words(ok("{\"status\":\"fine\"}")).await, @r#"Datadog's answer at URL cannot be read: status is "fine", neither ok nor error"#);
    insta::assert_snapshot!(words(ResponseTemplate::new(204)).await, @"Datadog answers HTTP 204 at URL: no message");
    insta::assert_snapshot!(words(ResponseTemplate::new(502).set_body_string("<html>\n<head><title>502 Bad Gateway</title></head>\n</html>")).await, @"Datadog fails at URL (HTTP 502: 502 Bad Gateway)");
}

#[tokio::test]
async fn a_body_without_end_is_cut_off() {
    let error = exchange_with(ok(&" ".repeat(33 << 20))).await.result.unwrap_err();
    assert!(matches!(error, Error::Malformed { .. }), "{error}");
    assert!(error.to_string().ends_with("it has more than 32 MiB"), "{error}");
}

#[tokio::test]
async fn a_small_body_that_unpacks_to_a_huge_one_is_cut_off() {
    let mut packed = GzEncoder::new(Vec::new(), Compression::best());
    for _ in 0..64 {
        packed.write_all(" ".repeat(1 << 20).as_bytes()).unwrap();
    }
    let packed = packed.finish().unwrap();
    assert!(packed.len() < 1 << 20);
    let answer =
        ResponseTemplate::new(200).insert_header("content-encoding", "gzip").set_body_bytes(packed);
    let error = exchange_with(answer).await.result.unwrap_err();
    assert!(error.to_string().ends_with("it has more than 32 MiB"), "{error}");
}

#[tokio::test]
async fn a_body_that_is_not_packed_as_it_says_is_malformed() {
    let answer = ok("{\"status\":\"ok\",\"series\":[]}").insert_header("content-encoding", "gzip");
    let exchange = exchange_with(answer).await;
    let error = exchange.result.unwrap_err();
    assert!(matches!(error, Error::Malformed { .. }), "{error}");
    assert_eq!(exchange.requests, 1);
}

#[tokio::test]
async fn a_huge_error_is_one_short_line() {
    for status in [400, 403, 418, 500] {
        let body = "all that went wrong\n".repeat(100_000);
        let text = words(ResponseTemplate::new(status).set_body_string(body)).await;
        assert!(text.lines().count() == 1 && text.chars().count() < 700, "{}", text.len());
    }
}

#[tokio::test]
async fn a_redirection_is_not_followed_and_takes_no_key_with_it() {
    let elsewhere = server(ok("{\"status\":\"ok\",\"series\":[]}")).await;
    for status in [301, 302, 307, 308] {
        let target = format!("{}/login?from=canary-of-api", elsewhere.uri());
        let redirection = ResponseTemplate::new(status).insert_header("location", target);
        let text = words(redirection).await.replace(&elsewhere.uri(), "ELSEWHERE");
        assert_eq!(
            text,
            format!(
                "there is no Datadog API at URL (HTTP {status}: it leads to ELSEWHERE), check DD_SITE"
            )
        );
    }
    assert!(elsewhere.received_requests().await.unwrap().is_empty());
}

#[tokio::test]
async fn keys_that_come_back_are_in_no_message() {
    let echo = "keys \"canary-of-api\" and canary-of-app are bad";
    let json = |value: serde_json::Value| value.to_string();
    let mut texts = Vec::new();
    for status in [302, 400, 401, 403, 404, 413, 414, 418, 422, 429, 500, 503] {
        for body in [echo.to_owned(), json(serde_json::json!({ "errors": [echo] }))] {
            let answer = ResponseTemplate::new(status)
                .insert_header("location", "http://canary-of-api/")
                .set_body_string(body);
            texts.push(words(answer).await);
        }
    }
    for body in [
        json(serde_json::json!({ "status": "error", "error": echo })),
        json(serde_json::json!({ "status": "error", "error": format!("Internal error: {echo}") })),
        json(serde_json::json!({ "status": echo })),
        json(serde_json::json!({ "status": "ok", "series": "canary-of-api" })),
        json(serde_json::json!({ "status": "ok", "series": [{ "query_index": "canary-of-app" }] })),
        format!("<html>{echo}"),
    ] {
        texts.push(words(ok(&body)).await);
    }
    for text in texts {
        assert!(!text.contains("canary") && text.lines().count() == 1, "{text}");
    }
}

#[tokio::test]
async fn headers_that_make_no_sense_are_no_error() {
    let answer = ok("{\"status\":\"ok\",\"series\":[]}")
        .insert_header("x-ratelimit-limit", "1600")
        .insert_header("x-ratelimit-period", "3600")
        .insert_header("x-ratelimit-remaining", "many")
        .insert_header("x-ratelimit-reset", "-1")
        .insert_header("date", "yesterday");
    let exchange = exchange_with(answer).await;
    assert!(exchange.result.is_ok());
    assert_eq!((exchange.rate_limit, exchange.clock_skew), (None, None));
}

// A missing header used to turn every error into one about numbers (DataDog/datadog-agent#8941).
#[tokio::test]
async fn a_429_says_when_to_come_back_if_it_knows() {
    let reset = async |header: Option<(&str, &str)>| {
        let mut answer = ResponseTemplate::new(429);
        if let Some((name, value)) = header {
            answer = answer.insert_header(name, value);
        }
        match exchange_with(answer).await.result {
            Err(Error::RateLimited { reset }) => reset,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(reset(None).await, None);
    assert_eq!(reset(Some(("retry-after", "7"))).await, Some(Duration::from_secs(7)));
    assert_eq!(reset(Some(("x-ratelimit-reset", "9"))).await, Some(Duration::from_secs(9)));
}
