//! Certificate and key from files: a mounted Secret (cert-manager's for one), or what an
//! administrator puts there.

use std::{fmt, io, path::PathBuf, sync::Arc, time::Duration};

use rustls::pki_types::{
    CertificateDer, PrivateKeyDer,
    pem::{self, PemObject},
};
use tokio_util::sync::CancellationToken;

use crate::serve::tls::{Certificates, Error, Pair};

/// From one look at the files to the next. kubelet itself takes a minute to bring a new Secret.
pub const LOOK: Duration = Duration::from_secs(10);

/// Two PEM files. A mounted Secret changes as a whole (a symlink is swapped), two files written by hand do
/// not: whatever does not fit together is left alone until it does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// The certificate chain, leaf first.
    pub certificate: PathBuf,
    /// The private key of the leaf.
    pub key: PathBuf,
}

/// The text of both files.
#[derive(PartialEq, Eq)]
struct Content {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

impl Files {
    /// Both files, as a pair that fits together.
    pub fn read(&self) -> Result<Pair, Error> {
        self.parse(&self.content()?)
    }

    fn content(&self) -> Result<Content, Error> {
        let read = |what, path: &PathBuf| {
            let unreadable = |error: io::Error| Error::File {
                what,
                path: path.clone(),
                source: pem::Error::Io(error),
            };
            std::fs::read(path).map_err(unreadable)
        };
        Ok(Content {
            certificate: read("certificate file", &self.certificate)?,
            key: read("private key file", &self.key)?,
        })
    }

    fn parse(&self, content: &Content) -> Result<Pair, Error> {
        let chain: Result<Vec<_>, _> =
            CertificateDer::pem_slice_iter(&content.certificate).collect();
        let chain = chain.map_err(|source| {
            let path = self.certificate.clone();
            Error::File { what: "certificate file", path, source }
        })?;
        if chain.is_empty() {
            return Err(Error::Empty(self.certificate.clone()));
        }
        let key = PrivateKeyDer::from_pem_slice(&content.key).map_err(|source| Error::File {
            what: "private key file",
            path: self.key.clone(),
            source,
        })?;
        Pair::new(chain, key)
    }

    /// Serves what is new in the files until `stop`, looking each `period`. What cannot be used is
    /// said once and changes nothing.
    pub async fn watch(
        self,
        period: Duration,
        certificates: Arc<Certificates>,
        stop: CancellationToken,
    ) {
        let mut reader = Reader { files: self, last: None };
        loop {
            if let Some(pair) = reader.look() {
                let until = pair.not_after;
                if certificates.serve(pair) {
                    tracing::info!(%until, "new serving certificate read from its files");
                }
            }
            if stop.run_until_cancelled(tokio::time::sleep(period)).await.is_none() {
                return;
            }
        }
    }
}

/// What was read last, so that the same content is judged only once.
#[derive(Debug)]
struct Reader {
    files: Files,
    last: Option<Result<Content, String>>,
}

impl Reader {
    /// The pair, where the files have changed to one that can be used. A few kilobytes of local
    /// files: not worth a thread.
    fn look(&mut self) -> Option<Pair> {
        let content = self.files.content().map_err(|error| error.to_string());
        if self.last.as_ref() == Some(&content) {
            return None;
        }
        let parsed = match &content {
            Ok(content) => self.files.parse(content).map_err(|error| error.to_string()),
            Err(error) => Err(error.clone()),
        };
        self.last = Some(content);
        parsed
            .inspect_err(|error| {
                tracing::warn!(
                    error,
                    "new serving certificate cannot be used, the old one is kept"
                );
            })
            .ok()
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Content").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink, path::Path};

    use super::*;

    fn made() -> (String, String) {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    fn files(folder: &Path) -> Files {
        let _ = rustls::crypto::ring::default_provider().install_default();
        Files { certificate: folder.join("tls.crt"), key: folder.join("tls.key") }
    }

    fn write(folder: &Path, certificate: &str, key: &str) {
        fs::write(folder.join("tls.crt"), certificate).unwrap();
        fs::write(folder.join("tls.key"), key).unwrap();
    }

    #[test]
    fn a_bad_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let files = files(folder.path());
        let (certificate, key) = made();
        let says = |parts: &[&str]| {
            let error = files.read().unwrap_err().to_string();
            assert!(parts.iter().all(|part| error.contains(part)), "{error}");
        };
        says(&["certificate file", "tls.crt cannot be used", "No such file"]);
        write(folder.path(), &certificate, "no PEM");
        says(&["private key file", "tls.key cannot be used"]);
        write(folder.path(), "no PEM", &key);
        says(&["tls.crt holds no certificate"]);
        write(folder.path(), &certificate, &made().1);
        says(&["certificate and key cannot be used together"]);
        write(folder.path(), &certificate, &key);
        files.read().unwrap();
    }

    #[test]
    fn only_a_new_pair_that_fits_together_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let mut reader = Reader { files: files(folder.path()), last: None };
        let (certificate, key) = made();
        write(folder.path(), &certificate, &key);
        let first = reader.look().expect("the first");
        assert!(reader.look().is_none(), "nothing has changed");
        let (certificate, key) = made();
        fs::write(folder.path().join("tls.crt"), certificate).unwrap();
        assert!(reader.look().is_none(), "the key is still the old one");
        fs::write(folder.path().join("tls.key"), key).unwrap();
        assert_ne!(reader.look().expect("both are new").key.cert, first.key.cert);
        fs::remove_file(folder.path().join("tls.key")).unwrap();
        assert!(reader.look().is_none(), "the key is gone");
    }

    /// kubelet writes a new folder, then swaps the link to it.
    #[test]
    fn a_mounted_secret_that_changes_is_read_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        for version in ["1", "2"] {
            let (certificate, key) = made();
            fs::create_dir(path.join(version)).unwrap();
            write(&path.join(version), &certificate, &key);
        }
        symlink("1", path.join("..data")).unwrap();
        symlink("..data/tls.crt", path.join("tls.crt")).unwrap();
        symlink("..data/tls.key", path.join("tls.key")).unwrap();
        let mut reader = Reader { files: files(path), last: None };
        let first = reader.look().expect("the first");
        symlink("2", path.join("..data_tmp")).unwrap();
        fs::rename(path.join("..data_tmp"), path.join("..data")).unwrap();
        assert_ne!(reader.look().expect("the second").key.cert, first.key.cert);
    }
}
