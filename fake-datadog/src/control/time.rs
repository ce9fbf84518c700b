//! Durations and starts as people write them.

use std::{borrow::Cow, fmt, str::FromStr, time::Duration};

use jiff::Timestamp;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A duration: `90s`, `1m 30s`, or a number of seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(Duration);

/// Longest span, ten years: what does not fit in a script or a delay is a mistake.
const MAX_SPAN: Duration = Duration::from_secs(10 * 366 * 24 * 3600);

/// Time zero of a script: `now`, an offset to now (`-10m`, `+30s`), or a time in RFC 3339.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Start {
    /// The moment at which the script is set.
    #[default]
    Now,
    /// That long before it is set.
    Ago(Span),
    /// That long after it is set.
    In(Span),
    /// At this time.
    At(Timestamp),
}

/// A start that cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("start `{0}` is none of `now`, `-10m`, `+30s` or a time such as `2026-11-24T10:00:00Z`")]
pub struct InvalidStart(String);

// === impl Span ===

impl Span {
    /// A span of whole seconds.
    pub const fn from_secs(secs: u64) -> Self {
        Self(Duration::from_secs(secs))
    }

    /// As the standard library's type.
    pub const fn as_duration(self) -> Duration {
        self.0
    }

    /// True for no time at all.
    pub const fn is_zero(&self) -> bool {
        self.0.is_zero()
    }

    /// Whole seconds, rounded down.
    pub(crate) fn as_secs(self) -> i64 {
        i64::try_from(self.0.as_secs()).unwrap_or(i64::MAX)
    }
}

impl From<Duration> for Span {
    fn from(duration: Duration) -> Self {
        Self(duration)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_duration(self.0).fmt(f)
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SpanVisitor)
    }
}

impl JsonSchema for Span {
    fn schema_name() -> Cow<'static, str> {
        "Span".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A duration: `90s`, `1m 30s`, `250ms`, or a number of seconds.",
            "anyOf": [
                { "type": "string", "pattern": "^\\s*([0-9]+\\s*[a-zµA-Z]+\\s*)+$|^0$" },
                { "type": "number", "minimum": 0, "maximum": MAX_SPAN.as_secs() },
            ],
            "examples": ["90s", "1m 30s", 2.5],
        })
    }
}

struct SpanVisitor;

impl SpanVisitor {
    fn bounded<E: de::Error>(duration: Duration, found: de::Unexpected<'_>) -> Result<Span, E> {
        if duration <= MAX_SPAN { Ok(Span(duration)) } else { Err(E::invalid_value(found, &Self)) }
    }
}

impl de::Visitor<'_> for SpanVisitor {
    type Value = Span;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a duration such as `90s` or `1m 30s`, or a number of seconds")
    }

    fn visit_u64<E: de::Error>(self, secs: u64) -> Result<Span, E> {
        Self::bounded(Duration::from_secs(secs), de::Unexpected::Unsigned(secs))
    }

    fn visit_i64<E: de::Error>(self, secs: i64) -> Result<Span, E> {
        let found = de::Unexpected::Signed(secs);
        let secs = u64::try_from(secs).map_err(|_| E::invalid_value(found, &self))?;
        Self::bounded(Duration::from_secs(secs), found)
    }

    fn visit_f64<E: de::Error>(self, secs: f64) -> Result<Span, E> {
        let found = de::Unexpected::Float(secs);
        let duration = Duration::try_from_secs_f64(secs);
        Self::bounded(duration.map_err(|_| E::invalid_value(found, &self))?, found)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Span, E> {
        let found = de::Unexpected::Str(text);
        let duration = humantime::parse_duration(text);
        Self::bounded(duration.map_err(|_| E::invalid_value(found, &self))?, found)
    }
}

// === impl Start ===

impl FromStr for Start {
    type Err = InvalidStart;

    fn from_str(text: &str) -> Result<Self, InvalidStart> {
        let invalid = || InvalidStart(text.to_owned());
        let span = |text: &str| {
            let span = humantime::parse_duration(text.trim()).ok()?;
            (span <= MAX_SPAN).then_some(Span(span))
        };
        if text == "now" {
            Ok(Self::Now)
        } else if let Some(ago) = text.strip_prefix('-') {
            span(ago).map(Self::Ago).ok_or_else(invalid)
        } else if let Some(ahead) = text.strip_prefix('+') {
            span(ahead).map(Self::In).ok_or_else(invalid)
        } else {
            text.parse().map(Self::At).map_err(|_| invalid())
        }
    }
}

impl fmt::Display for Start {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Now => f.write_str("now"),
            Self::Ago(span) => write!(f, "-{span}"),
            Self::In(span) => write!(f, "+{span}"),
            Self::At(time) => time.fmt(f),
        }
    }
}

impl Serialize for Start {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Start {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Start {
    fn schema_name() -> Cow<'static, str> {
        "Start".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A time: `now`, an offset to it (`-10m`, `+30s`), or a time in RFC 3339.",
            "type": "string",
            "pattern": "^now$|^[-+].+$|^-?[0-9]{4,6}-.+$",
            "examples": ["now", "-10m", "+30s", "2026-11-24T10:00:00Z"],
        })
    }
}
