//! Golden exchanges: what Datadog's documentation and recordings of its API say, word for word.
//!
//! Each file in `tests/contract` is a list of exchanges that happen one after the other on one fake.
//! `<N>` in it stands for a time: N seconds after the end of a 5-minute bucket that ended lately. Bodies
//! are compared as JSON values: every field, no other field; the order of fields is tested in `api.rs`.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

use std::{collections::BTreeMap, fs, path::Path};

use fake_datadog::{
    FakeDatadog, Scenario,
    keys::{DEFAULT_API_KEY, DEFAULT_APP_KEY},
};
use reqwest::Method;
use serde::Deserialize;
use serde_json::Value;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Contract {
    /// What the fake is, a scenario.
    #[serde(default)]
    scenario: Value,
    exchanges: Vec<Exchange>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Exchange {
    /// What it shows.
    name: String,
    /// Where the answer is documented or was recorded.
    source: String,
    /// Points that are there.
    #[serde(default)]
    given: Vec<Given>,
    request: Request,
    answer: Answer,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Given {
    metric: String,
    #[serde(default)]
    tags: Vec<String>,
    points: Vec<(i64, f64)>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    method: String,
    path: String,
    /// `both` when not said.
    #[serde(default)]
    keys: Keys,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    body: String,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Keys {
    #[default]
    Both,
    Api,
    Wrong,
    None,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer {
    status: u16,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// JSON, or an empty text.
    body: String,
}

#[tokio::test]
async fn every_exchange_is_as_documented() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/contract");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|it| it.unwrap().path()).collect();
    files.sort();
    let (mut exchanges, mut differences) = (0, Vec::new());
    for file in files {
        // The end of a bucket of five minutes, so that neither interval nor moment change an answer;
        // recent enough to submit points for.
        let base = (jiff::Timestamp::now().as_second() - 600) / 300 * 300;
        let text = with_times(&fs::read_to_string(&file).unwrap(), base);
        let contract: Contract = serde_saphyr::from_str(&text)
            .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        exchanges += contract.exchanges.len();
        differences.extend(check(&file, contract).await);
    }
    assert!(differences.is_empty(), "{}", differences.join("\n\n"));
    assert!(20 < exchanges, "only {exchanges} exchanges were found");
}

/// Carries out all exchanges of a file. Returns a text for each answer that is not as documented.
async fn check(file: &Path, contract: Contract) -> Vec<String> {
    let scenario = match &contract.scenario {
        Value::Null => Scenario::default(),
        scenario => Scenario::parse(&scenario.to_string()).unwrap(),
    };
    let fake = FakeDatadog::builder().scenario(scenario).start().await.unwrap();
    let mut differences = Vec::new();
    for exchange in contract.exchanges {
        let Exchange { name, source, given, request, answer } = exchange;
        let what = format!("{}: {name} ({source})", file.display());
        assert!(!source.trim().is_empty(), "{what}: an exchange needs a source");
        for Given { metric, tags, points } in given {
            fake.submit(&metric, &tags, &points);
        }
        let response = send(&fake, request).await;
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let body = response.text().await.unwrap();
        if status != answer.status {
            differences.push(format!("{what}: {status}, not {}: {body}", answer.status));
        }
        for (header, expected) in &answer.headers {
            let actual = headers.get(header).map(|it| it.to_str().unwrap());
            if actual != Some(expected) {
                differences.push(format!("{what}: {header} is {actual:?}, not {expected}"));
            }
        }
        if value(&body, &what) != value(&answer.body, &what) {
            differences.push(format!("{what}:\n{body}\nis not\n{}", answer.body));
        }
    }
    differences
}

async fn send(fake: &FakeDatadog, request: Request) -> reqwest::Response {
    let Request { method, path, keys, headers, body } = request;
    let url = fake.url().join(&path).unwrap();
    let mut sent = reqwest::Client::new().request(Method::try_from(method.as_str()).unwrap(), url);
    let (api, app) = match keys {
        Keys::Both => (Some(DEFAULT_API_KEY), Some(DEFAULT_APP_KEY)),
        Keys::Api => (Some(DEFAULT_API_KEY), None),
        Keys::Wrong => (Some("wrong"), Some("wrong")),
        Keys::None => (None, None),
    };
    if let Some(api) = api {
        sent = sent.header("DD-API-KEY", api);
    }
    if let Some(app) = app {
        sent = sent.header("DD-APPLICATION-KEY", app);
    }
    for (name, value) in headers {
        sent = sent.header(name, value);
    }
    sent.body(body).send().await.unwrap()
}

/// Replaces `<N>` by the second that it stands for.
fn with_times(text: &str, base: i64) -> String {
    let mut parts = text.split('<');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |result, part| {
        let time = part.split_once('>').and_then(|(n, rest)| Some((n.parse::<i64>().ok()?, rest)));
        match time {
            Some((offset, rest)) => format!("{result}{}{rest}", base + offset),
            None => format!("{result}<{part}"),
        }
    })
}

/// A body as a value in which 1 and 1.0 are the same.
fn value(body: &str, what: &str) -> Value {
    fn floats(value: &mut Value) {
        match value {
            Value::Number(number) => *value = number.as_f64().into(),
            Value::Array(items) => items.iter_mut().for_each(floats),
            Value::Object(fields) => fields.values_mut().for_each(floats),
            _ => {}
        }
    }
    if body.is_empty() {
        return Value::Null;
    }
    let mut value =
        serde_json::from_str(body).unwrap_or_else(|error| panic!("{what}: {error} in {body}"));
    floats(&mut value);
    value
}
