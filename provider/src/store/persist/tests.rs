use serde_json::json;
use tokio::{task::JoinHandle, time::sleep};

use self::apiserver::ApiServer;
use super::*;
use crate::testing;

mod apiserver;

const NAME: &str = "datadog-custom-metrics";
const PERIOD: Duration = Duration::from_secs(30);

/// A replica that saves what it knows.
struct World {
    server: ApiServer,
    store: watch::Sender<Arc<Snapshot>>,
    leadership: watch::Sender<Leadership>,
    stop: CancellationToken,
    running: JoinHandle<()>,
}

fn role(role: Role) -> Leadership {
    Leadership { role, ..Leadership::default() }
}

impl World {
    fn start(server: &ApiServer, first: Role, metrics: usize) -> Self {
        let snapshot = testing::fleet(metrics, Timestamp::now());
        let (store, store_receiver) = watch::channel(Arc::new(snapshot));
        let (leadership, leadership_receiver) = watch::channel(role(first));
        let stop = CancellationToken::new();
        let config = Config { namespace: "datadog".into(), name: NAME.into(), period: PERIOD };
        let running = tokio::spawn(run(
            server.client(),
            config,
            store_receiver,
            leadership_receiver,
            stop.clone(),
        ));
        Self { server: server.clone(), store, leadership, stop, running }
    }

    /// One that leads and has written once.
    async fn written(metrics: usize) -> Self {
        let world = Self::start(&ApiServer::default(), Role::Leader, metrics);
        sleep(FIRST_WRITE * 2).await;
        assert!(world.server.data(NAME).is_some());
        world.server.log();
        world
    }

    /// Another answer about the first metrics.
    fn change(&self, metrics: usize) {
        let mut snapshot = Snapshot::clone(&self.store.borrow());
        for position in 0..metrics {
            let sample = &mut snapshot.at_mut(position).unwrap().sample;
            sample.as_mut().unwrap().value += 1.0;
        }
        self.store.send_replace(Arc::new(snapshot));
    }

    fn put(&self, snapshot: Snapshot) {
        self.store.send_replace(Arc::new(snapshot));
    }

    async fn stop(self) {
        self.stop.cancel();
        self.running.await.unwrap();
    }
}

/// Where nothing was there, not even one of the others, whose first was deleted.
fn made() -> [String; 3] {
    [format!("GET {NAME}"), format!("GET {NAME}-1"), format!("POST {NAME} 3")]
}

