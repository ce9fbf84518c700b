//! `GET /api/v2/metrics` and `GET /api/v2/metrics/{metric_name}/all-tags`.
//!
//! Fields and their order are those recorded (`Feature_Metrics` of
//! `DataDog/datadog-api-client-go`); `links`, which no client follows, are left out.

use std::collections::BTreeSet;

use axum::{
    Json, Router,
    extract::{Path, State},
    http::{HeaderMap, Uri},
    response::{IntoResponse, Response},
    routing::get,
};
use jiff::Timestamp;
use serde::Serialize;

use crate::{
    api::{
        error::{ApiError, short_form},
        filter::parse_filter,
        request::{Params, presented_keys},
    },
    control::Right,
    expr::scope::Scope,
    keys::Needs,
    state::Shared,
};

#[derive(Debug, Serialize)]
struct Page {
    data: Vec<Metric>,
    #[serde(skip_serializing_if = "Option::is_none")]
    meta: Option<Meta>,
}

#[derive(Debug, Serialize)]
struct Meta {
    pagination: Pagination,
}

#[derive(Debug, Serialize)]
struct Pagination {
    cursor: Option<String>,
    next_cursor: String,
    limit: usize,
    #[serde(rename = "type")]
    kind: &'static str,
}

#[derive(Debug, Serialize)]
struct Single {
    data: Metric,
}

#[derive(Debug, Serialize)]
struct Metric {
    #[serde(rename = "type")]
    kind: &'static str,
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    attributes: Option<Attributes>,
}

#[derive(Debug, Serialize)]
struct Attributes {
    tags: BTreeSet<String>,
}

/// How far back a metric counts as there, in seconds (`OpenAPI` v2, `ListTagConfigurations`).
const DEFAULT_WINDOW: i64 = 3600;

/// Most metrics of a page (same source).
const MAX_PAGE: usize = 10_000;

pub(crate) fn routes() -> Router<Shared> {
    Router::new()
        .route("/api/v2/metrics", get(list))
        .route("/api/v2/metrics/{metric}/all-tags", get(all_tags))
}

async fn list(State(shared): State<Shared>, uri: Uri, headers: HeaderMap) -> Response {
    let params = Params::of(&uri);
    let keys =
        shared.keys().check(&presented_keys(&headers, &params), Needs::Right(Right::MetricsRead));
    let listed = keys.map_err(ApiError::from).and_then(|()| metrics(&shared, &params));
    listed.map_or_else(short_form, |body| Json(body).into_response())
}

/// A page of metrics when one is asked for, else all. As recorded, a page with metrics names the
/// next, and a page without has nothing beside them.
fn metrics(shared: &Shared, params: &Params) -> Result<Page, ApiError> {
    let number = |name: &'static str| match params.get(name).map(str::parse::<u32>) {
        None => Ok(None),
        Some(Ok(number)) if 0 < number => Ok(Some(number)),
        Some(_) => Err(ApiError::InvalidParameter(name)),
    };
    let window = number("window[seconds]")?.map_or(DEFAULT_WINDOW, i64::from);
    let size = number("page[size]")?.map(|size| usize::try_from(size).unwrap_or(MAX_PAGE));
    let cursor = params.get("page[cursor]");
    let scope = match params.get("filter[tags]") {
        None => Scope::everything(),
        Some(filter) => parse_filter(filter).ok_or(ApiError::InvalidParameter("filter[tags]"))?,
    };
    let now = Timestamp::now();
    let mut names = shared.active_metrics(now, now.as_second().saturating_sub(window), &scope);
    if params.get("filter[configured]") == Some("true") {
        // Nobody can configure tags here.
        names.clear();
    }
    if size.is_none() && cursor.is_none() {
        return Ok(Page { data: names.into_iter().map(Metric::named).collect(), meta: None });
    }
    let after =
        cursor.map(|cursor| unhex(cursor).ok_or(ApiError::InvalidParameter("page[cursor]")));
    let after = after.transpose()?;
    let limit = size.unwrap_or(MAX_PAGE).min(MAX_PAGE);
    let page = names.into_iter().filter(|name| after.as_ref().is_none_or(|after| after < name));
    let data: Vec<_> = page.take(limit).map(Metric::named).collect();
    let meta = data.last().map(|last| Meta {
        pagination: Pagination {
            cursor: cursor.map(str::to_owned),
            next_cursor: hex(&last.id),
            limit,
            kind: "cursor_limit",
        },
    });
    Ok(Page { data, meta })
}

async fn all_tags(
    State(shared): State<Shared>,
    Path(metric): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let presented = presented_keys(&headers, &Params::of(&uri));
    if let Err(refusal) = shared.keys().check(&presented, Needs::Right(Right::MetricsRead)) {
        return short_form(refusal.into());
    }
    let Some(tags) = shared.tags_of(Timestamp::now(), &metric) else {
        return ApiError::NotFound.into_response();
    };
    let data = Metric { attributes: Some(Attributes { tags }), ..Metric::named(metric) };
    Json(Single { data }).into_response()
}

impl Metric {
    fn named(id: String) -> Self {
        Self { kind: "metrics", id, attributes: None }
    }
}

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// A cursor looks like one of Datadog's; clients only hand it back.
fn hex(name: &str) -> String {
    name.bytes()
        .flat_map(|byte| [byte >> 4, byte & 0xf])
        .map(|it| char::from(DIGITS[usize::from(it)]))
        .collect()
}

fn unhex(cursor: &str) -> Option<String> {
    let digits = cursor.as_bytes().chunks(2);
    let bytes = digits.map(|pair| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok());
    String::from_utf8(bytes.collect::<Option<_>>()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_back() {
        assert_eq!(
            unhex(&hex("nginx.net.request_per_s")).as_deref(),
            Some("nginx.net.request_per_s")
        );
        assert_eq!(unhex("6"), Some("\u{6}".to_owned()));
        assert_eq!(unhex("é"), None);
        assert_eq!(unhex("ff"), None);
    }
}
