//! Writes kubeconfig files: how a program reaches the apiserver, and as whom.

use std::{
    fmt,
    fs::OpenOptions,
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use kube::config::{
    AuthInfo, Cluster, Context, Kubeconfig, NamedAuthInfo, NamedCluster, NamedContext,
};
use url::Url;

use crate::pki::Pair;

/// The name of cluster, user and context in the file.
pub const CONTEXT: &str = "dca-e2e";

/// Why there is no kubeconfig.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A path cannot be written as text.
    #[error("{} cannot be named in a kubeconfig: it is not UTF-8", .0.display())]
    Path(PathBuf),
    /// The document could not be made.
    #[error("cannot make a kubeconfig")]
    Format(#[source] serde_saphyr::ser::Error),
    /// The file could not be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// Where an apiserver is and how it is known to be the right one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// `https://127.0.0.1:PORT`.
    pub url: Url,
    /// The PEM file of the authority that signed its certificate.
    pub ca: PathBuf,
}

/// Who somebody is to the apiserver.
#[derive(Clone, Copy)]
pub enum Credential<'a> {
    /// The holder of a client certificate; the files are named, not copied.
    Certificate(&'a Pair),
    /// The bearer of a service account's token, which is written into the file.
    Token(&'a str),
}

impl fmt::Debug for Credential<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Certificate(pair) => f.debug_tuple("Certificate").field(pair).finish(),
            Self::Token(_) => f.write_str("Token(…)"),
        }
    }
}

/// The document, for a client in this process.
pub fn document(server: &Server, credential: Credential<'_>) -> Result<Kubeconfig, Error> {
    let cluster = Cluster {
        server: Some(server.url.to_string()),
        certificate_authority: Some(text(&server.ca)?),
        ..Cluster::default()
    };
    let user = match credential {
        Credential::Certificate(pair) => AuthInfo {
            client_certificate: Some(text(&pair.certificate)?),
            client_key: Some(text(&pair.key)?),
            ..AuthInfo::default()
        },
        Credential::Token(token) => {
            AuthInfo { token: Some(token.to_owned().into()), ..AuthInfo::default() }
        }
    };
    let context =
        Context { cluster: CONTEXT.into(), user: Some(CONTEXT.into()), ..Context::default() };
    Ok(Kubeconfig {
        api_version: Some("v1".into()),
        kind: Some("Config".into()),
        clusters: vec![NamedCluster {
            name: CONTEXT.into(),
            cluster: Some(cluster),
            ..NamedCluster::default()
        }],
        auth_infos: vec![NamedAuthInfo {
            name: CONTEXT.into(),
            auth_info: Some(user),
            ..NamedAuthInfo::default()
        }],
        contexts: vec![NamedContext {
            name: CONTEXT.into(),
            context: Some(context),
            ..NamedContext::default()
        }],
        current_context: Some(CONTEXT.into()),
        ..Kubeconfig::default()
    })
}

/// Writes the document to `file`, over what is there, readable by its owner only.
pub fn write(file: &Path, server: &Server, credential: Credential<'_>) -> Result<(), Error> {
    let document = document(server, credential)?;
    let yaml = serde_saphyr::to_string(&document).map_err(Error::Format)?;
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(file)
        .and_then(|mut file| file.write_all(yaml.as_bytes()))
        .map_err(|source| Error::Write { path: file.to_owned(), source })
}

fn text(path: &Path) -> Result<String, Error> {
    path.to_str().map(str::to_owned).ok_or_else(|| Error::Path(path.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server() -> Server {
        let url = Url::parse("https://127.0.0.1:6443").unwrap();
        Server { url, ca: "/run x/pki/ca.crt".into() }
    }

    fn written(credential: Credential<'_>) -> String {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("kubeconfig");
        write(&file, &server(), credential).unwrap();
        Kubeconfig::read_from(&file).unwrap();
        std::fs::read_to_string(file).unwrap()
    }

    #[test]
    fn a_client_certificate_is_named_by_its_files() {
        let pair = Pair { certificate: "/run x/a.crt".into(), key: "/run x/a.key".into() };
        insta::assert_snapshot!(written(Credential::Certificate(&pair)));
    }

    #[test]
    fn a_token_is_in_the_file_and_in_no_log() {
        let credential = Credential::Token("ey.secret");
        insta::assert_snapshot!(written(credential));
        assert!(!format!("{credential:?}").contains("secret"));
    }
}
