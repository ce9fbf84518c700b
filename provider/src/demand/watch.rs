//! Follows the autoscalers and `DatadogMetric`s of all namespaces and publishes what they want.

use std::{sync::Arc, time::Duration};

use futures::{
    Stream, StreamExt,
    stream::{self, BoxStream},
};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use kube::{
    Api, Client, Resource,
    core::{ApiResource, DynamicObject},
    runtime::{
        WatchStreamExt,
        watcher::{self, Event, watcher},
    },
};
use serde::de::DeserializeOwned;
use tokio::{
    sync::watch,
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    demand::{
        Demand,
        datadog_metric::DatadogMetric,
        index::{Change, Index, Watched},
        wpa,
    },
    patience::Patience,
    query::{Defaults, template},
    selector::Selector,
};

/// A demand is published at once, then not again before this many times what it took to make: with
/// ten thousand autoscalers, each change of one costs a new demand.
const REST: u32 = 20;
/// But never later than this.
const LONGEST_REST: Duration = Duration::from_secs(1);
/// Events that are taken in at most before a demand that is due is published.
const MOST_EVENTS: usize = 1000;

/// How long the start waits to hear which APIs there are.
const CHECK: Duration = Duration::from_secs(5);

/// What is watched, and what is needed to read it.
#[derive(Debug, Clone)]
pub struct Config {
    /// The labels of the autoscalers that are served; empty are all.
    pub autoscalers: Selector,
    /// Whether `DatadogMetric`s are read.
    pub datadog_metrics: bool,
    /// Whether `WatermarkPodAutoscaler`s are read.
    pub wpas: bool,
    /// What templates in the queries of `DatadogMetric`s can be replaced by.
    pub templates: template::Values,
    /// What holds where the objects say nothing.
    pub defaults: Defaults,
}

/// A cluster whose HPAs we cannot read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the cluster has no autoscaling/v2, only {versions}: the provider needs Kubernetes 1.23 or newer"
)]
pub struct NoAutoscalingV2 {
    versions: String,
}

/// Fails where the cluster is too old. One that does not answer may be away for a moment only: that
/// is logged, and left to the watch.
pub async fn check(client: &Client) -> Result<(), NoAutoscalingV2> {
    let groups = match timeout(CHECK, client.list_api_groups()).await {
        Ok(Ok(groups)) => groups.groups,
        Ok(Err(error)) => {
            tracing::warn!(%error, "kube-apiserver does not say which APIs it has");
            return Ok(());
        }
        Err(_) => {
            tracing::warn!("kube-apiserver does not answer");
            return Ok(());
        }
    };
    let group = groups.into_iter().find(|group| group.name == "autoscaling");
    let versions: Vec<_> = group.into_iter().flat_map(|group| group.versions).collect();
    if versions.iter().any(|version| version.version == "v2") {
        return Ok(());
    }
    let mut names: Vec<_> = versions.into_iter().map(|version| version.group_version).collect();
    if names.is_empty() {
        names.push("no version of autoscaling at all".to_owned());
    }
    Err(NoAutoscalingV2 { versions: names.join(", ") })
}

/// Publishes the demand to `sender` until `stop`: `None` until the first full lists have been
/// read, then a new value for every change at once.
///
/// Errors of a watch are logged and retried with back-off for ever: a kube-apiserver that is away
/// does not change what was wanted. Only HPAs are waited for; without a list of the others, what
/// refers to them has a reason why there is no query.
pub async fn run(
    client: Client,
    config: Config,
    sender: watch::Sender<Option<Arc<Demand>>>,
    stop: CancellationToken,
) {
    let events = stream::select_all(streams(&client, &config));
    publish(events, Index::new(&config), &sender, &stop).await;
}

/// Takes in all events that are there before the demand is made from them: thousands of HPAs that
/// are created in a row must not cost a whole demand each.
async fn publish(
    mut events: impl Stream<Item = Item> + Unpin,
    mut index: Index,
    sender: &watch::Sender<Option<Arc<Demand>>>,
    stop: &CancellationToken,
) {
    let mut log = Log::default();
    let mut changed = false;
    let mut taken = 0;
    let mut earliest = Instant::now();
    loop {
        let is_due = changed && index.is_ready();
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            event = events.next(), if !is_due || taken < MOST_EVENTS => match event {
                Some(Ok(change)) => {
                    changed |= index.apply(&change);
                    log.works(&change);
                    taken += 1;
                }
                Some(Err((watched, error))) => {
                    let (reason, is_gone) = explain(watched, &error);
                    log.fails(watched, &reason);
                    changed |= index.unreadable(watched, reason, is_gone);
                }
                None => return,
            },
            () = tokio::time::sleep_until(earliest), if is_due => {
                let start = Instant::now();
                let demand = Arc::new(index.demand());
                log.demand(&demand);
                sender.send_replace(Some(demand));
                changed = false;
                taken = 0;
                earliest = Instant::now() + (start.elapsed() * REST).min(LONGEST_REST);
            }
        }
    }
}

type Item = Result<Change, (Watched, watcher::Error)>;

fn streams(client: &Client, config: &Config) -> Vec<BoxStream<'static, Item>> {
    let labels = config.autoscalers.to_string();
    let mut streams = vec![follow(
        Api::<HorizontalPodAutoscaler>::all(client.clone()),
        &labels,
        Watched::Hpas,
        Change::Hpa,
    )];
    let dynamic = |resource| Api::<DynamicObject>::all_with(client.clone(), &resource);
    if config.wpas {
        streams.push(follow(dynamic(wpa::resource()), &labels, Watched::Wpas, Change::Wpa));
    }
    if config.datadog_metrics {
        let resource = ApiResource::erase::<DatadogMetric>(&());
        let api = dynamic(resource);
        streams.push(follow(api, "", Watched::DatadogMetrics, Change::DatadogMetric));
    }
    streams
}

