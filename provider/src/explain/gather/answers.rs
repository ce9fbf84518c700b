//! What the API answers to the questions that the HPA controller asks.

use axum::http::Request;
use futures::future::join_all;
use jiff::Timestamp;
use k8s_openapi::api::autoscaling::v2::{ExternalMetricSource, HorizontalPodAutoscaler};
use kube::{Client, client::Body};
use serde::Deserialize;
use tokio::time::timeout;
use url::Url;

use crate::{
    explain::{
        facts::{Answer, Found, Item},
        gather::{LIMIT, innermost},
    },
    selector::Selector,
};

/// Longest text of an answer that is kept, in characters.
const MOST_TEXT: usize = 2000;

/// What is read of a list, or of a `Status`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Document {
    items: Vec<Listed>,
    message: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    value: String,
    #[serde(default)]
    timestamp: Option<Timestamp>,
    #[serde(default)]
    metric_labels: Option<std::collections::BTreeMap<String, String>>,
}

pub(super) async fn gather(client: &Client, hpa: &HorizontalPodAutoscaler) -> Vec<Found<Answer>> {
    let namespace = hpa.metadata.namespace.as_deref().unwrap_or_default();
    let metrics = hpa.spec.iter().flat_map(|spec| spec.metrics.iter().flatten());
    let sources = metrics.filter(|metric| metric.type_ == "External");
    let sources = sources.filter_map(|metric| metric.external.as_ref());
    join_all(sources.map(|source| answer(client, namespace, source))).await
}

async fn answer(client: &Client, namespace: &str, source: &ExternalMetricSource) -> Found<Answer> {
    let Some(path) = path(namespace, source) else {
        return Found::Unknown("not asked for: the selector cannot be read".to_owned());
    };
    match timeout(LIMIT, get(client, &path)).await {
        Ok(Ok(answer)) if answer.code == 403 => Found::Unknown(format!(
            "not known: it takes the right to list external.metrics.k8s.io in namespace {namespace} ({})",
            answer.message
        )),
        Ok(Ok(answer)) => Found::Is(answer),
        Ok(Err(why)) => Found::Unknown(format!("not known: {why}")),
        Err(_) => Found::Unknown(format!("not known: no answer within {}s", LIMIT.as_secs())),
    }
}

/// The path that the HPA controller asks for; `None` for a selector that it cannot send either.
fn path(namespace: &str, source: &ExternalMetricSource) -> Option<String> {
    let selector = source.metric.selector.as_ref().map(Selector::try_from).transpose().ok()?;
    // Only its path is used.
    let mut url = Url::parse("http://kube-apiserver").ok()?;
    url.path_segments_mut().ok()?.extend([
        "apis",
        "external.metrics.k8s.io",
        "v1beta1",
        "namespaces",
        namespace,
        &source.metric.name.to_lowercase(),
    ]);
    if let Some(selector) = selector.filter(|selector| !selector.is_empty()) {
        url.query_pairs_mut().append_pair("labelSelector", &selector.to_string());
    }
    let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
    Some(format!("{}{query}", url.path()))
}

async fn get(client: &Client, path: &str) -> Result<Answer, String> {
    let request = Request::get(path).header("accept", "application/json").body(Body::empty());
    let request = request.map_err(|error| error.to_string())?;
    let response = client.send(request).await.map_err(|error| innermost(&error))?;
    let code = response.status().as_u16();
    let body = response.into_body().collect_bytes().await.map_err(|error| innermost(&error))?;
    let document: Option<Document> = serde_json::from_slice(&body).ok();
    let (items, message) =
        document.map(|document| (document.items, document.message)).unwrap_or_default();
    let items = items.into_iter().map(|item| Item {
        value: item.value,
        timestamp: item.timestamp,
        metric_labels: item.metric_labels,
    });
    let plain = || String::from_utf8_lossy(&body).trim().to_owned();
    let message = message.or_else(|| (code != 200).then(plain)).unwrap_or_default();
    Ok(Answer { code, message: message.chars().take(MOST_TEXT).collect(), items: items.collect() })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_path_is_the_one_that_the_hpa_controller_asks_for() {
        let source: ExternalMetricSource = serde_json::from_value(json!({
            "metric": {"name": "Nginx.net.request_per_s", "selector": {
                "matchLabels": {"kube_container_name": "nginx"},
                "matchExpressions": [{"key": "env", "operator": "In", "values": ["b", "a"]}]}},
            "target": {"type": "Value", "value": "9"}}))
        .unwrap();
        assert_eq!(
            path("default", &source).as_deref(),
            Some(
                "/apis/external.metrics.k8s.io/v1beta1/namespaces/default/nginx.net.request_per_s\
                 ?labelSelector=env+in+%28a%2Cb%29%2Ckube_container_name%3Dnginx"
            )
        );
    }
}
