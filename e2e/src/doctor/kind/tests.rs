use super::*;
use crate::doctor::{
    diagnosis::Mark,
    fixtures::{self, silent},
    ready,
};

/// A good machine with docker changed by `change`.
fn with_docker(change: impl FnOnce(&mut Answers)) -> Facts {
    let mut answers = fixtures::answers();
    change(&mut answers);
    let mut facts = fixtures::good();
    facts.kind.engines = vec![(ContainerProgram::Docker, Engine::Answers(Box::new(answers)))];
    facts
}

fn with_kind(change: impl FnOnce(&mut Kind)) -> Facts {
    let mut facts = fixtures::good();
    change(&mut facts.kind);
    facts
}

fn line(facts: &Facts, what: &str) -> Line {
    let lines = group(facts).lines;
    lines.into_iter().find(|line| line.what == what).unwrap()
}

#[track_caller]
fn check_warns(facts: &Facts, what: &str, part: &str) {
    let line = line(facts, what);
    assert!(matches!(&line.mark, Mark::Warn(remedy) if remedy.contains(part)), "{line:?}");
}

#[track_caller]
fn check_ok(facts: &Facts, what: &str, part: &str) {
    let line = line(facts, what);
    assert!(line.mark == Mark::Ok && line.found.contains(part), "{line:?}");
}

/// The lines and the decision are two functions of the same facts.
#[test]
fn a_line_fails_exactly_when_the_decision_is_no() {
    let nothing = || NodeImageFact::CannotBePulled("dns error".to_owned());
    let no_daemon = vec![(ContainerProgram::Docker, silent("Cannot connect"))];
    let no_engine = vec![(ContainerProgram::Docker, Engine::NotInstalled)];
    let broken = Some(("/opt/kind".into(), Err("exec format error".to_owned())));
    for (facts, ready) in [
        (fixtures::good(), true),
        (with_docker(|docker| docker.cgroup = Some(1)), true),
        (with_docker(|docker| docker.node_image = nothing()), false),
        (with_docker(|docker| docker.os = "windows".to_owned()), false),
        (with_docker(|docker| (docker.rootless, docker.cgroup) = (true, Some(1))), false),
        (with_docker(|docker| docker.root.free = Some(1 << 30)), false),
        (with_docker(|docker| docker.root.free = Some(3 << 30)), true),
        (with_kind(|kind| kind.engines = no_daemon), false),
        (with_kind(|kind| kind.engines = no_engine), false),
        (with_kind(|kind| kind.program = None), false),
        (with_kind(|kind| kind.program = broken), false),
    ] {
        let failed = group(&facts).lines.iter().any(|line| matches!(line.mark, Mark::Fail(_)));
        assert_eq!(ready::decide(&facts.kind).is_ok(), ready, "{:?}", facts.kind);
        assert_eq!(failed, !ready, "{:?}", group(&facts));
    }
}

#[test]
fn what_is_found_and_the_remedy_are_apart() {
    let none = vec![(ContainerProgram::Docker, silent("Cannot connect at unix:///x: refused"))];
    let line = line(&with_kind(|kind| kind.engines = none), "containers");
    assert!(line.found.ends_with("(Cannot connect at unix:///x: refused)"), "{line:?}");
    assert!(line.mark.remedy().unwrap().starts_with("start it"), "{line:?}");
}

#[test]
fn another_kind_than_the_tested_one_is_named() {
    let version = |text: &str| Some(("/opt/kind".into(), Ok(text.to_owned())));
    let old = with_kind(|kind| kind.program = version("kind v0.20.0 go1.20 linux/amd64"));
    check_warns(&old, "kind", "0.33");
    let newer = with_kind(|kind| kind.program = version("kind v0.33.1 go1.26 linux/amd64"));
    check_ok(&newer, "kind", "v0.33.1");
}

#[test]
fn storage_that_nodes_have_trouble_with_is_named() {
    check_warns(&with_docker(|docker| docker.storage_driver = "zfs".to_owned()), "storage", "zfs");
    check_warns(&with_docker(|docker| docker.storage_driver = "vfs".to_owned()), "storage", "slow");
    let containerd = with_docker(|docker| docker.image_store = ImageStore::Containerd);
    check_ok(&containerd, "storage", "archives of one platform");
}

#[test]
fn cgroup_v1_is_named_with_what_follows() {
    check_ok(&with_docker(|docker| docker.cgroup = Some(1)), "cgroup", "failCgroupV1: false");
    check_ok(&fixtures::good(), "cgroup", "v2");
}

#[test]
fn limits_of_this_kernel_are_warnings() {
    let bounded = with_kind(|kind| kind.kernel.bounding_set = Some(0x1ff_feff_ffff));
    check_warns(&bounded, "CAP_SYS_RESOURCE", "oom_score_adj");
    let few = with_kind(|kind| kind.kernel.inotify_instances = Some(128));
    check_warns(&few, "inotify", "fs.inotify.max_user_instances=512");
    let few = with_kind(|kind| kind.kernel.inotify_watches = Some(8192));
    check_warns(&few, "inotify", "fs.inotify.max_user_watches=524288");
}

#[test]
fn limits_of_this_kernel_say_nothing_about_a_daemon_elsewhere() {
    let elsewhere = with_docker(|docker| docker.kernel = "6.10.14-linuxkit".to_owned());
    check_ok(&elsewhere, "limits", "linuxkit");
    assert!(!group(&elsewhere).lines.iter().any(|line| line.what == "inotify"));
}

#[test]
fn scarce_room_leftovers_and_a_pull_are_warnings() {
    check_warns(&with_docker(|docker| docker.root.free = Some(3 << 30)), "disk", "system prune");
    let clusters = vec!["dca-e2e-1".to_owned()];
    check_warns(&with_docker(|docker| docker.our_clusters = clusters), "clusters", "e2e down");
    let registry = NodeImageFact::CanBePulled("https://registry.test".to_owned());
    check_warns(&with_docker(|docker| docker.node_image = registry), "node image", "docker pull");
}
