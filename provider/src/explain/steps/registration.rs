//! How kube-apiserver finds the provider.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::core::v1::Service,
    apimachinery::pkg::util::intstr::IntOrString,
    kube_aggregator::pkg::apis::apiregistration::v1::{APIService, ServiceReference},
};

use crate::{
    explain::{
        Link, Step,
        facts::{Facts, Found},
        steps::{broken, in_namespace, ok, unknown, why},
    },
    serve::tls,
};

const NAME: &str = "v1beta1.external.metrics.k8s.io";
const GROUP: &str = "external.metrics.k8s.io/v1beta1";
const REGISTER: &str = "kubectl apply -f manifests/hpa-example/rbac-hpa.yaml";
const SERVE: &str = "kubectl apply -f manifests/hpa-example/cluster-agent-hpa-svc.yaml";

pub(super) fn aggregation(facts: &Facts) -> Step {
    match &facts.aggregation {
        Found::Is(true) => {
            ok(Link::Aggregation, "kube-apiserver publishes its front proxy's authority")
        }
        Found::Is(false) | Found::Missing => broken(
            Link::Aggregation,
            "it is not set up: ConfigMap kube-system/extension-apiserver-authentication has no \
             requestheader-client-ca-file, by which kube-apiserver proves that a forwarded request is its own",
            "start kube-apiserver with --requestheader-client-ca-file, --proxy-client-cert-file and \
             --proxy-client-key-file: https://kubernetes.io/docs/tasks/extend-kubernetes/configure-aggregation-layer/",
        ),
        Found::Unknown(why) => unknown(Link::Aggregation, why),
    }
}

fn reference(service: &APIService) -> Option<&ServiceReference> {
    service.spec.as_ref()?.service.as_ref()
}

/// `namespace/name`.
fn text(reference: &ServiceReference) -> String {
    let part = |part: &Option<String>| part.clone().unwrap_or_default();
    format!("{}/{}", part(&reference.namespace), part(&reference.name))
}

fn name_of(service: &Service) -> String {
    let metadata = &service.metadata;
    let part = |part: &Option<String>| part.clone().unwrap_or_default();
    format!("{}/{}", part(&metadata.namespace), part(&metadata.name))
}

pub(super) fn api_service(facts: &Facts) -> Step {
    let service = match &facts.api_service {
        Found::Is(service) => service,
        Found::Unknown(why) => return unknown(Link::ApiService, why),
        Found::Missing => {
            return broken(
                Link::ApiService,
                format!(
                    "there is none called {NAME}: kubectl api-versions does not show {GROUP}, and the HPA \
                     controller hears \"the server could not find the requested resource\""
                ),
                REGISTER,
            );
        }
    };
    let Some(to) = reference(service) else {
        return broken(Link::ApiService, format!("{NAME} names no Service"), REGISTER);
    };
    if let Some(finding) = foreign(facts, to) {
        return broken(
            Link::ApiService,
            finding,
            format!("remove the other adapter's registration, then {REGISTER}"),
        );
    }
    let listed = facts.api_versions.get().map(|groups| groups.iter().any(|it| it == GROUP));
    let conditions = service.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let available = conditions.into_iter().find(|condition| condition.type_ == "Available");
    let (reason, message) = available.map_or((String::new(), String::new()), |condition| {
        let part = |part: &Option<String>| part.clone().unwrap_or_default();
        (part(&condition.reason), part(&condition.message))
    });
    match available.map(|condition| condition.status.as_str()) {
        Some("True") if listed == Some(false) => unknown(
            Link::ApiService,
            format!("Available, and kubectl api-versions does not show {GROUP} yet"),
        ),
        Some("True") => {
            ok(Link::ApiService, format!("{NAME} → {} port {}, Available", text(to), port(to)))
        }
        Some(_) => not_available(service, &reason, &message),
        None => unknown(Link::ApiService, "kube-apiserver has not looked at it yet"),
    }
}

fn port(to: &ServiceReference) -> i32 {
    to.port.unwrap_or(443)
}

/// Whether another adapter is registered, in words. Only one can be.
fn foreign(facts: &Facts, to: &ServiceReference) -> Option<String> {
    let service = facts.service.get()?;
    let ours = tls::SERVICES.contains(&to.name.as_deref().unwrap_or_default());
    let here = to.namespace.as_deref() == Some(facts.namespace.as_str());
    if (ours && here) || selects(facts, service) == Some(true) {
        return None;
    }
    // An own Service with a wrong selector is the Service's fault.
    let labels = service.metadata.labels.as_ref();
    if labels.and_then(|labels| labels.get("app")).is_some_and(|app| app == "datadog-cluster-agent")
    {
        return None;
    }
    Some(format!(
        "{NAME} leads to Service {}, which is another adapter's (such as KEDA's): a cluster has one for \
         external metrics",
        text(to)
    ))
}

