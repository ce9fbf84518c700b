//! Which cluster backend to run on, and what it is told.

use std::path::PathBuf;

use clap::ValueEnum;

use crate::{
    assets,
    cluster::kind::{
        node_image::{self, Minor},
        tool::Tool,
    },
};

/// The cluster backends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Backend {
    /// What fits this machine: kind where it will work, else local
    Auto,
    /// A kind cluster, everything in pods; needs docker or podman
    Kind,
    /// Real control plane as processes on loopback; needs no docker
    Local,
    /// The cluster of a kubeconfig context that you name with --context
    Existing,
}

impl Backend {
    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Kind => "kind",
            Self::Local => "local",
            Self::Existing => "existing",
        }
    }

    /// What `auto` stands for on this machine, with the reason.
    pub async fn resolve(self, options: &assets::Options, args: &Args) -> (Self, Option<String>) {
        if self != Self::Auto {
            return (self, None);
        }
        match Tool::find(options, &args.node_image(options).await).await {
            Ok(tool) => (Self::Kind, Some(format!("{} answers", tool.container_runtime().name))),
            Err(why_not) => (Self::Local, Some(why_not)),
        }
    }
}

/// Options of the backends with clusters that are not `local`.
#[derive(Debug, Clone, clap::Args)]
#[group(id = "clusters")] // the default, `Args`, is the name of others too
#[command(next_help_heading = "Clusters")]
pub struct Args {
    /// kind: the Kubernetes version, from 1.33 to 1.37 [default: 1.37]
    #[arg(long, env = "E2E_K8S", value_name = "VERSION", conflicts_with = "node_image")]
    pub k8s: Option<Minor>,
    /// kind: the node image
    #[arg(long, env = "E2E_NODE_IMAGE", value_name = "IMAGE")]
    pub node_image: Option<String>,
    /// kind: use the cluster that an earlier run with this option has left, and leave it
    #[arg(long)]
    pub reuse: bool,
    /// Leave all periods at their defaults, as in the walkthrough; takes half an hour
    #[arg(long)]
    pub real_time: bool,
    /// kind, existing: folder with our images [default: target/images]
    #[arg(long, env = "E2E_IMAGES", value_name = "DIR")]
    pub images: Option<PathBuf>,
    /// existing: the context of the kubeconfig
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,
    /// existing: the namespace to make, and to remove at the end
    #[arg(long, value_name = "NAME", default_value = "dca-e2e")]
    pub namespace: String,
    /// existing: replace, for the run, cluster-wide objects that are there already
    #[arg(long)]
    pub take_over: bool,
}

impl Args {
    /// The node image for a kind cluster.
    pub async fn node_image(&self, options: &assets::Options) -> String {
        match &self.node_image {
            Some(image) => image.clone(),
            None => node_image::choose(options, self.k8s).await,
        }
    }
}
