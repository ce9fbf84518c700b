//! The commands that ask a running agent, or that say what one would do.

use std::path::PathBuf;

use clap::Args as ClapArgs;
use clap_complete::Shell;

use crate::args::{AgentToken, Run};

/// Where the agent's port is, and what opens it.
#[derive(Debug, Clone, ClapArgs)]
#[command(next_help_heading = "Agent")]
pub struct Port {
    /// Address of the agent's port [default: 127.0.0.1 and the port below]
    #[arg(long, value_name = "HOST:PORT")]
    pub address: Option<String>,
    /// The agent's port
    #[arg(
        long = "cluster-agent-cmd-port",
        env = "DD_CLUSTER_AGENT_CMD_PORT",
        default_value_t = 5005,
        value_name = "PORT"
    )]
    pub cmd_port: u16,
    /// What opens it.
    #[command(flatten)]
    pub token: AgentToken,
    /// Namespace of the Secret with the token [default: our own]
    #[arg(long, env = "DD_KUBE_RESOURCES_NAMESPACE", value_name = "NAMESPACE")]
    pub kube_resources_namespace: Option<String>,
    /// Lease that says which pod leads
    #[arg(
        long,
        env = "DD_LEADER_LEASE_NAME",
        default_value = "datadog-leader-election",
        value_name = "NAME"
    )]
    pub lease: String,
    /// Service of the agent's port
    #[arg(
        long,
        env = "DD_CLUSTER_AGENT_KUBERNETES_SERVICE_NAME",
        default_value = "datadog-cluster-agent",
        value_name = "NAME"
    )]
    pub service: String,
}

/// How to reach the agent.
#[derive(Debug, Clone, ClapArgs)]
#[command(next_help_heading = "Agent")]
pub struct Connect {
    /// The port.
    #[command(flatten)]
    pub port: Port,
    /// Reach the agent's pod through kube-apiserver with this kubeconfig file
    #[arg(long, value_name = "FILE", conflicts_with = "address")]
    pub kubeconfig: Option<PathBuf>,
    /// The same with this context of the kubeconfig
    #[arg(long, value_name = "NAME", conflicts_with = "address")]
    pub context: Option<String>,
    /// The same in this namespace
    #[arg(short, long, value_name = "NAMESPACE", conflicts_with = "address")]
    pub namespace: Option<String>,
    /// The same to this pod [default: the leader, else a ready one of the Service]
    #[arg(long, value_name = "NAME", conflicts_with = "address")]
    pub pod: Option<String>,
}

/// What is asked of the agent, and in which form it is shown.
#[derive(Debug, ClapArgs)]
pub struct Ask {
    /// Print JSON
    #[arg(short, long)]
    pub json: bool,
    /// How to reach it.
    #[command(flatten)]
    pub connect: Connect,
}

/// `metamap`.
#[derive(Debug, ClapArgs)]
pub struct Metamap {
    /// Only the pods of this node
    #[arg(value_name = "NODE")]
    pub node: Option<String>,
    /// What and how.
    #[command(flatten)]
    pub ask: Ask,
}

/// `explain`: what, and by which cluster.
#[derive(Debug, Clone, ClapArgs)]
pub struct Explain {
    /// The HPA: hpa/NAME, or NAME
    #[arg(value_name = "HPA", value_parser = hpa)]
    pub hpa: String,
    /// Its namespace [default: the kubeconfig's, or the pod's own]
    #[arg(short, long, value_name = "NAMESPACE")]
    pub namespace: Option<String>,
    /// Print JSON: the steps, and the facts that they follow from
    #[arg(short, long)]
    pub json: bool,
    /// Kubeconfig file [default: in-cluster, else ~/.kube/config]
    #[arg(long, env = "KUBECONFIG", value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,
    /// How to reach the agent, which tells what Datadog said.
    #[command(flatten)]
    pub port: Port,
}

/// The name out of `hpa/NAME`.
fn hpa(text: &str) -> Result<String, String> {
    let (kind, name) = text.split_once('/').unwrap_or(("hpa", text));
    let kinds = ["hpa", "horizontalpodautoscaler", "horizontalpodautoscalers"];
    if !kinds.contains(&kind.to_lowercase().as_str()) || name.is_empty() || name.contains('/') {
        return Err("give hpa/NAME, and the namespace by -n".to_owned());
    }
    Ok(name.to_owned())
}

/// `config`.
#[derive(Debug, ClapArgs)]
pub struct Config {
    /// What `run` would have here and now, without asking the agent
    #[arg(long)]
    pub local: bool,
    /// What and how.
    #[command(flatten)]
    pub ask: Ask,
}

/// `flare`.
#[derive(Debug, ClapArgs)]
pub struct Flare {
    /// File to write, or - for standard output [default: a new one in $TMPDIR, else /tmp]
    #[arg(short, long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// How to reach the agent.
    #[command(flatten)]
    pub connect: Connect,
}

/// `version` and others that ask nobody.
#[derive(Debug, ClapArgs)]
pub struct Local {
    /// Print JSON
    #[arg(short, long)]
    pub json: bool,
}

/// `check-config`.
#[derive(Debug, ClapArgs)]
pub struct CheckConfig {
    /// Ask Datadog for one metric, to see whether it takes the keys
    #[arg(long)]
    pub online: bool,
    /// Print JSON
    #[arg(short, long)]
    pub json: bool,
    /// All that `run` takes.
    #[command(flatten)]
    pub run: Run,
}

/// `completion`.
#[derive(Debug, ClapArgs)]
pub struct Completion {
    /// The shell
    pub shell: Shell,
}

#[cfg(test)]
mod tests {
    use super::hpa;

    #[test]
    fn an_hpa_is_named_as_for_kubectl() {
        for text in ["nginxext", "hpa/nginxext", "HorizontalPodAutoscaler/nginxext"] {
            assert_eq!(hpa(text).as_deref(), Ok("nginxext"), "{text}");
        }
        for text in ["", "hpa/", "deployment/nginx", "hpa/default/nginxext"] {
            assert!(hpa(text).is_err(), "{text}");
        }
    }
}
