//! Whether `kubectl describe hpa` says what is wrong: it shows the message of the condition and the
//! Events.

use std::time::Duration;

use k8s_openapi::api::{autoscaling::v2::HorizontalPodAutoscaler, core::v1::Event};
use kube::{Api, api::ListParams};
use tokio::time::Instant;

use crate::{
    cluster::Cluster,
    phase::Recorder,
    wait::{self, Probe},
};

/// Who reports the provider's Events.
const PROVIDER: &str = "datadog-cluster-agent";
/// What the HPA controller calls it when the external metrics API gives no value.
const REASON: &str = "FailedGetExternalMetric";
/// How often to look.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How long an Event may take after the condition: it is posted by another task.
const EVENT_WITHIN: Duration = Duration::from_secs(5);

/// Asserts that within this time the condition of the HPA and an Event of the HPA controller say all of
/// `words`.
pub(super) async fn says<C: Cluster>(
    cluster: &C,
    recorder: &Recorder,
    hpa: &str,
    words: &[&str],
    within: Duration,
) -> anyhow::Result<()> {
    let start = Instant::now();
    let hpas =
        Api::<HorizontalPodAutoscaler>::namespaced(cluster.client().clone(), cluster.namespace());
    let looked =
        wait::until("the condition ScalingActive to say so", within, LOOK_EVERY, async || {
            hpas.get_status(hpa).await.map(|hpa| condition(&hpa, words))
        });
    let found = looked.await.map_err(|timeout| timeout.to_string());
    let after = |message: String| {
        format!("after {:.1} s: {}", start.elapsed().as_secs_f64(), providers_words(&message))
    };
    recorder
        .assertion(format!("the condition of {hpa} says {}", quoted(words)), found.map(after))?;

    let name = format!("an Event of the HPA controller on {hpa} says {}", quoted(words));
    let of = |event: &Event| event.reason.as_deref() == Some(REASON);
    Ok(recorder.assertion(name, posted(cluster, hpa, of, words).await)?)
}

/// Asserts that an Event of the provider says all of `words`. Where nothing else changes, the provider looks
/// every 10 s only whether a sample has become too old.
pub(super) async fn provider_says<C: Cluster>(
    cluster: &C,
    recorder: &Recorder,
    hpa: &str,
    words: &[&str],
) -> anyhow::Result<()> {
    let name = format!("an Event of the provider on {hpa} says {}", quoted(words));
    let of = |event: &Event| event.reporting_component.as_deref() == Some(PROVIDER);
    Ok(recorder.assertion(name, posted(cluster, hpa, of, words).await)?)
}

/// Waits for an Event on the HPA that says all of `words`.
async fn posted<C: Cluster>(
    cluster: &C,
    hpa: &str,
    of: impl Fn(&Event) -> bool,
    words: &[&str],
) -> Result<String, String> {
    let events = Api::<Event>::namespaced(cluster.client().clone(), cluster.namespace());
    let of_the_hpa = ListParams::default()
        .fields(&format!("involvedObject.kind=HorizontalPodAutoscaler,involvedObject.name={hpa}"));
    let looked = wait::until("an Event to say so", EVENT_WITHIN, LOOK_EVERY, async || {
        let events = events.list(&of_the_hpa).await?.items.into_iter().filter(&of);
        let messages: Vec<String> = events.filter_map(|event| event.message).collect();
        anyhow::Ok(event(&messages, words))
    });
    let message = looked.await.map_err(|timeout| timeout.to_string())?;
    Ok(providers_words(&message).to_owned())
}

/// The message of the condition, if it says all of `words`.
fn condition(hpa: &HorizontalPodAutoscaler, words: &[&str]) -> Probe<String> {
    let conditions = hpa.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let Some(active) = conditions.into_iter().find(|it| it.type_ == "ScalingActive") else {
        return Probe::NotYet("the HPA was not looked at yet".to_owned());
    };
    let [reason, message] =
        [&active.reason, &active.message].map(|text| text.as_deref().unwrap_or_default());
    if active.status == "False" && reason == REASON && has_all(message, words) {
        return Probe::Ready(message.to_owned());
    }
    Probe::NotYet(format!("{} ({reason}): {message}", active.status))
}

/// The first message that says all of `words`.
fn event(messages: &[String], words: &[&str]) -> Probe<String> {
    match messages.iter().find(|message| has_all(message, words)) {
        Some(message) => Probe::Ready(message.clone()),
        None => Probe::NotYet(format!("{} Events: {}", messages.len(), messages.join("; "))),
    }
}

fn has_all(message: &str, words: &[&str]) -> bool {
    words.iter().all(|word| message.contains(word))
}

/// What comes after the words of the HPA controller, which has its own before it.
fn providers_words(message: &str) -> &str {
    message.rsplit_once("external metrics API: ").map_or(message, |(_, words)| words)
}

fn quoted(words: &[&str]) -> String {
    words.iter().map(|word| format!("{word:?}")).collect::<Vec<_>>().join(" and ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(status: &str, reason: &str, expected: &Probe<String>) {
        let hpa = serde_json::from_value(json!({
            "spec": {"maxReplicas": 1, "scaleTargetRef": {"kind": "Deployment", "name": "a"}},
            "status": {"desiredReplicas": 1, "conditions": [{
                "type": "ScalingActive", "status": status, "reason": reason,
                "message": "unable to get external metric: HTTP 503",
            }]},
        }));
        assert_eq!(&condition(&hpa.unwrap(), &["external", "HTTP 503"]), expected);
    }

    #[test]
    fn a_condition_that_names_the_cause_is_false_for_want_of_the_metric() {
        let message = "unable to get external metric: HTTP 503".to_owned();
        check("False", REASON, &Probe::Ready(message));
        check(
            "True",
            "ValidMetricFound",
            &Probe::NotYet(
                "True (ValidMetricFound): unable to get external metric: HTTP 503".to_owned(),
            ),
        );
    }

    #[test]
    fn an_event_must_have_all_the_words_in_one_message() {
        let messages = ["unknown: HTTP 429", "keys: HTTP 403"].map(str::to_owned);
        assert_eq!(event(&messages, &["403", "keys"]), Probe::Ready(messages[1].clone()));
        let expected = "2 Events: unknown: HTTP 429; keys: HTTP 403".to_owned();
        assert_eq!(event(&messages, &["429", "keys"]), Probe::NotYet(expected));
    }
}