fn follow<K>(
    api: Api<K>,
    labels: &str,
    watched: Watched,
    change: fn(Event<K>) -> Change,
) -> BoxStream<'static, Item>
where
    K: Resource + Clone + DeserializeOwned + std::fmt::Debug + Send + 'static,
{
    let mut config = watcher::Config::default();
    if !labels.is_empty() {
        config = config.labels(labels);
    }
    watcher(api, config)
        .backoff(Patience::default())
        .map(move |event| event.map(change).map_err(|error| (watched, error)))
        .boxed()
}

/// What to do about it, and whether kube-apiserver knows no such kind.
fn explain(watched: Watched, error: &watcher::Error) -> (String, bool) {
    use watcher::Error::{InitialListFailed, WatchStartFailed};
    let status = match error {
        InitialListFailed(kube::Error::Api(status))
        | WatchStartFailed(kube::Error::Api(status)) => Some(status),
        _ => None,
    };
    // By the code: a kind that is unknown gives a text, not a Status with a reason.
    let is = |code| status.is_some_and(|status| status.code == code);
    let (is_gone, is_forbidden) = (is(404), is(403));
    let said = match status {
        Some(status) => format!("{} (HTTP {})", status.message, status.code),
        None => error.to_string(),
    };
    let reason = match (watched, is_gone, is_forbidden) {
        (Watched::DatadogMetrics, true, _) => {
            "the cluster has no DatadogMetrics, install manifests/datadogmetric-crd.yaml".to_owned()
        }
        (Watched::Wpas, true, _) => {
            "the cluster has no WatermarkPodAutoscalers, install Datadog's watermarkpodautoscaler \
             or set DD_EXTERNAL_METRICS_PROVIDER_WPA_CONTROLLER=false"
                .to_owned()
        }
        (_, _, true) => format!(
            "{said}: give the provider's ClusterRole list and watch, as \
             manifests/cluster-agent/rbac-cluster-agent.yaml does"
        ),
        _ => said,
    };
    (reason, is_gone)
}

/// Says everything once.
#[derive(Debug, Default)]
struct Log {
    failing: Vec<(Watched, String)>,
    demand: Arc<Demand>,
}

impl Log {
    /// A watch that begins anew says so before it is refused.
    fn works(&mut self, change: &Change) {
        let watched = match change {
            Change::Hpa(Event::Init)
            | Change::Wpa(Event::Init)
            | Change::DatadogMetric(Event::Init) => return,
            Change::Hpa(_) => Watched::Hpas,
            Change::Wpa(_) => Watched::Wpas,
            Change::DatadogMetric(_) => Watched::DatadogMetrics,
        };
        if self.failing.iter().any(|(failing, _)| *failing == watched) {
            tracing::info!(%watched, "watch works again");
            self.failing.retain(|(failing, _)| *failing != watched);
        }
    }

    fn fails(&mut self, watched: Watched, reason: &str) {
        if self.failing.iter().any(|(failing, known)| *failing == watched && known == reason) {
            tracing::debug!(%watched, reason, "watch still fails");
            return;
        }
        tracing::warn!(%watched, reason, "watch fails, trying again");
        self.failing.retain(|(failing, _)| *failing != watched);
        self.failing.push((watched, reason.to_owned()));
    }

    fn demand(&mut self, demand: &Arc<Demand>) {
        tracing::info!(metrics = demand.len(), "demand for external metrics changed");
        for (autoscaler, problem) in demand.problems_since(&self.demand) {
            let (reason, note) = (problem.reason, problem.note.as_str());
            tracing::warn!(%autoscaler, reason, note, "something is wrong with an autoscaler");
        }
        self.demand = demand.clone();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    fn hpa(number: usize) -> HorizontalPodAutoscaler {
        serde_json::from_value(serde_json::json!({
            "metadata": {"namespace": "default", "name": format!("hpa-{number}")},
            "spec": {"maxReplicas": 5, "scaleTargetRef": {"kind": "Deployment", "name": "nginx"},
                "metrics": [{"type": "External", "external": {
                    "metric": {"name": format!("m{number}")}, "target": {"type": "Value"}}}]},
        }))
        .unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn thousands_of_hpas_in_a_row_do_not_cost_a_demand_each() {
        const HPAS: usize = 3000;
        let (sender, mut demand) = watch::channel(None);
        let mut seen = demand.clone();
        let mut published = 0;
        let config = Config {
            autoscalers: Selector::default(),
            datadog_metrics: false,
            wpas: false,
            templates: template::Values::default(),
            defaults: testing::DEFAULTS,
        };
        let new = (0..HPAS).map(|number| Event::Apply(hpa(number)));
        let events = [Event::Init, Event::InitDone].into_iter().chain(new).map(|event| {
            published += usize::from(seen.has_changed().unwrap());
            seen.mark_unchanged();
            Ok(Change::Hpa(event))
        });
        let stop = CancellationToken::new();
        let events = stream::iter(events).chain(stream::pending());
        let publish = publish(events, Index::new(&config), &sender, &stop);
        let all = demand.wait_for(|it| it.as_ref().is_some_and(|it| it.len() == HPAS));
        tokio::select! {
            () = publish => panic!("nobody stopped it"),
            all = all => assert!(all.is_ok()),
        }
        assert!(published <= HPAS / MOST_EVENTS, "{published}");
    }
}
