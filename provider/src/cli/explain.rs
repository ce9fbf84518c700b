//! `explain hpa/NAME`: says why an HPA does or does not scale.

use std::{env, process::ExitCode};

use kube::config::{KubeConfigOptions, Kubeconfig};
use serde::Serialize;

use crate::{
    args::commands::{Connect, Explain},
    cli::{connect::Agent, paint::Paint},
    explain::{
        Explanation, explain,
        facts::{Facts, Found},
        gather::{Request, gather},
        text,
        view::View,
    },
};

/// The exit code where there is nothing to look at.
const CANNOT_LOOK: u8 = 2;

/// The JSON.
#[derive(Debug, Serialize)]
struct Output<'a> {
    #[serde(flatten)]
    explanation: &'a Explanation,
    facts: &'a Facts,
}

/// Explains to standard output. The code is 0 where nothing is broken, 1 where something is, 2 where
/// there is nothing to look at.
pub(super) async fn run(args: &Explain) -> anyhow::Result<ExitCode> {
    let facts = match facts(args).await {
        Ok(facts) => facts,
        Err(error) => {
            eprintln!("{}: {}", super::NAME, crate::app::one_line(&error));
            return Ok(ExitCode::from(CANNOT_LOOK));
        }
    };
    let explanation = explain(&facts);
    let output = Output { explanation: &explanation, facts: &facts };
    super::show(args.json, &output, |output| text(output.explanation, Paint::of_stdout()))?;
    Ok(ExitCode::from(explanation.exit_code()))
}

async fn facts(args: &Explain) -> anyhow::Result<Facts> {
    let mut config = config(args).await?;
    // A 503 of the metrics API is what is to be seen.
    config.default_retry = false;
    let namespace = args.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
    let client = kube::Client::try_from(config)?;
    let provider = args.port.kube_resources_namespace.clone().filter(|it| !it.is_empty());
    let request = Request { namespace, name: args.hpa.clone(), provider };
    Ok(gather(&client, request, async |namespace: &str| view(args, namespace).await).await?)
}

/// What the agent says of itself: the one in this pod, or the one that the kubeconfig leads to.
async fn view(args: &Explain, namespace: &str) -> Found<View> {
    let inside = env::var_os("KUBERNETES_SERVICE_HOST").is_some();
    let outside = !inside && args.port.address.is_none();
    let connect = Connect {
        port: args.port.clone(),
        kubeconfig: args.kubeconfig.clone(),
        context: args.context.clone(),
        namespace: outside.then(|| namespace.to_owned()),
        pod: None,
    };
    let asked = async { Agent::connect(&connect).await?.get("/status").await };
    match asked.await {
        Ok(view) => Found::Is(view),
        Err(error) => Found::Unknown(error.to_string()),
    }
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
