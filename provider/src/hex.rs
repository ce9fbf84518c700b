//! Bytes as lower-case hexadecimal digits.

use std::fmt::Write;

use sha2::{Digest, Sha256};

/// Two digits a byte, in one buffer: what a string leaves behind when it grows is not wiped, and some
/// of these are secrets.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a String cannot fail.
        _ = write!(text, "{byte:02x}");
    }
    text
}

/// By which two secrets can be compared and neither is told: the first eight digits of its SHA-256.
pub(crate) fn fingerprint(secret: &str) -> String {
    hex(&Sha256::digest(secret.as_bytes())[..4])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_two_digits_and_a_fingerprint_is_what_sha256sum_begins_with() {
        assert_eq!(hex(&[0x00, 0x0f, 0xa0]), "000fa0");
        assert_eq!(fingerprint("abc"), "ba7816bf");
    }
}
