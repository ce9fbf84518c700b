//! YAML to values, with errors that say where.

use std::{fs, path::Path};

use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_saphyr::Spanned;

use crate::deploy::{ManifestError, Object, Origin};

/// The text of a file.
pub(super) fn read(path: &Path) -> Result<String, ManifestError> {
    fs::read_to_string(path)
        .map_err(|source| ManifestError::Read { path: path.to_path_buf(), source })
}

/// All objects of a file, in order. Empty documents are none.
pub(super) fn objects(path: &Path) -> Result<Vec<Object>, ManifestError> {
    let text = read(path)?;
    documents(&path.display().to_string(), &text)?
        .into_iter()
        .map(|(line, value)| Object::new(Origin { path: path.to_path_buf(), line }, value))
        .collect()
}

/// The documents of a text, each with the line on which it begins. `file` is for errors only.
pub(super) fn documents(file: &str, text: &str) -> Result<Vec<(u64, Value)>, ManifestError> {
    let documents: Vec<Spanned<Value>> =
        serde_saphyr::from_multiple(text).map_err(|error| located(file, &error))?;
    Ok(documents.into_iter().map(|it| (it.defined.line(), it.value)).collect())
}

/// One document as `T`.
pub(super) fn typed<T: DeserializeOwned>(file: &str, text: &str) -> Result<T, ManifestError> {
    serde_saphyr::from_str(text).map_err(|error| located(file, &error))
}

fn located(file: &str, error: &serde_saphyr::Error) -> ManifestError {
    let (line, column) = error.location().map_or((1, 1), |it| (it.line(), it.column()));
    let message = error.without_snippet().to_string();
    ManifestError::Yaml {
        file: file.to_owned(),
        line,
        column,
        message: message.lines().map(str::trim).collect::<Vec<_>>().join(" "),
    }
}
