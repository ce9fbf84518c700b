//! The account: which keys are good, and what a request with others gets.

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use crate::control::{Key, Right};

/// API key of a fake that was not given one; 32 hexadecimal digits, as Datadog's are.
pub const DEFAULT_API_KEY: &str = "fa4e0000000000000000000000000000";

/// Application key of a fake that was not given one; 40 of them, as Datadog's are.
pub const DEFAULT_APP_KEY: &str = "fa4e000000000000000000000000000000000000";

/// The keys that the fake accepts.
///
/// ```
/// use fake_datadog::{Keys, control::{Key, Right}};
///
/// let keys = Keys::new("api", "app")
///     .and(Key::app("narrow").scoped([Right::TimeseriesQuery]))
///     .and(Key::api("old").named("old").revoked())
///     .and(Key::api("theirs").of("other"));
/// # assert!(!format!("{keys:?}").contains("narrow"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys(Vec<Key>);

/// What an endpoint asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Needs {
    /// The API key alone: intake and validation.
    Api,
    /// Both keys.
    ApiAndApp,
    /// Both keys, the application key with this right.
    Right(Right),
}

/// The keys of one request, from headers or parameters.
#[derive(Clone, Debug, Default)]
pub(crate) struct Presented {
    /// `DD-API-KEY` or `api_key`.
    pub(crate) api: Option<SecretString>,
    /// `DD-APPLICATION-KEY` or `application_key`.
    pub(crate) app: Option<SecretString>,
}

/// Why a request is refused with 403.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// No API key at all.
    ApiKeyMissing,
    /// A key that is wrong or may not do that, or no application key where it is needed.
    Forbidden,
}

impl Keys {
    /// Accepts exactly these.
    pub fn new(api: impl Into<SecretString>, app: impl Into<SecretString>) -> Self {
        Self(vec![Key::api(api), Key::app(app)])
    }

    /// Accepts this one too.
    #[must_use]
    pub fn and(mut self, key: Key) -> Self {
        self.0.push(key);
        self
    }

    /// Whether a request may have what it asks for. "Application keys, in conjunction with your
    /// organization's API key, give users access"; one with scopes has those alone (Datadog, "API
    /// and Application Keys").
    pub(crate) fn check(&self, presented: &Presented, needs: Needs) -> Result<(), Refusal> {
        let Some(api) = &presented.api else { return Err(Refusal::ApiKeyMissing) };
        let api = self.api(api).ok_or(Refusal::Forbidden)?;
        let app = || self.app(presented.app.as_ref()?).filter(|app| app.org == api.org);
        let is_good = match needs {
            Needs::Api => true,
            Needs::ApiAndApp => app().is_some(),
            Needs::Right(right) => app().is_some_and(|app| app.may(right)),
        };
        if is_good { Ok(()) } else { Err(Refusal::Forbidden) }
    }

    /// The good API key with that text.
    pub(crate) fn api(&self, text: &SecretString) -> Option<&Key> {
        self.good().find(|key| key.api.as_ref().is_some_and(|it| it.is(text)))
    }

    /// The good application key with that text.
    fn app(&self, text: &SecretString) -> Option<&Key> {
        self.good().find(|key| key.app.as_ref().is_some_and(|it| it.is(text)))
    }

    fn good(&self) -> impl Iterator<Item = &Key> {
        self.0.iter().filter(|key| !key.revoked)
    }

    /// What the keys of a request are known by: fingerprints, and names of the good ones.
    pub(crate) fn labels(&self, presented: &Presented) -> Vec<String> {
        let api = presented.api.as_ref().and_then(|it| self.api(it));
        let app = presented.app.as_ref().and_then(|it| self.app(it));
        let names = api.into_iter().chain(app).filter_map(|key| key.name.clone());
        presented.api.iter().chain(&presented.app).map(fingerprint).chain(names).collect()
    }
}

impl FromIterator<Key> for Keys {
    fn from_iter<I: IntoIterator<Item = Key>>(keys: I) -> Self {
        Self(keys.into_iter().collect())
    }
}

impl Default for Keys {
    fn default() -> Self {
        Self::new(DEFAULT_API_KEY, DEFAULT_APP_KEY)
    }
}

/// The first 8 hexadecimal digits of the key's SHA-256: enough to tell keys apart in a log,
/// of no use to anybody else.
pub fn fingerprint(key: &SecretString) -> String {
    let digest = Sha256::digest(key.expose_secret().as_bytes());
    digest.iter().take(4).fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

#[cfg(test)]
mod tests;
