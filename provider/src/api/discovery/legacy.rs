//! The objects of `meta/v1` discovery, for each group and version by itself.
//!
//! Field order, names and numbers of `k8s.io/apimachinery/pkg/apis/meta/v1/{types.go,
//! generated.proto}`. As in [`protobuf`](crate::api::protobuf), what Go always writes is `required`.

use prost::Message;
use serde::Serialize;

use crate::api::{
    protobuf::Typed,
    wire::{GROUP, GROUP_VERSION},
};

#[derive(Clone, PartialEq, Message, Serialize)]
pub(super) struct Groups {
    #[prost(message, repeated, tag = "1")]
    groups: Vec<Group>,
}

#[derive(Clone, PartialEq, Message, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Group {
    #[prost(string, required, tag = "1")]
    name: String,
    #[prost(message, repeated, tag = "2")]
    versions: Vec<Version>,
    #[prost(message, required, tag = "3")]
    preferred_version: Version,
}

#[derive(Clone, PartialEq, Message, Serialize)]
#[serde(rename_all = "camelCase")]
struct Version {
    #[prost(string, required, tag = "1")]
    group_version: String,
    #[prost(string, required, tag = "2")]
    version: String,
}

#[derive(Clone, PartialEq, Message, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Resources {
    #[prost(string, required, tag = "1")]
    group_version: String,
    #[prost(message, repeated, tag = "2")]
    resources: Vec<Resource>,
}

/// JSON leaves out what is empty, protobuf does not.
#[derive(Clone, PartialEq, Message, Serialize)]
#[serde(rename_all = "camelCase")]
struct Resource {
    #[prost(string, required, tag = "1")]
    name: String,
    #[prost(string, required, tag = "6")]
    singular_name: String,
    #[prost(bool, required, tag = "2")]
    namespaced: bool,
    #[serde(skip)]
    #[prost(string, required, tag = "8")]
    group: String,
    #[serde(skip)]
    #[prost(string, required, tag = "9")]
    version: String,
    #[prost(string, required, tag = "3")]
    kind: String,
    #[prost(message, required, tag = "4")]
    verbs: Verbs,
    #[serde(skip)]
    #[prost(string, required, tag = "10")]
    storage_version_hash: String,
}

#[derive(Clone, PartialEq, Message, Serialize)]
#[serde(transparent)]
struct Verbs {
    #[prost(string, repeated, tag = "1")]
    items: Vec<String>,
}

pub(super) fn groups() -> Typed<Groups> {
    Typed { kind: "APIGroupList", api_version: "v1", object: Groups { groups: vec![metrics()] } }
}

pub(super) fn group() -> Typed<Group> {
    Typed { kind: "APIGroup", api_version: "v1", object: metrics() }
}

pub(super) fn resources() -> Typed<Resources> {
    let resource = Resource {
        name: "externalmetrics".to_owned(),
        singular_name: "externalmetric".to_owned(),
        namespaced: true,
        kind: "ExternalMetricValue".to_owned(),
        verbs: Verbs { items: ["get", "list"].map(str::to_owned).into() },
        ..Resource::default()
    };
    let object = Resources { group_version: GROUP_VERSION.to_owned(), resources: vec![resource] };
    Typed { kind: "APIResourceList", api_version: "v1", object }
}

fn metrics() -> Group {
    let version =
        Version { group_version: GROUP_VERSION.to_owned(), version: "v1beta1".to_owned() };
    Group { name: GROUP.to_owned(), versions: vec![version.clone()], preferred_version: version }
}
