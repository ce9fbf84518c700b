//! The token that node agents, replicas and our own commands share.
//!
//! It is in `DD_CLUSTER_AGENT_AUTH_TOKEN`, else in a file, else in a Secret of our namespace, which
//! the first replica makes where there is none. A file and a Secret are followed: a token that is
//! changed there counts without a restart.

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use axum::http::HeaderValue;
use ring::{
    hmac,
    rand::{SecureRandom, SystemRandom},
};
use secrecy::{ExposeSecret, SecretString};

use crate::hex::{fingerprint, hex};

mod follow;
mod secret;

pub use self::follow::follow;

/// The fewest characters that a token may have, as with Datadog's agents.
pub const SHORTEST: usize = 32;
/// Where Datadog's agents keep it, beside their configuration.
pub const DEFAULT_FILE: &str = "/etc/datadog-agent/cluster_agent.auth_token";
/// The variable that holds it.
pub const VARIABLE: &str = "DD_CLUSTER_AGENT_AUTH_TOKEN";
/// The key of the Secret under which it is.
pub const KEY: &str = "token";

/// A token that is long enough and fits into a header. Shows nothing of itself but its length and a
/// fingerprint.
#[derive(Clone)]
pub struct Token(Arc<SecretString>);

impl Token {
    /// The token in `text`, without the white space around it. `source` is for the error.
    pub fn parse(text: &str, source: &Source) -> Result<Self, Error> {
        let text = text.trim();
        let length = text.chars().count();
        if length < SHORTEST {
            return Err(Error::TooShort { place: source.clone(), length });
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Error::Characters { place: source.clone() });
        }
        Ok(Self(Arc::new(text.into())))
    }

    /// 32 random bytes in hex.
    pub fn random() -> Result<Self, Error> {
        let mut bytes = [0; 32];
        SystemRandom::new().fill(&mut bytes).map_err(|_| Error::NoRandomNumbers)?;
        Ok(Self(Arc::new(hex(&bytes).into())))
    }

    /// Whether `other` is this token. How long that takes tells nothing of it.
    pub fn is(&self, other: &str) -> bool {
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"comparison");
        let tag = hmac::sign(&key, other.as_bytes());
        hmac::verify(&key, self.expose().as_bytes(), tag.as_ref()).is_ok()
    }

    /// `Bearer` and the token, for the header `Authorization`. Its `Debug` does not show it.
    pub fn bearer(&self) -> HeaderValue {
        let value = HeaderValue::try_from(format!("Bearer {}", self.expose()));
        // `parse` lets nothing in that a header cannot carry.
        let mut value = value.unwrap_or(HeaderValue::from_static("Bearer"));
        value.set_sensitive(true);
        value
    }

    /// What tells two tokens apart without showing them: the first eight hex digits of SHA-256.
    pub fn fingerprint(&self) -> String {
        fingerprint(self.expose())
    }

    /// The token itself.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl PartialEq for Token {
    fn eq(&self, other: &Self) -> bool {
        self.is(other.expose())
    }
}

impl Eq for Token {}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let length = self.expose().len();
        write!(f, "{length} characters, fingerprint {}", self.fingerprint())
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({self})")
    }
}

/// Where a token comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The variable, or the flag of the same meaning.
    Variable,
    /// A file.
    File(PathBuf),
    /// A Secret.
    Secret {
        /// Our namespace.
        namespace: String,
        /// Its name.
        name: String,
    },
    /// Nowhere: this process made it up, and nobody else has it.
    Memory,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Variable => f.write_str(VARIABLE),
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Secret { namespace, name } => write!(f, "Secret {namespace}/{name}, key {KEY}"),
            Self::Memory => f.write_str("the memory of this process alone"),
        }
    }
}

