//! Watches what a scenario is about while it runs: the served value, the HPA, the Deployment.
//!
//! Nothing is polled that can be watched, and every change is kept, so that "stays at 3" means that
//! no other count was ever seen in between. A failed read is never an observation.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::StreamExt;
use jiff::Timestamp;
use k8s_openapi::api::{
    apps::v1::Deployment,
    autoscaling::v2::{
        HorizontalPodAutoscaler, HorizontalPodAutoscalerCondition, HorizontalPodAutoscalerStatus,
    },
};
use kube::{
    Api, Client,
    runtime::{WatchStreamExt, watcher},
};
use tokio::{sync::watch, task::JoinSet, time::Instant};

use crate::{
    observe::served::Served,
    oracle::{self, Mismatch},
    phase::Recorder,
    timeline::Observation,
};

pub mod served;

/// How often the served value is read.
const READ_EVERY: Duration = Duration::from_millis(200);

/// What to watch.
#[derive(Debug, Clone)]
pub struct Watched {
    /// Namespace of all of it.
    pub namespace: String,
    /// The HPA.
    pub hpa: String,
    /// What the HPA scales.
    pub deployment: String,
    /// The external metric, as the HPA names it.
    pub metric: String,
    /// Its label selector as text.
    pub selector: String,
    /// The controller's down-scale window.
    pub downscale_window: Duration,
}

/// What is known at one moment.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// The last value that the external metrics API served.
    pub served: Option<Served>,
    /// What it last said instead of a value.
    pub refusal: Option<String>,
    /// The HPA's status.
    pub hpa: Option<HorizontalPodAutoscalerStatus>,
    /// `spec.replicas` of the Deployment.
    pub replicas: Option<i32>,
    /// `status.readyReplicas` of the Deployment.
    pub ready: Option<i32>,
}

/// The record that the watching tasks write; the last element is what is known now.
#[derive(Debug, Default)]
struct History {
    seen: Vec<(Instant, Seen)>,
    contradictions: Vec<String>,
    explained: usize,
    /// Why the last status was not judged that was not.
    unjudged: Option<String>,
}

/// The watching tasks; they end with this value.
#[derive(Debug)]
pub struct Observer {
    shared: Arc<Shared>,
    _tasks: JoinSet<()>,
}

#[derive(Debug)]
struct Shared {
    recorder: Recorder,
    // A std lock: held for a push or a clone, never across an await.
    history: Mutex<History>,
    changed: watch::Sender<()>,
}

