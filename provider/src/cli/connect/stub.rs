//! Stands for `agent::token` and `agent::identity` until those are merged: the same names and
//! signatures, so that only the `use` lines of `connect.rs` change.

pub mod token {
    //! Where the token is.
    use std::{fmt, io, path::PathBuf};

    use k8s_openapi::api::core::v1::Secret;
    use secrecy::{ExposeSecret, SecretString};

    const SHORTEST: usize = 32;
    const DEFAULT_FILE: &str = "/etc/datadog-agent/cluster_agent.auth_token";

    /// The token.
    #[derive(Debug, Clone)]
    pub struct Token(SecretString);

    impl Token {
        /// Takes it, if it is long enough.
        pub fn parse(text: &str, source: &Source) -> Result<Self, Error> {
            let (text, length) = (text.trim(), text.trim().chars().count());
            if length < SHORTEST {
                return Err(Error::TooShort { place: source.clone(), length });
            }
            Ok(Self(text.into()))
        }

        /// Itself.
        pub fn expose(&self) -> &str {
            self.0.expose_secret()
        }
    }

    impl fmt::Display for Token {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            let text = crate::scrub::describe(self.expose());
            f.write_str(text.trim_matches(['(', ')']))
        }
    }

    /// Where a token comes from.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub enum Source {
        /// The variable.
        Variable,
        /// A file.
        File(PathBuf),
        /// A Secret.
        Secret {
            /// Its namespace.
            namespace: String,
            /// Its name.
            name: String,
        },
    }

    impl fmt::Display for Source {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            match self {
                Self::Variable => f.write_str("DD_CLUSTER_AGENT_AUTH_TOKEN"),
                Self::File(path) => write!(f, "file {}", path.display()),
                Self::Secret { namespace, name } => write!(f, "Secret {namespace}/{name}"),
            }
        }
    }

    /// Why there is none.
    #[derive(Debug, thiserror::Error)]
    pub enum Error {
        /// It is too short.
        #[error(
            "the cluster agent's token in {place} has {length} characters, at least 32 are needed"
        )]
        TooShort {
            /// Where.
            place: Source,
            /// How long.
            length: usize,
        },
        /// The file cannot be read.
        #[error("the cluster agent's token cannot be read from file {}: {error}", path.display())]
        File {
            /// Which.
            path: PathBuf,
            /// Why.
            error: io::Error,
        },
        /// The Secret cannot be read.
        #[error("the cluster agent's token cannot be read from {place}: {error}")]
        Secret {
            /// Which.
            place: Source,
            /// Why.
            error: String,
        },
        /// There is none anywhere.
        #[error("there is no cluster agent's token: DD_CLUSTER_AGENT_AUTH_TOKEN is not set, file {} is not there, and {secret}", file.display())]
        Nowhere {
            /// Looked for.
            file: PathBuf,
            /// Why no Secret.
            secret: String,
        },
    }

    /// Where to look.
    #[derive(Debug, Clone)]
    pub struct Config {
        /// The variable.
        pub value: Option<SecretString>,
        /// The file.
        pub file: Option<PathBuf>,
        /// The Secret.
        pub secret: String,
    }

    /// The cluster.
    #[derive(Clone)]
    #[allow(missing_debug_implementations, reason = "is replaced")]
    pub struct Cluster {
        /// Its API.
        pub kube: kube::Client,
        /// Of the Secret.
        pub namespace: String,
    }

    /// The token and where it was.
    #[derive(Debug, Clone)]
    pub struct Found {
        /// It.
        pub token: Token,
        /// Where.
        pub source: Source,
    }

    /// Looks for it.
    pub async fn find(config: &Config, cluster: Option<&Cluster>) -> Result<Found, Error> {
        let value = config.value.as_ref().map(|it| it.expose_secret().trim());
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            let source = Source::Variable;
            return Ok(Found { token: Token::parse(value, &source)?, source });
        }
        let path = config.file.clone().unwrap_or_else(|| DEFAULT_FILE.into());
        match std::fs::read_to_string(&path) {
            Ok(text) => {
                let source = Source::File(path);
                return Ok(Found { token: Token::parse(&text, &source)?, source });
            }
            Err(error) if config.file.is_none() && error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(Error::File { path, error }),
        }
        let nowhere = |secret| Error::Nowhere { file: path.clone(), secret };
        let Some(Cluster { kube, namespace }) = cluster else {
            return Err(nowhere("there is no cluster to read a Secret of".to_owned()));
        };
        let (namespace, name) = (namespace.clone(), config.secret.clone());
        let absent = nowhere(format!("Secret {namespace}/{name} does not exist"));
        let secrets: kube::Api<Secret> = kube::Api::namespaced(kube.clone(), &namespace);
        let source = Source::Secret { namespace, name };
        let unread = |error: String| Error::Secret { place: source.clone(), error };
        let secret = secrets.get_opt(&config.secret).await;
        let secret = secret.map_err(|error| unread(error.to_string()))?.ok_or(absent)?;
        let token = secret.data.and_then(|mut data| data.remove("token"));
        let token = token.ok_or_else(|| unread("it has no key token".to_owned()))?;
        let token = String::from_utf8_lossy(&token.0).into_owned();
        Ok(Found { token: Token::parse(&token, &source)?, source })
    }
}

pub mod identity {
    //! Whom to believe.
    use std::sync::Arc;

    use rustls::ClientConfig;

    use super::token::Token;

    /// The name in the certificate.
    pub const NAME: &str = "datadog-cluster-agent";

    /// Nobody, here.
    #[expect(clippy::unused_async, reason = "the real one is")]
    pub async fn client_config(_token: &Token) -> Result<Arc<ClientConfig>, rustls::Error> {
        let roots = rustls::RootCertStore::empty();
        let config = ClientConfig::builder().with_root_certificates(roots);
        Ok(Arc::new(config.with_no_client_auth()))
    }
}
