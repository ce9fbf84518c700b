//! A kind cluster as the page wants it: the stand-ins for Datadog and its node agent, no provider.

use crate::{
    assets::Options,
    cluster::{
        Cluster, Timings,
        kind::{self, node_image, tool::Tool},
        pods::PodsCluster,
    },
    phase::Recorder,
    report::{self, Colour, View},
    walkthrough::{Args, Places},
};

/// Starts it, and says so line by line.
pub(super) async fn start(
    args: &Args,
    options: &Options,
    places: &Places,
) -> anyhow::Result<PodsCluster> {
    let (recorder, events) = Recorder::new("the walkthrough's page", "kind");
    let watching = tokio::spawn(report::watch(View::Plain, Colour::Off, events));
    let started = start_with(args, options, places, &recorder).await;
    drop(recorder);
    watching.await??;
    started
}

async fn start_with(
    args: &Args,
    options: &Options,
    places: &Places,
    recorder: &Recorder,
) -> anyhow::Result<PodsCluster> {
    let node_image = match &args.node_image {
        Some(image) => image.clone(),
        None => node_image::choose(options, None).await,
    };
    let plan = kind::Plan {
        tool: Tool::find(options, &node_image).await.map_err(anyhow::Error::msg)?,
        node_image,
        reuse: false,
        ours: &places.ours,
        images: args.images.as_deref().unwrap_or(&places.images),
        root: &places.root,
        timings: Timings::FAST_PODS,
        artifacts: &places.artifacts,
    };
    let cluster = Box::pin(kind::start(plan, recorder)).await?;
    cluster.start_fake(recorder).await?;
    recorder.phase("node agent", cluster.start_node_check()).await?;
    Ok(cluster)
}
