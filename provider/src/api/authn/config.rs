//! The trust as kube-apiserver publishes it: ConfigMap `extension-apiserver-authentication` in
//! `kube-system`, which every extension API server may read.

use std::{collections::BTreeMap, sync::Arc};

use axum::http::HeaderName;
use futures::{Stream, StreamExt};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api, Client,
    runtime::{
        WatchStreamExt,
        watcher::{self, Event, watcher},
    },
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{
    api::authn::{Allowed, HeaderNames, Roots, Trust},
    patience::Patience,
    said::Said,
};

const NAMESPACE: &str = "kube-system";
const NAME: &str = "extension-apiserver-authentication";

/// What a ConfigMap with `data` says, and one line for each thing that is wrong with it.
///
/// Every key may be missing: not every cluster has an aggregation layer or client certificates. Of
/// one that cannot be read what `last` has of it stays; in the beginning that trusts nobody.
pub fn parse(data: &BTreeMap<String, String>, last: &Trust) -> (Trust, Vec<String>) {
    let mut reader = Reader { data, problems: Vec::new() };
    let trust = Trust {
        generation: last.generation,
        known: true,
        front_proxy: reader.read("requestheader-client-ca-file", &last.front_proxy, roots),
        allowed: reader.read("requestheader-allowed-names", &last.allowed, allowed),
        client: reader.read("client-ca-file", &last.client, roots),
        headers: HeaderNames {
            users: reader.read("requestheader-username-headers", &last.headers.users, headers),
            uids: reader.read("requestheader-uid-headers", &last.headers.uids, headers),
            groups: reader.read("requestheader-group-headers", &last.headers.groups, headers),
            extra_prefixes: reader.read(
                "requestheader-extra-headers-prefix",
                &last.headers.extra_prefixes,
                |text| Ok((prefixes(text)?, None)),
            ),
        },
    };
    (trust, reader.problems)
}

struct Reader<'a> {
    data: &'a BTreeMap<String, String>,
    problems: Vec<String>,
}

/// A value and what is odd about it, or why there is none.
type Read<T> = Result<(T, Option<String>), String>;

impl Reader<'_> {
    /// The value of `key` by `read`, which reads a missing one as an empty text.
    fn read<T: Clone>(
        &mut self,
        key: &'static str,
        last: &T,
        read: impl FnOnce(&str) -> Read<T>,
    ) -> T {
        let text = self.data.get(key).map_or("", |text| text.trim());
        // The keys are also kube-apiserver's flags for them.
        let mut problem = |what: &str| {
            self.problems.push(format!(
                "ConfigMap {NAMESPACE}/{NAME}, key {key}: {what}, correct --{key} of kube-apiserver"
            ));
        };
        match read(text) {
            Ok((value, None)) => value,
            Ok((value, Some(odd))) => {
                problem(&odd);
                value
            }
            Err(reason) => {
                problem(&format!("{reason}, so what was read of it before still holds"));
                last.clone()
            }
        }
    }
}

fn roots(text: &str) -> Read<Roots> {
    if text.is_empty() {
        return Ok((Roots::default(), None));
    }
    let (roots, unfit) = Roots::from_pem(text).map_err(|error| error.to_string())?;
    let odd = unfit.first().map(|number| {
        format!("certificate {number} may sign no certificates of clients and is left out")
    });
    Ok((roots, odd))
}

fn allowed(text: &str) -> Read<Allowed> {
    let names = strings(text)?;
    Ok((if names.is_empty() { Allowed::Anyone } else { Allowed::Only(names) }, None))
}

fn headers(text: &str) -> Read<Vec<HeaderName>> {
    let names = strings(text)?;
    let headers = names.iter().map(|name| header(name)).collect::<Result<_, _>>()?;
    Ok((headers, None))
}

/// A prefix of header names can be a header's name itself; an empty one would be all headers.
fn prefixes(text: &str) -> Result<Vec<String>, String> {
    strings(text)?.iter().map(|name| Ok(header(name)?.as_str().to_owned())).collect()
}

