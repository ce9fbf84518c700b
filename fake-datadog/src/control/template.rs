//! One entry that makes many series.

use std::{borrow::Cow, collections::BTreeMap, fmt};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser::SerializeSeq};

use crate::control::Span;

/// The names of a template and what each of them stands for, one after the other. There is a
/// series for every combination; the last name in alphabetical order changes fastest.
pub type Names = BTreeMap<String, Values>;

/// What a name of a template stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Values {
    /// Whole numbers, `1..50`: both ends are included. `01..50` has all of them two digits wide.
    Range {
        /// The first.
        first: u64,
        /// The last.
        last: u64,
        /// Least number of digits.
        width: usize,
    },
    /// Each of these texts.
    List(Vec<String>),
}

/// In what a further series of a template differs from the one before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PerSeries {
    /// Its values are this much higher.
    pub add: f64,
    /// It is this much further in the shape.
    pub ahead: Span,
}

impl Values {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Range { first, last, .. } => {
                let steps = last.checked_sub(*first);
                steps.map_or(0, |steps| {
                    usize::try_from(steps).unwrap_or(usize::MAX).saturating_add(1)
                })
            }
            Self::List(list) => list.len(),
        }
    }

    /// The one at a place; out of range, none.
    pub(crate) fn get(&self, index: usize) -> Option<Cow<'_, str>> {
        match self {
            Self::Range { first, width, .. } => {
                let number = first.checked_add(u64::try_from(index).ok()?)?;
                (index < self.len()).then(|| format!("{number:0width$}").into())
            }
            Self::List(list) => list.get(index).map(|it| it.as_str().into()),
        }
    }

    fn parse_range(text: &str) -> Option<Self> {
        let (first, last) = text.split_once("..")?;
        let (first, last) = (first.trim(), last.trim());
        let width = if first.starts_with('0') { first.len() } else { 1 };
        let (first, last) = (first.parse().ok()?, last.parse().ok()?);
        (first <= last).then_some(Self::Range { first, last, width })
    }
}

impl<T: Into<String>> FromIterator<T> for Values {
    fn from_iter<I: IntoIterator<Item = T>>(texts: I) -> Self {
        Self::List(texts.into_iter().map(Into::into).collect())
    }
}

impl Serialize for Values {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Range { first, last, width } => {
                serializer.collect_str(&format_args!("{first:0width$}..{last}"))
            }
            Self::List(list) => {
                let mut sequence = serializer.serialize_seq(Some(list.len()))?;
                list.iter().try_for_each(|it| sequence.serialize_element(it))?;
                sequence.end()
            }
        }
    }
}

impl<'de> Deserialize<'de> for Values {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValuesVisitor)
    }
}

struct ValuesVisitor;

impl<'de> de::Visitor<'de> for ValuesVisitor {
    type Value = Values;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a range such as `1..50` or a list such as `[a, b]`")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Values, E> {
        let range = Values::parse_range(text);
        range.ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut list: A) -> Result<Values, A::Error> {
        let mut texts = Vec::new();
        while let Some(Text(text)) = list.next_element()? {
            texts.push(text);
        }
        Ok(Values::List(texts))
    }
}

/// A text, written as such or as a number.
struct Text(String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor)
    }
}

struct TextVisitor;

impl de::Visitor<'_> for TextVisitor {
    type Value = Text;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text or a whole number")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Text, E> {
        Ok(Text(text.to_owned()))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Text, E> {
        Ok(Text(number.to_string()))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Text, E> {
        Ok(Text(number.to_string()))
    }
}

impl JsonSchema for Values {
    fn schema_name() -> Cow<'static, str> {
        "Values".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A range of whole numbers, both ends included, or a list of texts.",
            "anyOf": [
                { "type": "string", "pattern": "^\\s*[0-9]+\\s*\\.\\.\\s*[0-9]+\\s*$" },
                { "type": "array", "items": { "type": ["string", "integer"] }, "minItems": 1 },
            ],
            "examples": ["1..50", ["a", "b"]],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(json: &str, expected: &[&str]) {
        let values: Values = serde_json::from_str(json).unwrap();
        let all: Vec<_> = (0..values.len()).filter_map(|index| values.get(index)).collect();
        assert_eq!(all, expected);
        assert_eq!(values.get(values.len()), None);
        let again = serde_json::to_string(&values).unwrap();
        assert_eq!(serde_json::from_str::<Values>(&again).unwrap(), values);
    }

    #[test]
    fn ranges_include_both_ends_and_lists_are_as_written() {
        check(r#""9..11""#, &["9", "10", "11"]);
        check(r#""09..11""#, &["09", "10", "11"]);
        check(r#""3..3""#, &["3"]);
        check(r#"["a", 7, -1]"#, &["a", "7", "-1"]);
    }

    #[test]
    fn what_is_no_range_is_refused() {
        for json in [r#""2..1""#, r#""a..c""#, r#""1""#, "3", r#""..""#] {
            let error = serde_json::from_str::<Values>(json).unwrap_err().to_string();
            assert!(error.contains("expected a range such as `1..50`"), "{json}: {error}");
        }
    }
}
