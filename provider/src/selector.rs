//! A label selector in canonical form, so that two ways of writing the same selection compare
//! equal: `a=b` is `a in (b)`, `a!=b` is `a notin (b)`, values and keys are sorted, what is said
//! twice is there once.

use std::{collections::BTreeMap, fmt};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use crate::sorted::Sorted;

/// What a requirement asks of the values of its key.
///
/// The set of `k8s.io/apimachinery/pkg/labels`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operator {
    /// The label has one of these values.
    In(Sorted<String>),
    /// The label is absent or has none of these values.
    NotIn(Sorted<String>),
    /// The label is there, whatever its value.
    Exists,
    /// The label is absent.
    DoesNotExist,
    /// The label is an integer above this one. No HPA can ask for that, nor for the next one.
    GreaterThan(i64),
    /// The label is an integer below this one.
    LessThan(i64),
}

/// One condition on one label key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Requirement {
    /// The label's key, in its original case.
    pub key: String,
    /// The condition on its value.
    pub operator: Operator,
}

/// A conjunction of requirements; empty selects everything.
///
/// Its text ([`fmt::Display`]) is the one that the HPA controller sends.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Selector {
    requirements: Sorted<Requirement>,
}

/// Why an object's `LabelSelector` cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SelectorError {
    /// `operator` is none of the four that Kubernetes defines.
    #[error(
        "operator {operator:?} of selector key {key:?} is unknown, use In, NotIn, Exists or DoesNotExist"
    )]
    UnknownOperator {
        /// The key of the expression.
        key: String,
        /// The operator as written.
        operator: String,
    },
    /// `In` and `NotIn` need values.
    #[error("operator {operator} of selector key {key:?} needs at least one value")]
    NoValues {
        /// The key of the expression.
        key: String,
        /// The operator as written.
        operator: String,
    },
}

impl Selector {
    /// The requirements, sorted by key.
    pub fn requirements(&self) -> impl Iterator<Item = &Requirement> {
        self.requirements.iter()
    }

    /// Whether the selector selects everything.
    pub fn is_empty(&self) -> bool {
        self.requirements.is_empty()
    }

    /// The labels that every match has: those with exactly one allowed value.
    pub fn labels(&self) -> BTreeMap<String, String> {
        self.requirements
            .iter()
            .filter_map(|requirement| match &requirement.operator {
                Operator::In(values) if values.len() == 1 => {
                    values.first().map(|value| (requirement.key.clone(), value.clone()))
                }
                _ => None,
            })
            .collect()
    }
}

impl FromIterator<Requirement> for Selector {
    fn from_iter<I: IntoIterator<Item = Requirement>>(requirements: I) -> Self {
        Self { requirements: requirements.into_iter().collect() }
    }
}

impl TryFrom<&LabelSelector> for Selector {
    type Error = SelectorError;

    fn try_from(selector: &LabelSelector) -> Result<Self, SelectorError> {
        let labels = selector.match_labels.iter().flatten().map(|(key, value)| {
            Ok(Requirement { key: key.clone(), operator: Operator::In([value.clone()].into()) })
        });
        let expressions = selector.match_expressions.iter().flatten().map(|expression| {
            let values: Sorted<String> = expression.values.iter().flatten().cloned().collect();
            let with_values = |build: fn(Sorted<String>) -> Operator| {
                if values.is_empty() {
                    return Err(SelectorError::NoValues {
                        key: expression.key.clone(),
                        operator: expression.operator.clone(),
                    });
                }
                Ok(build(values.clone()))
            };
            let operator = match expression.operator.as_str() {
                "In" => with_values(Operator::In)?,
                "NotIn" => with_values(Operator::NotIn)?,
                "Exists" => Operator::Exists,
                "DoesNotExist" => Operator::DoesNotExist,
                unknown => {
                    return Err(SelectorError::UnknownOperator {
                        key: expression.key.clone(),
                        operator: unknown.to_owned(),
                    });
                }
            };
            Ok(Requirement { key: expression.key.clone(), operator })
        });
        labels.chain(expressions).collect()
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, requirement) in self.requirements.iter().enumerate() {
            if position > 0 {
                f.write_str(",")?;
            }
            write!(f, "{requirement}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = &self.key;
        match &self.operator {
            Operator::In(values) if values.len() == 1 => write!(f, "{key}={}", join(values)),
            Operator::In(values) => write!(f, "{key} in ({})", join(values)),
            Operator::NotIn(values) => write!(f, "{key} notin ({})", join(values)),
            Operator::Exists => write!(f, "{key}"),
            Operator::DoesNotExist => write!(f, "!{key}"),
            Operator::GreaterThan(limit) => write!(f, "{key}>{limit}"),
            Operator::LessThan(limit) => write!(f, "{key}<{limit}"),
        }
    }
}

fn join(values: &[String]) -> String {
    values.join(",")
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelectorRequirement;

    use super::*;

    fn expression(key: &str, operator: &str, values: &[&str]) -> LabelSelectorRequirement {
        LabelSelectorRequirement {
            key: key.into(),
            operator: operator.into(),
            values: Some(values.iter().map(ToString::to_string).collect()),
        }
    }

    fn selector(labels: &[(&str, &str)], expressions: Vec<LabelSelectorRequirement>) -> Selector {
        Selector::try_from(&LabelSelector {
            match_labels: Some(
                labels.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect(),
            ),
            match_expressions: Some(expressions),
        })
        .unwrap()
    }

    #[test]
    fn one_value_by_label_or_by_expression_is_the_same_selector() {
        assert_eq!(
            selector(&[("app", "web")], vec![]),
            selector(&[], vec![expression("app", "In", &["web"])])
        );
    }

    #[test]
    fn text_is_what_the_hpa_controller_sends() {
        let selector = selector(
            &[("b", "1")],
            vec![
                expression("d", "DoesNotExist", &[]),
                expression("a", "In", &["y", "x"]),
                expression("c", "Exists", &[]),
                expression("e", "NotIn", &["z"]),
            ],
        );
        assert_eq!(selector.to_string(), "a in (x,y),b=1,c,!d,e notin (z)");
        assert_eq!(selector.labels(), BTreeMap::from([("b".to_owned(), "1".to_owned())]));
    }

    #[test]
    fn an_unknown_operator_and_missing_values_are_named() {
        let unknown = Selector::try_from(&LabelSelector {
            match_expressions: Some(vec![expression("a", "Near", &["x"])]),
            ..LabelSelector::default()
        });
        assert_eq!(
            unknown.unwrap_err().to_string(),
            "operator \"Near\" of selector key \"a\" is unknown, use In, NotIn, Exists or DoesNotExist"
        );
        let empty = Selector::try_from(&LabelSelector {
            match_expressions: Some(vec![expression("a", "In", &[])]),
            ..LabelSelector::default()
        });
        assert_eq!(
            empty.unwrap_err().to_string(),
            "operator In of selector key \"a\" needs at least one value"
        );
    }
}
