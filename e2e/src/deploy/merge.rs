//! Two ways of putting one JSON value on top of another.

use serde_json::{Map, Value};

/// Lists that Kubernetes merges by a key of their items: fields tagged `patchStrategy=merge` in
/// k8s.io/api/core/v1/types.go, with their `patchMergeKey`.
const MERGED_BY_KEY: &[(&str, &str)] = &[
    ("containers", "name"),
    ("initContainers", "name"),
    ("env", "name"),
    ("volumes", "name"),
    ("volumeMounts", "mountPath"),
    ("topologySpreadConstraints", "topologyKey"),
];

/// Lists of objects without a merge key there, which a patch replaces as a whole.
const REPLACED: &[&str] = &["rules", "subjects", "metrics", "tolerations", "envFrom", "sources"];

/// Lists of scalars that Kubernetes merges nevertheless.
const MERGED_SCALARS: &[&str] = &["finalizers"];

/// A patch that kustomize would apply in a way that is not implemented here.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unsupported {
    pub(super) what: String,
    pub(super) remedy: &'static str,
}

/// Kustomize's strategic merge, for the part where the schema is not needed: maps are merged, `null`
/// deletes, the lists above are merged by their key (new items first, as kustomize puts them) and an
/// item with `$patch: delete` leaves; lists of scalars are replaced. Every other list would need its
/// merge key from the schema, and is refused.
pub(super) fn strategic(
    target: &mut Map<String, Value>,
    patch: &Map<String, Value>,
) -> Result<(), Unsupported> {
    merge_map(target, patch, "")
}

/// JSON merge patch, RFC 7396: maps are merged, `null` deletes, all else is replaced.
pub(super) fn json(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(target) = target else { return };
    for (key, value) in patch {
        if value.is_null() {
            target.remove(key);
        } else {
            json(target.entry(key.clone()).or_insert(Value::Null), value);
        }
    }
}

fn merge_map(
    target: &mut Map<String, Value>,
    patch: &Map<String, Value>,
    at: &str,
) -> Result<(), Unsupported> {
    for (key, value) in patch {
        let at = if at.is_empty() { key.clone() } else { format!("{at}.{key}") };
        if key.starts_with('$') {
            return Err(Unsupported {
                what: format!("the directive {at}: {value}"),
                remedy: "only `$patch: delete` is, on an object or on an item of a named list",
            });
        }
        match value {
            Value::Null => {
                target.remove(key);
            }
            Value::Object(patch) => {
                let mut merged = match target.remove(key) {
                    Some(Value::Object(present)) => present,
                    _ => Map::new(),
                };
                merge_map(&mut merged, patch, &at)?;
                target.insert(key.clone(), Value::Object(merged));
            }
            Value::Array(items) => {
                let present = match target.remove(key) {
                    Some(Value::Array(present)) => present,
                    _ => Vec::new(),
                };
                let merged = merge_list(present, items, key, &at)?;
                target.insert(key.clone(), Value::Array(merged));
            }
            scalar => {
                target.insert(key.clone(), scalar.clone());
            }
        }
    }
    Ok(())
}

fn merge_list(
    present: Vec<Value>,
    patch: &[Value],
    key: &str,
    at: &str,
) -> Result<Vec<Value>, Unsupported> {
    if let Some((_, merge_key)) = MERGED_BY_KEY.iter().find(|(list, _)| *list == key) {
        return merge_by_key(present, patch, merge_key, at);
    }
    let scalars = patch.iter().all(|it| !it.is_object() && !it.is_array());
    if REPLACED.contains(&key) || scalars && !MERGED_SCALARS.contains(&key) {
        return Ok(patch.to_vec());
    }
    Err(Unsupported {
        what: format!("the list {at}, which kustomize merges by a key of its schema,"),
        remedy: "patch it in code, or delete it with null",
    })
}

fn merge_by_key(
    mut present: Vec<Value>,
    patch: &[Value],
    key: &str,
    at: &str,
) -> Result<Vec<Value>, Unsupported> {
    let mut added = Vec::new();
    for item in patch {
        let (Value::Object(item), Some(name)) = (item, key_of(item, key)) else {
            return Err(Unsupported {
                what: format!("an item of {at} without a {key}"),
                remedy: "give it that of the item to be changed",
            });
        };
        if item.get("$patch").and_then(Value::as_str) == Some("delete") {
            present.retain(|it| key_of(it, key) != Some(name));
            continue;
        }
        let at = format!("{at}[{name}]");
        let found = present.iter_mut().find(|it| key_of(it, key) == Some(name));
        if let Some(Value::Object(found)) = found {
            merge_map(found, item, &at)?;
        } else {
            let mut new = Map::new();
            merge_map(&mut new, item, &at)?;
            added.push(Value::Object(new));
        }
    }
    added.append(&mut present);
    Ok(added)
}

