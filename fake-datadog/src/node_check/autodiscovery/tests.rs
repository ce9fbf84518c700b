use proptest::prelude::*;
use serde_json::json;

use super::*;

const NAMES: &str = "ad.datadoghq.com/nginx.check_names";
const CONFIGS: &str = "ad.datadoghq.com/nginx.init_configs";
const INSTANCES: &str = "ad.datadoghq.com/nginx.instances";

/// A pod as the walkthrough's Deployment makes it, changed by `change`.
fn pod(change: impl FnOnce(&mut Value)) -> Pod {
    let mut pod = json!({
        "metadata": {
            "name": "nginx-6d4cf56db6-x2vhq",
            "namespace": "default",
            "uid": "5b1f",
            "annotations": {
                NAMES: r#"["nginx"]"#,
                CONFIGS: "[{}]",
                INSTANCES: r#"[{"nginx_status_url": "http://%%host%%/nginx_status"}]"#,
                "ad.datadoghq.com/nginx.logs": r#"[{"source": "nginx"}]"#,
            },
            "ownerReferences": [{
                "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "nginx-6d4cf56db6",
                "uid": "1", "controller": true,
            }],
        },
        "spec": {
            "nodeName": "node-1",
            "containers": [
                {"name": "nginx", "ports": [{"containerPort": 80}, {"containerPort": 8081}]},
                {"name": "sidecar"},
            ],
        },
        "status": {"phase": "Running", "podIP": "10.1.2.3"},
    });
    change(&mut pod);
    serde_json::from_value(pod).unwrap()
}

fn annotated(key: &str, value: &str) -> Pod {
    pod(|pod| pod["metadata"]["annotations"][key] = value.into())
}

fn with_instance(instance: &str) -> Pod {
    annotated(INSTANCES, &format!("[{instance}]"))
}

fn only_target(pod: &Pod) -> Target {
    let mut targets = targets(pod).unwrap();
    assert_eq!(targets.len(), 1);
    targets.remove(0)
}

#[test]
fn the_walkthroughs_pod_is_one_target() {
    let target = only_target(&pod(|_| ()));
    assert_eq!(target.status_url.as_str(), "http://10.1.2.3/nginx_status");
    assert_eq!((target.interval, target.node.as_deref()), (None, Some("node-1")));
    assert_eq!(
        target.tags,
        [
            "kube_container_name:nginx",
            "kube_deployment:nginx",
            "kube_namespace:default",
            "pod_name:nginx-6d4cf56db6-x2vhq",
        ]
    );
}

#[test]
fn a_pod_that_cannot_be_read_is_no_target() {
    #[track_caller]
    fn check(change: impl FnOnce(&mut Value)) {
        assert_eq!(targets(&pod(change)).unwrap(), []);
    }
    check(|pod| pod["status"]["phase"] = "Pending".into());
    check(|pod| pod["status"]["phase"] = "Succeeded".into());
    check(|pod| pod["status"] = Value::Null);
    check(|pod| pod["status"]["podIP"] = Value::Null);
    check(|pod| pod["metadata"]["deletionTimestamp"] = "2026-11-24T00:00:00Z".into());
    check(|pod| pod["metadata"]["annotations"] = Value::Null);
}

