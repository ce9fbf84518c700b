use std::{collections::BTreeMap, path::Path, slice, time::Duration};

use serde_json::{Value, json};

use crate::deploy::{ManifestError, Object, kustomize, merge, yaml};

/// Objects as they are to be applied, in order.
#[derive(Clone, Debug)]
pub struct Manifests {
    objects: Vec<Object>,
}

impl Manifests {
    /// Reads a YAML file (of one or more documents), or the kustomization of a directory.
    pub fn load(path: &Path) -> Result<Self, ManifestError> {
        let objects = match kustomize::directory(path) {
            Some(directory) => kustomize::build(directory)?,
            None => yaml::objects(path)?,
        };
        kustomize::check_unique(&objects)?;
        Ok(Self { objects })
    }

    /// All objects, in order.
    pub fn iter(&self) -> slice::Iter<'_, Object> {
        self.objects.iter()
    }

    /// The one object of this kind and name.
    pub fn get(&self, kind: &str, name: &str) -> Result<&Object, ManifestError> {
        Ok(&self.objects[self.position(kind, name)?])
    }

    /// Puts `patch` on top of one object by JSON merge patch (RFC 7396): maps are merged, `null`
    /// deletes, lists are replaced.
    pub fn patch(&mut self, kind: &str, name: &str, patch: &Value) -> Result<(), ManifestError> {
        let position = self.position(kind, name)?;
        let object = &self.objects[position];
        let mut value = object.value().clone();
        merge::json(&mut value, patch);
        self.objects[position] = object.with_value(value)?;
        kustomize::check_unique(&self.objects)
    }

    /// Gives an environment variable of a container of a workload (kind and name) a plain value,
    /// whatever it had before.
    pub fn set_env(
        &mut self,
        (kind, name): (&str, &str),
        container: &str,
        variable: &str,
        value: &str,
    ) -> Result<(), ManifestError> {
        let position = self.position(kind, name)?;
        let object = &self.objects[position];
        let mut changed = object.value().clone();
        let Some(Value::Object(found)) = changed
            .pointer_mut(CONTAINERS)
            .and_then(Value::as_array_mut)
            .and_then(|all| all.iter_mut().find(|it| it["name"] == container))
        else {
            return Err(no_container(object, container));
        };
        let entry = json!({"name": variable, "value": value});
        match found.entry("env").or_insert_with(|| json!([])) {
            Value::Array(env) => match env.iter_mut().find(|it| it["name"] == variable) {
                Some(present) => *present = entry,
                None => env.push(entry),
            },
            other => *other = json!([entry]),
        }
        self.objects[position] = object.with_value(changed)?;
        Ok(())
    }

    /// Moves everything into one namespace, but for what is cluster-wide or in a namespace of
    /// Kubernetes itself. The namespaces that the files bring along go.
    pub fn move_to_namespace(&mut self, namespace: &str) -> Result<(), ManifestError> {
        self.objects.retain(|object| object.kind() != "Namespace");
        for object in &mut self.objects {
            let mut value = object.value().clone();
            for pointer in ["/metadata/namespace", "/spec/service/namespace"] {
                move_name(value.pointer_mut(pointer), namespace);
            }
            let subjects = value.get_mut("subjects").and_then(Value::as_array_mut);
            for subject in subjects.into_iter().flatten() {
                move_name(subject.get_mut("namespace"), namespace);
            }
            *object = object.with_value(value)?;
        }
        kustomize::check_unique(&self.objects)
    }

    /// Gives each HPA a down-scale window of its own.
    pub fn set_downscale_window(&mut self, window: Duration) -> Result<(), ManifestError> {
        let patch = json!({
            "spec": {"behavior": {"scaleDown": {"stabilizationWindowSeconds": window.as_secs()}}},
        });
        for object in &mut self.objects {
            if object.kind() == "HorizontalPodAutoscaler" {
                let mut value = object.value().clone();
                merge::json(&mut value, &patch);
                *object = object.with_value(value)?;
            }
        }
        Ok(())
    }

    /// The environment that a Deployment's container would have, for a process that stands in for
    /// its pod. `fields` answers for `fieldRef`s by their path (`metadata.name`, …); a reference
    /// to anything that only a kubelet could read is an error.
    pub fn container_env(
        &self,
        deployment: &str,
        container: &str,
        fields: &BTreeMap<String, String>,
    ) -> Result<BTreeMap<String, String>, ManifestError> {
        let object = self.get("Deployment", deployment)?;
        let containers = object.value().pointer(CONTAINERS).and_then(Value::as_array);
        let found = containers.into_iter().flatten().find(|it| it["name"] == container);
        let found = found.ok_or_else(|| no_container(object, container))?;
        let unknown = |variable: &str, from: String| ManifestError::Env {
            origin: object.origin().clone(),
            id: object.id(),
            variable: variable.to_owned(),
            from,
        };
        if let Some(from) = found.get("envFrom").filter(|it| !it.is_null()) {
            return Err(unknown("every variable of envFrom", from.to_string()));
        }
        let mut environment = BTreeMap::new();
        for variable in found["env"].as_array().into_iter().flatten() {
            let Some(name) = variable["name"].as_str() else {
                return Err(object.missing(format!("name for a variable of {container}")));
            };
            let value = value_of(variable, fields).map_err(|reference| unknown(name, reference))?;
            environment.insert(name.to_owned(), value);
        }
        Ok(environment)
    }

    /// One entry of a ConfigMap.
    pub fn config_map(&self, name: &str, key: &str) -> Result<&str, ManifestError> {
        let object = self.get("ConfigMap", name)?;
        let entry = object.value().get("data").and_then(|data| data.get(key));
        entry
            .and_then(Value::as_str)
            .ok_or_else(|| object.missing(format!("key {key} in its data")))
    }

    fn position(&self, kind: &str, name: &str) -> Result<usize, ManifestError> {
        let named = |it: &Object| it.kind() == kind && it.name() == name;
        let found: Vec<usize> =
            (0..self.objects.len()).filter(|it| named(&self.objects[*it])).collect();
        match found[..] {
            [position] => Ok(position),
            [] => Err(ManifestError::NotFound {
                kind: kind.to_owned(),
                name: name.to_owned(),
                have: self.have(kind),
            }),
            _ => {
                let namespaces: Vec<&str> =
                    found.iter().filter_map(|it| self.objects[*it].namespace()).collect();
                Err(ManifestError::Ambiguous {
                    kind: kind.to_owned(),
                    name: name.to_owned(),
                    namespaces: namespaces.join(", "),
                })
            }
        }
    }

    /// What an error can offer instead: the names of this kind, else the kinds.
    fn have(&self, kind: &str) -> String {
        let names = self.objects.iter().filter(|it| it.kind() == kind).map(Object::name);
        let names: Vec<&str> = names.collect();
        if !names.is_empty() {
            return names.join(", ");
        }
        let mut kinds: Vec<&str> = self.objects.iter().map(Object::kind).collect();
        kinds.sort_unstable();
        kinds.dedup();
        if kinds.is_empty() { "nothing".to_owned() } else { kinds.join(", ") }
    }
}

