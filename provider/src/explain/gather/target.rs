//! What the HPA scales, who else does, and what was said of it.

use k8s_openapi::api::{
    autoscaling::v2::HorizontalPodAutoscaler,
    core::v1::{Event as CoreEvent, Pod},
};
use kube::{
    Api, Client,
    api::ListParams,
    core::{ApiResource, DynamicObject, GroupVersionKind},
};

use crate::explain::{
    facts::{Event, Found, Scale},
    gather::ask,
};

/// Events that are kept.
const MOST_EVENTS: usize = 20;

pub(super) struct Target {
    pub(super) events: Found<Vec<Event>>,
    pub(super) rivals: Found<Vec<String>>,
    pub(super) scale: Found<Scale>,
}

pub(super) async fn gather(client: &Client, hpa: &HorizontalPodAutoscaler) -> Target {
    let (events, rivals, scale) =
        tokio::join!(events(client, hpa), rivals(client, hpa), scale(client, hpa));
    Target { events, rivals, scale }
}

fn namespace(hpa: &HorizontalPodAutoscaler) -> &str {
    hpa.metadata.namespace.as_deref().unwrap_or_default()
}

async fn events(client: &Client, hpa: &HorizontalPodAutoscaler) -> Found<Vec<Event>> {
    let name = hpa.metadata.name.as_deref().unwrap_or_default();
    let api: Api<CoreEvent> = Api::namespaced(client.clone(), namespace(hpa));
    let about = format!("involvedObject.kind=HorizontalPodAutoscaler,involvedObject.name={name}");
    let events = ask("list events", api.list(&ListParams::default().fields(&about))).await;
    events.map(|list| {
        let mut events = list.items;
        events.sort_by_key(|event| {
            let series =
                event.series.as_ref().and_then(|series| series.last_observed_time.as_ref());
            let at = series.or(event.event_time.as_ref()).map(|time| time.0);
            std::cmp::Reverse(at.or(event.last_timestamp.as_ref().map(|time| time.0)))
        });
        events.into_iter().take(MOST_EVENTS).map(event).collect()
    })
}

fn event(event: CoreEvent) -> Event {
    let series = event.series.and_then(|series| series.count);
    Event {
        warning: event.type_.as_deref() == Some("Warning"),
        reason: event.reason.unwrap_or_default(),
        note: event.message.unwrap_or_default(),
        count: series.or(event.count).unwrap_or(1),
    }
}

/// The other HPAs of the same target.
async fn rivals(client: &Client, hpa: &HorizontalPodAutoscaler) -> Found<Vec<String>> {
    let api: Api<HorizontalPodAutoscaler> = Api::namespaced(client.clone(), namespace(hpa));
    let right = "list horizontalpodautoscalers.autoscaling";
    let all = ask(right, api.list(&ListParams::default())).await;
    let to = |hpa: &HorizontalPodAutoscaler| {
        let to = hpa.spec.as_ref()?.scale_target_ref.clone();
        Some((to.kind, to.name))
    };
    all.map(|list| {
        let others = list.items.iter().filter(|it| it.metadata.name != hpa.metadata.name);
        let rivals = others.filter(|other| to(other).is_some() && to(other) == to(hpa));
        rivals.filter_map(|rival| rival.metadata.name.clone()).collect()
    })
}

async fn scale(client: &Client, hpa: &HorizontalPodAutoscaler) -> Found<Scale> {
    let Some(spec) = &hpa.spec else { return Found::Unknown("the HPA has no spec".to_owned()) };
    let to = &spec.scale_target_ref;
    let version = to.api_version.as_deref().unwrap_or("v1");
    let (group, version) = version.split_once('/').unwrap_or(("", version));
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, &to.kind));
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace(hpa), &resource);
    let right = format!("get {}/scale.{group}", resource.plural);
    let scale = match ask(&right, api.get_scale(&to.name)).await {
        Found::Is(scale) => scale,
        Found::Missing => return Found::Missing,
        Found::Unknown(why) => return Found::Unknown(why),
    };
    let status = scale.status.unwrap_or_default();
    let ready = match &status.selector {
        Some(selector) => ready(client, namespace(hpa), selector).await,
        None => None,
    };
    let wanted = scale.spec.and_then(|spec| spec.replicas).unwrap_or(0);
    Found::Is(Scale { wanted, there: status.replicas, ready })
}

/// Pods that are running and ready.
async fn ready(client: &Client, namespace: &str, selector: &str) -> Option<i32> {
    let api: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let pods = ask("list pods", api.list(&ListParams::default().labels(selector))).await;
    let pods = pods.get()?.items.iter().filter(|pod| {
        pod.metadata.deletion_timestamp.is_none()
            && pod.status.as_ref().is_some_and(|it| it.phase.as_deref() == Some("Running"))
            && is_ready(pod)
    });
    i32::try_from(pods.count()).ok()
}

/// Whether its condition `Ready` is true.
pub(super) fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.into_iter().any(|it| it.type_ == "Ready" && it.status == "True")
}