#[test]
fn checks_other_than_nginx_are_none_of_our_business() {
    assert_eq!(targets(&annotated(NAMES, r#"["redisdb"]"#)).unwrap(), []);
    let pod = pod(|pod| {
        pod["metadata"]["annotations"] = json!({
            NAMES: r#"["http_check", "nginx"]"#,
            CONFIGS: "[{}, {}]",
            INSTANCES: r#"[{"name": "x", "url": "y"}, {"nginx_status_url": "http://%%host%%/s"}]"#,
        });
    });
    assert_eq!(only_target(&pod).status_url.as_str(), "http://10.1.2.3/s");
}

#[test]
fn an_entry_may_hold_several_instances() {
    let pod = with_instance(
        r#"[{"nginx_status_url": "http://%%host%%/a"}, {"nginx_status_url": "http://%%host%%/b"}]"#,
    );
    let targets = targets(&pod).unwrap();
    let seen: Vec<_> =
        targets.iter().map(|target| (target.id.instance, target.status_url.path())).collect();
    assert_eq!(seen, [(0, "/a"), (1, "/b")]);
}

#[test]
fn the_port_is_the_highest_of_the_container() {
    let pod = with_instance(r#"{"nginx_status_url": "http://%%host%%:%%port%%/nginx_status"}"#);
    assert_eq!(only_target(&pod).status_url.as_str(), "http://10.1.2.3:8081/nginx_status");
}

#[test]
fn an_ipv6_address_is_put_in_brackets() {
    let pod = pod(|pod| pod["status"]["podIP"] = "fd00::7".into());
    assert_eq!(only_target(&pod).status_url.as_str(), "http://[fd00::7]/nginx_status");
}

#[test]
fn an_instance_sets_its_interval_and_zero_is_none() {
    #[track_caller]
    fn check(seconds: &str, expected: Option<u64>) {
        let pod = with_instance(&format!(
            r#"{{"nginx_status_url": "http://%%host%%/", "min_collection_interval": {seconds}}}"#
        ));
        assert_eq!(only_target(&pod).interval, expected.map(Duration::from_secs));
    }
    check("5", Some(5));
    check("0", None);
    check("null", None);
}

#[test]
fn tags_of_the_instance_join_the_others_but_unknown_variables_do_not() {
    #[track_caller]
    fn check(tags: &str, expected: &[&str]) {
        let instance = format!(r#"{{"nginx_status_url": "http://%%host%%/", "tags": {tags}}}"#);
        let tags = only_target(&with_instance(&instance)).tags;
        let own: Vec<_> = tags
            .iter()
            .map(String::as_str)
            .filter(|tag| !tag.starts_with("kube_") && !tag.starts_with("pod_name:"))
            .collect();
        assert_eq!(own, expected);
        assert!(tags.is_sorted());
    }
    check(r#"["team:web", "app:shop", "team:web"]"#, &["app:shop", "team:web"]);
    check(r#""%%tags%%""#, &[]);
    check(r#"["%%tags%%", "ip:%%host%%"]"#, &["ip:10.1.2.3"]);
    check("null", &[]);
}

#[test]
fn the_deployment_is_the_replica_set_without_its_hash() {
    #[track_caller]
    fn check(replica_set: &str, expected: Option<&str>) {
        let pod = pod(|pod| pod["metadata"]["ownerReferences"][0]["name"] = replica_set.into());
        assert_eq!(deployment(&pod), expected);
    }
    check("nginx-6d4cf56db6", Some("nginx"));
    check("my-web-shop-7c5ddbdf54", Some("my-web-shop"));
    check("nginx-1234567", Some("nginx"));
    check("nginx-canary", None);
    check("nginx-ab", None);
    check("nginx", None);

    let of_a_job = pod(|pod| pod["metadata"]["ownerReferences"][0]["kind"] = "Job".into());
    assert_eq!(deployment(&of_a_job), None);
    assert!(!only_target(&of_a_job).tags.iter().any(|tag| tag.starts_with("kube_deployment")));
}

#[test]
fn broken_annotations_are_refused_by_name() {
    #[track_caller]
    fn check(pod: &Pod, expected: &str) {
        assert_eq!(targets(pod).unwrap_err().to_string(), expected);
    }
    check(
        &annotated("ad.datadoghq.com/ngnix.check_names", r#"["nginx"]"#),
        "annotation ad.datadoghq.com/ngnix.check_names: the pod has no container \"ngnix\", only \
         nginx, sidecar",
    );
    check(
        &annotated(NAMES, "nginx"),
        "annotation ad.datadoghq.com/nginx.check_names: expected ident at line 1 column 2",
    );
    check(
        &annotated(INSTANCES, r#"[{"url": "http://%%host%%/"}]"#),
        "annotation ad.datadoghq.com/nginx.instances: missing field `nginx_status_url`",
    );
    check(
        &annotated(INSTANCES, r#"[{"nginx_status_url": "http://x", "tags": 3}]"#),
        "annotation ad.datadoghq.com/nginx.instances: tags must be a string or a list of strings",
    );
    check(
        &annotated(CONFIGS, "[]"),
        "annotations ad.datadoghq.com/nginx.*: 1 check_names, 0 init_configs and 1 instances; they \
         must be equally many",
    );
    check(
        &pod(|pod| {
            pod["metadata"]["annotations"].as_object_mut().unwrap().remove(CONFIGS);
        }),
        "annotation ad.datadoghq.com/nginx.init_configs is missing; it belongs to check_names",
    );
    check(
        &with_instance(r#"{"nginx_status_url": "http://%%env_HOST%%/"}"#),
        "annotation ad.datadoghq.com/nginx.instances: nginx_status_url \"http://%%env_HOST%%/\": \
         unknown variable %%env_HOST%%; known are %%host%% and %%port%%",
    );
    check(
        &with_instance(r#"{"nginx_status_url": "http://%%host/"}"#),
        "annotation ad.datadoghq.com/nginx.instances: nginx_status_url \"http://%%host/\": a %% \
         without a second one; a variable is written %%host%%",
    );
    check(
        &with_instance(r#"{"nginx_status_url": "%%host%%/nginx_status"}"#),
        "annotation ad.datadoghq.com/nginx.instances: nginx_status_url \"10.1.2.3/nginx_status\": \
         relative URL without a base",
    );
    check(
        &with_instance(r#"{"nginx_status_url": "https://%%host%%/nginx_status"}"#),
        "annotation ad.datadoghq.com/nginx.instances: nginx_status_url \
         \"https://10.1.2.3/nginx_status\": must begin with http://",
    );
}

#[test]
fn a_port_variable_needs_a_port() {
    let without_ports = pod(|pod| {
        pod["spec"]["containers"][0]["ports"] = Value::Null;
        pod["metadata"]["annotations"][INSTANCES] =
            r#"[{"nginx_status_url": "http://%%host%%:%%port%%/"}]"#.into();
    });
    assert!(targets(&without_ports).unwrap_err().to_string().contains("needs a port"));
}

proptest! {
    #[test]
    fn property_test_no_annotation_however_odd_is_more_than_refused(
        names in "\\PC{0,40}", instances in "\\PC{0,80}", url in "(?s).{0,40}",
    ) {
        let _ = targets(&annotated(NAMES, &names));
        let _ = targets(&annotated(INSTANCES, &instances));
        let instance = json!({"nginx_status_url": url}).to_string();
        for target in targets(&with_instance(&instance)).unwrap_or_default() {
            prop_assert_eq!(target.status_url.scheme(), "http");
        }
    }
}
