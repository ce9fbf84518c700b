//! What handlers read from a request: parameters and keys.

use std::collections::BTreeMap;

use axum::http::{HeaderMap, Uri};
use url::form_urlencoded;

use crate::keys::Presented;

const API_KEY: &str = "api_key";
const APP_KEY: &str = "application_key";

/// The decoded parameters of a request; the last one of a name.
#[derive(Clone, Default)]
pub(crate) struct Params(BTreeMap<String, String>);

impl Params {
    pub(crate) fn of(uri: &Uri) -> Self {
        let pairs = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
        Self(pairs.into_owned().collect())
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// All that may be shown.
    pub(crate) fn without_keys(mut self) -> BTreeMap<String, String> {
        self.0.retain(|name, _| name != API_KEY && name != APP_KEY);
        self.0
    }
}

/// The keys that a request brings, headers before parameters.
pub(crate) fn presented_keys(headers: &HeaderMap, params: &Params) -> Presented {
    let key = |header: &str, param: &str| {
        let header = headers.get(header).and_then(|value| value.to_str().ok());
        header.or_else(|| params.get(param)).map(Into::into)
    };
    Presented { api: key("dd-api-key", API_KEY), app: key("dd-application-key", APP_KEY) }
}
