//! A small, exact part of kustomize: `resources`, `components` and strategic-merge `patches`. Whatever else a
//! kustomization says is an error, so that what the harness applies is what `kubectl apply -k`
//! would. `e2e/tests/manifests.rs` compares the two.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::deploy::{ManifestError, Object, merge, object::Identity, yaml};

/// The names kustomize looks for, in its order (kustomize: api/konfig/general.go).
const FILE_NAMES: &[&str] = &["kustomization.yaml", "kustomization.yml", "Kustomization"];

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Kustomization {
    /// Not asked for by kustomize, and of one value only where present.
    #[serde(rename = "apiVersion")]
    _api_version: Option<ApiVersion>,
    kind: Option<Kind>,
    #[serde(default)]
    resources: Vec<PathBuf>,
    #[serde(default)]
    components: Vec<PathBuf>,
    #[serde(default)]
    patches: Vec<PatchEntry>,
}

#[derive(Debug, Deserialize)]
enum ApiVersion {
    #[serde(rename = "kustomize.config.k8s.io/v1beta1")]
    V1Beta1,
    #[serde(rename = "kustomize.config.k8s.io/v1alpha1")]
    V1Alpha1,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
enum Kind {
    Kustomization,
    Component,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PatchEntry {
    path: Option<PathBuf>,
    patch: Option<String>,
    target: Option<Target>,
}

/// Kustomize reads each field as a regular expression; here it must be plain text, which means the
/// same.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Target {
    group: Option<String>,
    version: Option<String>,
    kind: Option<String>,
    name: Option<String>,
    namespace: Option<String>,
}

/// Whether a path names a kustomization's directory or its file; then the directory.
pub(super) fn directory(path: &Path) -> Option<&Path> {
    if path.is_dir() {
        return Some(path);
    }
    let name = path.file_name()?.to_str()?;
    FILE_NAMES.contains(&name).then(|| path.parent().unwrap_or(path))
}

/// The objects of the kustomization in `directory`, in the order in which they are named.
pub(super) fn build(directory: &Path) -> Result<Vec<Object>, ManifestError> {
    let mut objects = Vec::new();
    build_onto(&mut objects, directory, None, &mut Vec::new())?;
    Ok(objects)
}

/// Adds the objects of the kustomization in `directory`. What it says about others reaches only its
/// own, but for a component: that is about everything that was there before it.
/// `open` holds the directories being built, to notice one that includes itself.
fn build_onto(
    before: &mut Vec<Object>,
    directory: &Path,
    named_as: Option<Kind>,
    open: &mut Vec<PathBuf>,
) -> Result<(), ManifestError> {
    let real = fs::canonicalize(directory)
        .map_err(|source| ManifestError::Read { path: directory.to_path_buf(), source })?;
    if open.contains(&real) {
        return Err(ManifestError::Cycle { path: directory.to_path_buf() });
    }
    let Some(path) = FILE_NAMES.iter().map(|it| directory.join(it)).find(|it| it.is_file()) else {
        return Err(ManifestError::NoKustomization { path: directory.to_path_buf() });
    };
    let file = path.display().to_string();
    let kustomization: Kustomization = yaml::typed(&file, &yaml::read(&path)?)?;

    let kind = kustomization.kind.unwrap_or(Kind::Kustomization);
    if named_as.is_some_and(|named| named != kind) {
        return Err(ManifestError::Unsupported {
            file,
            what: format!("a {kind:?} as one of the other's list"),
            remedy: "name a Component under `components`, all else under `resources`".to_owned(),
        });
    }

    open.push(real);
    let mut objects = match kind {
        Kind::Component => std::mem::take(before),
        Kind::Kustomization => Vec::new(),
    };
    for resource in &kustomization.resources {
        let resource = directory.join(resource);
        if resource.is_dir() {
            build_onto(&mut objects, &resource, Some(Kind::Kustomization), open)?;
        } else {
            objects.extend(yaml::objects(&resource)?);
        }
    }
    for component in &kustomization.components {
        build_onto(&mut objects, &directory.join(component), Some(Kind::Component), open)?;
    }
    open.pop();

    check_unique(&objects)?;
    for (index, entry) in kustomization.patches.iter().enumerate() {
        for patch in patches_of(entry, directory, &file, index)? {
            apply(&mut objects, &patch)?;
        }
    }
    before.append(&mut objects);
    Ok(())
}

/// That no object is described twice.
pub(super) fn check_unique(objects: &[Object]) -> Result<(), ManifestError> {
    for (index, second) in objects.iter().enumerate() {
        let same = |it: &&Object| it.identity().is_same_object(second.identity());
        if let Some(first) = objects[..index].iter().find(same) {
            return Err(ManifestError::Duplicate {
                id: second.id(),
                first: first.origin().clone(),
                second: second.origin().clone(),
            });
        }
    }
    Ok(())
}

/// One strategic-merge patch and what it is for.
struct Patch {
    /// For errors: the file, or the place in the kustomization.
    file: String,
    target: Target,
    /// `$patch: delete` on top: the object goes.
    deletes: bool,
    /// Without `$patch` and the fields that only say which object is meant.
    content: Map<String, Value>,
}

fn patches_of(
    entry: &PatchEntry,
    directory: &Path,
    kustomization: &str,
    index: usize,
) -> Result<Vec<Patch>, ManifestError> {
    let place = format!("{kustomization} patches[{index}]");
    let (file, text) = match (&entry.path, &entry.patch) {
        (Some(path), None) => {
            let path = directory.join(path);
            (path.display().to_string(), yaml::read(&path)?)
        }
        (None, Some(text)) => (format!("{place}.patch"), text.clone()),
        (Some(_), Some(_)) | (None, None) => {
            return Err(ManifestError::Unsupported {
                file: place,
                what: "a patch with both or none of `path` and `patch`".to_owned(),
                remedy: "give one of them".to_owned(),
            });
        }
    };
    let documents = yaml::documents(&file, &text)?;
    documents
        .into_iter()
        .map(|(_, value)| Patch::new(&file, value, entry.target.as_ref()))
        .collect()
}

fn apply(objects: &mut Vec<Object>, patch: &Patch) -> Result<(), ManifestError> {
    if !objects.iter().any(|it| patch.target.matches(it.identity())) {
        return Err(ManifestError::NoTarget {
            file: patch.file.clone(),
            target: patch.target.describe(),
        });
    }
    if patch.deletes {
        objects.retain(|it| !patch.target.matches(it.identity()));
        return Ok(());
    }
    for object in objects.iter_mut().filter(|it| patch.target.matches(it.identity())) {
        let Value::Object(mut content) = object.value().clone() else { continue };
        merge::strategic(&mut content, &patch.content).map_err(|refusal| {
            ManifestError::Unsupported {
                file: patch.file.clone(),
                what: refusal.what,
                remedy: refusal.remedy.to_owned(),
            }
        })?;
        *object = object.with_value(Value::Object(content))?;
    }
    Ok(())
}

// === impl Patch ===

impl Patch {
    fn new(file: &str, value: Value, target: Option<&Target>) -> Result<Self, ManifestError> {
        let unsupported = |what: String, remedy: &str| ManifestError::Unsupported {
            file: file.to_owned(),
            what,
            remedy: remedy.to_owned(),
        };
        let identity = Identity::of(&value);
        let Value::Object(mut content) = value else {
            return Err(unsupported(
                "a patch that is no map (such as a list of JSON patch operations)".to_owned(),
                "write a strategic-merge patch",
            ));
        };
        let target = match target {
            Some(target) => target.plain(file)?,
            None => identity
                .map(Target::of)
                .map_err(|what| unsupported(format!("a patch of which {what}"), "add it"))?,
        };
        let deletes = match content.remove("$patch") {
            None => false,
            Some(Value::String(directive)) if directive == "delete" => true,
            Some(other) => {
                return Err(unsupported(format!("$patch: {other}"), "only `delete` is"));
            }
        };
        // They select; kustomize too leaves an object's identity alone.
        content.remove("apiVersion");
        content.remove("kind");
        if let Some(Value::Object(metadata)) = content.get_mut("metadata") {
            metadata.remove("name");
            metadata.remove("namespace");
        }
        Ok(Self { file: file.to_owned(), target, deletes, content })
    }
}

// === impl Target ===

impl Target {
    /// Exactly the object that a patch names.
    fn of(identity: Identity) -> Self {
        Self {
            group: Some(identity.group().to_owned()),
            version: Some(identity.version().to_owned()),
            namespace: Some(identity.effective_namespace().to_owned()),
            kind: Some(identity.kind),
            name: Some(identity.name),
        }
    }

