//! Bytes that are known by their digest.

use std::fmt::Write as _;

use anyhow::Context;
use oci_spec::image::{Descriptor, MediaType, Sha256Digest};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

/// Bytes with their SHA-256.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Blob {
    bytes: Vec<u8>,
    digest: Sha256Digest,
}

impl Blob {
    pub(crate) fn new(bytes: Vec<u8>) -> anyhow::Result<Self> {
        let digest = sha256(&bytes)?;
        Ok(Self { bytes, digest })
    }

    /// As JSON, with every object's keys in order: the types of the specification keep labels in a
    /// `HashMap`, which has another order each time.
    pub(crate) fn json(value: &impl Serialize) -> anyhow::Result<Self> {
        let mut value = serde_json::to_value(value).context("cannot be written as JSON")?;
        value.sort_all_objects();
        Self::new(serde_json::to_vec(&value)?)
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Without the algorithm: the name of the blob's file.
    pub(crate) fn hex(&self) -> &str {
        self.digest.digest()
    }

    pub(crate) fn size(&self) -> u64 {
        self.bytes.len() as u64
    }

    pub(crate) fn descriptor(&self, media_type: MediaType) -> Descriptor {
        Descriptor::new(media_type, self.size(), self.digest.clone())
    }
}

/// The digest of `bytes`.
pub(crate) fn sha256(bytes: &[u8]) -> anyhow::Result<Sha256Digest> {
    let hex = Sha256::digest(bytes).iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    });
    hex.parse().with_context(|| format!("{hex} is no digest"))
}
