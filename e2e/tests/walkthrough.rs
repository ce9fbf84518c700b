//! `docs/walkthrough.md` against the repository and Datadog's page, without a cluster. That its
//! commands print what it shows is checked by `cargo xtask walkthrough --check`.

use std::path::Path;

use e2e::walkthrough::page::Page;

/// The commands of Datadog's walkthrough in its order, and where ours differ, ours.
/// Not there yet are `datadog-cluster-agent status`, `flare` and `metamap`.
const COMMANDS: [(&str, &str); 10] = [
    same("kubectl apply -f manifests/cluster-agent/rbac-cluster-agent.yaml"),
    // Theirs has the reader edit the keys into the file first.
    (
        "kubectl apply -f manifests/cluster-agent/cluster-agent.yaml",
        "manifests/cluster-agent/cluster-agent.yaml | kubectl apply -f -",
    ),
    same("kubectl apply -f manifests/cluster-agent/datadog-cluster-agent_service.yaml"),
    same("kubectl apply -f manifests/cluster-agent/hpa-example/cluster-agent-hpa-svc.yaml"),
    // A slip of theirs.
    (
        "kubectl apply -f manifest/hpa-example/rbac-hpa.yaml",
        "kubectl apply -f manifests/hpa-example/rbac-hpa.yaml",
    ),
    same("kubectl apply -f manifests/cluster-agent/hpa-example/nginx.yaml"),
    same("kubectl apply -f manifests/cluster-agent/hpa-example/hpa-manifest.yaml"),
    same("curl <nginx_svc>:8090/nginx_status"),
    same("while true; do curl <nginx_svc>:8090/nginx_status; sleep 0.1; done"),
    same("kubectl api-versions"),
];

const fn same(command: &str) -> (&str, &str) {
    (command, command)
}

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
const PAGE: &str = include_str!("../../docs/walkthrough.md");

#[test]
fn the_page_can_be_run_and_written() {
    let page: Page = PAGE.parse().unwrap();
    assert_eq!(page.to_string(), PAGE);
    assert!(!page.cleanup().is_empty(), "nothing removes what the page makes");
    assert!(!page.pods().is_empty(), "no pods' names are normalised");
}

#[test]
fn every_command_of_datadogs_page_is_on_ours_in_its_order() {
    let mut rest = PAGE;
    for (theirs, ours) in COMMANDS {
        let place = rest.find(ours);
        assert!(place.is_some(), "{theirs} is missing, or not in its place: {ours}");
        rest = &rest[place.unwrap_or_default()..];
    }
}

#[test]
fn every_file_that_a_command_names_is_there() {
    let page: Page = PAGE.parse().unwrap();
    let commands = page.steps().map(|step| step.command.as_str());
    let commands = commands.chain(page.cleanup().iter().map(String::as_str));
    let files: Vec<&str> = commands
        .flat_map(str::split_whitespace)
        .filter(|word| Path::new(word).extension().is_some_and(|end| end == "yaml"))
        .collect();
    assert!(20 < files.len(), "{files:?}");
    for file in files {
        assert!(Path::new(ROOT).join(file).is_file(), "{file}");
    }
}

#[test]
fn every_file_that_the_text_links_to_is_there() {
    let links = PAGE.split("](").skip(1).filter_map(|link| link.split(')').next());
    for link in links.filter(|link| !link.starts_with("http")) {
        assert!(Path::new(ROOT).join("docs").join(link).is_file(), "{link}");
    }
}
