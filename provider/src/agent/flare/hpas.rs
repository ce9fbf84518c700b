//! The HPAs of the cluster with their conditions, as kube-apiserver has them.

use std::{fmt::Write, time::Duration};

use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use kube::{Api, Client, api::ListParams};
use tokio::time::timeout;

/// Time for all of them.
const TIME: Duration = Duration::from_secs(10);
/// HPAs in one answer.
const PAGE: u32 = 500;
/// HPAs in a flare.
const MOST: usize = 10_000;

/// A YAML document for each, or a comment that says why there is none.
pub(super) async fn yaml(kube: &Client) -> String {
    match timeout(TIME, list(kube)).await {
        Ok(Ok(hpas)) => documents(&hpas),
        Ok(Err(error)) => {
            let error = error.to_string();
            let line = error.lines().next().unwrap_or_default();
            format!("# HPAs cannot be read: {line}\n")
        }
        Err(_) => format!("# HPAs could not be read within {}s\n", TIME.as_secs()),
    }
}

async fn list(kube: &Client) -> Result<Vec<HorizontalPodAutoscaler>, kube::Error> {
    let all: Api<HorizontalPodAutoscaler> = Api::all(kube.clone());
    let mut parameters = ListParams::default().limit(PAGE);
    let mut hpas = Vec::new();
    loop {
        let page = all.list(&parameters).await?;
        let next = page.metadata.continue_.filter(|token| !token.is_empty());
        hpas.extend(page.items);
        match next {
            Some(token) if hpas.len() < MOST => parameters = parameters.continue_token(&token),
            _ => return Ok(hpas),
        }
    }
}

/// Without what nobody reads.
pub(super) fn documents(hpas: &[HorizontalPodAutoscaler]) -> String {
    let mut text = String::new();
    for hpa in hpas {
        let mut hpa = hpa.clone();
        hpa.metadata.managed_fields = None;
        text.push_str("---\n");
        match serde_saphyr::to_string(&hpa) {
            Ok(yaml) => text.push_str(&yaml),
            Err(error) => {
                // Writing to a String cannot fail.
                _ = writeln!(text, "# {:?} cannot be written: {error}", hpa.metadata.name);
            }
        }
    }
    if hpas.is_empty() {
        text.push_str("# there are no HPAs\n");
    }
    text
}