/// Whether the Service selects a pod of the provider; `None` where that is not known.
fn selects(facts: &Facts, service: &Service) -> Option<bool> {
    let pods = facts.pods.get().filter(|pods| !pods.is_empty())?;
    if service.metadata.namespace.as_deref() != Some(facts.namespace.as_str()) {
        return Some(false);
    }
    let selector = selector(service)?;
    let fits = |labels: &BTreeMap<String, String>| {
        selector.iter().all(|(key, value)| labels.get(key) == Some(value))
    };
    Some(pods.iter().any(|pod| fits(&pod.labels)))
}

fn selector(service: &Service) -> Option<&BTreeMap<String, String>> {
    service.spec.as_ref()?.selector.as_ref().filter(|selector| !selector.is_empty())
}

fn not_available(service: &APIService, reason: &str, message: &str) -> Step {
    let spec = service.spec.clone().unwrap_or_default();
    let insecure = spec.insecure_skip_tls_verify == Some(true);
    let bundle = spec.ca_bundle.is_some_and(|bundle| !bundle.0.is_empty());
    let hear = "the HPA controller hears \"the server is currently unable to handle the request\"";
    if ["x509", "certificate", "tls:"].iter().any(|word| message.contains(word)) && !insecure {
        let (what, remedy) = if bundle {
            (
                "its caBundle does not fit to the certificate that the provider serves",
                "kubectl apply -k manifests/overlays/own-ca, which keeps both together",
            )
        } else {
            (
                "it has neither a caBundle nor insecureSkipTLSVerify, and the provider's certificate is its own",
                REGISTER,
            )
        };
        return broken(Link::ApiService, format!("{what}: {message}; {hear}"), remedy)
            .follows(&[Link::Aggregation]);
    }
    let remedy = match reason {
        "FailedDiscoveryCheck" => {
            "look for a NetworkPolicy or firewall between the control plane and port 8443 of the provider's pods"
        }
        "ServiceNotFound" | "ServicePortError" => SERVE,
        _ => "kubectl get apiservice v1beta1.external.metrics.k8s.io -o yaml",
    };
    broken(Link::ApiService, format!("not Available ({reason}: {message}); {hear}"), remedy)
        .follows(&[
            Link::Aggregation,
            Link::Service,
            Link::Endpoints,
            Link::Provider,
            Link::ProviderRights,
        ])
}

pub(super) fn service(facts: &Facts) -> Step {
    let Some(to) = facts.api_service.get().and_then(reference) else {
        return unknown(Link::Service, why(&facts.api_service, "no APIService names one"));
    };
    let service = match &facts.service {
        Found::Is(service) => service,
        Found::Unknown(why) => return unknown(Link::Service, why),
        Found::Missing => return missing(facts, to),
    };
    if foreign(facts, to).is_some() {
        return unknown(Link::Service, format!("{} is another adapter's", text(to)));
    }
    let spec = service.spec.clone().unwrap_or_default();
    let ports = spec.ports.unwrap_or_default();
    let Some(found) = ports.iter().find(|it| it.port == port(to)) else {
        let there: Vec<_> = ports.iter().map(|port| port.port.to_string()).collect();
        return broken(
            Link::Service,
            format!(
                "Service {} has port {}, the APIService asks for {}",
                text(to),
                there.join(", "),
                port(to)
            ),
            format!("{SERVE} && {REGISTER}"),
        );
    };
    let selector = selector(service);
    if selects(facts, service) == Some(false) && selector.is_some() {
        let pod = facts.pods.get().and_then(|pods| pods.first());
        let labels = pod.map(|pod| labels(&pod.labels)).unwrap_or_default();
        return broken(
            Link::Service,
            format!(
                "Service {} selects {}, the provider's pods in {} have {labels}",
                text(to),
                selector.map(self::labels).unwrap_or_default(),
                facts.namespace
            ),
            SERVE,
        );
    }
    let target = match &found.target_port {
        Some(IntOrString::Int(port)) => port.to_string(),
        Some(IntOrString::String(name)) => name.clone(),
        None => found.port.to_string(),
    };
    ok(Link::Service, format!("{} port {} → {target}", text(to), found.port))
}

