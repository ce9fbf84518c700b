use std::{fmt, path::PathBuf};

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::deploy::ManifestError;

/// Where an object was read, shown as `FILE:LINE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The file, as the caller's path leads to it.
    pub path: PathBuf,
    /// The line on which its document begins, from 1.
    pub line: u64,
}

/// One Kubernetes object, known to have an `apiVersion`, a `kind` and a name.
#[derive(Clone, Debug)]
pub struct Object {
    origin: Origin,
    identity: Identity,
    value: Value,
}

/// What tells one object from all others; kept beside the value so that reading it cannot fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) api_version: String,
    pub(super) kind: String,
    pub(super) namespace: Option<String>,
    pub(super) name: String,
}

impl Object {
    pub(super) fn new(origin: Origin, value: Value) -> Result<Self, ManifestError> {
        match Identity::of(&value) {
            Ok(identity) => Ok(Self { origin, identity, value }),
            Err(what) => Err(ManifestError::NotAnObject { origin, what }),
        }
    }

    /// An object that was read once before.
    pub(crate) fn from_value(value: Value) -> Result<Self, ManifestError> {
        Self::new(Origin { path: PathBuf::from("(saved)"), line: 1 }, value)
    }

    /// `group/version`, or `v1` for the core group.
    pub fn api_version(&self) -> &str {
        &self.identity.api_version
    }

    /// The kind, such as `Deployment`.
    pub fn kind(&self) -> &str {
        &self.identity.kind
    }

    /// `metadata.name`.
    pub fn name(&self) -> &str {
        &self.identity.name
    }

    /// `metadata.namespace`; none for an object of the whole cluster, or when the file leaves it
    /// to the client.
    pub fn namespace(&self) -> Option<&str> {
        self.identity.namespace.as_deref()
    }

    /// Kind, namespace and name for people, such as `Deployment default/nginx`.
    pub fn id(&self) -> String {
        self.identity.to_string()
    }

    /// Where it was read.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The whole object.
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// The object as its type. Fields that the type does not know are ignored, as serde does; the
    /// apiserver refuses them.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, ManifestError> {
        T::deserialize(&self.value).map_err(|source| ManifestError::Type {
            origin: self.origin.clone(),
            id: self.id(),
            source,
        })
    }

    /// That this object has no such part.
    pub(super) fn missing(&self, what: impl Into<String>) -> ManifestError {
        ManifestError::Missing { origin: self.origin.clone(), id: self.id(), what: what.into() }
    }

    pub(super) fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The same object with another content, which may have changed its name.
    pub(super) fn with_value(&self, value: Value) -> Result<Self, ManifestError> {
        Self::new(self.origin.clone(), value)
    }
}

// === impl Identity ===

impl Identity {
    /// The identity, or the field that is wrong.
    pub(super) fn of(value: &Value) -> Result<Self, String> {
        let text = |pointer: &str, field: &str| match value.pointer(pointer) {
            Some(Value::String(text)) if !text.is_empty() => Ok(Some(text.clone())),
            None | Some(Value::Null) => Ok(None),
            Some(other) => Err(format!("{field} is {other}, not a name")),
        };
        let required =
            |pointer, field| text(pointer, field)?.ok_or_else(|| format!("it has no {field}"));
        Ok(Self {
            api_version: required("/apiVersion", "apiVersion")?,
            kind: required("/kind", "kind")?,
            namespace: text("/metadata/namespace", "metadata.namespace")?,
            name: required("/metadata/name", "metadata.name")?,
        })
    }

    /// The API group; empty for the core group.
    pub(super) fn group(&self) -> &str {
        self.api_version.split_once('/').map_or("", |(group, _)| group)
    }

    /// The version within the group.
    pub(super) fn version(&self) -> &str {
        self.api_version.rsplit_once('/').map_or(self.api_version.as_str(), |(_, version)| version)
    }

    /// The namespace by which objects are told apart. Kustomize takes none for `default`, and so
    /// does a client that was told nothing else.
    pub(super) fn effective_namespace(&self) -> &str {
        self.namespace.as_deref().unwrap_or("default")
    }

    /// Whether both name the same object. A cluster keeps one object for all versions of a kind.
    pub(super) fn is_same_object(&self, other: &Self) -> bool {
        self.group() == other.group()
            && self.kind == other.kind
            && self.effective_namespace() == other.effective_namespace()
            && self.name == other.name
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{} {namespace}/{}", self.kind, self.name),
            None => write!(f, "{} {}", self.kind, self.name),
        }
    }
}

// === impl Origin ===

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.path.display(), self.line)
    }
}
