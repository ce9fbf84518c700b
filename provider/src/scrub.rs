//! Takes keys, tokens and passwords out of text that goes to somebody else; pure.
//!
//! Two nets, one below the other: the values that this process knows to be secret, wherever they
//! stand, and whatever looks like a secret: `name=value` where the name says so, bearer headers,
//! user and password in URLs, hexadecimal words of the lengths of Datadog's keys and of our token,
//! private keys in PEM. Rather a harmless word too many than a key too few.

use std::borrow::Cow;

use secrecy::{ExposeSecret, SecretString};

use crate::hex::fingerprint;

mod words;

/// What stands where a secret was.
pub const MASK: &str = "********";

/// The least length of a value that is looked for everywhere: a shorter one would be found in words
/// that mean something else.
const LEAST: usize = 6;

/// Lengths of hexadecimal words that are secrets: Datadog's API key, its application key, our token.
const HEX: [usize; 3] = [32, 40, 64];

/// Takes out what it knows and what looks like it.
#[derive(Debug, Clone, Default)]
pub struct Scrubber(Vec<SecretString>);

impl Scrubber {
    /// One that knows `secrets`, beside what it can tell by their looks.
    pub fn new(secrets: impl IntoIterator<Item = SecretString>) -> Self {
        let mut secrets: Vec<_> = secrets
            .into_iter()
            .flat_map(|secret| {
                let text = secret.expose_secret().trim();
                // In a JSON text it may stand with escapes.
                let quoted = serde_json::to_string(text).unwrap_or_default();
                let quoted = quoted.trim_matches('"').to_owned();
                [SecretString::from(text), SecretString::from(quoted)]
            })
            .filter(|secret| secret.expose_secret().len() >= LEAST)
            .collect();
        // What contains another one goes first.
        secrets.sort_by(|one, other| {
            let (one, other) = (one.expose_secret(), other.expose_secret());
            other.len().cmp(&one.len()).then_with(|| one.cmp(other))
        });
        secrets.dedup_by(|one, other| one.expose_secret() == other.expose_secret());
        Self(secrets)
    }

    /// `text` without secrets.
    pub fn scrub(&self, text: &str) -> String {
        let mut text = Cow::Borrowed(text);
        for secret in &self.0 {
            if text.contains(secret.expose_secret()) {
                text = text.replace(secret.expose_secret(), MASK).into();
            }
        }
        text.split_inclusive('\n').scan(false, |in_key, line| Some(words::line(line, in_key))).fold(
            String::with_capacity(text.len()),
            |mut all, line| {
                all.push_str(&line);
                all
            },
        )
    }
}

/// A URL, or what was meant to be one, without the user and the password in it.
pub fn url(text: &str) -> Cow<'_, str> {
    let Some((before, after)) = text.rsplit_once('@') else { return text.into() };
    let scheme = before.find("://").map_or("", |end| &before[..end + "://".len()]);
    format!("{scheme}{MASK}@{after}").into()
}

/// What can be told of a secret: its length, and a fingerprint by which two of them can be compared
/// (`printf %s "$TOKEN" | sha256sum`). Of a short one only the length: it could be guessed.
pub fn describe(secret: &str) -> String {
    const GUESSABLE: usize = 16;
    let length = secret.chars().count();
    if length < GUESSABLE {
        return format!("({length} characters)");
    }
    format!("({length} characters, fingerprint {})", fingerprint(secret))
}

/// Whether what has this name is a secret: the name of an environment variable, a flag, a header, a
/// field.
pub fn is_secret(name: &str) -> bool {
    const SECRET: [&str; 13] = [
        "apikey",
        "appkey",
        "applicationkey",
        "accesskey",
        "privatekey",
        "secretkey",
        "token",
        "password",
        "passwd",
        "secret",
        "authorization",
        "credential",
        "externalmetricsproviderendpoints",
    ];
    // What only says where a secret is, or how long it lives.
    const PLACE: [&str; 10] =
        ["file", "path", "name", "namespace", "dir", "ca", "casecret", "tokensecret", "id", "ttl"];
    let name: String =
        name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_lowercase();
    SECRET.iter().any(|word| name.contains(word)) && !PLACE.iter().any(|end| name.ends_with(end))
}

/// The variables of an environment, by name, as they may be shown.
pub fn environment(
    variables: impl IntoIterator<Item = (String, String)>,
    scrubber: &Scrubber,
) -> Vec<(String, String)> {
    let mut shown: Vec<_> = variables
        .into_iter()
        .map(|(name, value)| {
            let is_shown = value.is_empty() || !is_secret(&name);
            let value = if is_shown { scrubber.scrub(&value) } else { describe(&value) };
            (name, value)
        })
        .collect();
    shown.sort();
    shown
}

#[cfg(test)]
mod tests;
