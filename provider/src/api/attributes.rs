//! What a request is about, in the words in which rights are given; pure.
//!
//! The rules are those of `k8s.io/apiserver/pkg/endpoints/request/requestinfo.go`, with two
//! differences, because what is reviewed must be what is served:
//!
//! - The path is split as it came and its segments are decoded afterwards, as the router does it.
//!   An encoded slash is part of a name, and never makes another path.
//! - `fieldSelector` counts for nothing. Nothing here can be selected by fields, so a right to one
//!   name or to some fields must not open the whole.

use std::{
    borrow::Cow,
    fmt::{self, Display, Write},
};

use axum::http::{Method, Uri};
use k8s_openapi::{
    api::authorization::v1::{LabelSelectorAttributes, NonResourceAttributes, ResourceAttributes},
    apimachinery::pkg::apis::meta::v1::LabelSelectorRequirement,
};
use url::form_urlencoded;

use crate::{
    api::selector,
    selector::{Operator, Requirement, Selector},
};

/// What is asked for, without who asks.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Attributes {
    /// Something of an API group.
    Resource(Resource),
    /// Anything else.
    Path {
        /// As RBAC's `nonResourceURLs` have it: decoded.
        path: String,
        /// The method in lower case.
        verb: String,
    },
}

/// What a request for a resource is about; empty is Kubernetes' "none".
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Resource {
    /// `list` for a metric.
    pub verb: Cow<'static, str>,
    /// The API group.
    pub group: String,
    /// Its version.
    pub version: String,
    /// For a metric its name.
    pub resource: String,
    /// What of the resource.
    pub subresource: String,
    /// Empty for all namespaces.
    pub namespace: String,
    /// The one object.
    pub name: String,
    /// What the answer is limited to; a text that is no selector limits nothing.
    pub selector: Selector,
}

impl Attributes {
    /// Those of a request.
    pub fn of(method: &Method, uri: &Uri) -> Self {
        resource(method, uri).map_or_else(
            || Self::Path {
                path: decode(uri.path()).into_owned(),
                verb: method.as_str().to_ascii_lowercase(),
            },
            Self::Resource,
        )
    }

    /// For a review, where it is about a resource.
    pub fn resource(&self) -> Option<ResourceAttributes> {
        let Self::Resource(resource) = self else { return None };
        let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        Some(ResourceAttributes {
            verb: some(&resource.verb),
            group: some(&resource.group),
            version: some(&resource.version),
            resource: some(&resource.resource),
            subresource: some(&resource.subresource),
            namespace: some(&resource.namespace),
            name: some(&resource.name),
            label_selector: requirements(&resource.selector),
            field_selector: None,
        })
    }

    /// For a review, where it is about a path.
    pub fn path(&self) -> Option<NonResourceAttributes> {
        let Self::Path { path, verb } = self else { return None };
        Some(NonResourceAttributes { path: Some(path.clone()), verb: Some(verb.clone()) })
    }
}

/// As the refusal puts it after `User "…" cannot`, in the words of
/// `k8s.io/apiserver/pkg/endpoints/handlers/responsewriters/errors.go`.
impl Display for Attributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let resource = match self {
            Self::Path { path, verb } => return write!(f, "{verb} path {}", quote(path)),
            Self::Resource(resource) => resource,
        };
        let Resource { verb, group, resource, subresource, namespace, .. } = resource;
        let slash = if subresource.is_empty() { "" } else { "/" };
        let what = quote(&format!("{resource}{slash}{subresource}"));
        write!(f, "{verb} resource {what} in API group {}", quote(group))?;
        match namespace.as_str() {
            "" => f.write_str(" at the cluster scope"),
            namespace => write!(f, " in the namespace {}", quote(namespace)),
        }
    }
}

/// Whether the query asks for a watch: with any value but `0` and `false`, also without one.
pub fn wants_watch(query: &str) -> bool {
    parameter(query, "watch").is_some_and(|it| it != "0" && !it.eq_ignore_ascii_case("false"))
}

/// The value of a parameter. Of several the first counts, for the review and for the answer: with
/// two readings of one query the one would be reviewed and the other answered.
pub fn parameter<'a>(query: &'a str, name: &str) -> Option<Cow<'a, str>> {
    let mut all = form_urlencoded::parse(query.as_bytes());
    all.find(|(other, _)| other == name).map(|(_, value)| value)
}

