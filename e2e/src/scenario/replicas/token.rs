//! The token is replaced that replicas and node agents share: port 5005 believes the new one and no longer
//! the old one, and the followers go on hearing from the leader.

use std::time::Duration;

use anyhow::Context;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use serde_json::json;
use tokio::time::Instant;

use crate::{
    cluster::{
        Cluster,
        local::{
            direct::{Direct, Trust},
            provider::Replica,
        },
    },
    load::Connections,
    phase::Recorder,
    scenario::{
        SOME_SYNCS,
        replicas::{Fleet, LOOK_EVERY, seconds, trial::Trial},
        syncs,
    },
    wait::{self, Probe},
};

/// The Secret and its key, as Datadog's agent has them.
const SECRET: &str = "datadogtoken";
const KEY: &str = "token";
/// What node agents ask first.
const PATH: &str = "/version";
/// How long the replicas may take to believe another token.
const BELIEVED_WITHIN: Duration = Duration::from_secs(60);

pub(in crate::scenario) async fn run<C: Cluster>(
    cluster: &C,
    recorder: &Recorder,
) -> anyhow::Result<()> {
    let fleet = Fleet::install(cluster, recorder).await?;
    let observer = fleet.at_three().await?;
    let secrets = Api::<Secret>::namespaced(fleet.cluster.client().clone(), cluster.namespace());
    let old = token(&secrets).await?;
    // Nothing is kept of it beyond the run.
    let new: String = old.chars().rev().collect();
    believed(&fleet, &old, &new, "the token in the Secret is believed, and no other").await?;

    let trial = Trial::begin(&fleet, &observer).await?;
    let replaced = async {
        let data = json!({"stringData": {KEY: new}});
        secrets.patch(SECRET, &PatchParams::default(), &Patch::Merge(data)).await?;
        believed(&fleet, &new, &old, "the new token is believed, and the old one no more").await
    };
    recorder.phase("replaced", replaced).await?;
    let know = fleet.all_know(Timestamp::now(), "followers go on hearing from the leader");
    recorder.phase("followers", know).await?;
    recorder.phase("goes on", syncs(fleet.cluster, SOME_SYNCS)).await?;
    trial.judge("token", 0, 0).await
}

async fn token(secrets: &Api<Secret>) -> anyhow::Result<String> {
    let secret = secrets.get(SECRET).await.context("the replicas have made no token")?;
    let token = secret.data.unwrap_or_default().remove(KEY).context("a Secret without a token")?;
    String::from_utf8(token.0).context("the token")
}

/// Waits until each replica believes `good` and neither `bad` nor nobody.
async fn believed(fleet: &Fleet<'_>, good: &str, bad: &str, name: &str) -> anyhow::Result<()> {
    let start = Instant::now();
    let looked = wait::until("the replicas to say so", BELIEVED_WITHIN, LOOK_EVERY, async || {
        for replica in fleet.provider.replicas() {
            let statuses = statuses(replica, good, bad).await?;
            if statuses != [200, 403, 401] {
                return Ok(Probe::NotYet(format!("{}: {statuses:?}", replica.pod)));
            }
        }
        anyhow::Ok(Probe::Ready(()))
    });
    let looked = looked.await.map_err(|timeout| timeout.to_string());
    let text = |()| format!("after {}", seconds(start.elapsed()));
    Ok(fleet.recorder.assertion(name, looked.map(text))?)
}

/// What a replica says to the bearer of each of these tokens, and to nobody.
async fn statuses(replica: &Replica, good: &str, bad: &str) -> anyhow::Result<[u16; 3]> {
    let direct = Direct::new(&replica.agent_url, Trust::Anybody, None, Connections::New)?;
    Ok([
        direct.get_as(good, PATH).await?.status,
        direct.get_as(bad, PATH).await?.status,
        direct.get(PATH, &[]).await?.status,
    ])
}