fn labels(labels: &BTreeMap<String, String>) -> String {
    let labels: Vec<_> = labels
        .iter()
        .filter(|(key, _)| *key != "pod-template-hash")
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    labels.join(",")
}

/// The `APIService` names a Service that is not there: is it only called otherwise?
fn missing(facts: &Facts, to: &ServiceReference) -> Step {
    let others = facts.services.get().map(Vec::as_slice).unwrap_or_default();
    let is_likely = |service: &&Service| {
        let name = service.metadata.name.as_deref().unwrap_or_default();
        let ports = service.spec.iter().flat_map(|spec| spec.ports.iter().flatten());
        ports.into_iter().any(|port| port.port != 5005)
            && (selects(facts, service) == Some(true) || tls::SERVICES.contains(&name))
    };
    let Some(other) = others.iter().find(is_likely) else {
        return broken(
            Link::Service,
            format!("the APIService names Service {}, which is not there", text(to)),
            SERVE,
        );
    };
    let (name, namespace) = (other.metadata.name.clone(), other.metadata.namespace.clone());
    broken(
        Link::Service,
        format!(
            "the names differ: the APIService names Service {}, which is not there; the provider's is {}",
            text(to),
            name_of(other)
        ),
        format!(
            "kubectl patch apiservice {NAME} --type merge -p '{{\"spec\":{{\"service\":{{\"name\":\"{}\",\"namespace\":\"{}\"}}}}}}'",
            name.unwrap_or_default(),
            namespace.unwrap_or_default()
        ),
    )
}

pub(super) fn endpoints(facts: &Facts) -> Step {
    let (Some(to), Some(service)) =
        (facts.api_service.get().and_then(reference), facts.service.get())
    else {
        return unknown(Link::Endpoints, "there is no Service that has some");
    };
    let spec = service.spec.clone().unwrap_or_default();
    if spec.type_.as_deref() == Some("ExternalName") {
        let name = spec.external_name.unwrap_or_default();
        return unknown(Link::Endpoints, format!("the Service leads to the name {name}"));
    }
    let slices = match &facts.slices {
        Found::Is(slices) => slices.as_slice(),
        Found::Missing => &[],
        Found::Unknown(why) => return unknown(Link::Endpoints, why),
    };
    let named =
        spec.ports.iter().flatten().find(|it| it.port == port(to)).and_then(|it| it.name.clone());
    let (mut ready, mut unready, mut ports) = (Vec::new(), 0, Vec::new());
    for slice in slices {
        let fits = |name: &Option<String>| {
            name.clone().unwrap_or_default() == named.clone().unwrap_or_default()
        };
        let port =
            slice.ports.iter().flatten().find(|port| fits(&port.name)).and_then(|port| port.port);
        for endpoint in &slice.endpoints {
            let is_ready = endpoint.conditions.as_ref().and_then(|it| it.ready).unwrap_or(true);
            match (is_ready, port) {
                (true, Some(port)) => {
                    ready.extend(
                        endpoint.addresses.first().map(|address| format!("{address}:{port}")),
                    );
                    ports.push(port);
                }
                _ => unready += 1,
            }
        }
    }
    let follows = &[Link::Service, Link::Provider, Link::ProviderRights];
    if ready.is_empty() {
        let selector = labels(&spec.selector.unwrap_or_default());
        return broken(
            Link::Endpoints,
            format!("Service {} has none that is ready ({unready} are not)", text(to)),
            in_namespace(
                to.namespace.as_deref().unwrap_or_default(),
                &format!("get pods -l {selector}"),
            ),
        )
        .follows(follows);
    }
    let declared: Vec<i32> =
        facts.pods.get().into_iter().flatten().flat_map(|pod| pod.ports.clone()).collect();
    if selects(facts, service) == Some(true)
        && !declared.is_empty()
        && !ports.iter().any(|port| declared.contains(port))
    {
        let declared: Vec<_> = declared.iter().map(ToString::to_string).collect();
        return broken(
            Link::Endpoints,
            format!(
                "the Service leads to {}, the provider's pods listen at {}",
                ready.join(", "),
                declared.join(", ")
            ),
            SERVE,
        )
        .follows(follows);
    }
    ok(Link::Endpoints, format!("{} ready: {}", ready.len(), ready.join(", ")))
}
