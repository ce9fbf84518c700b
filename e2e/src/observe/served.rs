//! Reads the external metrics API through kube-apiserver's aggregator, as `kubectl get --raw` does.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::Client;
use serde::Deserialize;

use crate::{observe::Watched, oracle::quantity};

/// A value as served.
#[derive(Debug, Clone, PartialEq)]
pub struct Served {
    /// The value.
    pub value: f64,
    /// The time of the point that it comes from.
    pub point: Timestamp,
    /// How old the point was when it was read, in seconds.
    pub age: f64,
}

#[derive(Debug, Deserialize)]
struct List {
    items: Vec<Item>,
}

#[derive(Debug, Deserialize)]
struct Item {
    timestamp: Timestamp,
    value: Quantity,
}

/// The path of the metric below kube-apiserver.
pub fn path(watched: &Watched) -> String {
    let selector: String =
        url::form_urlencoded::byte_serialize(watched.selector.as_bytes()).collect();
    format!(
        "/apis/external.metrics.k8s.io/v1beta1/namespaces/{}/{}?labelSelector={selector}",
        watched.namespace, watched.metric
    )
}

/// The value, or what the API says instead; `Err(None)` where it could not be asked at all.
pub async fn read(client: &Client, watched: &Watched) -> Result<Served, Option<String>> {
    let request = http::Request::get(path(watched)).body(Vec::new()).map_err(|_| None)?;
    let list: List = client.request(request).await.map_err(|error| match error {
        kube::Error::Api(status) => Some(status.message.clone()),
        _ => None,
    })?;
    match list.items.as_slice() {
        [Item { timestamp, value }] => match quantity::milli(&value.0) {
            #[expect(clippy::cast_precision_loss, reason = "rates are far below 2^52")]
            Some(milli) => Ok(Served {
                value: milli as f64 / 1000.0,
                point: *timestamp,
                age: Timestamp::now().duration_since(*timestamp).as_secs_f64(),
            }),
            None => Err(Some(format!("the value {:?} is no quantity", value.0))),
        },
        items => Err(Some(format!("{} items instead of one", items.len()))),
    }
}
