//! The port for node agents, other replicas and our own commands.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
};

use clap::Args as ClapArgs;
use secrecy::SecretString;

use crate::agent::token;

/// The token that node agents, replicas and commands share.
#[derive(Debug, Clone, ClapArgs)]
#[command(next_help_heading = "Agent")]
pub struct AgentToken {
    /// Token of the cluster agent, at least 32 characters [default: that of the file, else of the
    /// Secret]
    #[arg(
        id = "cluster_agent_auth_token",
        long = "cluster-agent-auth-token",
        env = "DD_CLUSTER_AGENT_AUTH_TOKEN",
        hide_env_values = true,
        value_name = "TOKEN"
    )]
    pub value: Option<SecretString>,
    /// File with the token, read again when it changes
    /// [default: /etc/datadog-agent/cluster_agent.auth_token, if it is there]
    #[arg(
        id = "cluster_agent_auth_token_file",
        long = "cluster-agent-auth-token-file",
        env = "DD_CLUSTER_AGENT_AUTH_TOKEN_FILE",
        value_name = "FILE"
    )]
    pub file: Option<PathBuf>,
    /// Secret of our namespace with the token (key `token`), made if it is missing
    #[arg(
        id = "cluster_agent_token_name",
        long = "cluster-agent-token-name",
        env = "DD_CLUSTER_AGENT_TOKEN_NAME",
        default_value = "datadogtoken",
        value_name = "NAME"
    )]
    pub secret: String,
}

impl AgentToken {
    /// Where to look for it. A variable that is set to nothing is not set.
    pub fn config(&self) -> token::Config {
        token::Config {
            value: self.value.clone(),
            file: self.file.clone().filter(|file| !file.as_os_str().is_empty()),
            secret: self.secret.clone(),
        }
    }
}

/// The port for node agents, other replicas and our own commands.
#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "Agent")]
pub struct Agent {
    /// HTTPS port for node agents, other replicas and our own commands; 0 is none
    #[arg(
        id = "cluster_agent_cmd_port",
        long = "cluster-agent-cmd-port",
        env = "DD_CLUSTER_AGENT_CMD_PORT",
        default_value_t = 5005,
        value_name = "PORT"
    )]
    pub port: u16,
    /// Address to listen on [default: all]
    #[arg(
        id = "cluster_agent_bind_address",
        long = "cluster-agent-bind-address",
        env = "DD_CLUSTER_AGENT_BIND_ADDRESS",
        value_name = "IP"
    )]
    pub bind_address: Option<IpAddr>,
    /// Address of this port for other replicas, with or without a port [default: that of the pod,
    /// else the one from which kube-apiserver is reached]
    #[arg(
        long = "cluster-agent-advertise",
        env = "DD_CLUSTER_AGENT_ADVERTISE",
        value_name = "ADDRESS",
        value_parser = parse_advertised
    )]
    pub advertise: Option<Advertised>,
    /// Address of our pod
    #[arg(long, env = "DD_POD_IP", value_name = "IP")]
    pub pod_ip: Option<IpAddr>,
    /// Annotations of nodes that node agents take host aliases from, with spaces between them
    #[arg(
        long,
        env = "DD_KUBERNETES_NODE_ANNOTATIONS_AS_HOST_ALIASES",
        default_value = "cluster.k8s.io/machine",
        value_delimiter = ' ',
        value_name = "NAMES"
    )]
    pub kubernetes_node_annotations_as_host_aliases: Vec<String>,
    /// The token.
    #[command(flatten)]
    pub token: AgentToken,
}

/// An address that may lack its port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Advertised(IpAddr, Option<u16>);

fn parse_advertised(text: &str) -> Result<Advertised, String> {
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Ok(Advertised(address.ip(), Some(address.port())));
    }
    let ip = text.parse::<IpAddr>();
    ip.map(|ip| Advertised(ip, None)).map_err(|_| "give an address, or ADDRESS:PORT".to_owned())
}

impl Agent {
    /// Where others reach `port`, as far as anything says so.
    pub fn advertised(&self, port: u16) -> Option<SocketAddr> {
        if let Some(Advertised(ip, given)) = self.advertise {
            return Some(SocketAddr::new(ip, given.unwrap_or(port)));
        }
        let bound = self.bind_address.filter(|ip| !ip.is_unspecified());
        self.pod_ip.or(bound).map(|ip| SocketAddr::new(ip, port))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        agent: Agent,
    }

    #[test]
    fn the_address_for_others_is_what_is_given_else_the_pods_else_the_bound_one() {
        let advertised = |line: &[&str]| {
            let line = ["agent"].iter().chain(line);
            let agent = Line::try_parse_from(line).unwrap().agent;
            agent.advertised(5005).map(|it| it.to_string()).unwrap_or_default()
        };
        let pod = "--pod-ip=10.1.1.1";
        assert_eq!(advertised(&["--cluster-agent-advertise=10.2.2.2", pod]), "10.2.2.2:5005");
        assert_eq!(advertised(&["--cluster-agent-advertise=[::1]:7", pod]), "[::1]:7");
        assert_eq!(advertised(&[pod]), "10.1.1.1:5005");
        assert_eq!(advertised(&["--cluster-agent-bind-address=127.0.0.1"]), "127.0.0.1:5005");
        assert_eq!(advertised(&["--cluster-agent-bind-address=0.0.0.0"]), "");
        assert!(parse_advertised("somewhere").is_err());
    }
}
