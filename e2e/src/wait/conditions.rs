//! Conditions of a cluster, to be used with [`until`](crate::wait::until). That an object is absent
//! is a state like any other: it is not there yet.

use k8s_openapi::{
    api::apps::v1::Deployment, kube_aggregator::pkg::apis::apiregistration::v1::APIService,
};
use kube::{Api, Client};

use crate::wait::Probe;

/// Whether kube-apiserver forwards requests to the API behind the APIService `name`; while not, the
/// state is the aggregator's own reason and message.
pub async fn api_service_available(client: &Client, name: &str) -> Result<Probe<()>, kube::Error> {
    let found = Api::<APIService>::all(client.clone()).get_opt(name).await?;
    Ok(availability(name, found.as_ref()))
}

/// Whether a Deployment has rolled out: the controller has seen its newest spec, and every wanted
/// pod is of that spec and ready, with none left over. The value is the number of ready pods.
pub async fn deployment_ready(
    client: &Client,
    namespace: &str,
    name: &str,
) -> Result<Probe<i32>, kube::Error> {
    let found = Api::<Deployment>::namespaced(client.clone(), namespace).get_opt(name).await?;
    Ok(rollout(namespace, name, found.as_ref()))
}

fn availability(name: &str, found: Option<&APIService>) -> Probe<()> {
    let Some(service) = found else {
        return Probe::NotYet(format!("there is no APIService {name}"));
    };
    let conditions = service.status.iter().filter_map(|it| it.conditions.as_ref()).flatten();
    match conditions.into_iter().find(|it| it.type_ == "Available") {
        None => Probe::NotYet("the aggregator has not looked at it yet".to_owned()),
        Some(condition) if condition.status == "True" => Probe::Ready(()),
        Some(condition) => Probe::NotYet(format!(
            "{}: {}",
            condition.reason.as_deref().unwrap_or("no reason"),
            condition.message.as_deref().unwrap_or("no message"),
        )),
    }
}

fn rollout(namespace: &str, name: &str, found: Option<&Deployment>) -> Probe<i32> {
    let Some(deployment) = found else {
        return Probe::NotYet(format!("there is no Deployment {namespace}/{name}"));
    };
    // One is what the apiserver fills in (k8s.io/api/apps/v1: DeploymentSpec.replicas).
    let wanted = deployment.spec.as_ref().and_then(|it| it.replicas).unwrap_or(1);
    let status = deployment.status.clone().unwrap_or_default();
    if status.observed_generation < deployment.metadata.generation {
        return Probe::NotYet("its newest spec was not seen by the controller yet".to_owned());
    }
    let [total, updated, ready] = [status.replicas, status.updated_replicas, status.ready_replicas]
        .map(Option::unwrap_or_default);
    if [total, updated, ready] == [wanted; 3] {
        return Probe::Ready(ready);
    }
    Probe::NotYet(format!("of {wanted} wanted pods: {total} exist, {updated} new, {ready} ready"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[track_caller]
    fn check_availability(conditions: &Value, expected: &Probe<()>) {
        let service: APIService = serde_json::from_value(json!({
            "apiVersion": "apiregistration.k8s.io/v1",
            "kind": "APIService",
            "metadata": {"name": "v1.a"},
            "status": {"conditions": conditions},
        }))
        .unwrap();
        assert_eq!(&availability("v1.a", Some(&service)), expected);
    }

    #[track_caller]
    fn check_rollout(spec: &Value, status: &Value, expected: &Probe<i32>) {
        let mut deployment: Deployment = serde_json::from_value(json!({
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "a", "generation": 2},
            "status": status,
        }))
        .unwrap();
        let spec = json!({"selector": {}, "template": {}, "replicas": spec});
        deployment.spec = serde_json::from_value(spec).unwrap();
        assert_eq!(&rollout("default", "a", Some(&deployment)), expected);
    }

    fn not_yet<T>(state: &str) -> Probe<T> {
        Probe::NotYet(state.to_owned())
    }

    #[test]
    fn an_api_service_is_available_when_its_condition_says_so() {
        check_availability(&json!([{"type": "Available", "status": "True"}]), &Probe::Ready(()));
    }

    #[test]
    fn an_api_service_that_is_not_available_says_why_in_the_aggregators_words() {
        check_availability(&json!([]), &not_yet("the aggregator has not looked at it yet"));
        check_availability(
            &json!([{
                "type": "Available", "status": "False",
                "reason": "MissingEndpoints", "message": "endpoints have no addresses",
            }]),
            &not_yet("MissingEndpoints: endpoints have no addresses"),
        );
        assert_eq!(availability("v1.a", None), not_yet("there is no APIService v1.a"));
    }

    #[test]
    fn a_deployment_is_ready_when_every_wanted_pod_is_new_and_ready() {
        let status = json!({
            "observedGeneration": 2, "replicas": 3, "updatedReplicas": 3, "readyReplicas": 3,
        });
        check_rollout(&json!(3), &status, &Probe::Ready(3));
        check_rollout(&json!(0), &json!({"observedGeneration": 2}), &Probe::Ready(0));
    }

    #[test]
    fn a_deployment_is_not_ready_while_pods_are_missing_old_or_left_over() {
        let status = json!({
            "observedGeneration": 2, "replicas": 4, "updatedReplicas": 2, "readyReplicas": 3,
        });
        let expected = not_yet("of 3 wanted pods: 4 exist, 2 new, 3 ready");
        check_rollout(&json!(3), &status, &expected);
    }

    #[test]
    fn the_status_of_an_older_spec_says_nothing_about_a_deployment() {
        let status = json!({
            "observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "readyReplicas": 1,
        });
        let expected = not_yet("its newest spec was not seen by the controller yet");
        check_rollout(&json!(null), &status, &expected);
        check_rollout(&json!(null), &json!({}), &expected);
        assert_eq!(rollout("default", "a", None), not_yet("there is no Deployment default/a"),);
    }
}
