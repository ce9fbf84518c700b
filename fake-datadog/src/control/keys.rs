//! What a scenario says of keys.
//!
//! Rules from Datadog's "API and Application Keys" and "Datadog Role Permissions", and from
//! `x-permission` of its `OpenAPI` v1.

use std::fmt;

use schemars::JsonSchema;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use crate::keys::fingerprint;

/// A key of an organisation: either an API key, good for intake and validation, or an application
/// key, which reads data beside any API key of the same organisation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("oneOf" = [{ "required": ["api"] }, { "required": ["app"] }]))]
pub struct Key {
    /// The key itself, if it is an API key.
    #[schemars(with = "Option<String>")]
    pub(crate) api: Option<Secret>,
    /// The key itself, if it is an application key.
    #[schemars(with = "Option<String>")]
    pub(crate) app: Option<Secret>,
    /// What it is called, such as in the fault `key_revoked`.
    pub(crate) name: Option<String>,
    /// Organisation that it belongs to; that without a name when left out.
    #[serde(default)]
    pub(crate) org: String,
    /// What an application key may do; everything when left out.
    pub(crate) scopes: Option<Vec<Right>>,
    /// It was good once, and is no more.
    #[serde(default)]
    pub(crate) revoked: bool,
}

/// A permission that an endpoint asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Right {
    /// Queries: `GET /api/v1/query`, `POST /api/v2/query/timeseries` and `/scalar`.
    TimeseriesQuery,
    /// Lists, search, tags and metadata of metrics.
    MetricsRead,
    /// `PUT /api/v1/metrics/{metric}`.
    MetricsMetadataWrite,
}

/// The text of a key. It prints as its fingerprint.
#[derive(Clone, Deserialize)]
#[serde(from = "String")]
pub(crate) struct Secret(SecretString);

/// Why a key is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKey {
    /// It is nothing, or two things.
    #[error("a key needs either `api` or `app`")]
    Kind,
    /// No text.
    #[error("a key must not be blank")]
    Blank,
    /// Scopes of an API key.
    #[error("an API key has no `scopes`, only an application key has")]
    Scopes,
    /// Another one is the same.
    #[error("the key with the fingerprint `{0}` is there twice")]
    Twice(String),
}

impl Key {
    /// An API key.
    pub fn api(key: impl Into<SecretString>) -> Self {
        Self { api: Some(Secret(key.into())), ..Self::default() }
    }

    /// An application key that may do everything.
    pub fn app(key: impl Into<SecretString>) -> Self {
        Self { app: Some(Secret(key.into())), ..Self::default() }
    }

    /// Calls it that, for the fault `key_revoked`.
    #[must_use]
    pub fn named(self, name: impl Into<String>) -> Self {
        Self { name: Some(name.into()), ..self }
    }

    /// Gives it to that organisation. An application key is good beside the API keys of its own
    /// organisation only.
    #[must_use]
    pub fn of(self, org: impl Into<String>) -> Self {
        Self { org: org.into(), ..self }
    }

    /// Lets an application key do this alone.
    #[must_use]
    pub fn scoped(self, scopes: impl IntoIterator<Item = Right>) -> Self {
        Self { scopes: Some(scopes.into_iter().collect()), ..self }
    }

    /// Makes it a key that is no longer good.
    #[must_use]
    pub fn revoked(self) -> Self {
        Self { revoked: true, ..self }
    }

    /// Whether this application key may do that.
    pub(crate) fn may(&self, right: Right) -> bool {
        self.scopes.as_ref().is_none_or(|scopes| scopes.contains(&right))
    }

    /// Checks it beside those before it.
    pub(crate) fn validate(&self, before: &[Self]) -> Result<(), InvalidKey> {
        let ((Some(Secret(key)), None) | (None, Some(Secret(key)))) = (&self.api, &self.app) else {
            return Err(InvalidKey::Kind);
        };
        if key.expose_secret().trim().is_empty() {
            return Err(InvalidKey::Blank);
        }
        if self.api.is_some() && self.scopes.is_some() {
            return Err(InvalidKey::Scopes);
        }
        if before.iter().any(|it| (&it.api, &it.app) == (&self.api, &self.app)) {
            return Err(InvalidKey::Twice(fingerprint(key)));
        }
        Ok(())
    }
}

impl Secret {
    pub(crate) fn is(&self, key: &SecretString) -> bool {
        self.0.expose_secret() == key.expose_secret()
    }
}

impl From<String> for Secret {
    fn from(key: String) -> Self {
        Self(key.into())
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.is(&other.0)
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&fingerprint(&self.0))
    }
}