fn header(name: &str) -> Result<HeaderName, String> {
    name.trim().parse().map_err(|_| format!("{name:?} is no name of a header"))
}

fn strings(text: &str) -> Result<Vec<String>, String> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let list: Option<Vec<String>> =
        serde_json::from_str(text).map_err(|_| format!("{text:?} is no JSON list of strings"))?;
    Ok(list.unwrap_or_default())
}

/// Sends the trust to `sender` until `stop`, at once after each change of the ConfigMap.
///
/// Never fails: while kube-apiserver is away, or refuses, what was read last stays, and it is tried
/// again for ever.
pub async fn run(client: Client, sender: watch::Sender<Arc<Trust>>, stop: CancellationToken) {
    let api: Api<ConfigMap> = Api::namespaced(client, NAMESPACE);
    let config = watcher::Config::default().fields(&format!("metadata.name={NAME}"));
    let events = watcher(api, config).backoff(Patience::default()).boxed();
    tokio::select! {
        () = stop.cancelled() => {}
        () = follow(events, &sender) => {}
    }
}

async fn follow(
    mut events: impl Stream<Item = Result<Event<ConfigMap>, watcher::Error>> + Unpin,
    sender: &watch::Sender<Arc<Trust>>,
) {
    let mut log = Log::default();
    let mut is_there = false;
    while let Some(event) = events.next().await {
        match event {
            // A watch that begins anew says so before it is refused.
            Ok(Event::Init) => is_there = false,
            Ok(Event::InitApply(map) | Event::Apply(map)) => {
                is_there = true;
                log.works();
                let (trust, problems) = parse(&map.data.unwrap_or_default(), &sender.borrow());
                log.problems(problems);
                publish(sender, trust);
            }
            Ok(Event::InitDone) if is_there => {}
            Ok(Event::InitDone | Event::Delete(_)) => {
                log.works();
                log.problems(vec![format!(
                    "ConfigMap {NAMESPACE}/{NAME} is not there, so what was read of it before still \
                     holds: kube-apiserver makes it when it starts"
                )]);
                let last = sender.borrow().as_ref().clone();
                publish(sender, Trust { known: true, ..last });
            }
            Err(error) => log.fails(&explain(&error)),
        }
    }
}

fn publish(sender: &watch::Sender<Arc<Trust>>, mut trust: Trust) {
    if **sender.borrow() == trust {
        return;
    }
    trust.generation += 1;
    tracing::info!(
        front_proxy_authorities = trust.front_proxy.len(),
        client_authorities = trust.client.len(),
        "certificate authorities for callers changed"
    );
    sender.send_replace(Arc::new(trust));
}

fn explain(error: &watcher::Error) -> String {
    use watcher::Error::{InitialListFailed, WatchStartFailed};
    match error {
        InitialListFailed(kube::Error::Api(status))
        | WatchStartFailed(kube::Error::Api(status))
            if status.code == 403 =>
        {
            format!(
                "{}: bind Role extension-apiserver-authentication-reader of {NAMESPACE} to the \
                 provider, as manifests/hpa-example/rbac-hpa.yaml does",
                status.message
            )
        }
        other => other.to_string(),
    }
}

/// Says everything once.
#[derive(Debug, Default)]
struct Log {
    failure: Said,
    problems: Vec<String>,
}

impl Log {
    fn works(&mut self) {
        if self.failure.clear() {
            tracing::info!("the certificate authorities for callers can be read again");
        }
    }

    fn fails(&mut self, reason: &str) {
        self.failure.once(reason, || {
            tracing::warn!(
                reason,
                "the certificate authorities for callers cannot be read, trying again"
            );
        });
    }

    fn problems(&mut self, problems: Vec<String>) {
        for problem in problems.iter().filter(|problem| !self.problems.contains(problem)) {
            tracing::warn!(problem, "certificate authorities for callers");
        }
        self.problems = problems;
    }
}

#[cfg(test)]
mod tests;
