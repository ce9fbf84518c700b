//! How connections and the server end: without losing a request.

use axum::{response::IntoResponse, routing::get};
use provider::serve::connection::CloseConnection;
use tokio::sync::Semaphore;

use super::*;

/// Asks without a pause over connections that the server keeps closing; how many it took.
async fn ask(served: &Served, protocol: &[u8], mut requests: usize) -> usize {
    let mut connections = 0;
    while requests > 0 {
        connections += 1;
        let mut sender = served.connect(protocol).await;
        while requests > 0 && sender.ready().await.is_ok() {
            match sender.get(METRIC).await {
                Ok((code, body)) => assert_eq!(code, 200, "{body}"),
                // It never left the client: any client sends it over the next connection.
                Err(unsent) if unsent.message().is_some() => break,
                Err(lost) => panic!("a request was lost: {:?}", lost.into_error()),
            }
            requests -= 1;
        }
    }
    connections
}

#[tokio::test]
async fn connections_age_and_no_request_is_lost() {
    let served = Served::start(Limits { age: Duration::from_millis(20), ..Limits::default() });
    for protocol in [HTTP1, H2] {
        let asking = [(); 3].map(|()| ask(&served, protocol, 100));
        let connections = within(futures::future::join_all(asking)).await;
        assert!(connections.iter().all(|number| *number > 1), "{connections:?}");
    }
    served.until(|metrics| metrics.open_connections() == 0).await;
}

#[tokio::test]
async fn an_answer_can_close_its_connection() {
    let router = Router::new().fallback(async || {
        let mut response = "bye".into_response();
        response.extensions_mut().insert(CloseConnection);
        response
    });
    let served = Served::start_router(Server::default(), router);
    for protocol in [HTTP1, H2] {
        let mut sender = served.connect(protocol).await;
        let request = sender.request("/").body(Body::empty()).unwrap();
        let (parts, body) = sender.send(request).await.unwrap();
        assert_eq!((parts.status.as_u16(), body.as_str()), (200, "bye"));
        assert_eq!(parts.headers.contains_key("connection"), protocol == HTTP1);
        within(sender.driver).await.unwrap();
    }
}

#[tokio::test]
async fn told_to_stop_it_is_unready_and_serves_on_for_a_while() {
    let served = {
        let stopping = CancellationToken::new();
        let server = Server { shutdown_delay: Duration::from_secs(3600), ..Server::default() };
        let (store, receiver) = watch::channel(Arc::new(snapshot("")));
        let readiness = Readiness::new(stopping.clone());
        let config = Some(api::Config { store: receiver });
        let router = api::router(config, readiness, Arc::default(), Guard::default());
        Served::run(server, router, stopping, store)
    };
    let mut old = served.connect(H2).await;
    assert_eq!(old.get("/readyz").await.unwrap().0, 200);
    served.stopping.cancel();
    assert_eq!(old.get("/readyz").await.unwrap().0, 500);
    assert_eq!(old.get("/livez").await.unwrap().0, 200);
    served.good_client_is_served().await;
    served.running.abort();
}

/// A server with one path, whose answer waits; and what counts who waits, and lets go.
fn gate() -> (Router, Arc<Semaphore>, Arc<Semaphore>) {
    let (entered, leave) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let (enter, wait) = (entered.clone(), leave.clone());
    let handler = get(async move || {
        enter.add_permits(1);
        drop(wait.acquire().await);
        "done"
    });
    (Router::new().route("/", handler), entered, leave)
}

#[tokio::test]
async fn stopping_ends_idle_connections_and_waits_for_requests() {
    let (router, entered, leave) = gate();
    let mut served = Served::start_router(Server::default(), router);
    let idle = [served.connect(HTTP1).await, served.connect(H2).await];
    let mut busy = [served.connect(HTTP1).await, served.connect(H2).await];
    let [first, second] = &mut busy;
    let stop = async {
        drop(entered.acquire_many(2).await);
        served.stopping.cancel();
        for sender in idle {
            within(sender.driver).await.unwrap();
        }
        assert!(!served.running.is_finished());
        let refused = TcpStream::connect(served.address).await;
        assert!(refused.is_err());
        leave.add_permits(2);
    };
    let (first, second, ()) = tokio::join!(first.get("/"), second.get("/"), stop);
    for answer in [first, second] {
        assert_eq!(answer.unwrap(), (200, "done".to_owned()));
    }
    within(&mut served.running).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_request_that_never_ends_does_not_keep_the_server_from_stopping() {
    let (router, entered, _leave) = gate();
    let limits = Limits { drain: Duration::from_millis(50), ..Limits::default() };
    let mut served = Served::start_router(Server { limits, ..Server::default() }, router);
    let mut sender = served.connect(H2).await;
    let stop = async {
        drop(entered.acquire().await);
        served.stopping.cancel();
        within(&mut served.running).await.unwrap().unwrap();
    };
    let (answer, ()) = tokio::join!(sender.get("/"), stop);
    assert!(answer.is_err());
}
