//! Posts Events about autoscalers, a few a second.
//!
//! Not through `kube::runtime::events::Recorder`: it takes two Events of one reason about one object
//! for the same, whatever their notes say, and would lose the second of two metrics of an HPA.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::{
    api::{
        core::v1::ObjectReference,
        events::v1::{Event, EventSeries},
    },
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
};
use kube::{
    Api, Client,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::json;

use crate::{
    store::Snapshot,
    write::{
        Complaint, Failure, MANAGER, Writer,
        plan::{Plan, Post},
        saying::Regarding,
    },
};

/// Longest name of an object (RFC 1123 subdomain).
const NAME_LIMIT: usize = 253;

/// The writer of Events.
pub(super) struct Events {
    client: Client,
    pod_name: String,
    plan: Plan,
    complaint: Complaint,
}

impl Events {
    /// Events reported by the pod `pod_name`.
    pub(super) fn new(client: Client, pod_name: String) -> Self {
        Self { client, pod_name, plan: Plan::default(), complaint: Complaint::default() }
    }

    /// Counts up the Event that says the same, or makes a new one. Gives its name.
    async fn send(&self, post: &Post, now: Timestamp) -> Result<String, kube::Error> {
        let api = Api::<Event>::namespaced(self.client.clone(), &post.object.namespace);
        if let Some((name, count)) = &post.again {
            let series = EventSeries { count: *count, last_observed_time: MicroTime(now) };
            let patch = Patch::Merge(json!({"series": series}));
            match api.patch(name, &PatchParams::default(), &patch).await {
                Err(kube::Error::Api(status)) if status.code == 404 => {} // somebody deleted it
                patched => return patched.map(|_| name.clone()),
            }
        }
        let event = event(post, &self.pod_name, now);
        api.create(&PostParams::default(), &event).await?;
        Ok(event.metadata.name.unwrap_or_default())
    }
}

impl Writer for Events {
    type Step = Post;
    const WHAT: &'static str = "Events";
    const PACE: Duration = Duration::from_millis(200);

    fn next(&mut self, snapshot: &Snapshot, now: Timestamp) -> Option<Post> {
        self.plan.next(snapshot, now)
    }

    async fn write(&mut self, post: Post, now: Timestamp) -> Result<(), kube::Error> {
        let name = match self.send(&post, now).await.map_err(Failure::from) {
            Ok(name) => {
                self.complaint.accepted();
                Some(name)
            }
            Err(Failure::Away(error)) => return Err(error),
            Err(Failure::Gone) => None, // the namespace is; soon nobody will want this metric
            Err(Failure::Refused(status)) => {
                self.complaint.refused(Self::WHAT, &post.object, &status);
                None
            }
        };
        self.plan.posted(&post, name, now);
        Ok(())
    }
}

fn event(post: &Post, pod_name: &str, now: Timestamp) -> Event {
    Event {
        action: Some("ServeExternalMetric".to_owned()),
        event_time: Some(MicroTime(now)),
        metadata: ObjectMeta {
            name: Some(name(&post.object.name, now)),
            namespace: Some(post.object.namespace.clone()),
            ..ObjectMeta::default()
        },
        note: Some(post.note.clone()),
        reason: Some(post.reason.to_owned()),
        regarding: Some(reference(&post.object)),
        reporting_controller: Some(MANAGER.to_owned()),
        reporting_instance: Some(pod_name.to_owned()),
        type_: Some(if post.warning { "Warning" } else { "Normal" }.to_owned()),
        ..Event::default()
    }
}

/// The object's name and the time, as client-go names Events.
fn name(object: &str, now: Timestamp) -> String {
    let time = format!("{:x}", now.as_nanosecond());
    let room = NAME_LIMIT - time.len() - 1;
    let object = object.get(..room.min(object.len())).unwrap_or_default();
    format!("{}.{time}", object.trim_end_matches(['.', '-']))
}

fn reference(object: &Regarding) -> ObjectReference {
    ObjectReference {
        api_version: Some(object.api_version.to_owned()),
        kind: Some(object.kind.to_owned()),
        name: Some(object.name.clone()),
        namespace: Some(object.namespace.clone()),
        uid: Some(object.uid.clone()).filter(|uid| !uid.is_empty()),
        ..ObjectReference::default()
    }
}

#[cfg(test)]
mod tests;