/// Why there is no token. Never holds one.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Guessing it would be too easy.
    #[error(
        "the cluster agent's token in {place} has {length} characters, at least {SHORTEST} are \
         needed: `openssl rand -hex 32` makes one"
    )]
    TooShort {
        /// Where it is.
        place: Source,
        /// How long it is.
        length: usize,
    },
    /// A header cannot carry it.
    #[error(
        "the cluster agent's token in {place} has characters that an HTTP header cannot carry, \
         only printable ASCII without spaces can be used"
    )]
    Characters {
        /// Where it is.
        place: Source,
    },
    /// The file cannot be read.
    #[error("the cluster agent's token cannot be read from file {}: {error}", path.display())]
    File {
        /// Its path.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The Secret cannot be read.
    #[error("the cluster agent's token cannot be read from {place}: {error}")]
    Secret {
        /// Which.
        place: Source,
        /// Why, in kube-apiserver's words where it said something.
        error: String,
    },
    /// The Secret is there, but has no such key.
    #[error("{place} is missing: the Secret has no such key")]
    NoKey {
        /// Which.
        place: Source,
    },
    /// There is none anywhere.
    #[error(
        "there is no cluster agent's token: {VARIABLE} is not set, file {} is not there, and {secret}",
        file.display()
    )]
    Nowhere {
        /// The file that was looked for.
        file: PathBuf,
        /// What is wrong with the Secret.
        secret: String,
    },
    /// The system gives none.
    #[error("the system has no random numbers to make a token of")]
    NoRandomNumbers,
}

/// Where to look for the token.
#[derive(Debug, Clone)]
pub struct Config {
    /// What the variable holds; empty is none.
    pub value: Option<SecretString>,
    /// The file that was named, which must be there then; without one, [`DEFAULT_FILE`] counts if
    /// it is there.
    pub file: Option<PathBuf>,
    /// Name of the Secret.
    pub secret: String,
}

/// The way to kube-apiserver, and our namespace.
#[derive(Clone)]
pub struct Cluster {
    /// The client.
    pub kube: kube::Client,
    /// Where the Secret is.
    pub namespace: String,
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster").field("namespace", &self.namespace).finish_non_exhaustive()
    }
}

/// A token, and where it was found.
#[derive(Debug, Clone)]
pub struct Found {
    /// The token.
    pub token: Token,
    /// Where it was.
    pub source: Source,
}

/// Looks for the token and changes nothing: what a command does.
pub async fn find(config: &Config, cluster: Option<&Cluster>) -> Result<Found, Error> {
    if let Some(found) = given(config)? {
        return Ok(found);
    }
    let nowhere = |secret: String| Error::Nowhere { file: file(config).to_owned(), secret };
    let Some(cluster) = cluster else {
        return Err(nowhere("there is no cluster to read a Secret of".to_owned()));
    };
    match secret::read(cluster, &config.secret).await? {
        Some(token) => Ok(Found { token, source: secret::source(cluster, &config.secret) }),
        None => {
            Err(nowhere(format!("Secret {}/{} does not exist", cluster.namespace, config.secret)))
        }
    }
}

/// As [`find`], but makes the Secret where there is no token anywhere. Where that cannot be done
/// now, the token is in memory alone until [`follow()`] can do it.
pub async fn find_or_create(config: &Config, cluster: Option<&Cluster>) -> Result<Found, Error> {
    if let Some(found) = given(config)? {
        return Ok(found);
    }
    let memory = || Ok(Found { token: Token::random()?, source: Source::Memory });
    let Some(cluster) = cluster else {
        tracing::warn!(
            "the cluster agent's token is in memory alone, nobody else has it: set {VARIABLE}"
        );
        return memory();
    };
    let source = secret::source(cluster, &config.secret);
    match secret::read_or_create(cluster, &config.secret).await {
        Ok(token) => Ok(Found { token, source }),
        Err(error @ Error::Secret { .. }) => {
            tracing::warn!(
                %error,
                "the cluster agent's token is in memory alone, node agents and other replicas \
                 cannot have it: set {VARIABLE}, or allow create, get, list and watch of the \
                 Secret as manifests/cluster-agent/rbac-cluster-agent.yaml does"
            );
            memory()
        }
        Err(error) => Err(error),
    }
}

/// The token in the variable or in a file.
fn given(config: &Config) -> Result<Option<Found>, Error> {
    if let Some(value) = &config.value
        && !value.expose_secret().trim().is_empty()
    {
        let token = Token::parse(value.expose_secret(), &Source::Variable)?;
        return Ok(Some(Found { token, source: Source::Variable }));
    }
    let path = file(config);
    match read_file(path) {
        Ok(token) => Ok(Some(Found { token, source: Source::File(path.to_owned()) })),
        Err(Error::File { error, .. })
            if config.file.is_none() && error.kind() == io::ErrorKind::NotFound =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn file(config: &Config) -> &Path {
    config.file.as_deref().unwrap_or(Path::new(DEFAULT_FILE))
}

fn read_file(path: &Path) -> Result<Token, Error> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Error::File { path: path.to_owned(), error })?;
    Token::parse(&text, &Source::File(path.to_owned()))
}

#[cfg(test)]
mod tests;
