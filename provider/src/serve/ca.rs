//! A CA of our own: kept in a Secret that all replicas share, trusted through the `caBundle` of the
//! APIService, replaced before it ends.
//!
//! ```text
//!  Secret (state) ─┐               ┌─▶ Secret (the next state, if it is still the one that was read)
//!  APIService ─────┼─▶ plan (pure) ┼─▶ APIService (spec.caBundle)
//!  now ────────────┘               └─▶ the certificate that handshakes get
//! ```
//!
//! Every replica does this; who comes too late reads what the other wrote. A look at both objects
//! is made when one of them changes, when something is due, and every half minute in any case.

use std::{sync::Arc, time::Duration};

use futures::{Stream, StreamExt, stream};
use jiff::Timestamp;
use k8s_openapi::{
    api::core::v1::Secret, kube_aggregator::pkg::apis::apiregistration::v1::APIService,
};
use kube::{
    Api, Client,
    runtime::{WatchStreamExt, watcher},
};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

mod keeper;
pub mod make;
pub mod plan;
pub mod state;
pub mod view;

use self::keeper::Keeper;
pub use self::plan::Lifetimes;
use crate::serve::tls::Certificates;

/// What is kept, and where.
#[derive(Debug, Clone)]
pub struct Config {
    /// Our namespace: that of the Secret and of the Services.
    pub namespace: String,
    /// The Secret.
    pub secret: String,
    /// `v1beta1.external.metrics.k8s.io`.
    pub api_service: String,
    /// The DNS names and addresses of the serving certificate.
    pub names: Vec<String>,
    /// How long things live.
    pub lifetimes: Lifetimes,
}

/// From one look to the next, where nothing seems to happen.
const LOOK: Duration = Duration::from_secs(30);
/// The pause after a look that changed something or failed, and before one that a change calls for.
const PAUSE: Duration = Duration::from_millis(200);
/// The longest pause while looks fail.
const LONGEST: Duration = Duration::from_secs(15);
/// For one look.
const DEADLINE: Duration = Duration::from_secs(30);

/// Keeps CA, leaf and bundle until `stop`. Whatever fails is said once and tried again; what is
/// served meanwhile stays.
pub async fn run(
    client: Client,
    config: Config,
    certificates: Arc<Certificates>,
    stop: CancellationToken,
) {
    // Boxed: the futures of requests are large, and this one lives as long as the provider.
    stop.run_until_cancelled(Box::pin(keep(client, config, certificates))).await;
}

async fn keep(client: Client, config: Config, certificates: Arc<Certificates>) {
    let secrets = Api::<Secret>::namespaced(client.clone(), &config.namespace);
    let services = Api::<APIService>::all(client.clone());
    let secrets = changes(secrets, &config.secret);
    let services = changes(services, &config.api_service);
    let mut changes = Box::pin(stream::select(secrets, services));
    let mut keeper = Keeper::new(client, config, certificates);
    let mut failures = 0;
    loop {
        let now = Timestamp::now();
        let rest = match timeout(DEADLINE, keeper.look(now)).await {
            Ok(Ok(until)) => {
                failures = 0;
                let due = until.duration_since(now).unsigned_abs();
                due.clamp(PAUSE, LOOK)
            }
            Ok(Err(error)) => {
                keeper.away(&error.to_string());
                back_off(&mut failures)
            }
            Err(_) => {
                keeper.away(&format!("no answer within {}s", DEADLINE.as_secs()));
                back_off(&mut failures)
            }
        };
        if timeout(rest, changes.next()).await.is_ok() {
            // Changes come in groups, our own among them.
            sleep(PAUSE).await;
        }
    }
}

fn back_off(failures: &mut u32) -> Duration {
    let pause = PAUSE.saturating_mul(1 << (*failures).min(7)).min(LONGEST);
    *failures += 1;
    pause.mul_f64(1.0 - fastrand::f64() / 2.0)
}

/// Tells of each change of one object. A watch that fails is tried again for ever; the looks go on
/// without it.
fn changes<K>(api: Api<K>, name: &str) -> impl Stream<Item = ()> + use<K>
where
    K: kube::Resource<DynamicType = ()>
        + Clone
        + std::fmt::Debug
        + serde::de::DeserializeOwned
        + Send
        + 'static,
{
    let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
    watcher(api, config).default_backoff().filter_map(async |event| match event {
        Ok(watcher::Event::Apply(_) | watcher::Event::Delete(_)) => Some(()),
        Ok(_) => None,
        Err(error) => {
            tracing::debug!(%error, kind = %K::kind(&()), "watch failed, trying again");
            None
        }
    })
}
