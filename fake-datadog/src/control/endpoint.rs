//! The endpoints of Datadog's API that the fake serves, by name.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A family of requests.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Endpoint {
    /// Every path but the control API.
    #[default]
    Any,
    /// `GET /api/v1/query`.
    Query,
    /// `POST /api/v2/query/timeseries`.
    Timeseries,
    /// `POST /api/v2/query/scalar`.
    Scalar,
    /// `POST /api/v1/series`.
    Series,
    /// `POST /api/v2/series`.
    SeriesV2,
    /// `POST /api/v1/distribution_points`.
    DistributionPoints,
    /// `POST /api/v1/check_run`.
    CheckRun,
    /// `POST /intake/`.
    Intake,
    /// `GET /api/v1/validate`.
    Validate,
    /// `GET /api/v2/validate`.
    ValidateV2,
    /// `GET /api/v2/validate_keys`.
    ValidateKeys,
    /// `GET /api/v1/metrics` and `GET /api/v2/metrics`.
    Metrics,
    /// `GET` and `PUT /api/v1/metrics/{metric}`, `GET /api/v2/metrics/{metric}/all-tags`.
    Metadata,
    /// `GET /api/v1/search`.
    Search,
}

impl Endpoint {
    /// All that have a path of their own, with that path.
    const PATHS: [(Self, &'static str); 14] = [
        (Self::Query, "/api/v1/query"),
        (Self::Timeseries, "/api/v2/query/timeseries"),
        (Self::Scalar, "/api/v2/query/scalar"),
        (Self::Series, "/api/v1/series"),
        (Self::SeriesV2, "/api/v2/series"),
        (Self::DistributionPoints, "/api/v1/distribution_points"),
        (Self::CheckRun, "/api/v1/check_run"),
        (Self::Intake, "/intake/"),
        (Self::Validate, "/api/v1/validate"),
        (Self::ValidateV2, "/api/v2/validate"),
        (Self::ValidateKeys, "/api/v2/validate_keys"),
        (Self::Metrics, "/api/v1/metrics"),
        (Self::Metadata, "/api/v1/metrics/{metric}"),
        (Self::Search, "/api/v1/search"),
    ];

    /// The endpoint at `path`; `None` for a path that the fake does not serve.
    pub(crate) fn of(path: &str) -> Option<Self> {
        match path {
            "/intake" => return Some(Self::Intake),
            "/api/v2/metrics" => return Some(Self::Metrics),
            _ => {}
        }
        let exact = Self::PATHS.iter().find(|(_, it)| *it == path).map(|(endpoint, _)| *endpoint);
        exact.or_else(|| {
            let v1 = path.strip_prefix("/api/v1/metrics/");
            let v2 = || path.strip_prefix("/api/v2/metrics/")?.strip_suffix("/all-tags");
            let metric = v1.or_else(v2)?;
            (!metric.is_empty() && !metric.contains('/')).then_some(Self::Metadata)
        })
    }

    /// Its name, as scenarios and metrics have it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::Query => "query",
            Self::Timeseries => "timeseries",
            Self::Scalar => "scalar",
            Self::Series => "series",
            Self::SeriesV2 => "series_v2",
            Self::DistributionPoints => "distribution_points",
            Self::CheckRun => "check_run",
            Self::Intake => "intake",
            Self::Validate => "validate",
            Self::ValidateV2 => "validate_v2",
            Self::ValidateKeys => "validate_keys",
            Self::Metrics => "metrics",
            Self::Metadata => "metadata",
            Self::Search => "search",
        }
    }

    /// True for those that answer with points.
    pub(crate) const fn is_query(self) -> bool {
        matches!(self, Self::Query | Self::Timeseries | Self::Scalar)
    }

    /// True for those that take data from agents, with the API key alone.
    pub(crate) const fn is_intake(self) -> bool {
        matches!(
            self,
            Self::Series
                | Self::SeriesV2
                | Self::DistributionPoints
                | Self::CheckRun
                | Self::Intake
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_endpoint_is_found_at_its_path() {
        for (endpoint, path) in Endpoint::PATHS {
            assert_eq!(Endpoint::of(path), Some(endpoint));
            let name = serde_json::to_value(endpoint).unwrap();
            assert_eq!(name, endpoint.name());
        }
        assert_eq!(Endpoint::of("/api/v1/metrics/system.load.1"), Some(Endpoint::Metadata));
        assert_eq!(Endpoint::of("/api/v2/metrics/m/all-tags"), Some(Endpoint::Metadata));
        assert_eq!(Endpoint::of("/api/v1/metrics/a/b"), None);
        assert_eq!(Endpoint::of("/api/v1/queries"), None);
    }
}
