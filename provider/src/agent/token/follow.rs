//! Follows the token where it can change.

use std::{path::Path, pin::pin, time::Duration};

use futures::StreamExt;
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api,
    runtime::{
        WatchStreamExt,
        watcher::{self, Event, watcher},
    },
};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    agent::token::{Cluster, Error, Source, Token, read_file, secret},
    patience::Patience,
};

/// From one look at a file to the next.
const LOOK: Duration = Duration::from_secs(10);
/// How long a Secret may be missing before we make a new one: whoever deletes it may be about to
/// put another one in its place.
const GRACE: Duration = Duration::from_secs(10);

/// Tells `sender` each new token until `stop`. What cannot be used is said once and changes
/// nothing. A token that is in memory alone is given up for the one in Secret `name` as soon as
/// that can be read or made.
pub async fn follow(
    source: Source,
    name: String,
    cluster: Option<Cluster>,
    sender: watch::Sender<Token>,
    stop: CancellationToken,
) {
    let follow = async {
        match (source, cluster) {
            (Source::File(path), _) => follow_file(&path, &sender).await,
            (Source::Secret { .. } | Source::Memory, Some(cluster)) => {
                follow_secret(&cluster, &name, &sender).await;
            }
            (Source::Variable | Source::Secret { .. } | Source::Memory, _) => {
                std::future::pending::<()>().await;
            }
        }
    };
    // Boxed: the futures of requests are large, and this one lives as long as the process.
    stop.run_until_cancelled(Box::pin(follow)).await;
}

async fn follow_file(path: &Path, sender: &watch::Sender<Token>) {
    let source = Source::File(path.to_owned());
    let mut said = Said::default();
    loop {
        sleep(LOOK).await;
        take(read_file(path), &source, sender, &mut said);
    }
}

async fn follow_secret(cluster: &Cluster, name: &str, sender: &watch::Sender<Token>) {
    let source = secret::source(cluster, name);
    let api = Api::<Secret>::namespaced(cluster.kube.clone(), &cluster.namespace);
    let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
    let mut events = pin!(watcher(api, config).backoff(Patience::default()));
    let (mut said, mut state) = (Said::default(), State::default());
    loop {
        let event = if state.is_missing {
            timeout(GRACE, events.next()).await
        } else {
            Ok(events.next().await)
        };
        match event {
            Ok(Some(Ok(event))) => {
                if let Some(secret) = state.apply(event) {
                    take(secret::token(&secret, &source), &source, sender, &mut said);
                }
            }
            Ok(Some(Err(error))) => said.once(&error.to_string(), |error| {
                tracing::warn!(%source, error, "changes of the token are not seen, trying again");
            }),
            Ok(None) => return,
            Err(_) => {
                let made = secret::read_or_create(cluster, name).await;
                state.is_missing = made.is_err();
                take(made, &source, sender, &mut said);
            }
        }
    }
}

/// Whether the Secret is there.
#[derive(Debug, Default)]
struct State {
    is_missing: bool,
    is_listed: bool,
}

impl State {
    fn apply(&mut self, event: Event<Secret>) -> Option<Secret> {
        match event {
            Event::Init => self.is_listed = false,
            Event::InitApply(secret) | Event::Apply(secret) => {
                (self.is_listed, self.is_missing) = (true, false);
                return Some(secret);
            }
            Event::InitDone => self.is_missing = !self.is_listed,
            Event::Delete(_) => self.is_missing = true,
        }
        None
    }
}

fn take(
    read: Result<Token, Error>,
    source: &Source,
    sender: &watch::Sender<Token>,
    said: &mut Said,
) {
    match read {
        Ok(token) => {
            said.0 = None;
            sender.send_if_modified(|current| {
                let is_new = *current != token;
                if is_new {
                    tracing::info!(%source, old = %current, new = %token, "the token changed");
                    *current = token;
                }
                is_new
            });
        }
        Err(error) => said.once(&error.to_string(), |error| {
            tracing::warn!(error, "the new token cannot be used, the old one stays");
        }),
    }
}

/// Says the same thing once, until it is over.
#[derive(Debug, Default)]
struct Said(Option<String>);

impl Said {
    fn once(&mut self, what: &str, say: impl FnOnce(&str)) {
        if self.0.as_deref() != Some(what) {
            self.0 = Some(what.to_owned());
            say(what);
        }
    }
}
