//! Replicas and conditions of the autoscalers on one page, read when somebody looks.
//!
//! Nothing is watched for it: a page has at most [`PER_PAGE`] autoscalers, each is read once in
//! five seconds at most, however many look, and the answers are forgotten.

use std::{fmt, sync::Arc, time::Duration};

use futures::{StreamExt, stream};
use kube::{
    Api, Client,
    core::{ApiResource, DynamicObject},
};
use moka::future::Cache;
use tokio::time::timeout;

use crate::{
    demand::{Autoscaler, Kind, wpa},
    page::model::{PER_PAGE, Row, Scaling},
};

/// How long an answer holds.
const HOLDS: Duration = Duration::from_secs(5);
/// Answers that are kept: some pages.
const KEPT: u64 = 8 * PER_PAGE as u64;
/// Requests at a time.
const PARALLEL: usize = 8;
/// For all of a page; what is not there by then is shown as unknown.
const PATIENCE: Duration = Duration::from_secs(3);

/// Reads autoscalers; clones share what they have read.
#[derive(Clone)]
pub struct Objects {
    client: Option<Client>,
    read: Cache<(Kind, String, String), Arc<Scaling>>,
}

impl fmt::Debug for Objects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Objects").field("read", &self.read.entry_count()).finish_non_exhaustive()
    }
}

impl Objects {
    /// Reads by `client`; without one nothing is known.
    pub fn new(client: Option<Client>) -> Self {
        Self { client, read: Cache::builder().max_capacity(KEPT).time_to_live(HOLDS).build() }
    }

    /// Completes what is known of `rows`.
    pub(super) async fn fill(&self, rows: &mut [Row]) {
        let Some(client) = &self.client else { return };
        let fill = stream::iter(rows.iter_mut()).for_each_concurrent(PARALLEL, async |row| {
            let Some(autoscaler) = &row.autoscaler else { return };
            row.scaling = Some(self.scaling(client, autoscaler).await);
        });
        if timeout(PATIENCE, fill).await.is_err() {
            tracing::debug!("not all autoscalers of a page could be read in time");
        }
    }

    async fn scaling(&self, client: &Client, autoscaler: &Autoscaler) -> Arc<Scaling> {
        let Autoscaler { kind, namespace, name, .. } = autoscaler;
        let id = (*kind, namespace.clone(), name.clone());
        self.read
            .get_with(id, async {
                let resource = resource(*kind);
                let api =
                    Api::<DynamicObject>::namespaced_with(client.clone(), namespace, &resource);
                Arc::new(match api.get(name).await {
                    Ok(object) => Scaling::read(&object.data),
                    Err(error) => Scaling { error: Some(error.to_string()), ..Scaling::default() },
                })
            })
            .await
    }
}

fn resource(kind: Kind) -> ApiResource {
    match kind {
        Kind::Hpa => {
            ApiResource::erase::<k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler>(&())
        }
        Kind::Wpa => wpa::resource(),
    }
}
