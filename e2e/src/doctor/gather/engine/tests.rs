use super::*;

fn of(name: ContainerProgram, text: &str) -> Result<Info, String> {
    parse(name, Path::new("/usr/bin/it"), text)
}

/// Shortened from what docker 20.10 prints.
#[test]
fn docker_says_what_it_is() {
    let text = r#"{"ServerVersion":"20.10.24","Driver":"overlay2","OSType":"linux",
        "DriverStatus":[["Backing Filesystem","extfs"]],"CgroupVersion":"1","KernelVersion":"6.18.44",
        "RegistryConfig":{"Mirrors":["https://mirror.test/"]},"DockerRootDir":"/var/lib/docker",
        "HttpsProxy":"","DefaultRuntime":"runc","SecurityOptions":["name=seccomp,profile=default"]}"#;
    let Info { answers, sources } = of(ContainerProgram::Docker, text).unwrap();
    assert_eq!((answers.version.as_str(), answers.cgroup), ("20.10.24", Some(1)));
    assert_eq!(answers.image_store, ImageStore::Classic);
    assert_eq!(answers.root.path, Path::new("/var/lib/docker"));
    assert!(!answers.rootless);
    assert_eq!(sources.mirrors, ["https://mirror.test/"]);
    assert_eq!(sources.proxy, None);
}

/// As <https://docs.docker.com/engine/storage/containerd/> shows the driver's status.
#[test]
fn docker_with_the_containerd_image_store_and_without_root_is_recognised() {
    let text = r#"{"ServerVersion":"29.0.0","Driver":"overlayfs",
        "DriverStatus":[["driver-type","io.containerd.snapshotter.v1"]],
        "SecurityOptions":["name=seccomp","name=rootless"],"HttpsProxy":"http://proxy.test:3128"}"#;
    let Info { answers, sources } = of(ContainerProgram::Docker, text).unwrap();
    assert_eq!(answers.image_store, ImageStore::Containerd);
    assert!(answers.rootless);
    assert_eq!(sources.proxy.as_deref(), Some("http://proxy.test:3128"));
}

#[test]
fn docker_without_a_daemon_is_silent_whatever_its_exit_code() {
    let said = |text| of(ContainerProgram::Docker, text).err().unwrap();
    assert_eq!(said(r#"{"ServerErrors":["Cannot connect"],"ServerVersion":""}"#), "Cannot connect");
    assert_eq!(said(r#"{"ServerVersion":""}"#), "it names no server version");
    assert!(said("Client: Docker").starts_with("unexpected `info`"));
}

/// In the form of podman-info(1).
#[test]
fn podman_says_what_it_is() {
    let text = r#"{"host":{"cgroupVersion":"v2","kernel":"6.12.0","os":"linux",
        "ociRuntime":{"name":"crun"},"security":{"rootless":true}},
        "store":{"graphDriverName":"overlay","graphRoot":"/var/lib/containers/storage"},
        "version":{"Version":"5.4.0"}}"#;
    let Info { answers, .. } = of(ContainerProgram::Podman, text).unwrap();
    assert_eq!((answers.version.as_str(), answers.cgroup), ("5.4.0", Some(2)));
    assert!(answers.rootless);
    assert_eq!(answers.default_runtime, "crun");
}

#[test]
fn the_registry_of_an_image_is_the_host_in_its_name() {
    for (image, url) in [
        ("kindest/node:v1.37.2", "https://registry-1.docker.io"),
        ("docker.io/kindest/node", "https://registry-1.docker.io"),
        ("node:v1", "https://registry-1.docker.io"),
        ("registry.test/kindest/node:v1", "https://registry.test"),
        ("registry.test:5000/node", "https://registry.test:5000"),
        ("localhost:5000/node", "http://localhost:5000"),
    ] {
        assert_eq!(registry_url(registry(image)), url, "{image}");
    }
}

#[test]
fn each_of_our_clusters_is_named_once() {
    assert_eq!(ours("kind\ndca-e2e-b\ndca-e2e-a\ndca-e2e-a\n\n"), ["dca-e2e-a", "dca-e2e-b"]);
}
