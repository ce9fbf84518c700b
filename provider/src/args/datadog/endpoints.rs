//! The list of further endpoints (`external_metrics_provider.endpoints` of Datadog's agent), read
//! by hand: messages of a JSON reader would quote values, and here those are keys.

use secrecy::SecretString;
use serde_json::{Map, Value as Json};
use url::Url;

use crate::{
    args::datadog::of_site,
    datadog::{
        endpoints::Endpoint,
        keys::{KeyRing, Kind, Source, Unusable, Value},
    },
};

const VARIABLE: &str = "DD_EXTERNAL_METRICS_PROVIDER_ENDPOINTS";

const FIELDS: [&str; 6] = ["site", "url", "api_key", "api_key_file", "app_key", "app_key_file"];

/// Why the list cannot be used. No message has a value in it.
#[derive(Debug, thiserror::Error)]
pub enum BadEndpoint {
    /// Not even JSON.
    #[error("{VARIABLE} is no JSON: line {line}, column {column}")]
    Json {
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
    },
    /// JSON, but something else.
    #[error(
        "{VARIABLE} must be a JSON list of objects such as [{{\"site\": \"datadoghq.eu\", …}}]"
    )]
    List,
    /// An element that is no object, or an empty one.
    #[error(
        "endpoint {number} of {VARIABLE} must be an object with site or url, api_key or api_key_file, app_key or app_key_file"
    )]
    Object {
        /// Its place in the list, from 1.
        number: usize,
    },
    /// A field that means nothing.
    #[error("endpoint {number} of {VARIABLE} has the unknown field {field:?}, known are {}", FIELDS.join(", "))]
    Field {
        /// Its place in the list, from 1.
        number: usize,
        /// The beginning of its name.
        field: String,
    },
    /// A field with something else than a text.
    #[error("{field} of endpoint {number} of {VARIABLE} must be a text that is not empty")]
    Text {
        /// Its place in the list, from 1.
        number: usize,
        /// The name of the field.
        field: &'static str,
    },
    /// Neither of two fields.
    #[error("endpoint {number} of {VARIABLE} has neither {one} nor {other}")]
    Neither {
        /// Its place in the list, from 1.
        number: usize,
        /// A field.
        one: &'static str,
        /// The other that would do.
        other: &'static str,
    },
    /// Both of two fields.
    #[error("endpoint {number} of {VARIABLE} has both {one} and {other}, give one of them")]
    Both {
        /// Its place in the list, from 1.
        number: usize,
        /// A field.
        one: &'static str,
        /// The other.
        other: &'static str,
    },
    /// A URL that is none.
    #[error("{field} of endpoint {number} of {VARIABLE} leads to no URL ({reason})")]
    Url {
        /// Its place in the list, from 1.
        number: usize,
        /// `url` or `site`.
        field: &'static str,
        /// What is wrong with it.
        reason: url::ParseError,
    },
    /// A key that cannot be one.
    #[error(transparent)]
    Key(#[from] Unusable),
}

/// The endpoints of a list that is not blank. Reads their key files.
pub(super) fn parse(text: &str) -> Result<Vec<Endpoint>, BadEndpoint> {
    let json: Json = serde_json::from_str(text)
        .map_err(|error| BadEndpoint::Json { line: error.line(), column: error.column() })?;
    let list = json.as_array().ok_or(BadEndpoint::List)?;
    list.iter()
        .enumerate()
        .map(|(index, element)| Element::new(index + 1, element)?.endpoint())
        .collect()
}

/// One element whose fields are known.
struct Element<'a> {
    number: usize,
    fields: &'a Map<String, Json>,
}

impl<'a> Element<'a> {
    fn new(number: usize, element: &'a Json) -> Result<Self, BadEndpoint> {
        let fields = element.as_object().filter(|fields| !fields.is_empty());
        let fields = fields.ok_or(BadEndpoint::Object { number })?;
        if let Some(field) = fields.keys().find(|field| !FIELDS.contains(&field.as_str())) {
            let field = field.chars().take(20).collect();
            return Err(BadEndpoint::Field { number, field });
        }
        Ok(Self { number, fields })
    }

    fn endpoint(&self) -> Result<Endpoint, BadEndpoint> {
        let number = self.number;
        // Datadog's agent takes the URL where both are given.
        let (field, url) = match (self.text("url")?, self.text("site")?) {
            (Some(url), _) => ("url", url.to_owned()),
            (None, Some(site)) => ("site", of_site(site)),
            (None, None) => return Err(BadEndpoint::Neither { number, one: "site", other: "url" }),
        };
        let url = Url::parse(&url).map_err(|reason| BadEndpoint::Url { number, field, reason })?;
        let api = self.source(Kind::Api, "api_key", "api_key_file")?;
        let app = self.source(Kind::App, "app_key", "app_key_file")?;
        let setting = format!("{field} of endpoint {number} of {VARIABLE}");
        Ok(Endpoint { url, keys: KeyRing::new(api, app)?, setting })
    }

    fn source(
        &self,
        kind: Kind,
        one: &'static str,
        other: &'static str,
    ) -> Result<Source, BadEndpoint> {
        let number = self.number;
        let (field, value) = match (self.text(one)?, self.text(other)?) {
            (Some(_), Some(_)) => return Err(BadEndpoint::Both { number, one, other }),
            (Some(key), None) => (one, Value::Key(SecretString::from(key))),
            (None, Some(file)) => (other, Value::File(file.into())),
            (None, None) => return Err(BadEndpoint::Neither { number, one, other }),
        };
        Ok(Source { kind, setting: format!("{field} of endpoint {number} of {VARIABLE}"), value })
    }

