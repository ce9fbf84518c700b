//! Headers and bodies as they can be shown to people.

use std::io::Read;

use axum::http::{HeaderMap, header};
use flate2::read::{GzDecoder, ZlibDecoder};

use crate::{control::RecordedBody, intake::encoding::zstd_decoder};

/// Most bytes shown of an unpacked body.
const MAX_SHOWN: u64 = 256 << 10;

/// Most bytes shown of a body that is no text.
const MAX_HEX: usize = 256;

/// Fields of JSON bodies that bring keys; older agents send theirs so.
const KEY_FIELDS: [&str; 5] =
    ["\"apiKey\"", "\"api_key\"", "\"appKey\"", "\"app_key\"", "\"application_key\""];

/// Names in lower case with their values.
pub(crate) fn headers(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    headers.iter().map(|(name, value)| (name.to_string(), text(value.as_bytes()))).collect()
}

/// A body of `length` bytes that begins with `head`.
pub(crate) fn body(headers: &HeaderMap, head: &[u8], length: u64) -> RecordedBody {
    let kept_whole = u64::try_from(head.len()).is_ok_and(|kept| length <= kept);
    let (bytes, whole) = unpacked(headers, head);
    let truncated = !(kept_whole && whole);
    match as_text(&bytes, truncated) {
        Some("") => RecordedBody { length, truncated, text: None, hex: None },
        Some(text) => RecordedBody { length, truncated, text: Some(without_keys(text)), hex: None },
        None => {
            let hex = bytes.iter().take(MAX_HEX);
            let hex = hex.fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
            let truncated = truncated || MAX_HEX < bytes.len();
            RecordedBody { length, truncated, text: None, hex: Some(hex) }
        }
    }
}

/// The body without its packing, and whether that is all of it. A packing that is not known or
/// broken leaves the bytes as they came.
fn unpacked(headers: &HeaderMap, head: &[u8]) -> (Vec<u8>, bool) {
    let encoding = headers.get(header::CONTENT_ENCODING).map_or(&b""[..], |it| it.as_bytes());
    let inflate = |packed: &mut dyn Read| {
        let mut bytes = Vec::new();
        // What came before an error is good; the head of a long body always ends with one.
        let whole = packed.take(MAX_SHOWN).read_to_end(&mut bytes).is_ok();
        (bytes, whole)
    };
    let (bytes, whole) = match encoding {
        b"gzip" => inflate(&mut GzDecoder::new(head)),
        b"deflate" => inflate(&mut ZlibDecoder::new(head)),
        b"zstd" | b"zstd1" => match zstd_decoder(head) {
            Ok(mut decoder) => inflate(&mut decoder),
            Err(_) => return (head.to_vec(), true),
        },
        _ => return (head.to_vec(), true),
    };
    if bytes.is_empty() && !head.is_empty() { (head.to_vec(), true) } else { (bytes, whole) }
}

/// The bytes as text, if they are one; a cut through the last character is forgiven.
fn as_text(bytes: &[u8], truncated: bool) -> Option<&str> {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) if truncated && bytes.len() < error.valid_up_to() + 4 => {
            std::str::from_utf8(&bytes[..error.valid_up_to()]).ok()?
        }
        Err(_) => return None,
    };
    let is_control = |it: char| it.is_control() && !matches!(it, '\n' | '\r' | '\t');
    (!text.contains(is_control)).then_some(text)
}

/// The text with the values of [`KEY_FIELDS`] taken out. Not by a parser: bodies may be cut off
/// or malformed on purpose.
fn without_keys(text: &str) -> String {
    let mut text = text.to_owned();
    for field in KEY_FIELDS {
        let mut searched = 0;
        while let Some(found) = text[searched..].find(field) {
            searched += found + field.len();
            let Some((start, end)) = string_after_colon(&text, searched) else { continue };
            text.replace_range(start..end, "<key>");
            searched = start;
        }
    }
    text
}

/// Where the string is that follows a colon at `from`.
fn string_after_colon(text: &str, from: usize) -> Option<(usize, usize)> {
    let value = text[from..].trim_start().strip_prefix(':')?.trim_start().strip_prefix('"')?;
    let start = text.len() - value.len();
    Some((start, start + value.find('"').unwrap_or(value.len())))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn plain(bytes: &[u8]) -> RecordedBody {
        body(&HeaderMap::new(), bytes, u64::try_from(bytes.len()).unwrap())
    }

    #[test]
    fn text_is_shown_as_such_and_anything_else_in_hex() {
        assert_eq!(plain(b"{\"a\":\n1}").text.as_deref(), Some("{\"a\":\n1}"));
        assert_eq!(plain(b"\x0a\x03\x00\xff").hex.as_deref(), Some("0a0300ff"));
        assert_eq!(plain(b""), RecordedBody::default());
    }

    #[test]
    fn a_packed_body_is_unpacked() {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_ENCODING, "gzip".parse().unwrap());
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packer.write_all("ä".repeat(1000).as_bytes()).unwrap();
        let sent = packer.finish().unwrap();
        let length = u64::try_from(sent.len()).unwrap();
        let shown = body(&headers, &sent, length);
        assert_eq!((shown.length, shown.truncated), (length, false));
        assert_eq!(shown.text.map(|it| it.chars().count()), Some(1000));

        headers.insert(header::CONTENT_ENCODING, "zstd".parse().unwrap());
        let shown = body(&headers, &zstd::encode_all(&b"{}"[..], 3).unwrap(), 1);
        assert_eq!(shown.text.as_deref(), Some("{}"));

        let broken = body(&headers, b"no gzip", 7);
        assert_eq!(broken.text.as_deref(), Some("no gzip"));
    }

    #[test]
    fn the_head_of_a_long_body_says_that_it_is_cut() {
        let shown = body(&HeaderMap::new(), &"ä".as_bytes()[..1], 100);
        assert_eq!(shown, RecordedBody { length: 100, truncated: true, ..Default::default() });
        let shown = body(&HeaderMap::new(), b"ab\xc3", 100);
        assert_eq!(shown.text.as_deref(), Some("ab"));
    }

    #[test]
    fn keys_in_bodies_are_taken_out() {
        let text = r#"{"apiKey": "hush", "x": 1, "api_key" : "hush"#;
        let shown = r#"{"apiKey": "<key>", "x": 1, "api_key" : "<key>"#;
        assert_eq!(plain(text.as_bytes()).text.as_deref(), Some(shown));
    }
}
