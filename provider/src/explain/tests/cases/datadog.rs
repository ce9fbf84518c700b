//! What is wrong between the HPA's metric and Datadog.

use serde_json::json;

use crate::explain::{
    facts::{Facts, Found},
    tests::{
        cases::{patch, refused, view},
        fixture::{self, QUERY, no_series},
    },
    view::Call,
};

pub(in crate::explain::tests) fn typo(facts: &mut Facts) {
    patch(facts, |hpa| {
        hpa["spec"]["metrics"][0]["external"]["metric"]["name"] = json!("nginx.net.requests_per_s");
    });
    let query = QUERY.replace("request_per_s", "requests_per_s");
    view(facts).name = "nginx.net.requests_per_s".into();
    view(facts).query = Some(query.clone());
    refused(facts, 404, &no_series(&query));
}

pub(in crate::explain::tests) fn bad_name(facts: &mut Facts) {
    patch(facts, |hpa| {
        hpa["spec"]["metrics"][0]["external"]["metric"]["name"] = json!("nginx-requests");
    });
    let words = "metric name \"nginx-requests\" is none that Datadog can have: a letter, then letters, digits, `_` and `.`, at most 200 characters";
    view(facts).name = "nginx-requests".into();
    view(facts).query = None;
    refused(facts, 422, words);
    view(facts).last = None;
}

pub(in crate::explain::tests) fn no_datadog_metric(facts: &mut Facts) {
    let words = "there is no DatadogMetric web/requests";
    patch(facts, |hpa| {
        hpa["spec"]["metrics"][0]["external"]["metric"] =
            json!({"name": "datadogmetric@web:requests"});
    });
    facts.datadog_metrics.insert("web/requests".into(), Found::Missing);
    let metric = view(facts);
    metric.namespace = "web".into();
    metric.name = "datadogmetric@web:requests".into();
    metric.selector = String::new();
    metric.query = None;
    refused(facts, 404, words);
    view(facts).last = None;
}

pub(in crate::explain::tests) fn unwanted(facts: &mut Facts) {
    let words = "no HPA in namespace default wants the external metric nginx.net.request_per_s with selector {kube_container_name=nginx}";
    refused(facts, 404, words);
    if let Found::Is(view) = &mut facts.view {
        view.external_metrics.as_mut().unwrap().metrics.clear();
    }
}

pub(in crate::explain::tests) fn average(facts: &mut Facts) {
    view(facts).query = Some(QUERY.replace("sum:", "avg:"));
}

pub(in crate::explain::tests) fn rejected(facts: &mut Facts) {
    let words = format!("Datadog rejects the query: Error parsing query (query {QUERY})");
    refused(facts, 422, &words);
}

pub(in crate::explain::tests) fn keys(facts: &mut Facts) {
    let words = format!(
        "Datadog rejects the keys at https://api.datadoghq.com (HTTP 403: Forbidden), check DD_API_KEY and DD_APP_KEY; there is no sample (query {QUERY})"
    );
    refused(facts, 503, &words);
}

pub(in crate::explain::tests) fn rate_limited(facts: &mut Facts) {
    let words = format!(
        "Datadog's rate limit is used up (HTTP 429, resets within 12s); the last sample is 121s old, the limit is 120s (query {QUERY})"
    );
    refused(facts, 503, &words);
}

pub(in crate::explain::tests) fn shed(facts: &mut Facts) {
    let words = format!(
        "Datadog's query budget of 100 calls per 3600s is too small: 4000 queries need 200 calls, 1750 of them fit; the youngest autoscalers' are left out; there is no sample (query {QUERY})"
    );
    refused(facts, 503, &words);
}

pub(in crate::explain::tests) fn down(facts: &mut Facts) {
    let words = "Datadog cannot be reached at https://api.datadoghq.com: connection refused";
    view(facts).last = Some(Call { at: fixture::ago(12), error: Some(words.into()) });
}

pub(in crate::explain::tests) fn stale(facts: &mut Facts) {
    let words = format!("the newest point of {QUERY} is 300s old, the limit is 120s");
    refused(facts, 503, &words);
    view(facts).last = Some(Call { at: fixture::ago(12), error: None });
    view(facts).value = Some(25.0);
    view(facts).timestamp = Some(fixture::ago(300));
}
