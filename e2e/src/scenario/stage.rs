//! What the scenarios with a fault share: three replicas by a scripted series, a fault during which they
//! must not move, and the way back by itself.

use std::{collections::BTreeMap, time::Duration};

use fake_datadog::control::{RecordedRequest, Script, Shape};
use jiff::Timestamp;
use tokio::time::Instant;

use crate::{
    cluster::{Cluster, ProviderPeriods, Timings},
    observe::{Observer, Seen, Watched},
    phase::Recorder,
    scenario::{
        HPA, METRIC, NGINX_HPA, SCALED, SELECTOR, Settings, describe, judge, scale_down, watched,
    },
};

/// Requests per second that ask for one replica and for three.
pub(super) const AT_REST: f64 = 1.0;
pub(super) const UNDER_LOAD: f64 = 25.0;

/// The shortest fault that is long enough to look at.
const SHORTEST: Duration = Duration::from_secs(10);
/// Syncs of the HPA for which a fault goes on when its samples are too old.
const SYNCS: u32 = 4;
/// How far from its limit the oldest value may be when it is read: rounding, the way here, and the time from
/// one look to the next.
const READ_WITHIN: Duration = Duration::from_secs(2);

/// What `kubectl describe hpa` must say while the fault lasts: all of these words.
#[derive(Debug, Clone, Copy)]
pub(super) enum Says<'a> {
    /// As soon as the HPA has looked.
    AtOnce(&'a [&'a str]),
    /// When the last sample is too old. Nothing is asked of a fault that may end before that.
    WhenTooOld(&'a [&'a str]),
    /// Nothing is wrong.
    Nothing,
}

/// An HPA at three replicas, and all that is done to it.
pub(super) struct Stage<'a, C> {
    pub(super) cluster: &'a C,
    pub(super) recorder: &'a Recorder,
    pub(super) observer: Observer,
    /// How long the fault lasts; whole seconds.
    pub(super) fault_for: Duration,
}

/// The age from which the provider serves a sample no more. With the short periods it is short too, so
/// that it passes while the fault lasts.
pub(super) fn max_age(timings: Timings) -> Duration {
    match timings.provider {
        ProviderPeriods::Fast => Duration::from_secs(8),
        ProviderPeriods::Default => Duration::from_secs(120),
    }
}

/// How often the provider asks for a metric.
fn refresh(timings: Timings) -> Duration {
    match timings.provider {
        ProviderPeriods::Fast => Duration::from_secs(1),
        ProviderPeriods::Default => Duration::from_secs(30),
    }
}

/// Long enough for the HPA to see that the samples are too old.
fn fault_for(timings: Timings) -> Duration {
    let seconds = (max_age(timings) + timings.hpa_sync * SYNCS).as_secs_f64().ceil();
    Duration::from_secs_f64(seconds).max(SHORTEST)
}

/// The provider with the maximal age of these scenarios, and nginx.
pub(super) async fn install<C: Cluster>(cluster: &C, recorder: &Recorder) -> anyhow::Result<()> {
    let max_age = max_age(cluster.timings()).as_secs().to_string();
    let environment = [("DD_EXTERNAL_METRICS_PROVIDER_MAX_AGE", max_age.as_str())];
    recorder.phase("provider", cluster.install_provider(&environment)).await?;
    recorder.phase("nginx", cluster.install_nginx()).await
}

/// From now on this metric of nginx has this value.
pub(super) async fn script<C: Cluster>(
    cluster: &C,
    metric: &str,
    value: f64,
) -> anyhow::Result<()> {
    let (key, tag) = SELECTOR;
    let script = Script::new(metric, [format!("{key}:{tag}")], Shape::Constant(value));
    cluster.fake().script(&script).await?;
    Ok(())
}

/// Applies an HPA of the walkthrough's name, and waits until it has three replicas.
pub(super) async fn scale_to_three<C: Cluster>(
    cluster: &C,
    recorder: &Recorder,
    manifest: &str,
    watched: &Watched,
) -> anyhow::Result<Observer> {
    let scaled = async {
        cluster.apply(manifest).await?;
        let observer = Observer::start(cluster.client(), watched, recorder);
        let within = cluster.timings().follows_within();
        let reached = observer.until(within, |seen| seen.is_active() && seen.is_at(SCALED)).await;
        recorder.assertion("the HPA scales to 3 replicas", reached)?;
        anyhow::Ok(observer)
    };
    recorder.phase("1 → 3", scaled).await
}

impl<'a, C: Cluster> Stage<'a, C> {
    /// Brings everything up to three replicas.
    pub(super) async fn at_three(
        cluster: &'a C,
        settings: &Settings,
        recorder: &'a Recorder,
    ) -> anyhow::Result<Self> {
        install(cluster, recorder).await?;
        script(cluster, METRIC, UNDER_LOAD).await?;
        let observer = scale_to_three(cluster, recorder, HPA, &watched(cluster)).await?;
        let fault_for = settings.fault_for.unwrap_or_else(|| fault_for(cluster.timings()));
        Ok(Self { cluster, recorder, observer, fault_for })
    }

