//! Takes keys out of what is recorded.

use std::collections::BTreeSet;

use serde_json::Value;
use url::form_urlencoded;

/// What stands in place of a key.
const SCRUBBED: &str = "<scrubbed>";

/// Names of parameters and fields whose values are keys.
const SECRET_NAMES: [&str; 8] = [
    "api_key",
    "application_key",
    "app_key",
    "apikey",
    "appkey",
    "applicationkey",
    "access_token",
    "password",
];

/// Shorter texts are no keys, and stand in too much else.
const MIN_SECRET: usize = 6;

const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const URL_SAFE: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Knows the keys that went by, in every form in which they may show up again.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scrubber {
    forms: BTreeSet<String>,
}

impl Scrubber {
    /// Remembers a key.
    pub(crate) fn learn(&mut self, secret: &str) {
        let secret = secret.trim();
        if secret.len() < MIN_SECRET || secret == SCRUBBED {
            return;
        }
        self.forms.insert(secret.to_owned());
        self.forms.insert(form_urlencoded::byte_serialize(secret.as_bytes()).collect());
        self.forms.insert(Value::from(secret).to_string().trim_matches('"').to_owned());
        for alphabet in [STANDARD, URL_SAFE] {
            self.forms
                .extend((0..3).map(|offset| base64_core(secret.as_bytes(), offset, alphabet)));
        }
        self.forms.retain(|form| MIN_SECRET <= form.len());
    }

    /// Remembers the keys in a body: JSON or a form.
    pub(crate) fn learn_from_body(&mut self, text: &str) {
        if let Ok(json) = serde_json::from_str(text) {
            self.learn_from_json(&json);
        } else {
            for (name, value) in form_urlencoded::parse(text.as_bytes()) {
                self.learn_named(&name, &value);
            }
        }
    }

    /// Remembers a value when its name says that it is a key.
    pub(crate) fn learn_named(&mut self, name: &str, value: &str) {
        if is_secret(name) {
            self.learn(value);
        }
    }

    fn learn_from_json(&mut self, json: &Value) {
        match json {
            Value::Object(fields) => {
                for (name, value) in fields {
                    match value {
                        Value::String(text) => self.learn_named(name, text),
                        other => self.learn_from_json(other),
                    }
                }
            }
            Value::Array(items) => items.iter().for_each(|it| self.learn_from_json(it)),
            _ => {}
        }
    }

    /// The text without the keys that are known, and without what looks like a key.
    pub(crate) fn clean(&self, text: &str) -> String {
        let mut text = text.to_owned();
        let mut forms: Vec<&String> = self.forms.iter().collect();
        forms.sort_by_key(|form| std::cmp::Reverse(form.len()));
        for form in forms {
            if text.contains(form.as_str()) {
                text = text.replace(form.as_str(), SCRUBBED);
            }
        }
        without_key_like(&text)
    }
}

/// True for the name of a parameter or a field whose value is a key.
pub(crate) fn is_secret(name: &str) -> bool {
    SECRET_NAMES.contains(&name.to_ascii_lowercase().replace('-', "_").as_str())
}

/// Takes out words of 32 or 40 hexadecimal digits, as Datadog's API and application keys are.
/// Other things look the same, such as a Git commit: better that is lost than a key is kept.
fn without_key_like(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(|it: char| it.is_ascii_alphanumeric()) {
        let length = rest[start..].find(|it: char| !it.is_ascii_alphanumeric());
        let end = length.map_or(rest.len(), |length| start + length);
        let word = &rest[start..end];
        let is_key = matches!(word.len(), 32 | 40) && word.bytes().all(|it| it.is_ascii_hexdigit());
        clean.push_str(&rest[..start]);
        // A number of that many digits is a number, and JSON must stay JSON.
        let is_number = word.bytes().all(|it| it.is_ascii_digit());
        clean.push_str(if is_key && !is_number { SCRUBBED } else { word });
        rest = &rest[end..];
    }
    clean.push_str(rest);
    clean
}

/// The characters that stand for `secret` in any Base64 text in which `offset` bytes (modulo 3)
/// come before it: those that depend on its bytes alone.
fn base64_core(secret: &[u8], offset: usize, alphabet: &[u8; 64]) -> String {
    let mut bytes = vec![0; offset];
    bytes.extend_from_slice(secret);
    let bit = |index: usize| (bytes[index / 8] >> (7 - index % 8)) & 1;
    let (first, end) = ((offset * 8).div_ceil(6), bytes.len() * 8 / 6);
    (first..end)
        .map(|at| {
            (at * 6..at * 6 + 6).fold(0_usize, |all, index| all << 1 | usize::from(bit(index)))
        })
        .map(|digit| char::from(alphabet[digit]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scrubber() -> Scrubber {
        let mut scrubber = Scrubber::default();
        scrubber.learn("s3cr3t+key/long");
        scrubber
    }

    #[test]
    fn a_known_key_goes_in_every_form() {
        let check = |text: &str, expected: &str| assert_eq!(scrubber().clean(text), expected);
        check("a s3cr3t+key/long b", "a <scrubbed> b");
        check("k=s3cr3t%2Bkey%2Flong&x=y", "k=<scrubbed>&x=y");
        // base64("s3cr3t+key/long"), and behind one and two other bytes.
        for text in ["czNjcjN0K2tleS9sb25n", "eHMzY3IzdCtrZXkvbG9uZw==", "eHlzM2NyM3Qra2V5L2xvbmc="]
        {
            let clean = scrubber().clean(text);
            assert!(clean.contains(SCRUBBED) && clean.len() < 20, "{clean}");
        }
    }

    #[test]
    fn what_looks_like_a_key_goes_too() {
        let clean = |text| Scrubber::default().clean(text);
        assert_eq!(
            clean(r#"{"key":"0123456789abcdef0123456789abcdef"}"#),
            r#"{"key":"<scrubbed>"}"#
        );
        assert_eq!(clean("0123456789abcdef0123456789abcdef01234567"), SCRUBBED);
        for text in ["0123456789abcdef", "12345678901234567890123456789012", "über\u{a0}alles"] {
            assert_eq!(clean(text), text);
        }
    }

    #[test]
    fn keys_are_learned_from_bodies() {
        let mut scrubber = Scrubber::default();
        scrubber.learn_from_body(r#"{"a":[{"api_key":"hush-hush"}]}"#);
        scrubber.learn_from_body("application_key=silence!&x=visible");
        assert_eq!(
            scrubber.clean("hush-hush silence! silence%21 visible"),
            "<scrubbed> <scrubbed> <scrubbed> visible"
        );
    }
}
