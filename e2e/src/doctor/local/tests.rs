use super::*;
use crate::doctor::{
    facts::{Disk, Local},
    fixtures,
};

/// A good machine with `change` made to it.
fn machine(change: impl FnOnce(&mut Facts)) -> Facts {
    let mut facts = fixtures::good();
    change(&mut facts);
    facts
}

fn set(facts: &mut Facts, wanted: Program, found: &Found) {
    for (program, is) in &mut facts.local.survey.programs {
        if *program == wanted {
            *is = found.clone();
        }
    }
}

#[track_caller]
fn check_fails(facts: &Facts, parts: &[&str]) {
    let Verdict::Fails(why_not) = verdict(facts) else { panic!("{:?}", verdict(facts)) };
    for part in parts {
        assert!(why_not.contains(part), "{part} in: {why_not}");
    }
}

#[track_caller]
fn check_warns(facts: &Facts, what: &str, part: &str) {
    let lines = group(facts).lines;
    let line = lines.iter().find(|line| line.what == what).unwrap();
    assert!(matches!(&line.mark, Mark::Warn(remedy) if remedy.contains(part)), "{line:?}");
    assert!(verdict(facts).works());
}

#[test]
fn a_machine_with_everything_works_at_once() {
    assert_eq!(verdict(&fixtures::good()), Verdict::Works(None));
}

#[test]
fn what_is_missing_is_downloaded_or_built_or_must_be_given() {
    let missing = |reached: Result<(), String>| {
        machine(|facts| {
            set(facts, Program::Kwok, &Found::Nowhere);
            facts.local.downloads = vec![("https://files.test".to_owned(), reached)];
        })
    };
    let works = |first: &str| Verdict::Works(Some(first.to_owned()));
    assert_eq!(verdict(&missing(Ok(()))), works("after downloading kwok"));
    let mut deaf = missing(Err("dns error".to_owned()));
    assert_eq!(verdict(&deaf), works("after building kwok"));
    check_warns(&deaf, "missing", "--mirror-kwok");
    deaf.building.go = Err("not on the PATH".to_owned());
    check_fails(&deaf, &["https://files.test", "dns error", "--assets", "https://go.dev/dl"]);
}

#[test]
fn a_wrong_program_in_the_assets_fails_and_one_in_the_cache_is_fetched_anew() {
    let wrong = |place| {
        machine(|facts| {
            let said = "printed `etcd Version: 2.0.0`".to_owned();
            set(facts, Program::Etcd, &Found::Wrong { place, path: "/a/etcd".into(), said });
        })
    };
    check_fails(&wrong(Place::Assets), &["/a/etcd", "2.0.0", "put 3.5.0 or newer there"]);
    check_warns(&wrong(Place::Cache), "etcd", "fetched anew");
}

#[test]
fn a_file_in_the_cache_that_was_changed_or_cannot_be_read_fails() {
    for (sum, part) in [(Sum::Differs, "remove /c/etcd"), (Sum::Unreadable("x".into()), "readable")]
    {
        let facts = machine(|facts| {
            let version = Some(Program::Etcd.pinned());
            let path = "/c/etcd".into();
            set(facts, Program::Etcd, &Found::Good { place: Place::Cache, path, version, sum });
        });
        check_fails(&facts, &["/c/etcd", part]);
    }
}

#[test]
fn kubernetes_programs_of_two_minor_versions_are_refused() {
    let facts = machine(|facts| {
        let found = Found::Good {
            place: Place::Assets,
            path: "/a".into(),
            version: "1.36.4".parse().ok(),
            sum: Sum::Unknown,
        };
        set(facts, Program::KubeScheduler, &found);
    });
    check_fails(&facts, &["kube-scheduler 1.36.4", "kube-apiserver 1.37.2", "one minor version"]);
}

#[test]
fn nginx_is_installed_only_where_that_is_possible() {
    let mut facts = machine(|facts| facts.local.survey.nginx = Found::Nowhere);
    check_fails(&facts, &["nginx", "apt-get install nginx-light"]);
    facts.machine.root = true;
    assert_eq!(verdict(&facts), Verdict::Works(Some("after installing nginx".to_owned())));
    facts.local.apt_get = false;
    check_fails(&facts, &["nginx"]);

    let wrong = machine(|facts| {
        let said = "printed `nginx version: nginx/1.0`".to_owned();
        let place = Place::SearchPath;
        facts.local.survey.nginx = Found::Wrong { place, path: "/usr/sbin/nginx".into(), said };
    });
    check_fails(&wrong, &["/usr/sbin/nginx", "stub_status"]);
}

#[test]
fn what_the_machine_lacks_has_a_remedy() {
    check_fails(&machine(|facts| facts.machine.os = "macos".to_owned()), &["--cluster kind"]);
    let no_proc = |local: &mut Local| local.proc = Err("not mounted".to_owned());
    check_fails(&machine(|facts| no_proc(&mut facts.local)), &["/proc not mounted", "mount it"]);
    let no_ports = |local: &mut Local| local.ports = Err("no free port".to_owned());
    check_fails(&machine(|facts| no_ports(&mut facts.local)), &["no free port", "ss -ltn"]);
    let no_temp = Disk { path: "/gone".into(), free: None };
    check_fails(&machine(|facts| facts.machine.temp = no_temp), &["/gone", "TMPDIR"]);
}

#[test]
fn what_is_scarce_or_left_over_is_a_warning() {
    check_warns(&machine(|facts| facts.machine.temp.free = Some(1 << 29)), "disk", "TMPDIR");
    check_warns(&machine(|facts| facts.machine.memory_available = Some(1)), "memory", "1.50 GiB");
    check_warns(&machine(|facts| facts.local.survey.kubectl = None), "kubectl", "tasks/tools");
    let kept = machine(|facts| facts.local.kept = vec!["/tmp/dca-e2e-x".into()]);
    check_warns(&kept, "kept runs", "cargo xtask e2e down");
}
