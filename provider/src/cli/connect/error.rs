//! Why an agent cannot be asked. Each is one line: the thing, the value, the remedy.

use crate::cli::connect::token;

/// Why an agent cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not an address.
    #[error("--address {address:?} is no HOST:PORT, write one such as 10.0.0.7:5005")]
    Address {
        /// As given.
        address: String,
    },
    /// Nobody listens there.
    #[error(
        "no agent at {place} ({reason}): start it there, correct DD_CLUSTER_AGENT_CMD_PORT, or reach another by --address HOST:PORT or -n NAMESPACE"
    )]
    Absent {
        /// Where.
        place: String,
        /// The system's words.
        reason: String,
    },
    /// No token.
    #[error("{0}; give the one that the agent has by DD_CLUSTER_AGENT_AUTH_TOKEN")]
    Token(#[from] token::Error),
    /// TLS cannot be set up.
    #[error("the token cannot be used to verify an agent: {0}")]
    Identity(String),
    /// Somebody listens there, who does not know the token.
    #[error(
        "what listens at {place} does not know the token of {place_of_token}, {token} ({reason}): give the token that the agent there has, or its right port; `env` in its pod shows the fingerprint"
    )]
    Unverified {
        /// Where.
        place: String,
        /// Where the token is from.
        place_of_token: String,
        /// Its length and fingerprint.
        token: String,
        /// The words of TLS.
        reason: String,
    },
    /// The agent refuses the token.
    #[error(
        "the agent at {place} refuses the token of {place_of_token}, {token} (HTTP {status}): compare it with the fingerprint that `env` shows in its pod"
    )]
    Refused {
        /// Where.
        place: String,
        /// Where the token is from.
        place_of_token: String,
        /// Its length and fingerprint.
        token: String,
        /// 401 or 403.
        status: u16,
    },
    /// 404.
    #[error(
        "the agent at {place} does not know {path}: it is of another version, or that part of it is off"
    )]
    Unknown {
        /// Where.
        place: String,
        /// What was asked for.
        path: String,
    },
    /// Some other refusal.
    #[error("the agent at {place} answers HTTP {status} to {path}: {words}; its log says more")]
    Status {
        /// Where.
        place: String,
        /// What was asked for.
        path: String,
        /// The status.
        status: u16,
        /// The first line of the answer.
        words: String,
    },
    /// An answer of another version.
    #[error(
        "the answer of {place} to {path} cannot be read ({reason}): use the command of the agent's own version"
    )]
    Unreadable {
        /// Where.
        place: String,
        /// What was asked for.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The connection ended.
    #[error("the connection to {place} broke ({reason}): try again, its log says more")]
    Broken {
        /// Where.
        place: String,
        /// Why.
        reason: String,
    },
    /// No kubeconfig.
    #[error("no way to kube-apiserver ({0}): correct --kubeconfig and --context")]
    Kubeconfig(String),
    /// No right to do something with the cluster.
    #[error(
        "kube-apiserver does not let you {action} in namespace {namespace}: ask for that right, or use kubectl exec"
    )]
    Rights {
        /// Such as `port-forward to pod x (create pods/portforward)`.
        action: String,
        /// Where.
        namespace: String,
    },
    /// There is no pod to forward to.
    #[error(
        "no agent's pod found in namespace {namespace}: neither Lease {lease} names one nor has Service {service} a ready one; give --pod, or the right -n"
    )]
    NoPod {
        /// Where.
        namespace: String,
        /// The Lease.
        lease: String,
        /// The Service.
        service: String,
    },
    /// Something else that kube-apiserver said.
    #[error("kube-apiserver could not {action} in namespace {namespace}: {reason}")]
    Cluster {
        /// What was wanted of it.
        action: String,
        /// Where.
        namespace: String,
        /// Its words.
        reason: String,
    },
}

impl Error {
    /// From what kube-apiserver said.
    pub(super) fn of_kube(error: &kube::Error, action: &str, namespace: &str) -> Self {
        let (action, namespace) = (action.to_owned(), namespace.to_owned());
        let code = match error {
            kube::Error::Api(status) => Some(status.code),
            // A refused upgrade has no body that kube reads.
            kube::Error::UpgradeConnection(
                kube::client::UpgradeConnectionError::ProtocolSwitch(status),
            ) => Some(status.as_u16()),
            _ => None,
        };
        match code {
            Some(403) => Self::Rights { action, namespace },
            _ => Self::Cluster { action, namespace, reason: first_line(&error.to_string()) },
        }
    }
}

pub(super) fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().chars().take(300).collect()
}
