//! Files become a layer: a tar of nothing but what is given, whatever the machine and the day.

use std::io::Write as _;

use anyhow::Context;
use flate2::{Compression, GzBuilder};
use oci_spec::image::Sha256Digest;
use tar::{EntryType, Header};

use crate::image::blob::{Blob, sha256};

/// A file, folder or link of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// From the root of the image, without a slash at its beginning.
    pub(crate) path: String,
    /// Permissions.
    pub(crate) mode: u32,
    /// User and group that it belongs to.
    pub(crate) owner: u32,
    /// What is there.
    pub(crate) content: Content,
}

/// What a path of an image leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Content {
    /// These bytes.
    File(Vec<u8>),
    /// A folder.
    Folder,
    /// Another path, from the folder that the link is in.
    Link(String),
}

impl Entry {
    pub(crate) fn file(path: impl Into<String>, mode: u32, content: impl Into<Vec<u8>>) -> Self {
        Self { path: path.into(), mode, owner: 0, content: Content::File(content.into()) }
    }

    pub(crate) fn folder(path: impl Into<String>, mode: u32) -> Self {
        Self { path: path.into(), mode, owner: 0, content: Content::Folder }
    }

    /// A link has no permissions of its own.
    pub(crate) fn link(path: impl Into<String>, to: impl Into<String>) -> Self {
        Self { path: path.into(), mode: 0o777, owner: 0, content: Content::Link(to.into()) }
    }
}

/// A layer, compressed, and known by the digests that an image refers to it by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Layer {
    /// As it is stored.
    pub(crate) blob: Blob,
    /// Of the tar in it.
    pub(crate) diff_id: Sha256Digest,
}

impl Layer {
    /// Packs `entries`, sorted by their paths, with the folders that lead to them. All are as old as
    /// `created` (seconds since 1970).
    pub(crate) fn new(entries: Vec<Entry>, created: u64) -> anyhow::Result<Self> {
        let tar = tar(sorted(entries), created)?;
        let diff_id = sha256(&tar)?;
        // No name and no time in gzip's own header.
        let mut gzip = GzBuilder::new().mtime(0).write(Vec::new(), Compression::best());
        gzip.write_all(&tar)?;
        Ok(Self { blob: Blob::new(gzip.finish()?)?, diff_id })
    }
}

/// Tars `entries` as they come, each as old as `created`.
pub(crate) fn tar(entries: Vec<Entry>, created: u64) -> anyhow::Result<Vec<u8>> {
    let mut tar = tar::Builder::new(Vec::new());
    for Entry { path, mode, owner, content } in entries {
        let mut header = Header::new_ustar();
        header.set_mtime(created);
        header.set_mode(mode);
        header.set_uid(owner.into());
        header.set_gid(owner.into());
        let (path, kind, bytes) = match &content {
            Content::File(bytes) => (path, EntryType::Regular, bytes.as_slice()),
            Content::Folder => (format!("{path}/"), EntryType::Directory, [].as_slice()),
            Content::Link(_) => (path, EntryType::Symlink, [].as_slice()),
        };
        header.set_entry_type(kind);
        header.set_size(bytes.len() as u64);
        let appended = match &content {
            Content::Link(to) => tar.append_link(&mut header, &path, to),
            Content::File(_) | Content::Folder => tar.append_data(&mut header, &path, bytes),
        };
        appended.with_context(|| format!("{path} cannot be put into a tar"))?;
    }
    Ok(tar.into_inner()?)
}

/// In one order, each folder before what is in it, and none twice.
fn sorted(mut entries: Vec<Entry>) -> Vec<Entry> {
    let leading: Vec<_> = entries.iter().flat_map(|entry| folders_to(&entry.path)).collect();
    entries.extend(leading.into_iter().map(|path| Entry::folder(path, 0o755)));
    // A stable sort: of two with one path the one that was given stays.
    entries.sort_by(|one, other| one.path.cmp(&other.path));
    entries.dedup_by(|second, first| second.path == first.path);
    entries
}

/// `a`, `a/b` for `a/b/c`.
fn folders_to(path: &str) -> Vec<String> {
    path.match_indices('/').map(|(slash, _)| path[..slash].to_owned()).collect()
}