    /// Watches for as long as the fault lasts, and asserts what must hold then. Gives the provider's
    /// calls to Datadog in that time.
    pub(super) async fn hold(&self, says: Says<'_>) -> anyhow::Result<Vec<RecordedRequest>> {
        let (start, since) = (Instant::now(), Timestamp::now());
        let said = match says {
            Says::AtOnce(words) => self.says(words).await,
            Says::WhenTooOld(words) if self.is_noticed() => self.says(words).await,
            Says::WhenTooOld(_) | Says::Nothing => Ok(()),
        };
        tokio::time::sleep_until(start + self.fault_for).await;
        let history = self.observer.since(start);
        let calls = self.calls_since(since).await?;
        self.recorder.fact("fault", humantime::format_duration(self.fault_for).to_string());
        self.recorder.fact("calls to Datadog in that time", count(&calls));
        let moved = history.iter().find(|seen| !seen.is_at(SCALED));
        self.recorder.assertion(
            "replicas do not move while the fault lasts",
            match moved {
                None => Ok(format!("{} states seen", history.len())),
                Some(seen) => Err(seen.describe()),
            },
        )?;
        said?;
        if matches!(says, Says::Nothing) {
            self.recorder.assertion("the HPA reads its metric all the while", active(&history))?;
        }
        let outlived = matches!(says, Says::WhenTooOld(_)) && self.is_noticed();
        let served = oldest(&history, max_age(self.cluster.timings()), outlived);
        self.recorder.assertion("a sample is served until it is too old", served)?;
        Ok(calls)
    }

    /// Waits until the HPA is well again, has it follow a change, and judges the run. `longer` is what the
    /// end of the fault may take to be noticed, beyond what a change of the value may.
    pub(super) async fn recover(&self, longer: Duration) -> anyhow::Result<()> {
        let Self { cluster, recorder, observer, .. } = self;
        let recovers = async {
            let within = cluster.timings().follows_within() + longer;
            let well = observer.until(within, |seen| seen.is_active() && seen.is_at(SCALED)).await;
            recorder.assertion("the HPA reads its metric again by itself", well)
        };
        recorder.phase("recovers", recovers).await?;
        self.follow(METRIC).await?;
        judge(*cluster, observer, recorder, SCALED).await
    }

    /// Has the HPA follow `metric` to rest.
    pub(super) async fn follow(&self, metric: &str) -> anyhow::Result<()> {
        script(self.cluster, metric, AT_REST).await?;
        let down = scale_down(self.cluster, &self.observer, self.recorder);
        self.recorder.phase("3 → 1", down).await
    }

    /// How often the provider asks while the fault lasts, where nothing keeps it from asking.
    pub(super) fn refreshes(&self) -> u32 {
        let refresh = refresh(self.cluster.timings());
        u32::try_from(self.fault_for.as_secs().div_ceil(refresh.as_secs())).unwrap_or(u32::MAX)
    }

    /// Whether the fault lasts longer than the samples from before it.
    pub(super) fn is_noticed(&self) -> bool {
        let timings = self.cluster.timings();
        max_age(timings) + timings.hpa_sync * 2 <= self.fault_for
    }

    async fn says(&self, words: &[&str]) -> anyhow::Result<()> {
        describe::says(self.cluster, self.recorder, NGINX_HPA, words, self.fault_for).await
    }

    /// What the provider asked Datadog since then.
    async fn calls_since(&self, since: Timestamp) -> anyhow::Result<Vec<RecordedRequest>> {
        let log = self.cluster.fake().requests().await?;
        let ours = |call: &RecordedRequest| {
            let agent = call.user_agent.as_deref().unwrap_or_default();
            since <= call.time && agent.starts_with("datadog-cluster-agent")
        };
        Ok(log.requests.into_iter().filter(ours).collect())
    }
}

/// Whether the HPA had a value in every state.
fn active(history: &[Seen]) -> Result<String, String> {
    match history.iter().find(|seen| !seen.is_active()) {
        None => Ok(format!("{} states seen", history.len())),
        Some(seen) => Err(seen.describe()),
    }
}

/// The age of the oldest value that was served: no more than `limit`, and where the last sample was
/// `outlived` by the fault, no less either.
fn oldest(history: &[Seen], limit: Duration, outlived: bool) -> Result<String, String> {
    let served = history.iter().filter_map(|seen| seen.served.as_ref());
    let age = served.map(|served| served.age).fold(0.0, f64::max);
    let text = format!("the oldest point was {age:.1} s old, the limit is {} s", limit.as_secs());
    let [limit, around] = [limit, READ_WITHIN].map(|time| time.as_secs_f64());
    let least = if outlived { limit - around } else { 0.0 };
    if (least..=limit + around).contains(&age) { Ok(text) } else { Err(text) }
}

/// The number of calls by the status of their answers, such as `12 × 429, 1 × 200`.
pub(super) fn count(calls: &[RecordedRequest]) -> String {
    let mut counts = BTreeMap::<u16, usize>::new();
    for call in calls {
        *counts.entry(call.status).or_default() += 1;
    }
    let texts: Vec<String> =
        counts.iter().map(|(status, count)| format!("{count} × {status}")).collect();
    if texts.is_empty() { "none".to_owned() } else { texts.join(", ") }
}
