use proptest::{collection::vec, prelude::*};
use serde_json::json;

use super::{objects::Endpoints, *};

fn slice(name: &str, service: &str, pods: &[(&str, &str)]) -> Slice {
    Slice {
        namespace: "default".into(),
        name: name.into(),
        service: Some(service.into()),
        pods: pods.iter().map(|(node, pod)| ((*node).into(), (*pod).into())).collect(),
    }
}

fn is(map: &mut ServiceMap, slice: Slice) {
    map.apply(Change::Slice(Event::Is(slice)));
}

fn services(map: &ServiceMap, node: &str, pod: &str) -> String {
    map.services_of(node, "default", pod).collect::<Vec<_>>().join(" ")
}

#[test]
fn a_pod_has_the_services_whose_slices_name_it() {
    let mut map = ServiceMap::default();
    is(&mut map, slice("web-1", "web", &[("n1", "p1"), ("n2", "p2")]));
    is(&mut map, slice("all-1", "all", &[("n1", "p1")]));
    assert_eq!(services(&map, "n1", "p1"), "all web");
    assert_eq!(services(&map, "n2", "p2"), "web");
    assert_eq!(services(&map, "n2", "p1"), "", "it is not on that node");
    // The pod leaves one Service, and the other one is deleted.
    is(&mut map, slice("web-1", "web", &[("n2", "p2")]));
    assert_eq!(services(&map, "n1", "p1"), "all");
    map.apply(Change::Slice(Event::Gone(slice("all-1", "", &[]))));
    assert_eq!(services(&map, "n1", "p1"), "");
    assert_eq!(map.nodes_with_pods().collect::<Vec<_>>(), ["n2"]);
}

#[test]
fn a_service_stays_while_one_of_its_slices_names_the_pod() {
    let mut map = ServiceMap::default();
    is(&mut map, slice("web-4", "web", &[("n1", "p1")]));
    is(&mut map, slice("web-6", "web", &[("n1", "p1"), ("n1", "p1")]));
    assert_eq!(services(&map, "n1", "p1"), "web");
    map.apply(Change::Slice(Event::Gone(slice("web-6", "web", &[]))));
    assert_eq!(services(&map, "n1", "p1"), "web");
    map.apply(Change::Slice(Event::Gone(slice("web-4", "web", &[]))));
    assert_eq!(map.nodes_with_pods().count(), 0);
    assert_eq!(map.kept, 0);
}

#[test]
fn what_a_new_list_does_not_have_is_gone() {
    let mut map = ServiceMap::default();
    assert!(!map.is_ready(Watched::EndpointSlices));
    is(&mut map, slice("old", "old", &[("n1", "p1")]));
    map.apply(Change::Slice(Event::Begin));
    is(&mut map, slice("new", "new", &[("n1", "p1")]));
    assert_eq!(services(&map, "n1", "p1"), "new old", "until the list is complete");
    map.apply(Change::Slice(Event::End));
    assert_eq!(services(&map, "n1", "p1"), "new");
    assert!(map.is_ready(Watched::EndpointSlices));

    let named = |name: &str| (Name::from(name), Metadata::default());
    map.apply(Change::Node(Event::Is(named("n1"))));
    map.apply(Change::Node(Event::Begin));
    map.apply(Change::Node(Event::Is(named("n2"))));
    map.apply(Change::Node(Event::End));
    assert_eq!(map.nodes().collect::<Vec<_>>(), ["n2"]);
    map.apply(Change::Node(Event::Gone(named("n2"))));
    assert_eq!(map.node("n2"), None);
}

#[test]
fn only_pods_of_the_slices_own_namespace_count_ready_or_not() {
    let endpoint = |name: &str, namespace: &str, kind: &str, ready: bool| {
        json!({"addresses": ["10.0.0.1"], "conditions": {"ready": ready}, "nodeName": "n1",
            "targetRef": {"kind": kind, "namespace": namespace, "name": name}})
    };
    let mut without_node = endpoint("p4", "default", "Pod", true);
    without_node["nodeName"] = json!(null);
    let object = json!({
        "metadata": {"name": "web-1", "namespace": "default",
            "labels": {"kubernetes.io/service-name": "web"}},
        "addressType": "IPv4",
        "endpoints": [endpoint("p1", "default", "Pod", true), endpoint("p2", "default", "Pod", false),
            endpoint("other", "kube-system", "Pod", true), endpoint("n", "default", "Node", true),
            without_node, {"addresses": ["10.0.0.9"]}],
    });
    let read: Endpoints = serde_json::from_value(object).unwrap();
    assert_eq!(Slice::from(read), slice("web-1", "web", &[("n1", "p1"), ("n1", "p2")]));
    // A slice that is nobody's, and one without endpoints.
    let nobodys = json!({"metadata": {"name": "s", "namespace": "default"}, "endpoints": null});
    let read = Slice::from(serde_json::from_value::<Endpoints>(nobodys).unwrap());
    assert_eq!((read.service, read.pods), (None, Vec::new()));
}

