//! What a client accepts, as far as discovery and `OpenAPI` have to know.

use axum::http::{HeaderMap, HeaderValue, header};

/// One media range of `Accept`.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::api) struct Range<'a> {
    media_type: &'a str,
    subtype: &'a str,
    parameters: Vec<(&'a str, &'a str)>,
    /// 0 to 1; a range with 0 is none.
    quality: f32,
}

/// The ranges, best first: by quality, then the more specific, then as the client wrote them. A
/// client that says nothing accepts everything.
pub(in crate::api) fn ranges(headers: &HeaderMap) -> Vec<Range<'_>> {
    let mut ranges: Vec<_> = headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(parse)
        .collect();
    if headers.get_all(header::ACCEPT).iter().all(HeaderValue::is_empty) {
        ranges.extend(parse("*/*"));
    }
    ranges.retain(|range| range.quality > 0.0);
    ranges.sort_by(|a, b| {
        b.quality.total_cmp(&a.quality).then_with(|| a.wildcards().cmp(&b.wildcards()))
    });
    ranges
}

impl<'a> Range<'a> {
    /// Whether `application/<subtype>` is in the range; parameters are the caller's business.
    pub(in crate::api) fn has_application(&self, subtype: &str) -> bool {
        let is = |own: &str, other: &str| own == "*" || own.eq_ignore_ascii_case(other);
        is(self.media_type, "application") && is(self.subtype, subtype)
    }

    /// Whether it names `application/<subtype>` itself.
    pub(in crate::api) fn names_application(&self, subtype: &str) -> bool {
        self.wildcards() == 0 && self.has_application(subtype)
    }

    /// The parameter of this name.
    pub(in crate::api) fn parameter(&self, name: &str) -> Option<&'a str> {
        let found = self.parameters.iter().find(|(own, _)| own.eq_ignore_ascii_case(name));
        found.map(|(_, value)| *value)
    }

    fn wildcards(&self) -> usize {
        usize::from(self.media_type == "*") + usize::from(self.subtype == "*")
    }
}

fn parse(text: &str) -> Option<Range<'_>> {
    let mut parts = text.split(';');
    let (media_type, subtype) = parts.next()?.trim().split_once('/')?;
    let parameters = parts.filter_map(|part| part.split_once('='));
    let parameters: Vec<_> =
        parameters.map(|(name, value)| (name.trim(), value.trim().trim_matches('"'))).collect();
    let mut range = Range { media_type, subtype, parameters, quality: 1.0 };
    // Go's servers read what is no number as 1, too.
    let quality = range.parameter("q").and_then(|quality| quality.parse::<f32>().ok());
    range.quality = quality.filter(|quality| quality.is_finite()).unwrap_or(1.0);
    Some(range)
}