#[tokio::test(start_paused = true)]
async fn only_what_changed_is_written_and_once_in_a_period() {
    let world = World::start(&ApiServer::default(), Role::Leader, 3);
    sleep(FIRST_WRITE * 2).await;
    assert_eq!(world.server.log(), made());
    // Nothing has changed: only a look whether it is there.
    sleep(PERIOD * 2).await;
    assert_eq!(world.server.log(), [format!("HEAD {NAME}"), format!("HEAD {NAME}")]);
    for _ in 0..10 {
        world.change(2);
        sleep(PERIOD / 10).await;
    }
    assert_eq!(world.server.log(), [format!("PATCH {NAME} 2")]);
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_saved_is_read_again() {
    let world = World::written(3).await;
    let news = read(&world.server.client(), "datadog", NAME).await;
    assert!(news.complete && news.asking.is_none());
    assert_eq!(news.known.len(), 3);
    let store = world.store.borrow().clone();
    for (key, memory) in &news.known {
        let (_, entry) = store.get(key).unwrap();
        assert_eq!(memory.sample, entry.sample);
        assert_eq!(memory.query.as_deref(), entry.ask.as_ref().ok().map(|it| it.query.as_str()));
        assert_eq!(memory.since, entry.since);
        let asked = |last: &Option<(Timestamp, _)>| last.as_ref().map(|(at, _)| *at);
        assert_eq!(asked(&memory.last), asked(&entry.last));
    }
}

#[tokio::test(start_paused = true)]
async fn only_the_leader_writes_and_a_new_one_keeps_the_pace() {
    let server = ApiServer::default();
    let one = World::start(&server, Role::Follower, 3);
    sleep(PERIOD * 3).await;
    assert!(server.log().is_empty());
    one.leadership.send_replace(role(Role::Leader));
    sleep(FIRST_WRITE * 2).await;
    assert_eq!(server.log(), made());
    // It loses the lead; the next finds that this was just written.
    one.leadership.send_replace(role(Role::Follower));
    one.change(3);
    let other = World::start(&server, Role::Leader, 3);
    other.change(1);
    sleep(PERIOD / 3).await;
    assert_eq!(server.log(), [format!("GET {NAME}"), format!("GET {NAME}-1")]);
    sleep(PERIOD).await;
    assert_eq!(server.log().first(), Some(&format!("PATCH {NAME} 3")));
    one.stop().await;
    other.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_old_leader_does_not_write_over_what_the_new_one_wrote() {
    let old = World::written(2).await;
    let new = World::start(&old.server, Role::Leader, 2);
    new.put(testing::fleet(5, Timestamp::now()));
    sleep(PERIOD * 2).await;
    old.server.log();
    // It still takes itself for the leader: its write is refused, it reads before it writes again.
    old.change(1);
    sleep(PERIOD).await;
    let log = old.server.log();
    let refused = log.iter().position(|line| line.starts_with("PATCH")).unwrap();
    assert_eq!(log.get(refused + 1), Some(&format!("GET {NAME}")), "{log:?}");
}

#[tokio::test(start_paused = true)]
async fn a_configmap_that_was_deleted_is_made_again() {
    let world = World::written(3).await;
    world.server.delete(NAME);
    sleep(PERIOD).await;
    let log = world.server.log();
    assert_eq!(log, [format!("HEAD {NAME}"), format!("GET {NAME}"), format!("POST {NAME} 3")]);
    world.server.delete(NAME);
    world.change(1);
    sleep(PERIOD).await;
    assert_eq!(world.server.log(), [format!("PATCH {NAME} 1"), format!("POST {NAME} 3")]);
    assert_eq!(world.server.data(NAME).unwrap().len(), 3);
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn garbage_is_swept_and_what_is_not_ours_stays() {
    let world = World::written(3).await;
    let good = world.server.data(NAME).unwrap();
    let (first, _) = good.first_key_value().unwrap();
    world.server.set(
        NAME,
        &json!({first: "{", "external_metric-horizontal-x-y-z": "[]", "notes": "do not touch"}),
    );
    sleep(PERIOD).await;
    assert_eq!(
        world.server.log(),
        [format!("HEAD {NAME}"), format!("GET {NAME}"), format!("PATCH {NAME} 4")]
    );
    let mut data = world.server.data(NAME).unwrap();
    assert_eq!(data.remove("notes").as_deref(), Some("do not touch"));
    assert_eq!(data, good);
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_stops_nothing() {
    for code in [403, 422, 500, 503, 429] {
        let server = ApiServer::default();
        server.refuse(Some(code));
        let world = World::start(&server, Role::Leader, 3);
        sleep(PERIOD * 3).await;
        let tries = server.log().iter().filter(|line| line.starts_with("POST")).count();
        // kube's client may itself try a 503, a 429 or a 504 again.
        assert!(tries >= 3, "{code}: {tries}");
        server.refuse(None);
        sleep(PERIOD).await;
        assert_eq!(server.data(NAME).unwrap().len(), 3, "{code}");
        world.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_orderly_stop_saves_what_is_new() {
    let world = World::written(3).await;
    let server = world.server.clone();
    world.change(2);
    world.stop().await;
    assert_eq!(server.log(), [format!("PATCH {NAME} 2")]);
    // Not who does not lead.
    let world = World::written(3).await;
    let server = world.server.clone();
    world.change(2);
    world.leadership.send_replace(role(Role::Follower));
    world.stop().await;
    assert!(server.log().is_empty());
}

/// Figures for docs/state.md: `cargo test -p provider --lib ten_thousand -- --nocapture`.
#[tokio::test(start_paused = true)]
async fn ten_thousand_autoscalers_take_some_configmaps_written_once_in_a_period() {
    let world = World::written(10_000).await;
    let (server, names) = (world.server.clone(), world.server.names());
    let mut bytes = 0;
    for name in &names {
        let data = server.data(name).unwrap();
        let size: usize = data.iter().map(|(key, text)| key.len() + text.len()).sum();
        assert!(size < 900 << 10, "{name}: {size}");
        bytes += size;
    }
    let fleet = Snapshot::clone(&world.store.borrow());
    world.put(testing::refreshed(fleet, Timestamp::now()));
    sleep(PERIOD).await;
    let log = server.log();
    let writes = log.iter().filter(|line| line.starts_with("PATCH")).count();
    println!(
        "10,000 metrics: {bytes} bytes in {} ConfigMaps, {writes} writes a period",
        names.len()
    );
    assert_eq!(writes, names.len());
    assert!((4..=PIECES).contains(&writes), "{writes}");
    let news = read(&server.client(), "datadog", NAME).await;
    assert_eq!(news.known.len(), 10_000);
    // Nine tenths of the cluster go away: so do their entries.
    world.put(testing::fleet(1000, Timestamp::now()));
    sleep(PERIOD).await;
    let sizes: Vec<_> = names.iter().map(|name| server.data(name).unwrap().len()).collect();
    assert_eq!(sizes.iter().sum::<usize>(), 1000);
    assert_eq!(sizes[0], 1000, "{sizes:?}");
    server.log();
    sleep(PERIOD).await;
    assert_eq!(server.log(), [format!("HEAD {NAME}")]);
    world.stop().await;
}
