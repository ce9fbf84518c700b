//! Who may see the page: who knows the cluster agent's token. Sent as a bearer token, or typed once,
//! for which a browser gets a cookie.
//!
//! The cookie is the time at which it ends, signed with a key that follows from the token: nothing is
//! kept for it, every replica knows it, and a new token ends it.

use axum::http::{HeaderMap, header::COOKIE};
use jiff::{SignedDuration, Timestamp};
use ring::hmac::{HMAC_SHA256, Key, sign, verify};

use crate::{
    api::access::{Token, bearer},
    hex::hex,
};

/// How long a browser is let in.
const LIFE: SignedDuration = SignedDuration::from_hours(8);

/// `__Host-`: a browser takes it over TLS only, for this host and no subdomain.
const NAME: &str = "__Host-datadog-cluster-agent";
/// Takes the cookie away.
pub(super) const NO_COOKIE: &str =
    "__Host-datadog-cluster-agent=; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=0";

/// The token of the moment.
pub(super) struct Session {
    key: Key,
    token: Vec<u8>,
}

/// Whether somebody is let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pass {
    Let,
    /// Says nothing, or has a cookie that has ended.
    Unknown,
    /// Says a wrong token.
    Refused,
}

impl Session {
    pub(super) fn of(token: &str) -> Self {
        let token = token.as_bytes();
        let label = sign(&Key::new(HMAC_SHA256, token), b"cookies of the status page");
        Self { key: Key::new(HMAC_SHA256, label.as_ref()), token: token.to_vec() }
    }

    /// Whether this is the token, in a time that tells nothing of it.
    pub(super) fn is_token(&self, said: &str) -> bool {
        // An empty token would let everybody in.
        let expected = sign(&self.key, &self.token);
        !self.token.is_empty() && verify(&self.key, said.as_bytes(), expected.as_ref()).is_ok()
    }

    /// Whether the request with these headers may see the page.
    pub(super) fn pass(&self, headers: &HeaderMap, now: Timestamp) -> Pass {
        match bearer(headers) {
            Token::Bearer(said) if self.is_token(&said) => return Pass::Let,
            Token::Bearer(_) | Token::Unreadable(_) => return Pass::Refused,
            Token::None => {}
        }
        let cookies = headers.get_all(COOKIE).iter().filter_map(|it| it.to_str().ok());
        let mut ours = cookies
            .flat_map(|it| it.split(';'))
            .filter_map(|it| it.trim().strip_prefix(NAME)?.strip_prefix('='));
        if ours.any(|it| self.is_cookie(it, now)) { Pass::Let } else { Pass::Unknown }
    }

    /// The header `Set-Cookie` for who knew the token.
    pub(super) fn cookie(&self, now: Timestamp) -> String {
        let end = now.checked_add(LIFE).unwrap_or(now).as_second();
        let signature = hex(sign(&self.key, &signed(end)).as_ref());
        format!(
            "{NAME}={end}.{signature}; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age={}",
            LIFE.as_secs()
        )
    }

    fn is_cookie(&self, value: &str, now: Timestamp) -> bool {
        let Some((end, signature)) = value.split_once('.') else { return false };
        let (Ok(end), Some(signature)) = (end.parse(), unhex(signature)) else { return false };
        !self.token.is_empty()
            && now.as_second() < end
            && verify(&self.key, &signed(end), &signature).is_ok()
    }
}

/// Never the same text as a token.
fn signed(end: i64) -> Vec<u8> {
    format!("until {end}").into_bytes()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let is_whole = text.is_ascii() && text.len().is_multiple_of(2);
    let pairs =
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok());
    is_whole.then(|| pairs.collect())?
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderValue, header::AUTHORIZATION};

    use super::*;

    const TOKEN: &str = "0123456789abcdef0123456789abcdef";

    fn session(token: &str) -> Session {
        Session::of(token)
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn with(name: axum::http::HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_str(value).unwrap())])
    }

    #[test]
    fn a_bearer_token_is_let_in_and_a_wrong_one_is_not() {
        let session = session(TOKEN);
        let pass = |value: &str| session.pass(&with(AUTHORIZATION, value), at(0));
        assert_eq!(pass(&format!("Bearer {TOKEN}")), Pass::Let);
        assert_eq!(pass(&format!("Bearer {TOKEN}x")), Pass::Refused);
        assert_eq!(pass("Bearer x"), Pass::Refused);
        assert_eq!(session.pass(&HeaderMap::new(), at(0)), Pass::Unknown);
    }

    #[test]
    fn a_cookie_holds_for_its_time_and_its_token() {
        let cookie = session(TOKEN).cookie(at(0));
        let (pair, attributes) = cookie.split_once("; ").unwrap();
        assert_eq!(attributes, "Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=28800");
        let headers = with(COOKIE, &format!("other=1; {pair}"));
        let pass = |token, now| session(token).pass(&headers, at(now));
        assert_eq!(pass(TOKEN, 28_799), Pass::Let);
        assert_eq!(pass(TOKEN, 28_800), Pass::Unknown);
        assert_eq!(pass("another token of thirty-two bytes", 1), Pass::Unknown);
    }

    #[test]
    fn a_cookie_cannot_be_made_up() {
        let cookie = session(TOKEN).cookie(at(0));
        let longer = cookie.replace("=28800.", "=99999.");
        for value in [&*longer, &format!("{NAME}=1"), &format!("{NAME}=9.é"), &format!("{NAME}=9.")]
        {
            let value = value.split(';').next().unwrap();
            let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) else { continue };
            let headers = HeaderMap::from_iter([(COOKIE, value)]);
            assert_eq!(session(TOKEN).pass(&headers, at(1)), Pass::Unknown);
        }
    }

    #[test]
    fn without_a_token_nobody_is_let_in() {
        let session = session("");
        assert!(!session.is_token(""));
        let cookie = session.cookie(at(0));
        let headers = with(COOKIE, cookie.split(';').next().unwrap());
        assert_eq!(session.pass(&headers, at(1)), Pass::Unknown);
    }
}
