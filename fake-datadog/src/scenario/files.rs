//! Files of values beside a scenario.

use std::{
    io,
    path::{Path, PathBuf},
};

use crate::{
    control::{AnswerFile, Shape},
    scenario::{answer, csv},
};

/// Largest file of values, in bytes.
const MAX_FILE: u64 = 64 << 20;

/// A file of values that cannot be used. The message is one line and names it.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// A file is named where there is no folder to look in.
    #[error("file `{0}` can only be named in a scenario file, give the values themselves here")]
    NoFolder(PathBuf),
    /// It cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// It is too large.
    #[error("{0} is larger than the 64 MiB that are read")]
    TooLarge(PathBuf),
    /// A place in it is not what it should be.
    #[error("{path}:{line}:{column}: {reason}")]
    Place {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
        /// What is wrong there and what was expected.
        reason: String,
    },
    /// It holds no such thing.
    #[error("{path}: {reason}")]
    Content {
        /// The file.
        path: PathBuf,
        /// What is missing.
        reason: String,
    },
}

/// The shape with the values of its file in it; paths are relative to `folder`.
pub(super) fn load(shape: Shape, folder: Option<&Path>) -> Result<Shape, FileError> {
    let (Shape::Csv(csv::CsvFile { file, .. }) | Shape::Answer(AnswerFile { file, .. })) = &shape
    else {
        return Ok(shape);
    };
    let folder = folder.ok_or_else(|| FileError::NoFolder(file.clone()))?;
    let path = folder.join(file);
    let text = read(&path)?;
    match &shape {
        Shape::Csv(wanted) => csv::shape(wanted, &path, &text),
        Shape::Answer(wanted) => answer::shape(wanted, &path, &text),
        _ => Ok(shape),
    }
}

fn read(path: &Path) -> Result<String, FileError> {
    let failed = |source| FileError::Read { path: path.to_owned(), source };
    if MAX_FILE < std::fs::metadata(path).map_err(failed)?.len() {
        return Err(FileError::TooLarge(path.to_owned()));
    }
    std::fs::read_to_string(path).map_err(failed)
}