/// As Go's `%q`, for the characters that there are in names.
pub(super) fn quote(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            c if c.is_ascii_control() => {
                // Writing to a string cannot fail.
                let _ = write!(quoted, "\\x{:02x}", u32::from(c));
            }
            c if c.is_control() => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// `None` for a path that is no resource's.
fn resource(method: &Method, uri: &Uri) -> Option<Resource> {
    let decoded: Vec<_> = uri.path().trim_matches('/').split('/').map(decode).collect();
    let mut parts = decoded.iter().map(AsRef::as_ref);
    let group = match (parts.next()?, decoded.len()) {
        ("api", 3..) => "",
        ("apis", 4..) => parts.next()?,
        _ => return None,
    };
    let version = parts.next()?;
    let mut parts: Vec<&str> = parts.collect();
    let verb_in_path = match parts.as_slice() {
        ["watch", _, ..] => Some("watch"),
        ["proxy", _, ..] => Some("proxy"),
        _ => None,
    };
    if verb_in_path.is_some() {
        parts.remove(0);
    }
    let mut namespace = "";
    if let ["namespaces", of, rest @ ..] = parts.as_slice() {
        namespace = of;
        // A metric of one of these names is judged as part of the namespace, by kube-apiserver too.
        if rest.first().is_some_and(|first| !["status", "finalize"].contains(first)) {
            parts = rest.to_vec();
        }
    }
    let part = |index: usize| parts.get(index).copied().unwrap_or_default();
    let name = part(1);
    let query = uri.query().unwrap_or_default();
    let verb = verb_in_path.unwrap_or_else(|| verb(method, name.is_empty(), query));
    let subresource = if verb == "proxy" { "" } else { part(2) };
    let selects = verb_in_path.is_none() && ["list", "watch", "deletecollection"].contains(&verb);
    let selector = parameter(query, "labelSelector").filter(|_| selects);
    Some(Resource {
        verb: verb.into(),
        group: group.to_owned(),
        version: version.to_owned(),
        resource: part(0).to_owned(),
        subresource: subresource.to_owned(),
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        selector: selector.and_then(|selector| selector::parse(&selector).ok()).unwrap_or_default(),
    })
}

fn verb(method: &Method, many: bool, query: &str) -> &'static str {
    match (method.as_str(), many) {
        ("POST", _) => "create",
        ("PUT", _) => "update",
        ("PATCH", _) => "patch",
        ("DELETE", false) => "delete",
        ("DELETE", true) => "deletecollection",
        ("GET" | "HEAD", false) => "get",
        ("GET" | "HEAD", true) if wants_watch(query) => "watch",
        ("GET" | "HEAD", true) => "list",
        _ => "",
    }
}

/// `%2F` and its like. What is no such thing stays, as in the router.
fn decode(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return text.into();
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let encoded = match (first, after) {
            (b'%', [high, low, ..]) => digit(*high).zip(digit(*low)),
            _ => None,
        };
        bytes.push(encoded.map_or(*first, |(high, low)| high * 16 + low));
        rest = if encoded.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned().into()
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

fn requirements(selector: &Selector) -> Option<LabelSelectorAttributes> {
    let requirements: Vec<_> = selector.requirements().filter_map(requirement).collect();
    (!requirements.is_empty()).then(|| LabelSelectorAttributes {
        requirements: Some(requirements),
        ..LabelSelectorAttributes::default()
    })
}

/// Nothing for a comparison, which reviews do not know: without it more is asked for.
fn requirement(requirement: &Requirement) -> Option<LabelSelectorRequirement> {
    let (operator, values) = match &requirement.operator {
        Operator::In(values) => ("In", Some(values)),
        Operator::NotIn(values) => ("NotIn", Some(values)),
        Operator::Exists => ("Exists", None),
        Operator::DoesNotExist => ("DoesNotExist", None),
        Operator::GreaterThan(_) | Operator::LessThan(_) => return None,
    };
    Some(LabelSelectorRequirement {
        key: requirement.key.clone(),
        operator: operator.to_owned(),
        values: values.map(|values| values.to_vec()),
    })
}

#[cfg(test)]
mod tests;
