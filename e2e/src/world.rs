//! One run of one scenario: programs, cluster, scenario, and whatever happens, diagnostics before
//! anything is removed, and then nothing left.

use std::{
    panic::AssertUnwindSafe,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, anyhow, bail};
use futures::FutureExt;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    assets,
    backend::{self, Backend},
    cluster::Cluster,
    outcome::{Outcome, Verdict},
    phase::Recorder,
    report::{self, Colour, View},
    scenario::{Scenario, Settings},
};

mod start;

use start::Started;

/// What is left after a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// Nothing but the artifacts of a run that did not pass.
    Nothing,
    /// The cluster and everything in it.
    Running,
}

/// What every scenario of an invocation is run with.
#[derive(Debug)]
pub struct World {
    /// Where the control plane's programs come from.
    pub options: assets::Options,
    /// The folder with the harness and the fake.
    pub ours: PathBuf,
    /// The provider to test.
    pub provider: PathBuf,
    /// The checkout.
    pub root: PathBuf,
    /// What a scenario is told.
    pub settings: Settings,
    /// For random choices.
    pub seed: u64,
    /// Limit for a run, from when the programs are there.
    pub timeout: Duration,
    /// What the backends are told.
    pub backend: backend::Args,
    /// The folder with our images.
    pub images: PathBuf,
    /// Where runs that did not pass leave what explains them.
    pub artifacts: PathBuf,
    /// What is left.
    pub keep: Keep,
    /// How the run is shown.
    pub view: View,
    /// Whether in colour.
    pub colour: Colour,
    /// Cancelled by Ctrl-C.
    pub stop: CancellationToken,
}

impl World {
    /// Runs `scenario` on a cluster of its own. An error is one of the report; trouble with the run
    /// is in the outcome.
    pub async fn run(&self, scenario: Scenario, backend: Backend) -> anyhow::Result<Outcome> {
        let (recorder, events) = Recorder::new(scenario.name(), backend.name());
        let watching = tokio::spawn(report::watch(self.view, self.colour, events));
        let outcome = match backend {
            Backend::Local | Backend::Auto => {
                Box::pin(self.run_on(self.local(&recorder), scenario, &recorder)).await
            }
            Backend::Kind => Box::pin(self.run_on(self.kind(&recorder), scenario, &recorder)).await,
            Backend::Existing => {
                Box::pin(self.run_on(self.existing(&recorder), scenario, &recorder)).await
            }
        };
        watching.await.context("the view of the run broke down")??;
        Ok(outcome)
    }

    async fn run_on<C: Cluster>(
        &self,
        start: impl Future<Output = anyhow::Result<Started<C>>>,
        scenario: Scenario,
        recorder: &Recorder,
    ) -> Outcome {
        let Started { cluster, deadline } = match Box::pin(start).await {
            Ok(started) => started,
            Err(error) => return recorder.finish(&Err(error), self.seed),
        };
        let work = async {
            tokio::select! {
                result = async {
                    cluster.start_fake(recorder).await?;
                    scenario.run(&cluster, &self.settings, recorder).await
                } => result,
                broken = cluster.broken() => Err(broken),
            }
        };
        let result = Box::pin(self.within(Some(deadline), work)).await;
        let mut outcome = recorder.finish(&result, self.seed);
        if outcome.verdict != Verdict::Passed {
            let folder = self.artifacts.join(cluster.run_name());
            if let Err(error) = diagnose(&cluster, &folder).await {
                tracing::warn!(error = format!("{error:#}"), "diagnostics are incomplete");
            }
            outcome.artifacts = Some(folder);
        }
        let ended = match self.keep {
            Keep::Nothing => Box::pin(cluster.stop()).await,
            Keep::Running => cluster.keep().await.map(|how| outcome.facts.extend(how)),
        };
        if let Err(error) = ended {
            tracing::warn!(error = format!("{error:#}"), "the cluster did not end as it should");
        }
        outcome
    }

    /// Runs `work` until the deadline, if there is one, Ctrl-C or a panic, which all end as errors.
    async fn within<T>(
        &self,
        deadline: Option<Instant>,
        work: impl Future<Output = anyhow::Result<T>>,
    ) -> anyhow::Result<T> {
        let caught = AssertUnwindSafe(work).catch_unwind();
        let over = async {
            match deadline {
                Some(deadline) => tokio::time::sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            result = caught => result.unwrap_or_else(|panic| Err(anyhow!("panic: {}", words(&*panic)))),
            () = self.stop.cancelled() => bail!("interrupted"),
            () = over => bail!(
                "not decided within {} (--timeout)",
                humantime::format_duration(self.timeout)
            ),
        }
    }
}

/// What a panic said.
fn words(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without words")
}

/// Diagnostics must not hang on a cluster that does not answer any more.
const DIAGNOSTICS: Duration = Duration::from_secs(15);

async fn diagnose<C: Cluster>(cluster: &C, folder: &Path) -> anyhow::Result<()> {
    tokio::fs::create_dir_all(folder)
        .await
        .with_context(|| format!("artifact folder {}", folder.display()))?;
    tokio::time::timeout(DIAGNOSTICS, cluster.diagnose(folder))
        .await
        .context("the cluster does not answer")?
}
