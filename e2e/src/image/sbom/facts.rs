//! What a static binary itself says about what was linked into it beside crates.

use memchr::memmem;

/// A library that no crate is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fact {
    pub(crate) name: &'static str,
    pub(crate) version: String,
    /// As an SPDX expression.
    pub(crate) licence: &'static str,
}

/// The standard library, of which rustc writes the version into `.comment`, and glibc, which carries
/// its banner. musl carries none: it comes with the standard library.
pub(crate) fn read(binary: &[u8]) -> Vec<Fact> {
    let known = [
        ("rust-std", "rustc version ", "MIT OR Apache-2.0"),
        ("glibc", "stable release version ", "LGPL-2.1-or-later"),
    ];
    known
        .into_iter()
        .filter_map(|(name, before, licence)| {
            let found = memmem::find(binary, before.as_bytes())? + before.len();
            let version: String = binary
                .get(found..)?
                .iter()
                .map(|&byte| char::from(byte))
                .take_while(|c| c.is_ascii_digit() || *c == '.')
                .collect();
            let version = version.trim_end_matches('.').to_owned();
            (!version.is_empty()).then_some(Fact { name, version, licence })
        })
        .collect()
}
