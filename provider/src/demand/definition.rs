//! What one `DatadogMetric` asks for; pure.
//!
//! Objects are read field by field from what kube-apiserver sends, not as a whole by their type:
//! one that a CRD of another version let in must not make the list of all of them unreadable.

use std::time::Duration;

use kube::{ResourceExt, core::DynamicObject};

use crate::{
    demand::{
        ObjectName, Raw,
        datadog_metric::{ALWAYS_ACTIVE, DatadogMetricSpec},
        duration,
    },
    query::{
        Query,
        raw::{self, RawError},
        template::{self, TemplateError, Values},
    },
};

/// What a `DatadogMetric` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    /// The object's UID.
    pub uid: String,
    /// The query, or what is wrong with it.
    pub raw: Result<Raw, BadDefinition>,
    /// `spec.externalMetricName`: set on those that we made ourselves.
    pub external_metric_name: Option<String>,
    /// Whether it is to be asked for although no autoscaler refers to it.
    pub always_active: bool,
}

/// Why a `DatadogMetric` cannot be asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadDefinition {
    /// The spec is not what the CRD says.
    #[error("its spec cannot be read: {error}")]
    Spec {
        /// What serde says.
        error: String,
    },
    /// A template without a value.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// Not one query.
    #[error(transparent)]
    Query(#[from] RawError),
    /// A time that cannot be read.
    #[error("spec.{field} {value:?} is no duration such as 900s, 15m or 1h30m")]
    Duration {
        /// The field's name.
        field: &'static str,
        /// What it has.
        value: String,
    },
}

/// Reads one object.
pub fn read(object: &DynamicObject, values: &Values) -> (ObjectName, Definition) {
    let name =
        ObjectName { namespace: object.namespace().unwrap_or_default(), name: object.name_any() };
    let always_active = object.annotations().get(ALWAYS_ACTIVE).is_some_and(|it| is_true(it));
    let uid = object.uid().unwrap_or_default();
    let spec = object.data.get("spec").cloned().unwrap_or_default();
    let definition = match serde_json::from_value::<DatadogMetricSpec>(spec) {
        Ok(spec) => Definition {
            uid,
            raw: raw(&spec, values),
            external_metric_name: spec.external_metric_name,
            always_active,
        },
        Err(error) => Definition {
            uid,
            raw: Err(BadDefinition::Spec { error: error.to_string() }),
            external_metric_name: None,
            always_active,
        },
    };
    (name, definition)
}

fn raw(spec: &DatadogMetricSpec, values: &Values) -> Result<Raw, BadDefinition> {
    // Resolved first: a value may have commas and brackets too.
    let query = template::resolve(spec.query.trim(), values)?;
    raw::check(&query)?;
    Ok(Raw {
        query: Query::new(query),
        max_age: time("maxAge", spec.max_age.as_deref())?,
        window: time("timeWindow", spec.time_window.as_deref())?,
    })
}

/// Zero means "not set", as for Datadog's Cluster Agent.
fn time(field: &'static str, text: Option<&str>) -> Result<Option<Duration>, BadDefinition> {
    let Some(text) = text else { return Ok(None) };
    let bad = |_| BadDefinition::Duration { field, value: text.to_owned() };
    Ok(Some(duration::parse(text).map_err(bad)?).filter(|time| !time.is_zero()))
}

/// What Go's `strconv.ParseBool` takes for true.
fn is_true(text: &str) -> bool {
    matches!(text, "1" | "t" | "T" | "true" | "True" | "TRUE")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn definition(annotations: &Value, spec: &Value) -> Definition {
        let object = serde_json::from_value(json!({
            "apiVersion": "datadoghq.com/v1alpha1",
            "kind": "DatadogMetric",
            "metadata": {"namespace": "web", "name": "requests", "uid": "1-2-3", "annotations": annotations},
            "spec": spec,
        }))
        .unwrap();
        let (name, definition) = read(&object, &Values::new(Some("one".into()), []));
        assert_eq!(name.to_string(), "web/requests");
        definition
    }

    #[track_caller]
    fn refused(spec: &Value, expected: &str) {
        let error = definition(&json!({}), spec).raw.unwrap_err();
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn query_times_and_marks_are_read() {
        let read = definition(
            &json!({(ALWAYS_ACTIVE): "true"}),
            &json!({
                "query": " sum:m{c:%%tag_kube_cluster_name%%}\n",
                "externalMetricName": "m",
                "maxAge": "900s",
                "timeWindow": "1h30m",
            }),
        );
        let raw = Raw {
            query: Query::new("sum:m{c:one}"),
            max_age: Some(Duration::from_secs(900)),
            window: Some(Duration::from_secs(5400)),
        };
        let expected = Definition {
            uid: "1-2-3".into(),
            raw: Ok(raw),
            external_metric_name: Some("m".into()),
            always_active: true,
        };
        assert_eq!(read, expected);
        let zero = definition(&json!({}), &json!({"query": "sum:m{*}", "maxAge": "0s"}));
        assert_eq!(zero.raw.unwrap().max_age, None);
        assert!(!zero.always_active);
    }

    #[test]
    fn what_is_wrong_is_named() {
        refused(&json!({}), "the query is empty");
        refused(&json!({"query": "sum:m{*"}), "`{` at character 6 of the query is not closed");
        refused(
            &json!({"query": "sum:m{*}", "maxAge": "900"}),
            "spec.maxAge \"900\" is no duration such as 900s, 15m or 1h30m",
        );
        refused(
            &json!({"query": "sum:m{*}", "timeWindow": "soon"}),
            "spec.timeWindow \"soon\" is no duration such as 900s, 15m or 1h30m",
        );
        refused(
            &json!({"query": 7}),
            "its spec cannot be read: invalid type: integer `7`, expected a string",
        );
        refused(
            &json!({"query": "sum:m{c:%%tag_zone%%}"}),
            "tag \"zone\" in a template is unknown, use %%tag_kube_cluster_name%%",
        );
    }
}