    /// Itself, if none of its fields could be meant as a regular expression. A dot cannot be told
    /// apart, and is taken as one: names such as `v1beta1.external.metrics.k8s.io` have them.
    fn plain(&self, file: &str) -> Result<Self, ManifestError> {
        let plain = |field: &str, value: &Option<String>| match value {
            Some(text) if text.contains(|it| r"^$*+?()[]{}|\".contains(it)) => {
                Err(ManifestError::Unsupported {
                    file: file.to_owned(),
                    what: format!("target.{field}: {text} as a regular expression"),
                    remedy: "name one object".to_owned(),
                })
            }
            // Kustomize takes an empty field for one that is not given.
            other => Ok(other.clone().filter(|it| !it.is_empty())),
        };
        Ok(Self {
            group: plain("group", &self.group)?,
            version: plain("version", &self.version)?,
            kind: plain("kind", &self.kind)?,
            name: plain("name", &self.name)?,
            namespace: plain("namespace", &self.namespace)?,
        })
    }

    fn matches(&self, identity: &Identity) -> bool {
        let same = |wanted: &Option<String>, value: &str| {
            wanted.as_deref().is_none_or(|wanted| wanted == value)
        };
        same(&self.group, identity.group())
            && same(&self.version, identity.version())
            && same(&self.kind, &identity.kind)
            && same(&self.name, &identity.name)
            && same(&self.namespace, identity.effective_namespace())
    }

    fn describe(&self) -> String {
        let fields = [&self.kind, &self.namespace, &self.name];
        let fields: Vec<&str> = fields.into_iter().flatten().map(String::as_str).collect();
        if fields.is_empty() { "every object".to_owned() } else { fields.join(" ") }
    }
}