#[test]
fn of_annotations_only_those_are_kept_that_somebody_asks_for() {
    let metadata = || {
        serde_json::from_value(json!({"name": "x", "labels": {"a": "b"},
            "annotations": {"cluster.k8s.io/machine": "m", "huge": "text",
                "kubectl.kubernetes.io/last-applied-configuration": "{}"}}))
        .unwrap()
    };
    let (_, node) = objects::node(metadata(), &["cluster.k8s.io/machine".to_owned()]);
    assert_eq!(
        node.annotations.keys().map(|it| &**it).collect::<Vec<_>>(),
        ["cluster.k8s.io/machine"]
    );
    let (_, namespace) = objects::namespace(metadata());
    assert_eq!(namespace.annotations.len(), 2);
    assert_eq!(namespace.labels, node.labels);
}

#[test]
fn what_is_too_much_is_left_out_and_said() {
    let mut map = ServiceMap::bounded(3);
    is(&mut map, slice("a", "a", &[("n", "p1"), ("n", "p2")]));
    is(&mut map, slice("b", "b", &[("n", "p1"), ("n", "p2")]));
    assert_eq!(services(&map, "n", "p1"), "a");
    insta::assert_snapshot!(map.warnings().join("\n"), @"more than 3 pods of Services, some are left out");
}

#[test]
fn what_cannot_be_read_is_said_until_it_can() {
    let mut map = ServiceMap::default();
    map.unreadable(Watched::Nodes, "forbidden".to_owned());
    map.apply(Change::Node(Event::Begin));
    insta::assert_snapshot!(map.warnings().join("\n"), @"nodes cannot be read: forbidden");
    map.apply(Change::Node(Event::End));
    assert_eq!(map.warnings(), [""; 0]);
}

type Contents = BTreeMap<String, BTreeMap<String, BTreeMap<String, Vec<String>>>>;

/// Everything that can be read from the map.
fn contents(map: &ServiceMap) -> Contents {
    let owned = |names: Vec<&str>| names.into_iter().map(str::to_owned).collect();
    let pods = |pods: BTreeMap<&str, Vec<&str>>| {
        pods.into_iter().map(|(pod, services)| (pod.to_owned(), owned(services))).collect()
    };
    let nodes = map.nodes_with_pods().map(|node| {
        let namespaces = map.pods_of(node).into_iter();
        (node.to_owned(), namespaces.map(|(name, it)| (name.to_owned(), pods(it))).collect())
    });
    nodes.collect()
}

/// What the slices say, without any index.
fn expected(slices: &BTreeMap<u8, Slice>) -> Contents {
    let mut contents = Contents::new();
    for slice in slices.values() {
        for (node, pod) in &slice.pods {
            let namespaces = contents.entry(node.to_string()).or_default();
            let pods = namespaces.entry(slice.namespace.to_string()).or_default();
            let services = pods.entry(pod.to_string()).or_default();
            services.extend(slice.service.as_deref().map(str::to_owned));
            services.sort();
            services.dedup();
        }
    }
    contents
}

fn any_slice() -> impl Strategy<Value = (u8, Slice)> {
    let pods = vec((0_u8..3, 0_u8..4), 0..5);
    (0_u8..5, 0_u8..3, 0_u8..2, pods).prop_map(|(name, service, namespace, pods)| {
        let pods =
            pods.iter().map(|(node, pod)| (format!("n{node}").into(), format!("p{pod}").into()));
        // The number says which slice it is: its namespace is a part of that.
        let number = name * 2 + namespace;
        let slice = Slice {
            namespace: format!("ns{namespace}").into(),
            name: format!("s{name}").into(),
            service: Some(format!("svc{service}").into()),
            pods: pods.collect(),
        };
        (number, slice)
    })
}

proptest! {
    /// Whatever came before, and in whichever order the slices came: the map is what they say now.
    #[test]
    fn the_map_is_what_the_slices_say_now(
        events in vec((any_slice(), prop::bool::weighted(0.7)), 0..40),
        order in Just((0..10_u8).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let mut map = ServiceMap::default();
        let mut slices = BTreeMap::new();
        for ((number, slice), is_there) in events {
            if is_there {
                slices.insert(number, slice.clone());
                map.apply(Change::Slice(Event::Is(slice)));
            } else {
                slices.remove(&number);
                map.apply(Change::Slice(Event::Gone(slice)));
            }
            prop_assert_eq!(contents(&map), expected(&slices));
        }
        let mut fresh = ServiceMap::default();
        fresh.apply(Change::Slice(Event::Begin));
        for slice in order.iter().filter_map(|number| slices.get(number)) {
            fresh.apply(Change::Slice(Event::Is(slice.clone())));
        }
        fresh.apply(Change::Slice(Event::End));
        prop_assert_eq!(contents(&fresh), contents(&map));
        prop_assert_eq!(fresh.kept, map.kept);
    }
}
