//! From YAML on disk to objects in the cluster.
//!
//! ```text
//! manifests/*.yaml ─▶ Manifests ─▶ set what differs in this run ─▶ Deployer ─▶ kube-apiserver
//! kustomization        load         patch, set_env                  server-side apply
//! ```
//!
//! The harness applies the very files that a user applies. What a backend must change for good is
//! a kustomize overlay; what differs from run to run (ports, keys, addresses) is set in code.

mod apply;
mod error;
mod kustomize;
mod manifests;
mod merge;
mod object;
mod yaml;

pub use self::apply::{DeployError, Deployer, FIELD_MANAGER};
pub use self::error::ManifestError;
pub use self::manifests::Manifests;
pub use self::object::{Object, Origin};
