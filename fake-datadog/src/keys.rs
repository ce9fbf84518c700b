//! The account: which keys are good, and what a request with others gets.

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

/// API key of a fake that was not given one; 32 hexadecimal digits, as Datadog's are.
pub const DEFAULT_API_KEY: &str = "fa4e0000000000000000000000000000";

/// Application key of a fake that was not given one; 40 of them, as Datadog's are.
pub const DEFAULT_APP_KEY: &str = "fa4e000000000000000000000000000000000000";

/// The keys that the fake accepts.
#[derive(Clone, Debug)]
pub struct Keys {
    api: SecretString,
    app: SecretString,
}

/// What an endpoint asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Needs {
    /// The API key alone: intake and validation.
    Api,
    /// Both keys: reading data back.
    ApiAndApp,
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
    /// A key that is wrong, or no application key where it is needed.
    Forbidden,
}

impl Presented {
    /// What tells its keys apart without showing them.
    pub(crate) fn fingerprints(&self) -> Vec<String> {
        self.api.iter().chain(&self.app).map(fingerprint).collect()
    }
}

impl Keys {
    /// Accepts exactly these.
    pub fn new(api: impl Into<SecretString>, app: impl Into<SecretString>) -> Self {
        Self { api: api.into(), app: app.into() }
    }

    pub(crate) fn check(&self, presented: &Presented, needs: Needs) -> Result<(), Refusal> {
        let Some(api) = &presented.api else { return Err(Refusal::ApiKeyMissing) };
        let app_is_good = match needs {
            Needs::Api => true,
            Needs::ApiAndApp => presented.app.as_ref().is_some_and(|app| same(app, &self.app)),
        };
        if same(api, &self.api) && app_is_good { Ok(()) } else { Err(Refusal::Forbidden) }
    }
}

impl Default for Keys {
    fn default() -> Self {
        Self::new(DEFAULT_API_KEY, DEFAULT_APP_KEY)
    }
}

fn same(left: &SecretString, right: &SecretString) -> bool {
    left.expose_secret() == right.expose_secret()
}

/// The first 8 hexadecimal digits of the key's SHA-256: enough to tell keys apart in a log,
/// of no use to anybody else.
pub fn fingerprint(key: &SecretString) -> String {
    let digest = Sha256::digest(key.expose_secret().as_bytes());
    digest.iter().take(4).fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(api: Option<&str>, app: Option<&str>, needs: Needs, expected: Result<(), Refusal>) {
        let presented = Presented { api: api.map(Into::into), app: app.map(Into::into) };
        assert_eq!(Keys::new("good", "fine").check(&presented, needs), expected);
    }

    #[test]
    fn reading_needs_both_keys_and_writing_one() {
        check(Some("good"), Some("fine"), Needs::ApiAndApp, Ok(()));
        check(Some("good"), None, Needs::ApiAndApp, Err(Refusal::Forbidden));
        check(Some("good"), Some("bad"), Needs::ApiAndApp, Err(Refusal::Forbidden));
        check(Some("bad"), Some("fine"), Needs::ApiAndApp, Err(Refusal::Forbidden));
        check(Some("good"), None, Needs::Api, Ok(()));
        check(Some(""), None, Needs::Api, Err(Refusal::Forbidden));
        check(None, Some("fine"), Needs::Api, Err(Refusal::ApiKeyMissing));
    }

    #[test]
    fn keys_do_not_show_in_debug_output() {
        assert!(!format!("{:?}", Keys::default()).contains("fa4e0"));
    }

    #[test]
    fn the_fingerprint_is_the_head_of_the_sha_256() {
        assert_eq!(fingerprint(&SecretString::from("abc")), "ba7816bf");
    }
}