impl<'a> IntoIterator for &'a Manifests {
    type Item = &'a Object;
    type IntoIter = slice::Iter<'a, Object>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

fn move_name(found: Option<&mut Value>, namespace: &str) {
    if let Some(found) = found
        && found.as_str().is_some_and(|it| !it.starts_with("kube-"))
    {
        *found = namespace.into();
    }
}

const CONTAINERS: &str = "/spec/template/spec/containers";

/// The value of one variable, or the reference that cannot be followed.
fn value_of(variable: &Value, fields: &BTreeMap<String, String>) -> Result<String, String> {
    let Some(source) = variable.get("valueFrom").filter(|it| !it.is_null()) else {
        let value = variable["value"].as_str().unwrap_or_default();
        // A kubelet replaces $(NAME); a process started as it stands would not see the same.
        return if value.contains("$(") {
            Err(format!("other variables, by {value}"))
        } else {
            Ok(value.to_owned())
        };
    };
    if let Some(path) = source.pointer("/fieldRef/fieldPath").and_then(Value::as_str) {
        return fields.get(path).cloned().ok_or_else(|| format!("the pod's field {path}"));
    }
    let named = |kind: &str, reference: &str| {
        let reference = source.get(reference)?;
        let (name, key) = (reference["name"].as_str()?, reference["key"].as_str()?);
        Some(format!("key {key} of {kind} {name}"))
    };
    Err(named("Secret", "secretKeyRef")
        .or_else(|| named("ConfigMap", "configMapKeyRef"))
        .unwrap_or_else(|| source.to_string()))
}

fn no_container(object: &Object, container: &str) -> ManifestError {
    let containers = object.value().pointer(CONTAINERS).and_then(Value::as_array);
    let names: Vec<&str> =
        containers.into_iter().flatten().filter_map(|it| it["name"].as_str()).collect();
    object.missing(format!("container {container}; it has: {}", names.join(", ")))
}
