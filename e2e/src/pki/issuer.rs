//! Authorities beside those of the cluster: for what a scenario rotates, and for strangers.

use std::{
    fmt, fs,
    io::Write,
    net::Ipv4Addr,
    path::{Path, PathBuf},
};

use crate::pki::{Authority, Error, Files, Pair, authority, client, server};

/// An authority with a folder of its own for what it signs.
pub struct Issuer {
    authority: Authority,
    folder: PathBuf,
}

impl Issuer {
    /// A new one; `folder` is made and must be new.
    pub fn new(folder: &Path, name: &str) -> Result<Self, Error> {
        Files(folder).make()?;
        let issuer = Self { authority: authority(name)?, folder: folder.to_owned() };
        Files(folder).write("ca.crt", &issuer.pem())?;
        Ok(issuer)
    }

    /// Its own certificate.
    pub fn pem(&self) -> String {
        self.authority.pem()
    }

    /// The file with its own certificate.
    pub fn file(&self) -> PathBuf {
        self.folder.join("ca.crt")
    }

    /// For Kubernetes the common name is the user, an organisation a group.
    pub fn client(&self, file: &str, user: &str) -> Result<Pair, Error> {
        Files(&self.folder).issue(&self.authority, file, &client(user, None))
    }

    /// For a server on loopback with these names.
    pub fn server(&self, file: &str, names: &[&str]) -> Result<Pair, Error> {
        let params = server(file, &[Ipv4Addr::LOCALHOST], names)?;
        Files(&self.folder).issue(&self.authority, file, &params)
    }
}

impl fmt::Debug for Issuer {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issuer").field("folder", &self.folder).finish_non_exhaustive()
    }
}

impl Pair {
    /// Puts another pair in the place of this one, each file at once. For a moment the files belong
    /// to different pairs, as with every program that writes two files.
    pub fn replace_by(&self, other: &Self) -> Result<(), Error> {
        let read = |path: &Path| fs::read(path).map_err(of(path));
        replace(&self.certificate, &read(&other.certificate)?)?;
        replace(&self.key, &read(&other.key)?)
    }
}

/// Puts a file with this content in the place of `path`: nobody reads half of it.
pub fn replace(path: &Path, content: &[u8]) -> Result<(), Error> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(of(folder))?;
    file.write_all(content).map_err(of(path))?;
    file.persist(path).map_err(|error| of(path)(error.error))?;
    Ok(())
}

fn of(path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Write { path, source }
}
