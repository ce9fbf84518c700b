//! Rate limits as a scenario has them: a list, or the word for Datadog's own.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de};
use serde_saphyr::{Location, Spanned};

use crate::{control::RateLimit, scenario::ParseError};

/// What stands for Datadog's own limits.
const DATADOG: &str = "datadog";

/// The limits with their places in the file.
#[derive(Debug)]
pub(super) enum RateLimits {
    List(Vec<Spanned<RateLimit>>),
    /// By a word, which is not checked yet: an error of a visitor here would have no place.
    Named(String),
}

/// What the schema allows; never made.
#[derive(JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
#[expect(dead_code, reason = "describes a type to the schema")]
pub(super) enum Form {
    /// Limits of your own; of two for the same endpoint, the first counts.
    List(Vec<RateLimit>),
    /// Limits that Datadog was recorded to have.
    Preset(Preset),
}

/// The word for Datadog's limits.
#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
#[expect(dead_code, reason = "describes a type to the schema")]
pub(super) enum Preset {
    Datadog,
}

impl RateLimits {
    /// The limits, if all of them can be in force. They stand at `location`.
    pub(super) fn checked(self, location: Location) -> Result<Vec<RateLimit>, ParseError> {
        let list = match self {
            Self::List(list) => list,
            Self::Named(name) if name == DATADOG => return Ok(RateLimit::datadog()),
            Self::Named(name) => {
                let reason = format!("rate limits `{name}` are neither a list nor `{DATADOG}`");
                return Err(ParseError::at(location, &reason));
            }
        };
        let checked = list.into_iter().map(|Spanned { value, referenced, .. }| {
            value.validate().map_err(|error| ParseError::at(referenced, &error))?;
            Ok(value)
        });
        checked.collect()
    }
}

impl<'de> Deserialize<'de> for RateLimits {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(LimitsVisitor)
    }
}

struct LimitsVisitor;

impl<'de> de::Visitor<'de> for LimitsVisitor {
    type Value = RateLimits;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of rate limits or `{DATADOG}`")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<RateLimits, E> {
        Ok(RateLimits::Named(text.to_owned()))
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut items: A) -> Result<RateLimits, A::Error> {
        let mut list = Vec::new();
        while let Some(limit) = items.next_element()? {
            list.push(limit);
        }
        Ok(RateLimits::List(list))
    }
}