    fn text(&self, field: &'static str) -> Result<Option<&'a str>, BadEndpoint> {
        let Some(value) = self.fields.get(field) else { return Ok(None) };
        let text = value.as_str().map(str::trim).filter(|text| !text.is_empty());
        text.map(Some).ok_or(BadEndpoint::Text { number: self.number, field })
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    fn error(text: &str) -> String {
        parse(text).unwrap_err().to_string()
    }

    #[test]
    fn a_list_gives_endpoints_in_its_order() {
        let endpoints = parse(
            r#"[{"site": "datadoghq.eu", "api_key": " a1", "app_key": "b1"},
                {"url": "https://h:1/x", "site": "ignored", "api_key": "a2", "app_key": "b2"}]"#,
        )
        .unwrap();
        let urls: Vec<_> = endpoints.iter().map(|endpoint| endpoint.url.as_str()).collect();
        assert_eq!(urls, ["https://api.datadoghq.eu/", "https://h:1/x"]);
        assert_eq!(endpoints[0].keys.current().api.expose_secret(), "a1");
        assert_eq!(endpoints[1].keys.current().app.expose_secret(), "b2");
        assert!(parse("[]").unwrap().is_empty());
    }

    #[test]
    fn keys_can_be_in_files() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("app");
        std::fs::write(&file, "b1\n").unwrap();
        let list = |file: &std::path::Path| {
            serde_json::json!([{"site": "x.com", "api_key": "a", "app_key_file": file}]).to_string()
        };
        let endpoints = parse(&list(&file)).unwrap();
        assert_eq!(endpoints[0].keys.current().app.expose_secret(), "b1");
        let absent = error(&list(&folder.path().join("absent")));
        let absent = absent.replace(folder.path().to_str().unwrap(), "/keys");
        insta::assert_snapshot!(absent, @"app_key_file of endpoint 1 of DD_EXTERNAL_METRICS_PROVIDER_ENDPOINTS (/keys/absent) cannot be read (No such file or directory (os error 2)), correct the path or mount the Secret there");
    }

    #[test]
    fn what_is_wrong_with_it_is_one_line() {
        insta::assert_snapshot!(error("[{"), @"DD_EXTERNAL_METRICS_PROVIDER_ENDPOINTS is no JSON: line 1, column 2");
        insta::assert_snapshot!(error("{}"), @r#"DD_EXTERNAL_METRICS_PROVIDER_ENDPOINTS must be a JSON list of objects such as [{"site": "datadoghq.eu", …}]"#);
        insta::assert_snapshot!(error("[{}]"), @"endpoint 1 of DD_EXTERNAL_METRICS_PROVIDER_ENDPOINTS must be an object with site or url, api_key or api_key_file, app_key or app_key_file");
        let good = r#"{"site": "x.com", "api_key": "a", "app_key": "b"}"#;
        assert!(error(&format!("[{good}, null]")).starts_with("endpoint 2 of "));
        insta::assert_snapshot!(error(r#"[{"sites": "x.com"}]"#), @r#"endpoint 1 of DD_EXTERNAL_METRICS_PROVIDER_ENDPOINTS has the unknown field "sites", known are site, url, api_key, api_key_file, app_key, app_key_file"#);
        insta::assert_snapshot!(error(r#"[{"api_key": "a", "app_key": "b"}]"#), @"endpoint 1 of DD_EXTERNAL_METRICS_PROVIDER_ENDPOINTS has neither site nor url");
        insta::assert_snapshot!(error(r#"[{"site": "x.com", "api_key": "a"}]"#), @"endpoint 1 of DD_EXTERNAL_METRICS_PROVIDER_ENDPOINTS has neither app_key nor app_key_file");
        insta::assert_snapshot!(error(r#"[{"site": "x.com", "api_key": "a", "api_key_file": "b"}]"#), @"endpoint 1 of DD_EXTERNAL_METRICS_PROVIDER_ENDPOINTS has both api_key and api_key_file, give one of them");
        insta::assert_snapshot!(error(r#"[{"site": ""}]"#), @"site of endpoint 1 of DD_EXTERNAL_METRICS_PROVIDER_ENDPOINTS must be a text that is not empty");
        insta::assert_snapshot!(error(r#"[{"url": "nowhere"}]"#), @"url of endpoint 1 of DD_EXTERNAL_METRICS_PROVIDER_ENDPOINTS leads to no URL (relative URL without a base)");
        insta::assert_snapshot!(error(r#"[{"site": "x.com", "api_key": "<API_KEY>", "app_key": "b"}]"#), @"api_key of endpoint 1 of DD_EXTERNAL_METRICS_PROVIDER_ENDPOINTS still is the placeholder <API_KEY>, put your key there");
    }

    #[test]
    fn no_message_quotes_a_key() {
        for list in [
            r#"["canary-key"]"#,
            r#""canary-key""#,
            r#"{"api_key": "canary-key"}"#,
            r#"[{"api_key": "canary-key" "x"}]"#,
            r#"[{"site": "x.com", "api_key": "canary key", "app_key": "b"}]"#,
            r#"[{"site": "canary-key", "api_key": 7}]"#,
        ] {
            assert!(!error(list).contains("canary"), "{list}: {}", error(list));
        }
    }
}
