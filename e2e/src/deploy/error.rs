use std::{io, path::PathBuf};

use crate::deploy::Origin;

/// Why manifests cannot be loaded, or do not hold what is asked of them.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// The file cannot be read at all.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file or directory, as it was named.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The text is no YAML, or not of the shape it must have. Line and column count from 1.
    #[error("{file}:{line}:{column}: {message}")]
    Yaml {
        /// The file; for a patch written inside a kustomization also which one.
        file: String,
        /// Line in the file (for an inline patch: in the patch).
        line: u64,
        /// Column in characters.
        column: u64,
        /// What is wrong, on one line.
        message: String,
    },
    /// A document is YAML, but no Kubernetes object.
    #[error("{origin}: not a Kubernetes object: {what}")]
    NotAnObject {
        /// Where the document begins.
        origin: Origin,
        /// The field that is missing or of the wrong type.
        what: String,
    },
    /// Two documents describe the same object; which one counts would depend on their order.
    #[error("{second}: {id} was already defined at {first}; remove one of them")]
    Duplicate {
        /// Kind, namespace and name.
        id: String,
        /// The earlier definition.
        first: Origin,
        /// The later one.
        second: Origin,
    },
    /// A directory was given that kustomize would refuse too.
    #[error("{} has no kustomization.yaml; name a file, or a directory with one", path.display())]
    NoKustomization {
        /// The directory.
        path: PathBuf,
    },
    /// A kustomization that includes a directory which includes it.
    #[error("{} includes itself through its resources; remove that entry", path.display())]
    Cycle {
        /// The directory that was met a second time.
        path: PathBuf,
    },
    /// A kustomization that is valid, but outside of what this loader does exactly as kustomize.
    #[error("{file}: {what} is not supported here; {remedy}")]
    Unsupported {
        /// The kustomization or patch file.
        file: String,
        /// The field and its value.
        what: String,
        /// What to write instead.
        remedy: String,
    },
    /// A patch that would change nothing is a typing error.
    #[error("{file}: the patch of {target} matches no object of this kustomization")]
    NoTarget {
        /// The patch file, or the kustomization with an inline patch.
        file: String,
        /// What the patch selects.
        target: String,
    },
    /// The manifests hold no such object.
    #[error("no {kind} {name} in the manifests; they have: {have}")]
    NotFound {
        /// The wanted kind.
        kind: String,
        /// The wanted name.
        name: String,
        /// What there is of this kind, or the kinds when there is nothing of it.
        have: String,
    },
    /// A name that occurs in several namespaces.
    #[error("{kind} {name} is ambiguous: it is in the namespaces {namespaces}")]
    Ambiguous {
        /// The wanted kind.
        kind: String,
        /// The wanted name.
        name: String,
        /// Where it was found, separated by commas.
        namespaces: String,
    },
    /// An object is there, but a part of it is not.
    #[error("{origin}: {id} has no {what}")]
    Missing {
        /// Where the object was read.
        origin: Origin,
        /// Kind, namespace and name.
        id: String,
        /// The missing part.
        what: String,
    },
    /// An environment variable whose value only a kubelet could find out.
    #[error("{origin}: the value of {variable} in {id} comes from {from}; set it with set_env")]
    Env {
        /// Where the object was read.
        origin: Origin,
        /// Kind, namespace and name.
        id: String,
        /// The variable's name.
        variable: String,
        /// The reference, with its object and key.
        from: String,
    },
    /// An object that does not fit the type asked for.
    #[error("{origin}: {id} does not fit its type")]
    Type {
        /// Where the object was read.
        origin: Origin,
        /// Kind, namespace and name.
        id: String,
        /// Which field, and why.
        #[source]
        source: serde_json::Error,
    },
}
