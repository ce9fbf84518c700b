//! What helps to understand a run that did not pass, as files.

use std::{fmt::Write as _, path::Path};

use anyhow::Context;
use fake_datadog::control;
use k8s_openapi::api::{
    apps::v1::Deployment,
    autoscaling::v2::HorizontalPodAutoscaler,
    core::v1::{Event, Pod},
};
use kube::{Api, Client, Resource, api::ListParams};
use serde::{Serialize, de::DeserializeOwned};

/// Events, HPAs with their conditions, Deployments, Pods, and the fake's requests. What cannot be had
/// is said in the file's place; the rest is written all the same.
pub(super) async fn write(
    client: &Client,
    fake: &control::Client,
    folder: &Path,
) -> anyhow::Result<()> {
    let requests = fake.requests().await.map(|log| pretty(&log));
    let files = [
        ("events.txt", events(Api::all(client.clone())).await),
        ("hpa.json", list::<HorizontalPodAutoscaler>(Api::all(client.clone())).await),
        ("deployments.json", list::<Deployment>(Api::all(client.clone())).await),
        ("pods.json", list::<Pod>(Api::all(client.clone())).await),
        ("fake-requests.json", requests.map_err(anyhow::Error::from)),
    ];
    for (name, content) in files {
        let text = content.unwrap_or_else(|error| format!("cannot be read: {error:#}\n"));
        write_file(folder, name, text.as_bytes()).await?;
    }
    Ok(())
}

async fn list<K>(api: Api<K>) -> anyhow::Result<String>
where
    K: Resource + Clone + DeserializeOwned + Serialize + std::fmt::Debug,
{
    Ok(pretty(&api.list(&ListParams::default()).await?.items))
}

/// One line an event, oldest first, as `kubectl get events` shows them.
async fn events(api: Api<Event>) -> anyhow::Result<String> {
    let mut events = api.list(&ListParams::default()).await?.items;
    events.sort_by_key(|event| event.metadata.creation_timestamp.clone());
    let mut text = String::new();
    for event in events {
        let object = &event.involved_object;
        let time = event.metadata.creation_timestamp.map(|time| time.0.to_string());
        writeln!(
            text,
            "{} {} {} {}/{}: {}",
            time.unwrap_or_default(),
            event.type_.unwrap_or_default(),
            event.reason.unwrap_or_default(),
            object.kind.as_deref().unwrap_or_default(),
            object.name.as_deref().unwrap_or_default(),
            event.message.unwrap_or_default()
        )?;
    }
    Ok(text)
}

fn pretty(value: &impl Serialize) -> String {
    serde_json::to_string_pretty(value).unwrap_or_else(|error| error.to_string())
}

/// Writes one of the files.
pub(super) async fn write_file(folder: &Path, name: &str, content: &[u8]) -> anyhow::Result<()> {
    let path = folder.join(name);
    tokio::fs::write(&path, content).await.with_context(|| path.display().to_string())
}