fn key_of<'a>(item: &'a Value, key: &str) -> Option<&'a str> {
    item.get(key).and_then(Value::as_str)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check_strategic(target: &Value, patch: &Value, expected: &Value) {
        let mut merged = target.as_object().unwrap().clone();
        strategic(&mut merged, patch.as_object().unwrap()).unwrap();
        assert_eq!(&Value::Object(merged), expected);
    }

    #[track_caller]
    fn check_refused(patch: &Value, what: &str) {
        let refusal = strategic(&mut Map::new(), patch.as_object().unwrap()).unwrap_err();
        assert!(refusal.what.contains(what), "{refusal:?}");
    }

    #[test]
    fn maps_are_merged_and_null_deletes() {
        check_strategic(
            &json!({"spec": {"type": "ClusterIP", "selector": {"app": "a"}, "keep": 1}}),
            &json!({"spec": {"type": "ExternalName", "selector": null, "absent": null}}),
            &json!({"spec": {"type": "ExternalName", "keep": 1}}),
        );
    }

    #[test]
    fn a_null_inside_a_new_map_leaves_no_trace() {
        check_strategic(
            &json!({}),
            &json!({"spec": {"a": {"b": null}}}),
            &json!({"spec": {"a": {}}}),
        );
    }

    #[test]
    fn containers_and_their_environment_are_merged_by_name_with_new_items_first() {
        check_strategic(
            &json!({"containers": [
                {"name": "other"},
                {"name": "agent", "image": "i", "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]},
            ]}),
            &json!({"containers": [
                {"name": "agent", "env": [{"name": "C", "value": "3"}, {"name": "B", "value": "9"}]},
            ]}),
            &json!({"containers": [
                {"name": "other"},
                {"name": "agent", "image": "i", "env": [
                    {"name": "C", "value": "3"}, {"name": "A", "value": "1"}, {"name": "B", "value": "9"},
                ]},
            ]}),
        );
    }

    #[test]
    fn an_item_marked_for_deletion_leaves_its_list() {
        check_strategic(
            &json!({"env": [{"name": "A"}, {"name": "B"}]}),
            &json!({"env": [{"name": "A", "$patch": "delete"}]}),
            &json!({"env": [{"name": "B"}]}),
        );
    }

    #[test]
    fn lists_of_scalars_and_of_rules_are_replaced() {
        check_strategic(
            &json!({"args": ["a", "b"], "rules": [{"verbs": ["get"]}]}),
            &json!({"args": ["c"], "rules": [{"verbs": ["list"]}]}),
            &json!({"args": ["c"], "rules": [{"verbs": ["list"]}]}),
        );
    }

    #[test]
    fn what_needs_the_schema_is_refused_by_its_path() {
        check_refused(&json!({"spec": {"ports": [{"port": 1}]}}), "spec.ports");
        check_refused(&json!({"metadata": {"finalizers": ["a"]}}), "metadata.finalizers");
        check_refused(&json!({"spec": {"$patch": "replace"}}), "spec.$patch");
        check_refused(&json!({"env": [{"value": "1"}]}), "env without a name");
    }

    /// The examples of RFC 7396, appendix A, that are objects on both sides.
    #[test]
    fn json_merge_patch_does_as_its_rfc_says() {
        let cases = [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "b"}), json!({"b": "c"}), json!({"a": "b", "b": "c"})),
            (json!({"a": "b"}), json!({"a": null}), json!({})),
            (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "c"}), json!({"a": ["b"]}), json!({"a": ["b"]})),
            (
                json!({"a": {"b": "c"}}),
                json!({"a": {"b": "d", "c": null}}),
                json!({"a": {"b": "d"}}),
            ),
            (json!({"a": [{"b": "c"}]}), json!({"a": [1]}), json!({"a": [1]})),
            (json!({"e": null}), json!({"a": 1}), json!({"e": null, "a": 1})),
            (json!({}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}})),
        ];
        for (mut target, patch, expected) in cases {
            json(&mut target, &patch);
            assert_eq!(target, expected, "after {patch}");
        }
    }
}
