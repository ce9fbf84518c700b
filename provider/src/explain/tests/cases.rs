//! One thing broken each, and all that a cluster then shows of it.

use serde_json::{Value, from_value, json};

use crate::explain::{
    Link,
    facts::{Facts, Found, Scale},
    tests::fixture::{self, METRIC, QUERY, api_service, no_series, refusal, service, slices},
    view::{Autoscaler, Call, Problem},
};

pub(super) mod datadog;

type Case = (&'static str, fn(&mut Facts), Link);

pub(super) const CASES: &[Case] = &[
    ("the aggregation layer is missing", aggregation, Link::Aggregation),
    ("the HPA controller may not read", controller_rights, Link::ControllerRights),
    ("the provider is not registered", unregistered, Link::ApiService),
    ("the APIService has another Service's name", other_name, Link::Service),
    ("the Service is not there", no_service, Link::Service),
    ("the Service has another port", other_port, Link::Service),
    ("the Service selects other pods", other_pods, Link::Service),
    ("the Service leads to another port of the pods", other_target, Link::Endpoints),
    ("the provider is scaled to nothing", scaled_to_nothing, Link::Provider),
    ("the provider is not ready", not_ready, Link::Provider),
    ("the network is in the way", firewall, Link::ApiService),
    ("the certificate is not trusted", no_bundle, Link::ApiService),
    ("the caBundle is of another authority", other_bundle, Link::ApiService),
    ("another adapter is registered", foreign, Link::ApiService),
    ("the provider may not read HPAs", provider_rights, Link::ProviderRights),
    ("a typo in the metric", datadog::typo, Link::Calls),
    ("a name that Datadog cannot have", datadog::bad_name, Link::Metric),
    ("a DatadogMetric that is not there", datadog::no_datadog_metric, Link::Metric),
    ("the provider does not want it", datadog::unwanted, Link::Metric),
    ("external metrics are off", off, Link::Provider),
    ("the token is another", token, Link::Port),
    ("the node agents' token is another", node_token, Link::NodeAgents),
    ("node agents do not use the cluster agent", node_agents_off, Link::NodeAgents),
    ("an average that is divided twice", datadog::average, Link::Query),
    ("Datadog refuses the query", datadog::rejected, Link::Calls),
    ("Datadog rejects the keys", datadog::keys, Link::Calls),
    ("the rate limit is used up", datadog::rate_limited, Link::Calls),
    ("the budget is too small", datadog::shed, Link::Calls),
    ("Datadog is down, the last sample still serves", datadog::down, Link::Calls),
    ("the sample is stale", datadog::stale, Link::Sample),
    ("two HPAs scale one Deployment", rivals, Link::Hpa),
    ("two HPAs want different options", conflict, Link::Metric),
    ("what it scales is not there", no_target, Link::Hpa),
    ("somebody switched it off", disabled, Link::Hpa),
];

const FORBIDDEN: &str = "is forbidden: User \"system:serviceaccount:kube-system:horizontal-pod-autoscaler\" cannot list resource";
const NOT_FOUND: &str = "the server could not find the requested resource (get nginx.net.request_per_s.external.metrics.k8s.io)";
const UNABLE: &str = "the server is currently unable to handle the request (get nginx.net.request_per_s.external.metrics.k8s.io)";

/// What the HPA controller makes of it.
fn inactive(facts: &mut Facts, words: &str) {
    let mut hpa = serde_json::to_value(&facts.hpa).unwrap();
    hpa["status"]["conditions"][1] = json!({
        "type": "ScalingActive", "status": "False", "reason": "FailedGetExternalMetric",
        "message": format!("the HPA was unable to compute the replica count: unable to get external metric \
            default/{METRIC}/&LabelSelector{{}}: unable to fetch metrics from external metrics API: {words}"),
    });
    facts.hpa = from_value(hpa).unwrap();
}

/// The provider has no value and says why.
fn refused(facts: &mut Facts, code: u16, words: &str) {
    inactive(facts, words);
    facts.answers = refusal(code, words);
    let view = view(facts);
    view.error = Some(words.to_owned());
    view.last = Some(Call { at: fixture::ago(12), error: Some(words.to_owned()) });
    view.value = None;
}

fn view(facts: &mut Facts) -> &mut crate::explain::view::Metric {
    let Found::Is(view) = &mut facts.view else { panic!("there is a view") };
    &mut view.external_metrics.as_mut().unwrap().metrics[0]
}

/// kube-apiserver does not reach the provider.
fn unreachable(facts: &mut Facts, reason: &str, message: &str) {
    inactive(facts, UNABLE);
    facts.answers = refusal(503, "service unavailable");
    let name = "datadog-custom-metrics-server";
    facts.api_service =
        Found::Is(from_value(api_service(name, ("False", reason, message))).unwrap());
}

fn patch(facts: &mut Facts, change: impl FnOnce(&mut Value)) {
    let mut hpa = serde_json::to_value(&facts.hpa).unwrap();
    change(&mut hpa);
    facts.hpa = from_value(hpa).unwrap();
}

fn aggregation(facts: &mut Facts) {
    unreachable(
        facts,
        "FailedDiscoveryCheck",
        "failing or missing response from https://10.0.0.7:8443/apis/external.metrics.k8s.io/v1beta1: bad status from https://10.0.0.7:8443/apis/external.metrics.k8s.io/v1beta1: 403",
    );
    facts.aggregation = Found::Is(false);
}

fn controller_rights(facts: &mut Facts) {
    inactive(facts, &format!("{METRIC}.external.metrics.k8s.io {FORBIDDEN}"));
    facts.rights[0].allowed = Found::Missing;
}

fn unregistered(facts: &mut Facts) {
    inactive(facts, NOT_FOUND);
    facts.answers = refusal(404, "404 page not found");
    facts.api_service = Found::Missing;
    facts.service = Found::Missing;
    facts.slices = Found::Missing;
    facts.api_versions = Found::Is(vec!["autoscaling/v2".into()]);
}

fn other_name(facts: &mut Facts) {
    no_service(facts);
    let condition =
        ("False", "ServiceNotFound", "service/custom-metrics in \"default\" is not present");
    facts.api_service = Found::Is(from_value(api_service("custom-metrics", condition)).unwrap());
    facts.services = fixture::healthy().services;
}

fn no_service(facts: &mut Facts) {
    unreachable(
        facts,
        "ServiceNotFound",
        "service/datadog-custom-metrics-server in \"default\" is not present",
    );
    facts.service = Found::Missing;
    facts.services = Found::Is(Vec::new());
    facts.slices = Found::Is(Vec::new());
}

fn changed_service(facts: &mut Facts, change: impl FnOnce(&mut Value)) {
    let mut changed = service("datadog-custom-metrics-server");
    change(&mut changed);
    facts.service = Found::Is(from_value(changed).unwrap());
}

fn other_port(facts: &mut Facts) {
    unreachable(
        facts,
        "ServicePortError",
        "service/datadog-custom-metrics-server in \"default\" is not listening on port 443",
    );
    changed_service(facts, |service| service["spec"]["ports"][0]["port"] = json!(8443));
}

fn other_pods(facts: &mut Facts) {
    unreachable(
        facts,
        "MissingEndpoints",
        "endpoints for service/datadog-custom-metrics-server in \"default\" have no addresses with port name \"metricsapi\"",
    );
    changed_service(facts, |service| service["spec"]["selector"] = json!({"app": "datadog-agent"}));
    facts.slices = Found::Is(Vec::new());
}

fn other_target(facts: &mut Facts) {
    unreachable(
        facts,
        "FailedDiscoveryCheck",
        "failing or missing response from https://10.0.0.7:443/apis/external.metrics.k8s.io/v1beta1: dial tcp 10.0.0.7:443: connect: connection refused",
    );
    facts.slices = Found::Is(from_value(slices(443, true)).unwrap());
}

fn silent(facts: &mut Facts) {
    facts.view = Found::Unknown("not known: no pod of the provider answers at port 5005".into());
}

fn scaled_to_nothing(facts: &mut Facts) {
    unreachable(
        facts,
        "MissingEndpoints",
        "endpoints for service/datadog-custom-metrics-server in \"default\" have no addresses with port name \"metricsapi\"",
    );
    silent(facts);
    facts.pods = Found::Is(Vec::new());
    if let Found::Is(deployment) = &mut facts.deployment {
        deployment.replicas = 0;
    }
    facts.slices = Found::Is(Vec::new());
}

fn not_ready(facts: &mut Facts) {
    scaled_to_nothing(facts);
    let (ready, state) = (false, "CrashLoopBackOff".to_owned());
    facts.pods = Found::Is(vec![crate::explain::facts::Pod { ready, state, ..fixture::pod() }]);
    facts.slices = Found::Is(from_value(slices(8443, false)).unwrap());
}

fn firewall(facts: &mut Facts) {
    unreachable(
        facts,
        "FailedDiscoveryCheck",
        "failing or missing response from https://10.0.0.7:8443/apis/external.metrics.k8s.io/v1beta1: context deadline exceeded",
    );
}

fn verified(facts: &mut Facts, bundle: &str) {
    firewall(facts);
    let mut service = api_service(
        "datadog-custom-metrics-server",
        (
            "False",
            "FailedDiscoveryCheck",
            "tls: failed to verify certificate: x509: certificate signed by unknown authority",
        ),
    );
    service["spec"]["insecureSkipTLSVerify"] = json!(false);
    service["spec"]["caBundle"] = json!(bundle);
    facts.api_service = Found::Is(from_value(service).unwrap());
}

fn no_bundle(facts: &mut Facts) {
    verified(facts, "");
}

fn other_bundle(facts: &mut Facts) {
    verified(facts, "Q0E=");
}

fn foreign(facts: &mut Facts) {
    let words = format!("unable to find the metric {METRIC}");
    inactive(facts, &words);
    facts.answers = refusal(500, &words);
    let mut registered = api_service("keda-operator-metrics-apiserver", ("True", "Passed", ""));
    registered["spec"]["service"]["namespace"] = json!("keda");
    facts.api_service = Found::Is(from_value(registered).unwrap());
    let mut theirs = service("keda-operator-metrics-apiserver");
    theirs["metadata"]["namespace"] = json!("keda");
    theirs["metadata"]["labels"] = json!({"app": "keda-operator-metrics-apiserver"});
    theirs["spec"]["selector"] = json!({"app": "keda-operator-metrics-apiserver"});
    facts.service = Found::Is(from_value(theirs).unwrap());
}

fn provider_rights(facts: &mut Facts) {
    not_ready(facts);
    if let Found::Is(pods) = &mut facts.pods {
        pods[0].state = "Running, not ready".into();
    }
    facts.rights[1].allowed = Found::Missing;
}

fn off(facts: &mut Facts) {
    unreachable(
        facts,
        "FailedDiscoveryCheck",
        "failing or missing response from https://10.0.0.7:8443/apis/external.metrics.k8s.io/v1beta1: bad status from https://10.0.0.7:8443/apis/external.metrics.k8s.io/v1beta1: 404",
    );
    silent(facts);
    if let Found::Is(pods) = &mut facts.pods {
        pods[0].enabled = Found::Missing;
    }
}

fn token(facts: &mut Facts) {
    facts.view = Found::Unknown(
        "the agent at 10.0.0.7:5005 refuses the token of Secret datadogtoken (HTTP 403)".into(),
    );
}

fn node_token(facts: &mut Facts) {
    if let Found::Is(agents) = &mut facts.node_agents {
        agents[0].token = Some("Secret datadog-agent, key token".into());
    }
}

fn node_agents_off(facts: &mut Facts) {
    patch(facts, |hpa| {
        hpa["spec"]["metrics"][0]["external"]["metric"]["selector"] =
            json!({"matchLabels": {"kube_service": "nginx"}});
    });
    let query = QUERY.replace("kube_container_name", "kube_service");
    view(facts).selector = "kube_service=nginx".into();
    view(facts).query = Some(query.clone());
    refused(facts, 404, &no_series(&query));
    if let Found::Is(agents) = &mut facts.node_agents {
        agents[0].enabled = Found::Missing;
    }
}

fn rivals(facts: &mut Facts) {
    facts.rivals = Found::Is(vec!["nginx-by-cpu".into()]);
    patch(facts, |hpa| {
        hpa["status"]["conditions"][1] = json!({
            "type": "ScalingActive", "status": "False", "reason": "AmbiguousSelector",
            "message": "pods by selector app=nginx are controlled by multiple HPAs: [default/nginxext default/nginx-by-cpu]"});
    });
}

fn conflict(facts: &mut Facts) {
    let Found::Is(view) = &mut facts.view else { panic!("there is a view") };
    view.external_metrics.as_mut().unwrap().problems.push(Problem {
        autoscaler: Autoscaler { namespace: "default".into(), name: "nginxext".into() },
        reason: "ConflictingOptions".into(),
        note: format!("option aggregator of metric {METRIC} is max here and sum in hpa:default/other, which is older: the older one holds, write the same in both"),
    });
}

fn no_target(facts: &mut Facts) {
    facts.scale = Found::Missing;
    patch(facts, |hpa| {
        hpa["status"]["conditions"] = json!([{
            "type": "AbleToScale", "status": "False", "reason": "FailedGetScale",
            "message": "the HPA controller was unable to get the target's current scale: deployments.apps \"nginx\" not found"}]);
    });
}

fn disabled(facts: &mut Facts) {
    facts.scale = Found::Is(Scale { wanted: 0, there: 0, ready: Some(0) });
    patch(facts, |hpa| {
        hpa["status"] = json!({"currentReplicas": 0, "desiredReplicas": 0, "conditions": [{
            "type": "ScalingActive", "status": "False", "reason": "ScalingDisabled",
            "message": "scaling is disabled since the replica count of the target is zero"}]});
    });
}

/// All that a stranger with the right to read one HPA sees.
pub(super) fn nothing_but_the_hpa(facts: &mut Facts) {
    let why = |right: &str| format!("not known: it takes the right to {right}");
    facts.events = Found::Unknown(why("list events"));
    facts.rivals = Found::Unknown(why("list horizontalpodautoscalers.autoscaling"));
    facts.scale = Found::Unknown(why("get deployments/scale.apps"));
    facts.deployment = Found::Unknown(why("list deployments.apps"));
    facts.pods = Found::Unknown(why("list pods in namespace default"));
    facts.view = Found::Unknown("not known: the token cannot be read".into());
    facts.node_agents = Found::Unknown(why("list daemonsets.apps"));
    facts.answers = vec![Found::Unknown(why("list external.metrics.k8s.io in namespace default"))];
    facts.api_versions = Found::Unknown(why("get /apis"));
    facts.aggregation =
        Found::Unknown(why("get ConfigMap kube-system/extension-apiserver-authentication"));
    facts.api_service = Found::Unknown(why("get apiservices.apiregistration.k8s.io"));
    facts.service = Found::Missing;
    facts.services = Found::Unknown(why("list services in namespace default"));
    facts.slices = Found::Missing;
    for right in &mut facts.rights {
        right.allowed = Found::Unknown(why("create subjectaccessreviews.authorization.k8s.io"));
    }
}

/// A second metric that asks for more.
pub(super) fn two_metrics(facts: &mut Facts) {
    patch(facts, |hpa| {
        let metrics = hpa["spec"]["metrics"].as_array_mut().unwrap();
        metrics.push(json!({"type": "External", "external": {
            "metric": {"name": "redis.key"}, "target": {"type": "Value", "value": "10"}}}));
        hpa["status"]["desiredReplicas"] = json!(5);
    });
    facts.answers.push(fixture::value("40", 20));
}
