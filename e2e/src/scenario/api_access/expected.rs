//! What the provider is to say, to the byte.

use crate::{cluster::local::direct::Answer, scenario::METRIC};

/// An answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expected<'a> {
    /// The metric.
    Metric,
    /// `ok`.
    Healthy,
    /// Credentials that are not believed.
    Unauthorized,
    /// A user who may not read the metrics of a namespace.
    Forbidden {
        /// By its name.
        user: &'a str,
        /// The namespace that is asked for.
        namespace: &'a str,
    },
    /// A user who may not read what is no resource.
    ForbiddenPath {
        /// By its name.
        user: &'a str,
        /// The path that is asked for.
        path: &'a str,
    },
}

impl Expected<'_> {
    /// Whether `answer` is that.
    pub(super) fn judge(self, answer: &Answer) -> Result<String, String> {
        let (status, body) = self.of();
        let text = answer.text();
        let right = match &body {
            Some(body) => text == *body,
            None => text.contains(&format!("\"metricName\":\"{METRIC}\"")),
        };
        if answer.status == status && right {
            return Ok(answer.describe());
        }
        let body = body.unwrap_or_else(|| METRIC.to_owned());
        Err(format!("{}, expected {status} {}", answer.describe(), body.trim_end()))
    }

    /// The status, and the body where it is the same each time.
    fn of(self) -> (u16, Option<String>) {
        match self {
            Self::Metric => (200, None),
            Self::Healthy => (200, Some("ok".to_owned())),
            Self::Unauthorized => (401, Some(failure("Unauthorized", "Unauthorized", "", 401))),
            Self::Forbidden { user, namespace } => {
                let group = "external.metrics.k8s.io";
                let message = format!(
                    "{METRIC}.{group} is forbidden: User \\\"{user}\\\" cannot list resource \
                     \\\"{METRIC}\\\" in API group \\\"{group}\\\" in the namespace \
                     \\\"{namespace}\\\""
                );
                let details = format!(r#""details":{{"group":"{group}","kind":"{METRIC}"}},"#);
                (403, Some(failure(&message, "Forbidden", &details, 403)))
            }
            Self::ForbiddenPath { user, path } => {
                let message =
                    format!("forbidden: User \\\"{user}\\\" cannot get path \\\"{path}\\\"");
                (403, Some(failure(&message, "Forbidden", r#""details":{},"#, 403)))
            }
        }
    }
}

/// A `Status` as Kubernetes' servers write one.
fn failure(message: &str, reason: &str, details: &str, code: u16) -> String {
    format!(
        "{{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{{}},\"status\":\"Failure\",\
         \"message\":\"{message}\",\"reason\":\"{reason}\",{details}\"code\":{code}}}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(expected: Expected<'_>) -> String {
        expected.of().1.unwrap()
    }

    #[test]
    fn refusals_are_written_as_kubernetes_does() {
        insta::assert_snapshot!(body(Expected::Unauthorized), @r#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"Unauthorized","reason":"Unauthorized","code":401}"#);
        insta::assert_snapshot!(body(Expected::Forbidden { user: "jo", namespace: "a" }), @r#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"nginx.net.request_per_s.external.metrics.k8s.io is forbidden: User \"jo\" cannot list resource \"nginx.net.request_per_s\" in API group \"external.metrics.k8s.io\" in the namespace \"a\"","reason":"Forbidden","details":{"group":"external.metrics.k8s.io","kind":"nginx.net.request_per_s"},"code":403}"#);
        insta::assert_snapshot!(body(Expected::ForbiddenPath { user: "jo", path: "/x" }), @r#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"forbidden: User \"jo\" cannot get path \"/x\"","reason":"Forbidden","details":{},"code":403}"#);
    }
}
