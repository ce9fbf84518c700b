//! `%%tag_…%%` and `%%env_…%%` in the query of a `DatadogMetric`; pure.
//!
//! The rules are those of Datadog's Cluster Agent
//! (`pkg/clusteragent/autoscaling/externalmetrics/model/utils.go`), but for secrets: a query is
//! shown in many places, so that a variable which may hold a key is refused.

use std::{collections::BTreeMap, fmt};

/// The only tag that has a value.
const CLUSTER_NAME: &str = "kube_cluster_name";
/// What the names of variables with secrets have in them.
const SECRETS: [&str; 6] = ["KEY", "TOKEN", "SECRET", "PASSWORD", "PASSWD", "CREDENTIAL"];

/// What templates can be replaced by.
#[derive(Clone, Default)]
pub struct Values {
    tags: BTreeMap<String, String>,
    env: BTreeMap<String, String>,
}

/// Why a template has no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// Neither a tag nor a variable.
    #[error("template %%{0}%% is unknown, use %%tag_kube_cluster_name%% or %%env_NAME%%", variable)]
    UnknownKind {
        /// What stands between the signs.
        variable: String,
    },
    /// A tag other than the cluster's name.
    #[error("tag {tag:?} in a template is unknown, use %%tag_kube_cluster_name%%")]
    UnknownTag {
        /// The tag's name.
        tag: String,
    },
    /// Nobody told the cluster's name.
    #[error("%%tag_kube_cluster_name%% has no value, set DD_CLUSTER_NAME on the provider")]
    NoClusterName,
    /// No such variable.
    #[error("%%env_{name}%% has no value, set {name} on the provider")]
    Unset {
        /// The variable's name.
        name: String,
    },
    /// A query is no place for a secret.
    #[error("%%env_{name}%% may hold a secret, use a variable with another name")]
    Secret {
        /// The variable's name.
        name: String,
    },
}

impl Values {
    /// The cluster's name, if it is known, and the provider's environment.
    pub fn new(
        cluster_name: Option<String>,
        env: impl IntoIterator<Item = (String, String)>,
    ) -> Self {
        let tags = cluster_name.map(|name| (CLUSTER_NAME.to_owned(), name)).into_iter().collect();
        Self { tags, env: env.into_iter().filter(|(name, _)| !is_secret(name)).collect() }
    }

    fn get(&self, variable: &str) -> Result<&str, TemplateError> {
        let unknown = || TemplateError::UnknownKind { variable: variable.to_owned() };
        match variable.split_once('_').ok_or_else(unknown)? {
            ("tag", tag) => self.tags.get(tag).map(String::as_str).ok_or_else(|| match tag {
                CLUSTER_NAME => TemplateError::NoClusterName,
                tag => TemplateError::UnknownTag { tag: tag.to_owned() },
            }),
            ("env", name) if is_secret(name) => {
                Err(TemplateError::Secret { name: name.to_owned() })
            }
            ("env", name) => self
                .env
                .get(name)
                .map(String::as_str)
                .ok_or_else(|| TemplateError::Unset { name: name.to_owned() }),
            _ => Err(unknown()),
        }
    }
}

/// `text` with every template replaced. A `%%` without a second one stays as it is.
pub fn resolve(text: &str, values: &Values) -> Result<String, TemplateError> {
    let mut resolved = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, variable, after)) = next(rest) {
        resolved.push_str(before);
        resolved.push_str(values.get(variable)?);
        rest = after;
    }
    resolved.push_str(rest);
    Ok(resolved)
}

/// What stands before, in and after the first template.
fn next(text: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = text.split_once("%%")?;
    let (variable, after) = rest.split_once("%%")?;
    Some((before, variable, after))
}

fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    SECRETS.iter().any(|word| name.contains(word))
}