impl Observer {
    /// Starts to watch.
    pub fn start(client: &Client, watched: &Watched, recorder: &Recorder) -> Self {
        let shared = Arc::new(Shared {
            recorder: recorder.clone(),
            history: Mutex::default(),
            changed: watch::Sender::new(()),
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(watch_hpa(client.clone(), watched.clone(), shared.clone()));
        tasks.spawn(watch_deployment(client.clone(), watched.clone(), shared.clone()));
        tasks.spawn(read_value(client.clone(), watched.clone(), shared.clone()));
        Self { shared, _tasks: tasks }
    }

    /// What is known now.
    pub fn now(&self) -> Seen {
        self.history().seen.last().map(|(_, seen)| seen.clone()).unwrap_or_default()
    }

    /// Waits until `condition` holds, or says what was seen last.
    pub async fn until(
        &self,
        deadline: Duration,
        condition: impl Fn(&Seen) -> bool,
    ) -> Result<String, String> {
        let mut changed = self.shared.changed.subscribe();
        let waiting = async {
            while !condition(&self.now()) {
                if changed.changed().await.is_err() {
                    std::future::pending::<()>().await; // no writer is left: wait for the deadline
                }
            }
        };
        match tokio::time::timeout(deadline, waiting).await {
            Ok(()) => Ok(self.now().counts()),
            Err(_) => Err(format!(
                "not within {}; last seen: {}",
                humantime::format_duration(deadline),
                self.now().describe()
            )),
        }
    }

    /// Everything seen from `start` on, beginning with what was known then.
    pub fn since(&self, start: Instant) -> Vec<Seen> {
        let history = self.history();
        let first = history.seen.partition_point(|(at, _)| *at <= start).saturating_sub(1);
        history.seen[first..].iter().map(|(_, seen)| seen.clone()).collect()
    }

    /// Whether every decision of the HPA so far follows from the value that it shows; the number of
    /// explained ones, or the contradictions.
    pub fn decisions(&self) -> Result<usize, String> {
        let history = self.history();
        match history.contradictions.as_slice() {
            [] if history.explained == 0 => {
                Err(format!("none could be judged: {}", history.unjudged.as_deref().unwrap_or("?")))
            }
            [] => Ok(history.explained),
            contradictions => Err(contradictions.join("; ")),
        }
    }

    fn history(&self) -> std::sync::MutexGuard<'_, History> {
        self.shared.history.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    /// Value and counts, for people.
    pub fn counts(&self) -> String {
        let number = |number: Option<i32>| number.map_or("?".to_owned(), |n| n.to_string());
        let value = match (&self.served, &self.refusal) {
            (_, Some(refusal)) => format!("no value ({refusal})"),
            (Some(served), None) => format!("value {:.1}", served.value),
            (None, None) => "no value yet".to_owned(),
        };
        let desired = self.hpa.as_ref().map(|hpa| hpa.desired_replicas);
        format!(
            "{value}, desired {}, replicas {}, ready {}",
            number(desired),
            number(self.replicas),
            number(self.ready)
        )
    }

    /// The same with what the HPA says about it.
    pub fn describe(&self) -> String {
        let conditions = ["ScalingActive", "ScalingLimited"].into_iter().filter_map(|type_| {
            let (type_, status, reason) = self.condition(type_)?;
            let trouble =
                self.message(type_).filter(|_| (type_, status) == ("ScalingActive", "False"));
            let why = trouble.map_or(String::new(), |message| format!(": {message}"));
            Some(format!("{type_} {status} ({reason}{why})"))
        });
        [self.counts()].into_iter().chain(conditions).collect::<Vec<_>>().join(", ")
    }

    /// Whether the HPA reads its metrics.
    pub fn is_active(&self) -> bool {
        matches!(self.condition("ScalingActive"), Some((_, "True", _)))
    }

    /// Whether the HPA wants, the Deployment has, and the nodes run exactly `count` replicas.
    pub fn is_at(&self, count: i32) -> bool {
        self.hpa.as_ref().is_some_and(|hpa| hpa.desired_replicas == count)
            && self.replicas == Some(count)
            && self.ready == Some(count)
    }

    /// Type, status and reason of a condition of the HPA.
    pub fn condition(&self, type_: &str) -> Option<(&str, &str, &str)> {
        let condition = self.whole_condition(type_)?;
        let reason = condition.reason.as_deref().unwrap_or_default();
        Some((&condition.type_, &condition.status, reason))
    }

    /// The message of a condition of the HPA, as `kubectl describe hpa` shows it.
    pub fn message(&self, type_: &str) -> Option<&str> {
        self.whole_condition(type_)?.message.as_deref()
    }

    fn whole_condition(&self, type_: &str) -> Option<&HorizontalPodAutoscalerCondition> {
        self.hpa.as_ref()?.conditions.iter().flatten().find(|c| c.type_ == type_)
    }

    fn observation(&self) -> Observation {
        Observation {
            value: self.served.as_ref().map(|served| served.value),
            // Until the controller has read the metric once, its status says 0, which is no wish.
            desired: self.hpa.as_ref().map(|hpa| hpa.desired_replicas).filter(|count| 0 < *count),
            current: self.hpa.as_ref().and_then(|hpa| hpa.current_replicas),
            ready: self.ready,
        }
    }
}

impl Shared {
    fn update(&self, change: impl FnOnce(&mut Seen)) {
        let mut history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        let mut seen = history.seen.last().map(|(_, seen)| seen.clone()).unwrap_or_default();
        change(&mut seen);
        let observation = seen.observation();
        history.seen.push((Instant::now(), seen));
        drop(history);
        self.recorder.observe(observation);
        self.changed.send_replace(());
    }

    fn judge(&self, hpa: &HorizontalPodAutoscaler, window: Duration) {
        let (Some(spec), Some(status)) = (&hpa.spec, &hpa.status) else { return };
        let judgement = oracle::explains(status, spec, window);
        let mut history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        match judgement {
            Ok(_) => history.explained += 1,
            Err(mismatch @ (Mismatch::Desired { .. } | Mismatch::Limited { .. })) => {
                history.contradictions.push(mismatch.to_string());
            }
            // The status has no value (yet), or the controller was interrupted: nothing to judge.
            Err(mismatch @ (Mismatch::NoValue | Mismatch::Unsupported { .. })) => {
                history.unjudged = Some(mismatch.to_string());
            }
        }
    }
}

async fn watch_hpa(client: Client, watched: Watched, shared: Arc<Shared>) {
    let api = Api::<HorizontalPodAutoscaler>::namespaced(client.clone(), &watched.namespace);
    let mut objects = std::pin::pin!(watch_one(api, &watched.hpa));
    while let Some(hpa) = objects.next().await {
        shared.judge(&hpa, watched.downscale_window);
        // Read now, so that a decision stands beside the value that it was made on.
        let served = served::read(&client, &watched).await.ok();
        // Before its first look the controller's status is all zeros and has no conditions.
        let status = hpa.status.filter(|status| status.conditions.is_some());
        shared.update(|seen| {
            seen.hpa = status;
            if let Some(served) = served {
                seen.served = Some(served);
                seen.refusal = None;
            }
        });
    }
}

async fn watch_deployment(client: Client, watched: Watched, shared: Arc<Shared>) {
    let api = Api::<Deployment>::namespaced(client, &watched.namespace);
    let mut objects = std::pin::pin!(watch_one(api, &watched.deployment));
    while let Some(deployment) = objects.next().await {
        shared.update(|seen| {
            seen.replicas = deployment.spec.and_then(|spec| spec.replicas);
            seen.ready = deployment.status.and_then(|status| status.ready_replicas);
        });
    }
}

/// Every state of one object; errors of the watch are retried with back-off and give nothing.
fn watch_one<K>(api: Api<K>, name: &str) -> impl futures::Stream<Item = K>
where
    K: kube::Resource + Clone + std::fmt::Debug + serde::de::DeserializeOwned + Send + 'static,
{
    let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
    watcher(api, config)
        .default_backoff()
        .applied_objects()
        .filter_map(|object| std::future::ready(object.ok()))
}

async fn read_value(client: Client, watched: Watched, shared: Arc<Shared>) {
    let mut ticks = tokio::time::interval(READ_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match served::read(&client, &watched).await {
            Ok(served) => shared.update(|seen| {
                seen.served = Some(served);
                seen.refusal = None;
            }),
            Err(refusal) => {
                if let Some(refusal) = refusal {
                    shared.update(|seen| seen.refusal = Some(refusal));
                }
            }
        }
    }
}

/// The mean over the distinct points that `history` shows as served, without the one that was known at
/// its beginning; `None` where there is none.
pub fn mean_served(history: &[Seen]) -> Option<f64> {
    let mut served = history.iter().filter_map(|seen| seen.served.as_ref());
    let known = served.next()?.point;
    let mut points: Vec<(Timestamp, f64)> =
        served.filter(|served| known < served.point).map(|s| (s.point, s.value)).collect();
    points.dedup_by_key(|(point, _)| *point);
    #[expect(clippy::cast_precision_loss, reason = "a few dozen points")]
    let count = points.len() as f64;
    (count > 0.0).then(|| points.iter().map(|(_, value)| value).sum::<f64>() / count)
}
