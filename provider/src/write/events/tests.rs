use http::{Request, Response};
use kube::client::Body;
use serde_json::Value;
use tower_test::mock;

use super::*;
use crate::{
    store::{Entry, Outcome},
    testing::{entry, key, snapshot},
};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

/// Posts what is due at `now` to an apiserver that answers with `codes`. Gives the requests.
async fn requests(
    plan: Plan,
    now: Timestamp,
    codes: &[u16],
) -> (Vec<(String, Value)>, Plan, Result<(), kube::Error>) {
    let (service, mut apiserver) = mock::pair::<Request<Body>, Response<Body>>();
    let client = Client::new(service, "default");
    let mut events = Events { plan, ..Events::new(client, "dca-0".into()) };
    let last = Some((at(0), Outcome::NoSeries));
    let world = snapshot(key("default", "m"), "m", Entry { last, ..entry("avg:m{*}") });
    let post = events.next(&world, now).unwrap();
    let answers = async {
        let mut requests = vec![];
        for code in codes {
            let (request, respond) = apiserver.next_request().await.unwrap();
            let line = format!("{} {}", request.method(), request.uri());
            let body = request.into_body().collect_bytes().await.unwrap();
            requests.push((line, serde_json::from_slice(&body).unwrap()));
            let status = json!({"kind": "Status", "code": code, "message": "no", "reason": "no"});
            let body = if *code < 300 { json!({"metadata": {}}) } else { status };
            let body = Body::from(body.to_string().into_bytes());
            respond.send_response(Response::builder().status(*code).body(body).unwrap());
        }
        requests
    };
    let (result, requests) = tokio::join!(events.write(post, now), answers);
    (requests, events.plan, result)
}

const EVENTS: &str = "/apis/events.k8s.io/v1/namespaces/default/events";

#[tokio::test]
async fn what_was_said_is_counted_up_and_made_anew_once_it_is_gone() {
    let (made, plan, _) = requests(Plan::default(), at(0), &[201]).await;
    assert_eq!(made[0].0, format!("POST {EVENTS}?"));
    let name = made[0].1["metadata"]["name"].as_str().unwrap().to_owned();

    let (counted, plan, _) = requests(plan, at(600), &[200]).await;
    assert_eq!(counted[0].0, format!("PATCH {EVENTS}/{name}?"));
    let series = json!({"count": 2, "lastObservedTime": "2023-11-14T22:23:20.000000Z"});
    assert_eq!(counted[0].1, json!({"series": series}));

    let (gone, plan, _) = requests(plan, at(1200), &[404, 201]).await;
    assert_eq!(gone[0].1["series"]["count"], 3);
    assert_eq!(gone[1].0, format!("POST {EVENTS}?"));
    let (counted, ..) = requests(plan, at(1800), &[200]).await;
    assert_eq!(counted[0].1["series"]["count"], 2, "of the new one");
}

#[tokio::test]
async fn a_refusal_is_not_tried_again_and_an_apiserver_that_is_away_is() {
    for (code, tried_again) in [(403, false), (422, false), (404, false), (429, true), (500, true)]
    {
        let (_, plan, result) = requests(Plan::default(), at(0), &[code]).await;
        assert_eq!(result.is_err(), tried_again, "{code}");
        let last = Some((at(0), Outcome::NoSeries));
        let world = snapshot(key("default", "m"), "m", Entry { last, ..entry("avg:m{*}") });
        let mut plan = plan;
        assert_eq!(plan.next(&world, at(1)).is_some(), tried_again, "{code}");
    }
}

#[test]
fn the_name_of_an_event_fits_whatever_the_object_is_called() {
    assert_eq!(name("nginxext", at(0)), "nginxext.17979cfe362a0000");
    let long = name(&format!("{}-{}", "a".repeat(235), "b".repeat(17)), at(0));
    assert_eq!(long, format!("{}.17979cfe362a0000", "a".repeat(235)));
}
