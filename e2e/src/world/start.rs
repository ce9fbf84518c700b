//! Starts a cluster of each backend.

use anyhow::{Context, ensure};
use futures::TryFutureExt;
use tokio::time::Instant;

use crate::{
    assets,
    cluster::{
        Timings, existing,
        kind::{self, tool::Tool},
        local::{self, LocalCluster},
        pods::PodsCluster,
    },
    phase::Recorder,
    world::World,
};

/// A cluster, and when the run on it must have ended.
pub(super) struct Started<C> {
    pub(super) cluster: C,
    pub(super) deadline: Instant,
}

impl World {
    /// The clock starts when the programs are there: to build them the first time takes longer than
    /// any run.
    pub(super) async fn local(&self, recorder: &Recorder) -> anyhow::Result<Started<LocalCluster>> {
        ensure!(!self.backend.real_time, "--real-time is for kind and existing, not for local");
        let note = |line: &str| recorder.note(line);
        let find = recorder
            .phase("programs", assets::find(&self.options, &note))
            .map_err(anyhow::Error::from);
        let plan = local::Plan {
            programs: self.within(None, find).await?,
            ours: self.ours.clone(),
            provider: self.provider.clone(),
            root: self.root.clone(),
            seed: self.seed,
            timings: Timings::FAST,
        };
        let deadline = Instant::now() + self.timeout;
        let start = Box::pin(recorder.phase("control plane", LocalCluster::start(plan)));
        Ok(Started { cluster: self.within(Some(deadline), start).await?, deadline })
    }

    pub(super) async fn kind(&self, recorder: &Recorder) -> anyhow::Result<Started<PodsCluster>> {
        let deadline = Instant::now() + self.timeout;
        let start = async {
            let node_image = self.backend.node_image(&self.options).await;
            let tool = Tool::find(&self.options, &node_image).await.map_err(anyhow::Error::msg)?;
            recorder.fact("node image", &node_image);
            let plan = kind::Plan {
                tool,
                node_image,
                reuse: self.backend.reuse,
                ours: &self.ours,
                images: &self.images,
                root: &self.root,
                timings: self.timings(Timings::FAST_PODS),
                artifacts: &self.artifacts,
            };
            kind::start(plan, recorder).await
        };
        Ok(Started { cluster: self.within(Some(deadline), Box::pin(start)).await?, deadline })
    }

    pub(super) async fn existing(
        &self,
        recorder: &Recorder,
    ) -> anyhow::Result<Started<PodsCluster>> {
        let deadline = Instant::now() + self.timeout;
        let start = async {
            let context = self.backend.context.as_deref().context(
                "no context is named: `--cluster existing` needs --context, see \
                 `kubectl config get-contexts`",
            )?;
            let plan = existing::Plan {
                context,
                namespace: &self.backend.namespace,
                take_over: self.backend.take_over,
                ours: &self.ours,
                root: &self.root,
                timings: self.timings(Timings::FAST_EXISTING),
            };
            existing::start(plan, recorder).await
        };
        Ok(Started { cluster: self.within(Some(deadline), Box::pin(start)).await?, deadline })
    }

    fn timings(&self, fast: Timings) -> Timings {
        if self.backend.real_time { Timings::REAL } else { fast }
    }
}
