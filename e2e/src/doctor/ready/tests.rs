use super::*;
use crate::doctor::fixtures::{self, silent};

/// `kind_ready`'s answer for a good machine with docker changed by `change`.
fn with_docker(change: impl FnOnce(&mut Answers)) -> Result<KindReady, String> {
    let mut answers = fixtures::answers();
    change(&mut answers);
    decide(&with_engines(vec![(ContainerProgram::Docker, Engine::Answers(Box::new(answers)))]))
}

fn with_engines(engines: Vec<(ContainerProgram, Engine)>) -> Kind {
    Kind { engines, ..fixtures::good().kind }
}

#[track_caller]
fn check_why_not(result: Result<KindReady, String>, parts: &[&str]) {
    let why_not = result.unwrap_err();
    assert!(!why_not.contains('\n'), "one line: {why_not}");
    for part in parts {
        assert!(why_not.contains(part), "{part} in: {why_not}");
    }
}

#[test]
fn docker_with_kind_and_the_image_is_ready() {
    let ready = with_docker(|_| {}).unwrap();
    assert_eq!(ready.container_program, ContainerProgram::Docker);
    assert_eq!(ready.node_image, NodeImage::Present);
    assert!(!ready.cgroup_v1);
    assert!(with_docker(|docker| docker.cgroup = Some(1)).unwrap().cgroup_v1);
}

#[test]
fn an_image_that_can_be_pulled_will_do() {
    let source = NodeImageFact::CanBePulled("https://registry.test".to_owned());
    let ready = with_docker(|docker| docker.node_image = source).unwrap();
    assert_eq!(ready.node_image, NodeImage::ToBePulled);
    assert_eq!(ready.first().as_deref(), Some("after pulling the node image"));
}

#[test]
fn an_image_that_cannot_be_had_will_not() {
    let said = NodeImageFact::CannotBePulled("dns error".to_owned());
    let result = with_docker(|docker| docker.node_image = said);
    check_why_not(result, &["kindest/node", "dns error", "docker pull", "docker save"]);
}

#[test]
fn an_engine_that_nodes_cannot_run_on_is_refused() {
    let result = with_docker(|docker| docker.os = "windows".to_owned());
    check_why_not(result, &["windows", "switch it to Linux containers"]);
    let result = with_docker(|docker| (docker.rootless, docker.cgroup) = (true, Some(1)));
    check_why_not(result, &["rootless", "as root"]);
    let result = with_docker(|docker| docker.root.free = Some(LEAST_DISK - 1));
    check_why_not(result, &["/var/lib/docker", "docker system prune"]);
}

#[test]
fn podman_is_taken_when_docker_will_not_do() {
    let podman = Answers { program: "/usr/bin/podman".into(), ..fixtures::answers() };
    let podman = (ContainerProgram::Podman, Engine::Answers(Box::new(podman)));
    let nothing = NodeImageFact::CannotBePulled("dns error".to_owned());
    let docker = Answers { node_image: nothing, ..fixtures::answers() };
    for docker in [silent("Cannot connect"), Engine::Answers(Box::new(docker))] {
        let engines = vec![(ContainerProgram::Docker, docker), podman.clone()];
        let ready = decide(&with_engines(engines)).unwrap();
        assert_eq!(ready.container_program, ContainerProgram::Podman);
    }
}

#[test]
fn without_an_engine_the_remedy_is_that_of_what_is_installed() {
    let docker = |engine| decide(&with_engines(vec![(ContainerProgram::Docker, engine)]));
    check_why_not(docker(Engine::NotInstalled), &["neither docker nor podman", "install docker"]);
    check_why_not(docker(silent("Cannot connect")), &["Cannot connect", "systemctl start docker"]);
    check_why_not(docker(silent("permission denied")), &["group `docker`"]);
    let podman = vec![(ContainerProgram::Podman, silent("cannot clone: EPERM"))];
    check_why_not(decide(&with_engines(podman)), &["EPERM", "podman info"]);
}

#[test]
fn without_a_kind_that_runs_there_is_no_cluster() {
    let none = Kind { program: None, ..fixtures::good().kind };
    check_why_not(decide(&none), &["no program `kind`", "--assets"]);
    let program = Some(("/opt/kind".into(), Err("exec format error".to_owned())));
    let broken = Kind { program, ..fixtures::good().kind };
    check_why_not(decide(&broken), &["/opt/kind", "exec format error"]);
}
