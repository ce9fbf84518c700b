//! The headers in which a front proxy says whose request it forwards.

use std::collections::BTreeMap;

use axum::http::{HeaderMap, HeaderName, HeaderValue};

use crate::api::user::User;

/// What the headers are called, by the configuration of kube-apiserver.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    /// The first one that has a value names the user.
    pub users: Vec<HeaderName>,
    /// The first one that has a value gives the user's UID.
    pub uids: Vec<HeaderName>,
    /// All values of all of them are groups.
    pub groups: Vec<HeaderName>,
    /// What is before the key of an extra, in lower case.
    pub extra_prefixes: Vec<String>,
}

/// What kube-apiserver uses if nobody says otherwise. Removed whatever is configured.
const STANDARD: [&str; 3] = ["x-remote-user", "x-remote-uid", "x-remote-group"];
const STANDARD_PREFIX: &str = "x-remote-extra-";

impl Names {
    /// The user that the headers name, if they name one; to be believed only from a front proxy.
    ///
    /// As `k8s.io/apiserver/pkg/authentication/request/headerrequest` reads them: of a repeated
    /// header that names a user the first counts, keys of extras are lower-cased and then
    /// percent-decoded.
    pub(super) fn user(&self, headers: &HeaderMap) -> Result<Option<User>, String> {
        let name = first(headers, &self.users)?;
        if name.is_empty() {
            return Ok(None);
        }
        let uid = first(headers, &self.uids)?;
        let mut groups = Vec::new();
        for header in &self.groups {
            let values = headers.get_all(header).iter().filter(|value| !value.is_empty());
            for value in values {
                groups.push(text(header, value)?);
            }
        }
        let mut extra = BTreeMap::<_, Vec<_>>::new();
        for prefix in &self.extra_prefixes {
            for (header, value) in headers {
                if let Some(key) = header.as_str().strip_prefix(prefix.as_str()) {
                    extra.entry(unescape(key)).or_default().push(text(header, value)?);
                }
            }
        }
        Ok(Some(User { name, uid, groups, extra }))
    }

    /// Takes all of them out, the standard ones too: a server further in may know only those.
    pub(super) fn remove_from(&self, headers: &mut HeaderMap) {
        let configured = self.users.iter().chain(&self.uids).chain(&self.groups);
        for header in configured {
            headers.remove(header);
        }
        for header in STANDARD {
            headers.remove(header);
        }
        let is_extra = |header: &&HeaderName| {
            let header = header.as_str();
            header.starts_with(STANDARD_PREFIX)
                || self.extra_prefixes.iter().any(|prefix| header.starts_with(prefix.as_str()))
        };
        let extras: Vec<HeaderName> = headers.keys().filter(is_extra).cloned().collect();
        for header in extras {
            headers.remove(header);
        }
    }
}

/// The first value of the first header that has one that is not empty.
fn first(headers: &HeaderMap, names: &[HeaderName]) -> Result<String, String> {
    let found = names.iter().find_map(|name| {
        let value = headers.get(name).filter(|value| !value.is_empty())?;
        Some(text(name, value))
    });
    found.unwrap_or_else(|| Ok(String::new()))
}

/// What is no UTF-8 would become the same text as something else.
fn text(header: &HeaderName, value: &HeaderValue) -> Result<String, String> {
    let text = std::str::from_utf8(value.as_bytes());
    text.map(str::to_owned).map_err(|_| format!("header {header} is not UTF-8"))
}

/// `url.PathUnescape` of Go; what cannot be decoded stays as it is.
fn unescape(key: &str) -> String {
    let mut decoded = Vec::with_capacity(key.len());
    let mut rest = key.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let Some((digits, after)) = rest.split_at_checked(2) else { return key.to_owned() };
        let digit = |at: usize| char::from(digits[at]).to_digit(16);
        let (Some(high), Some(low)) = (digit(0), digit(1)) else { return key.to_owned() };
        decoded.extend(u8::try_from(high * 16 + low));
        rest = after;
    }
    String::from_utf8(decoded).unwrap_or_else(|_| key.to_owned())
}

#[cfg(test)]
mod tests;
