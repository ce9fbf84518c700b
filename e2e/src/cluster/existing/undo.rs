//! Puts an existing cluster back into the state in which it was found.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context;
use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, DynamicObject, PostParams},
};
use serde::{Deserialize, Serialize};

use crate::{
    deploy::{Deployer, Object},
    wait,
};

/// In the folder of the run.
const FILE: &str = "undo.json";
/// A namespace with pods in it.
const GONE_WITHIN: Duration = Duration::from_secs(120);
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// What a run will make outside of its namespace, and what is there under the same names.
#[derive(Debug, Serialize, Deserialize)]
pub struct Undo {
    context: String,
    namespace: String,
    /// In the order in which they are undone.
    objects: Vec<Saved>,
}

/// One object.
#[derive(Debug, Serialize, Deserialize)]
struct Saved {
    /// As the run applies it.
    ours: serde_json::Value,
    /// What was there.
    before: Option<DynamicObject>,
}

/// The file that [`Undo::write`] makes in `folder`.
pub(super) fn file(folder: &Path) -> PathBuf {
    folder.join(FILE)
}

/// Undoes what a file tells of; a command of the guard and of `down`.
pub async fn run_file(file: &Path) -> anyhow::Result<()> {
    let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let undo: Undo = serde_json::from_str(&text).with_context(|| file.display().to_string())?;
    let client = super::client(&undo.context).await?;
    undo.run(&client).await
}

impl Undo {
    /// Reads what is there; changes nothing.
    pub(super) async fn look(
        client: &Client,
        context: &str,
        namespace: &str,
        outside: &[Object],
    ) -> anyhow::Result<Self> {
        let deployer = Deployer::new(client.clone());
        let mut objects = Vec::new();
        // The APIService first: while it has no backend, discovery fails for the whole cluster.
        let (api_services, others): (Vec<_>, Vec<_>) =
            outside.iter().rev().partition(|object| object.kind() == "APIService");
        for object in api_services.into_iter().chain(others) {
            let before = deployer.get(object).await?;
            objects.push(Saved { ours: object.value().clone(), before });
        }
        Ok(Self { context: context.to_owned(), namespace: namespace.to_owned(), objects })
    }

    /// The context of the cluster.
    pub(super) fn context(&self) -> &str {
        &self.context
    }

    /// What is touched, a line each.
    pub(super) fn describe(&self) -> Vec<String> {
        let outside = self.objects.iter().map(|saved| {
            let what = if saved.before.is_some() { "replaces" } else { "makes" };
            format!("{what} {}", saved.id())
        });
        [format!("makes Namespace {}, and whatever is in it", self.namespace)]
            .into_iter()
            .chain(outside)
            .collect()
    }

    /// What is there and would be replaced.
    pub(super) fn replaced(&self) -> Vec<String> {
        let there = self.objects.iter().filter(|saved| saved.before.is_some());
        there.map(Saved::id).collect()
    }

    /// Writes it down, for whoever has to undo it.
    pub(super) fn write(&self, folder: &Path) -> anyhow::Result<PathBuf> {
        let path = file(folder);
        let mut options = fs::OpenOptions::new();
        let mut file = options.create_new(true).write(true).mode(0o600).open(&path)?;
        file.write_all(serde_json::to_string_pretty(self)?.as_bytes())?;
        Ok(path)
    }

    /// Removes what is ours, waits until the namespace is gone, and puts back what was there.
    ///
    /// An APIService that was there comes last: if nobody answers behind it, discovery fails, and with
    /// it the deletion of namespaces (kubernetes#60807).
    pub(super) async fn run(&self, client: &Client) -> anyhow::Result<()> {
        let deployer = Deployer::new(client.clone());
        let mut last = Vec::new();
        for saved in &self.objects {
            let object = Object::from_value(saved.ours.clone())?;
            match &saved.before {
                Some(before) if object.kind() != "APIService" => {
                    put_back(&deployer.api(&object).await?, before).await?;
                }
                before => {
                    deployer.delete([&object]).await?;
                    last.extend(before.as_ref().map(|before| (object, before)));
                }
            }
        }
        self.remove_namespace(client).await?;
        for (object, before) in last {
            put_back(&deployer.api(&object).await?, before).await?;
        }
        Ok(())
    }

    async fn remove_namespace(&self, client: &Client) -> anyhow::Result<()> {
        let namespaces: Api<Namespace> = Api::all(client.clone());
        match namespaces.delete(&self.namespace, &DeleteParams::background()).await {
            Ok(_) => {}
            Err(kube::Error::Api(status)) if status.is_not_found() => return Ok(()),
            Err(error) => return Err(error).context("delete the namespace of the run"),
        }
        let what = format!("namespace {} to be gone", self.namespace);
        wait::until(&what, GONE_WITHIN, LOOK_EVERY, async || {
            let there = namespaces.get_opt(&self.namespace).await?;
            anyhow::Ok(match there {
                None => wait::Probe::Ready(()),
                Some(_) => wait::Probe::NotYet("it is being deleted".to_owned()),
            })
        })
        .await?;
        Ok(())
    }
}

impl Saved {
    fn id(&self) -> String {
        let text = |pointer: &str| self.ours.pointer(pointer).and_then(|it| it.as_str());
        let name = text("/metadata/name").unwrap_or_default();
        let kind = text("/kind").unwrap_or_default();
        match text("/metadata/namespace") {
            Some(namespace) => format!("{kind} {namespace}/{name}"),
            None => format!("{kind} {name}"),
        }
    }
}

/// The object as it was, whatever it is now.
async fn put_back(api: &Api<DynamicObject>, before: &DynamicObject) -> anyhow::Result<()> {
    let name = before.name_any();
    let mut object = before.clone();
    object.metadata.resource_version = None;
    let put = if let Some(now) = api.get_opt(&name).await? {
        object.metadata.resource_version = now.metadata.resource_version;
        object.metadata.uid = now.metadata.uid;
        api.replace(&name, &PostParams::default(), &object).await
    } else {
        object.metadata.uid = None;
        object.metadata.managed_fields = None;
        api.create(&PostParams::default(), &object).await
    };
    put.map(drop).with_context(|| format!("put back {name}"))
}
