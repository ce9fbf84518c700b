//! `datadogmetric@NAMESPACE:NAME` in place of a metric's name; pure.
//!
//! Datadog's Cluster Agent lower-cases the text and takes letters, digits and `-`
//! (`pkg/clusteragent/autoscaling/externalmetrics/model/utils.go`); names of objects may have dots
//! too, and so may they here.

use crate::demand::ObjectName;

const PREFIX: &str = "datadogmetric@";
/// `k8s.io/apimachinery/pkg/util/validation`, `DNS1123LabelMaxLength`.
const MAX_NAMESPACE: usize = 63;
/// `k8s.io/apimachinery/pkg/util/validation`, `DNS1123SubdomainMaxLength`.
const MAX_NAME: usize = 253;

/// A metric's name that wants to be a reference and is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{name:?} is no reference to a DatadogMetric: {problem}, write datadogmetric@NAMESPACE:NAME"
)]
pub struct BadReference {
    name: String,
    problem: &'static str,
}

/// What `name` refers to; `None` if it is the name of a metric.
pub fn parse(name: &str) -> Option<Result<ObjectName, BadReference>> {
    name.get(..PREFIX.len()).filter(|start| start.eq_ignore_ascii_case(PREFIX))?;
    let lower = name.to_lowercase();
    let target = &lower[PREFIX.len()..];
    let bad = |problem| BadReference { name: name.to_owned(), problem };
    Some(match target.split_once(':') {
        None => Err(bad("there is no `:`")),
        Some((namespace, _)) if !is_namespace(namespace) => Err(bad(
            "the namespace before the `:` must be letters, digits and `-`, with a letter or digit \
             at both ends",
        )),
        Some((_, name)) if !is_name(name) => Err(bad(
            "the name after the `:` must be letters, digits, `-` and `.`, with a letter or digit at \
             both ends",
        )),
        Some((namespace, name)) => {
            Ok(ObjectName { namespace: namespace.to_owned(), name: name.to_owned() })
        }
    })
}

/// The name of the metric that refers to `object`.
pub fn write(object: &ObjectName) -> String {
    format!("{PREFIX}{}:{}", object.namespace, object.name)
}

fn is_namespace(text: &str) -> bool {
    text.len() <= MAX_NAMESPACE && is_label(text)
}

fn is_name(text: &str) -> bool {
    text.len() <= MAX_NAME && text.split('.').all(is_label)
}

/// Of a DNS name in lower case.
fn is_label(text: &str) -> bool {
    let is_alphanumeric = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    text.starts_with(is_alphanumeric)
        && text.ends_with(is_alphanumeric)
        && text.chars().all(|c| is_alphanumeric(c) || c == '-')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(name: &str, namespace: &str, object: &str) {
        let expected = ObjectName { namespace: namespace.into(), name: object.into() };
        assert_eq!(parse(name), Some(Ok(expected)));
    }

    #[track_caller]
    fn refused(name: &str, problem: &str) {
        let error = parse(name).unwrap().unwrap_err();
        assert!(error.problem.contains(problem), "{name}: {error}");
    }

    #[test]
    fn capitals_and_dots_are_fine() {
        check("datadogmetric@myns:name", "myns", "name");
        check("DatadogMetric@MyNS:Queue.Depth-1", "myns", "queue.depth-1");
    }

    // Upstream rejects `datadogmetric@name`; its errors for the others are one and the same
    // (datadog-agent#6331).
    #[test]
    fn a_mistake_is_named() {
        refused("datadogmetric@name", "no `:`");
        refused("datadogmetric@", "no `:`");
        refused("datadogmetric@:name", "namespace before");
        refused("datadogmetric@a.b:name", "namespace before");
        refused("datadogmetric@ns:", "name after");
        refused("datadogmetric@ns:a_b", "name after");
        refused("datadogmetric@ns:a:b", "name after");
        refused("datadogmetric@ns:-a", "name after");
        refused("datadogmetric@ns:a..b", "name after");
        assert_eq!(
            parse("datadogmetric@Name").unwrap().unwrap_err().to_string(),
            "\"datadogmetric@Name\" is no reference to a DatadogMetric: there is no `:`, write \
             datadogmetric@NAMESPACE:NAME"
        );
    }

    #[test]
    fn other_names_are_names_of_metrics() {
        assert_eq!(parse("datadogmetric"), None);
        assert_eq!(parse("nginx.net.request_per_s"), None);
    }

    proptest! {
        #[test]
        fn property_test_what_is_read_is_written_back(text in "(datadogmetric@)?[a-cA:.@é-]{0,12}") {
            if let Some(Ok(object)) = parse(&text) {
                prop_assert_eq!(write(&object), text.to_lowercase());
            }
        }
    }
}
