//! The `existing` backend: a cluster of somebody else, named by a context of a kubeconfig.
//!
//! Everything goes into one new namespace, but for the objects that are cluster-wide by nature and one
//! `RoleBinding` in `kube-system`. Those are listed before anything is done; what was there under their
//! names is saved, and put back at the end. The guard does that too when the runner is killed.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api, Client,
    api::{ObjectMeta, PostParams},
    config::{KubeConfigOptions, Kubeconfig},
};

use crate::{
    cluster::{
        Timings,
        existing::undo::Undo,
        plain_client,
        pods::{self, Host, PodsCluster, clean},
        run_folder::{self, HARNESS},
    },
    deploy::{Deployer, Object},
    guard::{Guard, LastCommand},
    phase::Recorder,
};

pub mod undo;

/// What is asked for.
#[derive(Debug)]
pub struct Plan<'a> {
    /// The context of the kubeconfig; never guessed.
    pub context: &'a str,
    /// A new namespace for everything.
    pub namespace: &'a str,
    /// Whether objects that are there may be replaced for the run.
    pub take_over: bool,
    /// The folder with this program.
    pub ours: &'a Path,
    /// The checkout.
    pub root: &'a Path,
    /// The clocks.
    pub timings: Timings,
}

/// A cluster that will be as it was. Dropping it has the guard see to that.
#[derive(Debug)]
pub struct Existing {
    namespace: String,
    folder: PathBuf,
    /// How another process does what [`Undo::run`] does.
    undoing: LastCommand,
    guard: Guard,
    undo: Undo,
}

/// Looks at what is there, says what will be done, and makes the namespace.
pub async fn start(plan: Plan<'_>, recorder: &Recorder) -> anyhow::Result<PodsCluster> {
    let filled = pods::Plan {
        root: plan.root.to_owned(),
        namespace: Some(plan.namespace.to_owned()),
        timings: plan.timings,
    };
    let looked = recorder.phase("existing cluster", async {
        let client = client(plan.context).await?;
        let outside = outside(&filled)?;
        let undo = Undo::look(&client, plan.context, plan.namespace, &outside).await?;
        refuse(&client, &plan, &undo, &outside).await?;
        for line in undo.describe() {
            recorder.note(line);
        }
        anyhow::Ok((client, undo))
    });
    let (client, undo) = looked.await?;
    let existing = Existing::prepare(&plan, undo).await?;
    let metadata = ObjectMeta { name: Some(plan.namespace.to_owned()), ..ObjectMeta::default() };
    let namespace = Namespace { metadata, ..Namespace::default() };
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let made = namespaces.create(&PostParams::default(), &namespace).await;
    made.with_context(|| format!("make namespace {}", plan.namespace))?;
    PodsCluster::new(Host::Existing(existing), client, filled).await
}

impl Existing {
    async fn prepare(plan: &Plan<'_>, undo: Undo) -> anyhow::Result<Self> {
        let (mut guard, folder) = run_folder::guarded(plan.ours).await?;
        let file = undo.write(&folder)?;
        // The harness is its own undoing.
        let undoing = LastCommand::new(plan.ours.join(HARNESS), ["undo", &file.to_string_lossy()]);
        guard.run_at_the_end(&undoing)?;
        Ok(Self { namespace: plan.namespace.to_owned(), folder, undoing, guard, undo })
    }

    /// The namespace of everything.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Removes what is ours and puts back what was there.
    pub(super) async fn stop(mut self, client: &Client) -> anyhow::Result<()> {
        self.undo.run(client).await?;
        self.guard.forget_commands()?;
        Ok(self.guard.finish().await?)
    }

    /// Leaves everything, with a file that says how to undo it.
    pub(super) async fn keep(self) -> anyhow::Result<Vec<(String, String)>> {
        let context = self.undo.context();
        let look = format!("kubectl --context {context} --namespace {} get hpa", self.namespace);
        let (folder, commands) = (&self.folder, vec![self.undoing]);
        // The user's own kubeconfig is nothing of ours.
        run_folder::leave(self.guard, folder, Path::new(""), &[], commands).await?;
        Ok(vec![("use it".to_owned(), look), run_folder::how_to_remove()])
    }
}

/// A client of the context that was named.
async fn client(context: &str) -> anyhow::Result<Client> {
    let file = Kubeconfig::read().context("no kubeconfig: set KUBECONFIG")?;
    let known: Vec<&str> = file.contexts.iter().map(|context| context.name.as_str()).collect();
    ensure!(
        known.contains(&context),
        "the kubeconfig has no context {context:?}, choose from {}",
        known.join(", ")
    );
    let options =
        KubeConfigOptions { context: Some(context.to_owned()), ..KubeConfigOptions::default() };
    Ok(plain_client(kube::Config::from_custom_kubeconfig(file, &options).await?)?)
}

/// The objects of a run that are not in its namespace.
fn outside(plan: &pods::Plan) -> anyhow::Result<Vec<Object>> {
    let own = plan.namespace.as_deref();
    let mut objects = clean::objects(plan)?;
    objects.retain(|object| object.namespace() != own);
    Ok(objects)
}

async fn refuse(
    client: &Client,
    plan: &Plan<'_>,
    undo: &Undo,
    outside: &[Object],
) -> anyhow::Result<()> {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let there = namespaces.get_opt(plan.namespace).await.context("the cluster does not answer")?;
    if there.is_some() {
        bail!(
            "namespace {} is there already: name another one with --namespace, or remove it",
            plan.namespace
        );
    }
    let replaced = undo.replaced();
    if !plan.take_over && !replaced.is_empty() {
        bail!(
            "the cluster has {} already: with --take-over they are replaced for the run, and put \
             back at its end",
            replaced.join(", ")
        );
    }
    // Nothing was made yet; whether we may make it is better known now than half-way.
    Ok(Deployer::new(client.clone()).dry_run(outside).await?)
}