impl fmt::Debug for Values {
    /// Without the environment: what somebody put there is nobody's business.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Values").field("tags", &self.tags).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn values(cluster: Option<&str>, env: &[(&str, &str)]) -> Values {
        let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Values::new(cluster.map(str::to_owned), env)
    }

    #[track_caller]
    fn check(values: &Values, query: &str, expected: &str) {
        assert_eq!(resolve(query, values).as_deref(), Ok(expected));
    }

    #[track_caller]
    fn refused(values: &Values, scope: &str, expected: &str) {
        let query = format!("avg:nginx.net.request_per_s{{kube_cluster_name:{scope}}}.rollup(60)");
        assert_eq!(resolve(&query, values).unwrap_err().to_string(), expected);
    }

    // The table of `model/utils_test.go`, Test_resolveQuery; the tag `datacenter` of its case
    // "multiple tag values" exists only in its stub, hence only the cluster's name twice here.
    #[test]
    fn upstreams_twelve_cases() {
        let tag = values(Some("cluster-foo"), &[]);
        let env = values(None, &[("DD_CLUSTER_NAME", "cluster-foo"), ("DATACENTER", "dc-foo")]);
        let both = values(Some("cluster-foo"), &[("DATACENTER", "dc-foo")]);
        let nominal = "avg:nginx.net.request_per_s{kube_container_name:nginx}.rollup(60)";
        check(&tag, nominal, nominal);
        check(
            &tag,
            "avg:m{a:nginx,kube_cluster_name:%%tag_kube_cluster_name%%}.rollup(60)",
            "avg:m{a:nginx,kube_cluster_name:cluster-foo}.rollup(60)",
        );
        check(&env, "avg:m{c:%%env_DD_CLUSTER_NAME%%}", "avg:m{c:cluster-foo}");
        check(
            &tag,
            "avg:m{c:%%tag_kube_cluster_name%%}/avg:n{c:%%tag_kube_cluster_name%%}",
            "avg:m{c:cluster-foo}/avg:n{c:cluster-foo}",
        );
        check(
            &env,
            "avg:m{c:%%env_DD_CLUSTER_NAME%%}/avg:n{c:%%env_DD_CLUSTER_NAME%%}",
            "avg:m{c:cluster-foo}/avg:n{c:cluster-foo}",
        );
        check(
            &tag,
            "avg:m{c:%%tag_kube_cluster_name%%,d:%%tag_kube_cluster_name%%}",
            "avg:m{c:cluster-foo,d:cluster-foo}",
        );
        check(
            &env,
            "avg:m{c:%%env_DD_CLUSTER_NAME%%,d:%%env_DATACENTER%%}",
            "avg:m{c:cluster-foo,d:dc-foo}",
        );
        check(
            &both,
            "avg:m{c:%%tag_kube_cluster_name%%,d:%%env_DATACENTER%%}",
            "avg:m{c:cluster-foo,d:dc-foo}",
        );
        refused(
            &env,
            "%%tag_kube_cluster_name%%",
            "%%tag_kube_cluster_name%% has no value, set DD_CLUSTER_NAME on the provider",
        );
        refused(
            &tag,
            "%%tag_unknown%%",
            "tag \"unknown\" in a template is unknown, use %%tag_kube_cluster_name%%",
        );
        refused(
            &tag,
            "%%env_NOT_FOUND%%",
            "%%env_NOT_FOUND%% has no value, set NOT_FOUND on the provider",
        );
        refused(
            &tag,
            "%%foo_unknown%%",
            "template %%foo_unknown%% is unknown, use %%tag_kube_cluster_name%% or %%env_NAME%%",
        );
    }

    #[test]
    fn a_key_of_the_provider_cannot_be_read_through_a_query() {
        let values = values(None, &[("DD_API_KEY", "hush"), ("dd_token", "hush")]);
        for name in ["DD_API_KEY", "dd_token"] {
            refused(
                &values,
                &format!("%%env_{name}%%"),
                &format!("%%env_{name}%% may hold a secret, use a variable with another name"),
            );
        }
        assert!(!format!("{values:?}").contains("hush"));
    }

    #[test]
    fn what_is_no_template_stays_and_values_are_not_read_again() {
        let values = values(None, &[("A", "%%env_A%%")]);
        check(&values, "avg:m{*} %% 2", "avg:m{*} %% 2");
        check(&values, "%%env_A%%", "%%env_A%%");
    }

    proptest! {
        #[test]
        fn property_test_no_text_panics(text in "(%%|tag_|env_|kube_cluster_name|[a-z_é%]){0,12}") {
            let values = values(Some("c"), &[("a", "b")]);
            if let Ok(resolved) = resolve(&text, &values) {
                prop_assert!(text.contains("%%") || resolved == text);
            }
        }
    }
}
