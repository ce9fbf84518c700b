//! Pods that will not get better by waiting.

use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use kube::ResourceExt;

/// Reasons of a waiting container that no time heals
/// (k8s.io/kubernetes/pkg/kubelet/images/types.go, .../kuberuntime and .../kubelet).
const STUCK: &[&str] = &[
    "CrashLoopBackOff",
    "CreateContainerConfigError",
    "CreateContainerError",
    "ErrImageNeverPull",
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
    "RunContainerError",
];

/// What is wrong with a pod that should serve, with the remedy where there is one.
pub(super) fn trouble(pod: &Pod) -> Option<String> {
    let statuses = pod.status.as_ref()?.container_statuses.as_ref()?;
    let said = statuses.iter().find_map(of_container)?;
    Some(format!("pod {}/{}: {said}", pod.namespace().unwrap_or_default(), pod.name_any()))
}

fn of_container(status: &ContainerStatus) -> Option<String> {
    let (name, image) = (&status.name, &status.image);
    let waiting = status.state.as_ref().and_then(|state| state.waiting.as_ref());
    let reason = waiting.and_then(|waiting| waiting.reason.as_deref()).unwrap_or_default();
    if reason.contains("Image") && STUCK.contains(&reason) {
        return Some(format!(
            "container {name} has no image {image} ({reason}): load it into the cluster, for kind \
             by `cargo xtask image --kind NAME`"
        ));
    }
    if let Some(last) = status.last_state.as_ref().and_then(|state| state.terminated.as_ref()) {
        let reason = last.reason.as_deref().unwrap_or("no reason");
        return Some(format!(
            "container {name} ended by itself (exit code {}, {reason}) and was started again",
            last.exit_code
        ));
    }
    let ended = status.state.as_ref().and_then(|state| state.terminated.as_ref());
    if let Some(ended) = ended.filter(|ended| ended.exit_code != 0) {
        let reason = ended.reason.as_deref().unwrap_or("no reason");
        return Some(format!(
            "container {name} ended by itself (exit code {}, {reason})",
            ended.exit_code
        ));
    }
    let message = waiting.and_then(|waiting| waiting.message.as_deref()).unwrap_or_default();
    STUCK.contains(&reason).then(|| format!("container {name} cannot run: {reason}: {message}"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[track_caller]
    fn check(status: &Value, expected: Option<&str>) {
        let pod: Pod = serde_json::from_value(json!({
            "metadata": {"name": "p", "namespace": "n"},
            "status": {"containerStatuses": [status]},
        }))
        .unwrap();
        assert_eq!(trouble(&pod).as_deref(), expected);
    }

    fn status(state: &Value, last: &Value, restarts: u32) -> Value {
        json!({
            "name": "c", "image": "i:1", "imageID": "", "ready": false, "restartCount": restarts,
            "state": state, "lastState": last,
        })
    }

    #[test]
    fn an_image_that_is_not_there_is_named_with_the_remedy() {
        check(
            &status(&json!({"waiting": {"reason": "ImagePullBackOff"}}), &json!({}), 0),
            Some(
                "pod n/p: container c has no image i:1 (ImagePullBackOff): load it into the \
                 cluster, for kind by `cargo xtask image --kind NAME`",
            ),
        );
    }

    #[test]
    fn a_container_that_was_started_again_is_trouble_even_when_it_runs() {
        let last = json!({"terminated": {"exitCode": 2, "reason": "Error"}});
        check(
            &status(&json!({"running": {}}), &last, 1),
            Some("pod n/p: container c ended by itself (exit code 2, Error) and was started again"),
        );
    }

    #[test]
    fn a_container_that_failed_and_is_not_started_again_is_trouble() {
        let failed = json!({"terminated": {"exitCode": 2, "reason": "Error"}});
        check(
            &status(&failed, &json!({}), 0),
            Some("pod n/p: container c ended by itself (exit code 2, Error)"),
        );
        let done = json!({"terminated": {"exitCode": 0, "reason": "Completed"}});
        check(&status(&done, &json!({}), 0), None);
    }

    #[test]
    fn a_container_that_is_on_its_way_is_no_trouble() {
        check(&status(&json!({"waiting": {"reason": "ContainerCreating"}}), &json!({}), 0), None);
        check(&status(&json!({"running": {}}), &json!({}), 0), None);
    }
}
