//! Reads the checksums in `Cargo.lock`.

use std::collections::BTreeMap;

use crate::image::sbom::graph::Id;

/// SHA-256 of the packages' files, as the registry has them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Checksums(BTreeMap<Id, String>);

impl Checksums {
    /// Cargo writes the file, always in this form: `[[package]]`, then a line `key = "value"` each.
    pub(crate) fn parse(lock: &str) -> Self {
        let checksums = lock.split("[[package]]").skip(1).filter_map(|package| {
            let value = |key: &str| {
                let line = package.lines().find_map(|line| line.strip_prefix(key))?;
                Some(line.strip_prefix(" = \"")?.strip_suffix('"')?.to_owned())
            };
            let id = Id { name: value("name")?, version: value("version")? };
            Some((id, value("checksum")?))
        });
        Self(checksums.collect())
    }

    /// A member of the workspace has none.
    pub(crate) fn of(&self, id: &Id) -> Option<&str> {
        self.0.get(id).map(String::as_str)
    }
}
