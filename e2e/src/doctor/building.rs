//! What is needed to build the project, its images, and programs that are not there.

use indicatif::BinaryBytes;

use crate::doctor::{
    diagnosis::{Group, Line},
    facts::{Building, Disk},
};

/// As `rust-version` in the manifest says.
const OLDEST_RUST: &str = env!("CARGO_PKG_RUST_VERSION");
/// As the `go.mod` files in `e2e/go` say.
const OLDEST_GO: (u32, u32) = (1, 26);
/// A whole `target` with both profiles, with room for tests.
const ENOUGH: u64 = 8 << 30;

pub(crate) fn group(facts: &Building) -> Group {
    Group {
        name: "building",
        about: "the project, its images, programs that are not there",
        lines: vec![rust(facts), cc(facts), linking(facts), go(facts), disk(&facts.here)],
    }
}

fn rust(facts: &Building) -> Line {
    const INSTALL: &str = "install Rust with rustup (https://rustup.rs)";
    match &facts.rustc {
        Err(said) => Line::fail("Rust", said, INSTALL),
        Ok(said) => match (numbers(said), numbers(OLDEST_RUST)) {
            (Some(version), Some(oldest)) if version < oldest => {
                Line::fail("Rust", format!("{said}, needs {OLDEST_RUST}"), "rustup update")
            }
            _ => Line::ok("Rust", said),
        },
    }
}

fn cc(facts: &Building) -> Line {
    match &facts.cc {
        Ok(said) => Line::ok("C compiler", said),
        Err(said) => Line::fail(
            "C compiler",
            said,
            "ring needs one: install gcc or clang (on Debian: apt-get install gcc libc6-dev)",
        ),
    }
}

/// The images hold nothing but our programs, so those must be static.
fn linking(facts: &Building) -> Line {
    match (facts.musl, facts.static_glibc) {
        (true, _) => Line::ok("static linking", "Rust's musl target"),
        (false, true) => Line::ok("static linking", "glibc has a libc.a; no musl target"),
        (false, false) => Line::warn(
            "static linking",
            "neither Rust's musl target nor a libc.a",
            "only for `cargo xtask image`: rustup target add x86_64-unknown-linux-musl (or aarch64-)",
        ),
    }
}

fn go(facts: &Building) -> Line {
    let (major, minor) = OLDEST_GO;
    let remedy = format!(
        "only to build programs that can neither be found nor downloaded: Go {major}.{minor} or newer \
         (https://go.dev/dl)"
    );
    match &facts.go {
        Ok(said) => match numbers(said.trim_start_matches("go")) {
            Some(version) if version < OLDEST_GO => Line::warn("Go", said, remedy),
            _ => Line::ok("Go", said),
        },
        Err(said) => Line::warn("Go", said, remedy),
    }
}

fn disk(here: &Disk) -> Line {
    let path = here.path.display();
    match here.free {
        None => Line::ok("disk", format!("unknown in {path}")),
        Some(free) if free < ENOUGH => Line::warn(
            "disk",
            format!("{} free in {path}", BinaryBytes(free)),
            "a whole build takes up to 8 GiB: make room, or set CARGO_TARGET_DIR to a roomier place",
        ),
        Some(free) => Line::ok("disk", format!("{} free in {path}", BinaryBytes(free))),
    }
}

/// The first two numbers of the first word that begins with a digit.
fn numbers(text: &str) -> Option<(u32, u32)> {
    let word =
        text.split_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
    let mut parts = word.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    Some((parts.next()?.ok()?, parts.next()?.ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::fixtures;

    #[test]
    fn versions_are_compared_by_number() {
        assert_eq!(numbers("rustc 1.95.0 (abc 2026-04-14)"), Some((1, 95)));
        assert_eq!(numbers("1.26rc1"), Some((1, 26)));
        assert_eq!(numbers("rustc"), None);
        assert!(numbers("1.9") < numbers("1.89"));
    }

    #[test]
    fn whatever_is_too_old_or_missing_has_a_remedy() {
        let good = fixtures::good().building;
        let remedy = |line: Line| line.mark.remedy().unwrap_or_default().to_owned();
        let old = Building { rustc: Ok("rustc 1.70.0 (x)".to_owned()), ..good.clone() };
        assert_eq!(remedy(rust(&old)), "rustup update");
        let none = Building { rustc: Err("not on the PATH".to_owned()), ..good.clone() };
        assert!(remedy(rust(&none)).contains("https://rustup.rs"));
        let none = Building { cc: Err("not on the PATH".to_owned()), ..good.clone() };
        assert!(remedy(cc(&none)).contains("apt-get install gcc"));
        let none = Building { musl: false, static_glibc: false, ..good.clone() };
        assert!(remedy(linking(&none)).contains("rustup target add"));
        for said in [Ok("go1.21.6".to_owned()), Err("not on the PATH".to_owned())] {
            let none = Building { go: said, ..good.clone() };
            assert!(remedy(go(&none)).contains("https://go.dev/dl"));
        }
        let full = Disk { free: Some(1 << 30), ..good.here };
        assert!(remedy(disk(&full)).contains("CARGO_TARGET_DIR"));
    }
}
