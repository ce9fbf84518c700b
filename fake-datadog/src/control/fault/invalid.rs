//! Faults that cannot work.

/// Why a fault is refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum InvalidFault {
    /// Nothing to call it by.
    #[error("a fault needs a name that is not blank")]
    NoName,
    /// It would hit nothing.
    #[error("times `0` hits no request, leave it out for all requests")]
    ZeroTimes,
    /// A span that must not be zero.
    #[error("{0} must be longer than 0s, leave it out to last until lifted")]
    ZeroSpan(&'static str),
    /// Not a chance.
    #[error("probability `{0}` must be above 0 and at most 1")]
    Probability(f64),
    /// Not the beginning of a path.
    #[error("path `{0}` must begin with `/`")]
    Path(String),
    /// Not a final status.
    #[error("status code `{0}` must be from 200 to 599")]
    Code(u16),
    /// A header that HTTP does not allow.
    #[error("header `{0}` is no valid HTTP header")]
    Header(String),
    /// Quantiles that are no distribution.
    #[error(
        "quantiles must be from 0 to 1 and rise together with their latencies; at `{0}` they do not"
    )]
    Quantiles(f64),
    /// A distribution whose quantiles are the wrong way round.
    #[error("p50 must be longer than 0s and p99 at least as long as p50")]
    Lognormal,
    /// A body that would never go out.
    #[error("slow_body `0` sends nothing, give at least 1 byte per second")]
    NoSpeed,
    /// A list of points without one.
    #[error("`0` hits no point, give at least 1")]
    NoPoints,
    /// Revoking nothing.
    #[error("key_revoked needs at least one key: its name or fingerprint, or `*` for all")]
    NoKeys,
    /// The effect needs an endpoint that answers with points.
    #[error("effect `{0}` works on queries, not on the endpoint given")]
    NotForEndpoint(&'static str),
    /// The effect comes before there is a request.
    #[error("effect `tls_failure` hits connections, before there is an endpoint or path")]
    BeforeRequests,
    /// The fake has as many faults as it takes.
    #[error("already {0} faults, lift some by `DELETE /fake/faults`")]
    TooMany(usize),
}
