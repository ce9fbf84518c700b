//! `explain hpa/NAME`: says why an HPA does or does not scale.

use std::{
    io::{self, IsTerminal, Write},
    path::PathBuf,
    process::ExitCode,
};

use clap::Args as ClapArgs;
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde::Serialize;

use crate::explain::{
    Explanation, Style, explain,
    facts::{Facts, Found},
    gather::{Request, gather},
    text,
    view::View,
};

/// The exit code where there is nothing to look at.
const CANNOT_LOOK: u8 = 2;

/// What to explain, and by which cluster.
#[derive(Debug, Clone, ClapArgs)]
pub struct Explain {
    /// The HPA: hpa/NAME, or NAME
    #[arg(value_name = "HPA", value_parser = name)]
    pub hpa: String,
    /// Its namespace [default: the kubeconfig's, or the pod's own]
    #[arg(short, long, value_name = "NAMESPACE")]
    pub namespace: Option<String>,
    /// The provider's namespace [default: where its pods are]
    #[arg(long, env = "DD_KUBE_RESOURCES_NAMESPACE", value_name = "NAMESPACE")]
    pub agent_namespace: Option<String>,
    /// Print JSON: the steps, and the facts that they follow from
    #[arg(long)]
    pub json: bool,
    /// Kubeconfig file [default: in-cluster, else ~/.kube/config]
    #[arg(long, env = "KUBECONFIG", value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,
}

/// The name out of `hpa/NAME`.
fn name(text: &str) -> Result<String, String> {
    let (kind, name) = text.split_once('/').unwrap_or(("hpa", text));
    let kinds = ["hpa", "horizontalpodautoscaler", "horizontalpodautoscalers"];
    if !kinds.contains(&kind.to_lowercase().as_str()) || name.is_empty() || name.contains('/') {
        return Err("give hpa/NAME, and the namespace by -n".to_owned());
    }
    Ok(name.to_owned())
}

/// The JSON.
#[derive(Debug, Serialize)]
struct Output<'a> {
    #[serde(flatten)]
    explanation: &'a Explanation,
    facts: &'a Facts,
}

/// Explains to standard output; `view` asks the provider of a namespace for its status. The code is
/// 0 where nothing is broken, 1 where something is, 2 where there is nothing to look at.
pub async fn run(
    args: &Explain,
    view: impl AsyncFnOnce(&str) -> Found<View>,
) -> anyhow::Result<ExitCode> {
    let facts = match facts(args, view).await {
        Ok(facts) => facts,
        Err(error) => {
            eprintln!("datadog-cluster-agent: {}", crate::app::one_line(&error));
            return Ok(ExitCode::from(CANNOT_LOOK));
        }
    };
    let explanation = explain(&facts);
    let mut out = io::stdout().lock();
    let style = if out.is_terminal() { Style::Coloured } else { Style::Plain };
    if args.json {
        serde_json::to_writer_pretty(
            &mut out,
            &Output { explanation: &explanation, facts: &facts },
        )?;
        writeln!(out)?;
    } else {
        out.write_all(text(&explanation, style).as_bytes())?;
    }
    Ok(ExitCode::from(explanation.exit_code()))
}

async fn facts(
    args: &Explain,
    view: impl AsyncFnOnce(&str) -> Found<View>,
) -> anyhow::Result<Facts> {
    let mut config = config(args).await?;
    // A 503 of the metrics API is what is to be seen.
    config.default_retry = false;
    let namespace = args.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
    let client = kube::Client::try_from(config)?;
    let provider = args.agent_namespace.clone().filter(|namespace| !namespace.is_empty());
    let request = Request { namespace, name: args.hpa.clone(), provider };
    Ok(gather(&client, request, view).await?)
}

async fn config(args: &Explain) -> anyhow::Result<kube::Config> {
    let options = KubeConfigOptions { context: args.context.clone(), ..Default::default() };
    let read = match (&args.kubeconfig, &args.context) {
        (Some(file), _) => Kubeconfig::read_from(file),
        (None, Some(_)) => Kubeconfig::read(),
        (None, None) => return Ok(kube::Config::infer().await?),
    };
    Ok(kube::Config::from_custom_kubeconfig(read?, &options).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hpa_is_named_as_for_kubectl() {
        for text in ["nginxext", "hpa/nginxext", "HorizontalPodAutoscaler/nginxext"] {
            assert_eq!(name(text).as_deref(), Ok("nginxext"), "{text}");
        }
        for text in ["", "hpa/", "deployment/nginx", "hpa/default/nginxext"] {
            assert!(name(text).is_err(), "{text}");
        }
    }
}
