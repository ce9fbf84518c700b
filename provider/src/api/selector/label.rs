//! What a label's key and value may be, in Kubernetes' words
//! (`k8s.io/apimachinery/pkg/api/validate/content/kube.go`, `dns.go`).

use std::fmt::Write;

/// Longest value, and longest key without its prefix, in bytes.
const MAX_LENGTH: usize = 63;
/// Longest prefix of a key, in bytes.
const MAX_PREFIX: usize = 253;

const TOO_LONG: &str = "must be no more than 63 bytes";
const BAD_NAME: &str = "must consist of alphanumeric characters, '-', '_' or '.', and must start \
    and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used \
    for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const BAD_PREFIX: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric \
    characters, '-' or '.', and must start and end with an alphanumeric character (e.g. \
    'example.com', regex used for validation is \
    '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const BAD_VALUE: &str = "a valid label must be an empty string or consist of alphanumeric \
    characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. \
    'MyValue',  or 'my_value',  or '12345', regex used for validation is \
    '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

/// What is wrong with a key; nothing if it is good.
pub(super) fn key_errors(key: &str) -> Vec<String> {
    let parts: Vec<&str> = key.split('/').collect();
    let (prefix, name) = match parts[..] {
        [name] => (None, name),
        [prefix, name] => (Some(prefix), name),
        _ => {
            let example =
                "with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')";
            return vec![format!("a valid label key {BAD_NAME} {example}")];
        }
    };
    let mut errors = Vec::new();
    let empty = "must be non-empty";
    if prefix == Some("") {
        errors.push(format!("prefix part {empty}"));
    } else if let Some(prefix) = prefix {
        if prefix.len() > MAX_PREFIX {
            errors.push(format!("prefix part must be no more than {MAX_PREFIX} bytes"));
        }
        if !prefix.split('.').all(is_dns_label) {
            errors.push(format!("prefix part {BAD_PREFIX}"));
        }
    }
    if name.is_empty() {
        errors.push(format!("name part {empty}"));
    } else if name.len() > MAX_LENGTH {
        errors.push(format!("name part {TOO_LONG}"));
    }
    if !is_name(name) {
        errors.push(format!("name part {BAD_NAME}"));
    }
    errors
}

/// What is wrong with a value; nothing if it is good, as the empty one is.
pub(super) fn value_errors(value: &str) -> Vec<&'static str> {
    let too_long = (value.len() > MAX_LENGTH).then_some(TOO_LONG);
    let bad = (!value.is_empty() && !is_name(value)).then_some(BAD_VALUE);
    too_long.into_iter().chain(bad).collect()
}

fn is_name(text: &str) -> bool {
    let bytes = text.as_bytes();
    let ends = [bytes.first(), bytes.last()];
    ends.iter().all(|end| end.is_some_and(u8::is_ascii_alphanumeric))
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte))
}

fn is_dns_label(text: &str) -> bool {
    is_name(text)
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// As Go's `%q` writes a text.
pub(super) fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for c in text.chars() {
        let short = match c {
            '"' | '\\' => Some(c),
            '\x07' => Some('a'),
            '\x08' => Some('b'),
            '\x0c' => Some('f'),
            '\n' => Some('n'),
            '\r' => Some('r'),
            '\t' => Some('t'),
            '\x0b' => Some('v'),
            _ => None,
        };
        // Writing to a `String` cannot fail.
        let _ = match (short, u32::from(c)) {
            (Some(short), _) => write!(quoted, "\\{short}"),
            (None, code) if c.is_ascii_control() => write!(quoted, "\\x{code:02x}"),
            (None, _) if c == '\'' || c.escape_debug().count() == 1 => write!(quoted, "{c}"),
            (None, code @ 0x1_0000..) => write!(quoted, "\\U{code:08x}"),
            (None, code) => write!(quoted, "\\u{code:04x}"),
        };
    }
    quoted.push('"');
    quoted
}
