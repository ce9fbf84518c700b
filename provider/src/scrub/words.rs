//! What looks like a secret in one line of text.

use crate::scrub::{HEX, MASK, is_secret};

/// The line without secrets. `in_key` says whether the line is inside a private key in PEM.
pub(super) fn line(line: &str, in_key: &mut bool) -> String {
    let begins = line.contains("-----BEGIN") && line.contains("PRIVATE KEY-----");
    let ends = line.contains("-----END");
    if begins || *in_key {
        *in_key = !ends;
        let end = if line.ends_with('\n') { "\n" } else { "" };
        return format!("{MASK}{end}");
    }
    hex(&named(&user_info(line)))
}

/// Without user and password in front of the host of a URL.
fn user_info(text: &str) -> String {
    const SCHEME_END: &str = "://";
    let mut rest = text;
    let mut clean = String::with_capacity(text.len());
    while let Some(start) = rest.find(SCHEME_END) {
        let (before, after) = rest.split_at(start + SCHEME_END.len());
        clean.push_str(before);
        let is_end = |c: char| c.is_whitespace() || "/?#\"'<>\\`".contains(c);
        let authority = &after[..after.find(is_end).unwrap_or(after.len())];
        rest = match authority.rfind('@') {
            Some(at) => {
                clean.push_str(MASK);
                &after[at..]
            }
            None => after,
        };
    }
    clean.push_str(rest);
    clean
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.')
}

/// Without the values of what is named like a secret: `name=value`, `name: value`, `"name":"value"`
/// also within another JSON text, `Name: Bearer value`, `bearer value`.
fn named(text: &str) -> String {
    let mut rest = text;
    let mut clean = String::with_capacity(text.len());
    while let Some(start) = rest.find(is_name) {
        let (before, from_name) = rest.split_at(start);
        clean.push_str(before);
        let end = from_name.find(|c| !is_name(c)).unwrap_or(from_name.len());
        let (name, after) = from_name.split_at(end);
        clean.push_str(name);
        rest = after;
        let value = if is_scheme(name) && after.starts_with(' ') {
            Some(&after[1..]).filter(|value| value.starts_with(is_credential))
        // The target of a log line, `provider::agent::token: `, is no field.
        } else if is_secret(name) && !before.ends_with("::") {
            value(after)
        } else {
            None
        };
        if let Some(value) = value {
            clean.push_str(&after[..after.len() - value.len()]);
            let length = length(value, after[..after.len() - value.len()].chars().next_back());
            if length > 0 && !is_void(&value[..length]) && !is_description(value) {
                clean.push_str(MASK);
                rest = &value[length..];
            } else {
                rest = value;
            }
        }
    }
    clean.push_str(rest);
    clean
}

/// Of an `Authorization` header.
fn is_scheme(word: &str) -> bool {
    ["bearer", "basic"].iter().any(|scheme| word.eq_ignore_ascii_case(scheme))
}

fn is_credential(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-._~+/=*".contains(c)
}

/// What follows a name with its sign: from the first character of the value on.
fn value(after: &str) -> Option<&str> {
    let is_quote = |c| matches!(c, '"' | '\'' | '\\');
    let sign = after.trim_start_matches(is_quote).trim_start_matches(' ');
    let value = sign.strip_prefix("=>").or_else(|| sign.strip_prefix(['=', ':']))?;
    // Not the `::` of a path in Rust.
    if value.starts_with(':') {
        return None;
    }
    let value = value.trim_start_matches([' ', '\t']);
    let value = value.strip_prefix("Some(").unwrap_or(value);
    Some(value.trim_start_matches(is_quote))
}

/// How long the value at the beginning of `text` is, after the quote `before`, if one is there.
fn length(text: &str, before: Option<char>) -> usize {
    let quote = before.filter(|c| matches!(c, '"' | '\''));
    let is_end = |c: char| match quote {
        Some(quote) => c == quote || c == '\\' || c == '\n',
        None => c.is_whitespace() || "\"'\\,;&)}]".contains(c),
    };
    let word = text.find(is_end).unwrap_or(text.len());
    if quote.is_none() && is_scheme(&text[..word]) && text[word..].starts_with(' ') {
        return word + 1 + length(&text[word + 1..], None);
    }
    word
}

/// What [`crate::scrub::describe`] says of a secret.
fn is_description(text: &str) -> bool {
    text.strip_prefix('(').is_some_and(|text| {
        text.trim_start_matches(|c: char| c.is_ascii_digit()).starts_with(" characters")
    })
}

fn is_void(value: &str) -> bool {
    ["null", "None", "true", "false", "{", "[", MASK].contains(&value) || value.starts_with('{')
}

/// Without hexadecimal words that are as long as a key; a digest that says so is none.
fn hex(text: &str) -> String {
    let is_word = |c: char| c.is_ascii_alphanumeric();
    let mut rest = text;
    let mut clean = String::with_capacity(text.len());
    while let Some(start) = rest.find(is_word) {
        let (before, from_word) = rest.split_at(start);
        clean.push_str(before);
        let end = from_word.find(|c| !is_word(c)).unwrap_or(from_word.len());
        let (word, after) = from_word.split_at(end);
        let is_hex = HEX.contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_hexdigit());
        clean.push_str(if is_hex && !clean.ends_with("sha256:") { MASK } else { word });
        rest = after;
    }
    clean.push_str(rest);
    clean
}
