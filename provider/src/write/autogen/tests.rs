use http::{Request, Response};
use kube::client::Body;
use tower_test::mock;

use super::*;
use crate::testing::{demand, entry, hpa, key};

const QUERY: &str = "avg:nginx.net.request_per_s{*}.rollup(30)";
const NAME: &str = "dcaautogen-32402d8dfc05cf540928a606d78ed68c0607f7";

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

/// Metrics that are wanted by selector (namespace, name, query), and the objects that are there.
fn world(metrics: &[(&str, &str, &str)], objects: &[(&str, Option<&str>, bool)]) -> Snapshot {
    let mut entries: Vec<_> =
        metrics.iter().map(|(ns, name, query)| (key(ns, name), Arc::new(entry(query)))).collect();
    entries.sort_by(|one, other| one.0.cmp(&other.0));
    let keys = metrics.iter().map(|(ns, name, _)| (key(ns, name), *name));
    let mut demand = Arc::unwrap_or_clone(demand(keys));
    demand.datadog_metrics = objects
        .iter()
        .map(|(name, external, active)| {
            let use_ = DatadogMetricUse {
                uid: "uid".into(),
                key: key("dd", &format!("datadogmetric@dd:{name}")),
                external_metric_name: external.map(str::to_owned),
                active: *active,
                referenced_by: vec![],
            };
            (ObjectName { namespace: "dd".into(), name: (*name).into() }, use_)
        })
        .collect();
    let entries: Vec<_> = entries.into_iter().map(|(_, entry)| entry).collect();
    Snapshot::new(Arc::new(demand), &entries)
}

#[test]
fn an_object_is_made_once_for_each_query() {
    let mut plan = Plan::new("dd".into());
    let metric = "Nginx.net.request_per_s";
    let wanted = world(&[("a", metric, QUERY), ("b", metric, QUERY)], &[]);
    let create = Step::Create { name: NAME.into(), query: QUERY.into(), metric: metric.into() };
    assert_eq!(plan.next(&wanted, at(0)), Some(create.clone()));
    plan.done(NAME, at(0));
    assert_eq!(plan.next(&wanted, at(59)), None, "the watch will show it");
    assert_eq!(plan.next(&wanted, at(60)), Some(create), "it did not");
    let there = world(&[("a", metric, QUERY)], &[(NAME, Some(metric), false)]);
    assert_eq!(plan.next(&there, at(120)), None);
}

#[test]
fn nothing_is_known_to_be_missing_before_the_demand_is_read() {
    assert_eq!(Plan::new("dd".into()).next(&Snapshot::default(), at(0)), None);
}

#[test]
fn only_our_own_objects_expire_and_only_when_nobody_wants_them() {
    let hour = 3600;
    let mut plan = Plan::new("dd".into());
    let objects = [("users", None, false), (NAME, Some("m"), false), ("used", Some("m"), true)];
    let unwanted = world(&[], &objects);
    assert_eq!(plan.next(&unwanted, at(0)), None);
    assert_eq!(plan.next(&unwanted, at(3 * hour - 1)), None);
    let wanted_again = world(&[("a", "m", QUERY)], &objects);
    assert_eq!(plan.next(&wanted_again, at(3 * hour)), None);
    assert_eq!(plan.next(&unwanted, at(4 * hour)), None);
    assert_eq!(plan.next(&unwanted, at(7 * hour)), Some(Step::Delete(NAME.into())));
    plan.done(NAME, at(7 * hour));
    assert_eq!(plan.next(&unwanted, at(7 * hour)), None);
}

#[test]
fn an_object_of_ours_stands_for_the_metric_of_its_query() {
    let world = world(&[("a", "m", QUERY), ("b", "m", QUERY)], &[(NAME, Some("m"), false)]);
    let links = Links::of(&world);
    let link = links.get(NAME).unwrap();
    let (_, use_) = world.demand().datadog_metrics.iter().next().unwrap();
    let linked = namesake(use_, link).unwrap();
    assert!(linked.active);
    assert_eq!(linked.key, key("a", "m"));
    assert_eq!(linked.referenced_by, [hpa("a", "hpa"), hpa("b", "hpa")]);
    let users = DatadogMetricUse { external_metric_name: None, ..use_.clone() };
    assert_eq!(namesake(&users, link), None);
}

#[tokio::test]
async fn an_object_is_deleted_in_our_namespace_and_one_that_is_gone_already_is_no_trouble() {
    let (service, mut apiserver) = mock::pair::<Request<Body>, Response<Body>>();
    let mut autogen = Autogen::new(Client::new(service, "default"), "dd".into());
    let answer = async {
        let (request, respond) = apiserver.next_request().await.unwrap();
        let status =
            json!({"kind": "Status", "code": 404, "message": "not found", "reason": "NotFound"});
        let body = Body::from(status.to_string().into_bytes());
        respond.send_response(Response::builder().status(404).body(body).unwrap());
        format!("{} {}", request.method(), request.uri())
    };
    let (result, line) = tokio::join!(autogen.write(Step::Delete(NAME.into()), at(0)), answer);
    result.unwrap();
    let path = format!("/apis/datadoghq.com/v1alpha1/namespaces/dd/datadogmetrics/{NAME}");
    assert_eq!(line, format!("DELETE {path}?"));
    assert!(autogen.plan.done.contains_key(NAME));
}
