//! The SHA-256 of every program in the cache, kept beside it: whether it is still the file that was
//! installed.
//!
//! What a download is compared with is published for the release file; this is of the program
//! that came out of it, so that it also covers what was unpacked or built.

use std::{
    fmt::Write as _,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use sha2::{Digest as _, Sha256};
use tokio::task;

/// What is known about a file's SHA-256.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Sum {
    /// Nobody wrote it down: the file is not in the cache, or an older version put it there.
    Unknown,
    /// As it was when the file was installed.
    Same(String),
    /// It was another one when the file was installed.
    Differs,
    /// The file cannot be read.
    Unreadable(String),
}

/// Writes down the SHA-256 of `program`, a file in the folder `bin` of the cache.
pub(crate) fn record(program: &Path) -> io::Result<()> {
    let Some(note) = note(program) else { return Ok(()) };
    fs::create_dir_all(note.parent().unwrap_or(Path::new(".")))?;
    fs::write(note, of(program)?)
}

/// Compares `program`, which may be a link, with what was written down.
pub(crate) async fn check(program: &Path) -> Sum {
    let program = program.to_owned();
    let compare = move || {
        let file = fs::canonicalize(program)?;
        let Some(recorded) = note(&file).and_then(|note| fs::read_to_string(note).ok()) else {
            return Ok(Sum::Unknown);
        };
        let got = of(&file)?;
        Ok(if got == recorded.trim() { Sum::Same(got) } else { Sum::Differs })
    };
    let compared = task::spawn_blocking(compare).await;
    let compared = compared.unwrap_or_else(|error| Err(io::Error::other(error)));
    compared.unwrap_or_else(|error| Sum::Unreadable(error.to_string()))
}

/// SHA-256 as lower-case hex.
pub(crate) fn hex(digest: &[u8]) -> String {
    digest.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn of(file: &Path) -> io::Result<String> {
    let mut hash = Sha256::new();
    io::copy(&mut File::open(file)?, &mut Hasher(&mut hash))?;
    Ok(hex(&hash.finalize()))
}

/// `FOLDER/bin/NAME` → `FOLDER/sha256/NAME`
fn note(program: &Path) -> Option<PathBuf> {
    let bin = program.parent().filter(|folder| folder.ends_with("bin"))?;
    Some(bin.parent()?.join("sha256").join(program.file_name()?))
}

struct Hasher<'a>(&'a mut Sha256);

impl io::Write for Hasher<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_program_that_was_changed_after_it_was_installed_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let bin = folder.path().join("bin");
        fs::create_dir(&bin).unwrap();
        let program = bin.join("etcd");
        fs::write(&program, "abc").unwrap();
        assert_eq!(check(&program).await, Sum::Unknown);

        record(&program).unwrap();
        // FIPS 180-2, appendix B.1.
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(check(&program).await, Sum::Same(abc.to_owned()));

        fs::write(&program, "abd").unwrap();
        assert_eq!(check(&program).await, Sum::Differs);
    }
}
