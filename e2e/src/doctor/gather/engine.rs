//! What docker and podman say about themselves.

use std::{ffi::OsStr, path::Path};

use reqwest::StatusCode;
use serde_json::Value;

use crate::{
    assets::on_path,
    cluster::kind::orphans::LABEL,
    doctor::{
        facts::{Answers, Disk, Engine, ImageStore, NodeImageFact},
        gather::{answer, disk, read},
        ready::ContainerProgram,
    },
    guard::RUN_FOLDER_PREFIX,
};

/// Where an image is pulled from whose name begins with no host
/// (<https://github.com/distribution/reference>, `normalize.go`).
const DOCKER_HUB: &str = "docker.io";

pub(crate) async fn look(name: ContainerProgram, search_path: &OsStr, image: &str) -> Engine {
    let Some(program) = on_path(search_path, name.name()) else { return Engine::NotInstalled };
    let format = match name {
        ContainerProgram::Docker => "{{json .}}",
        ContainerProgram::Podman => "json",
    };
    let filter = format!("label={LABEL}");
    let names = format!("{{{{.Label {LABEL:?}}}}}");
    let (info, inspected, clusters) = tokio::join!(
        read(&program, ["info", "--format", format]),
        read(&program, ["image", "inspect", "--format", "{{.Id}}", image]),
        read(&program, ["ps", "--all", "--filter", &filter, "--format", &names]),
    );
    let info = match info.and_then(|text| parse(name, &program, &text)) {
        Ok(info) => info,
        Err(said) => return Engine::Silent { said },
    };
    let node_image = match inspected {
        Ok(_) => NodeImageFact::Present,
        Err(_) => can_be_pulled(image, &info.sources).await,
    };
    let our_clusters = ours(&clusters.unwrap_or_default());
    let root = disk(info.answers.root.path.clone());
    Engine::Answers(Box::new(Answers { root, node_image, our_clusters, ..info.answers }))
}

struct Info {
    /// Complete but for the image, the clusters, and the free space.
    answers: Answers,
    sources: Sources,
}

/// Where the engine pulls from.
struct Sources {
    /// Base URLs that docker asks before Docker Hub.
    mirrors: Vec<String>,
    /// Docker's own proxy, by which it may reach what cannot be reached from here.
    proxy: Option<String>,
}

fn parse(name: ContainerProgram, program: &Path, text: &str) -> Result<Info, String> {
    let info: Value =
        serde_json::from_str(text).map_err(|error| format!("unexpected `info`: {error}"))?;
    match name {
        ContainerProgram::Docker => docker(program, &info),
        ContainerProgram::Podman => Ok(podman(program, &info)),
    }
}

/// `docker info`: <https://docs.docker.com/reference/api/engine/>, `SystemInfo`. Some versions of the
/// command end well although no daemon answers, and list what went wrong.
fn docker(program: &Path, info: &Value) -> Result<Info, String> {
    let version = text(info, "/ServerVersion");
    if version.is_empty() {
        let error = text(info, "/ServerErrors/0");
        return Err(if error.is_empty() { "it names no server version".to_owned() } else { error });
    }
    let options = info["SecurityOptions"].as_array();
    let rootless = options.is_some_and(|all| all.iter().any(|option| option == "name=rootless"));
    let status = info["DriverStatus"].as_array();
    let in_containerd = status.is_some_and(|pairs| {
        pairs.iter().any(|pair| pair[0] == "driver-type" && pair[1] == CONTAINERD_SNAPSHOTTER)
    });
    let mirrors = info.pointer("/RegistryConfig/Mirrors").and_then(Value::as_array);
    let mirrors = mirrors.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned);
    Ok(Info {
        answers: Answers {
            program: program.to_owned(),
            version,
            os: text(info, "/OSType"),
            kernel: text(info, "/KernelVersion"),
            storage_driver: text(info, "/Driver"),
            image_store: if in_containerd { ImageStore::Containerd } else { ImageStore::Classic },
            cgroup: text(info, "/CgroupVersion").parse().ok(),
            rootless,
            default_runtime: text(info, "/DefaultRuntime"),
            root: Disk { path: text(info, "/DockerRootDir").into(), free: None },
            node_image: NodeImageFact::Present,
            our_clusters: Vec::new(),
        },
        sources: Sources {
            mirrors: mirrors.collect(),
            proxy: Some(text(info, "/HttpsProxy")).filter(|proxy| !proxy.is_empty()),
        },
    })
}

/// <https://docs.docker.com/engine/storage/containerd/>: how to see that this store is on.
const CONTAINERD_SNAPSHOTTER: &str = "io.containerd.snapshotter.v1";

/// `podman info`: <https://docs.podman.io/en/latest/markdown/podman-info.1.html>.
fn podman(program: &Path, info: &Value) -> Info {
    let cgroup = text(info, "/host/cgroupVersion");
    Info {
        answers: Answers {
            program: program.to_owned(),
            version: text(info, "/version/Version"),
            os: text(info, "/host/os"),
            kernel: text(info, "/host/kernel"),
            storage_driver: text(info, "/store/graphDriverName"),
            image_store: ImageStore::Classic,
            cgroup: cgroup.trim_start_matches('v').parse().ok(),
            rootless: info.pointer("/host/security/rootless") == Some(&Value::Bool(true)),
            default_runtime: text(info, "/host/ociRuntime/name"),
            root: Disk { path: text(info, "/store/graphRoot").into(), free: None },
            node_image: NodeImageFact::Present,
            our_clusters: Vec::new(),
        },
        sources: Sources { mirrors: Vec::new(), proxy: None },
    }
}

fn text(info: &Value, pointer: &str) -> String {
    info.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// See [`crate::doctor::kind_ready`] for how this is decided.
async fn can_be_pulled(image: &str, sources: &Sources) -> NodeImageFact {
    if let Some(proxy) = &sources.proxy {
        return NodeImageFact::CanBePulled(format!("docker's proxy {proxy}, trusted unasked,"));
    }
    let host = registry(image);
    let mirrors = sources.mirrors.iter().filter(|_| host == DOCKER_HUB);
    let bases = mirrors.map(|mirror| mirror.trim_end_matches('/').to_owned());
    let mut said = String::new();
    for base in bases.chain([registry_url(host)]) {
        // The specification's own question whether there is a registry; 401 asks for a login, which
        // public images need not
        // (<https://github.com/opencontainers/distribution-spec/blob/main/spec.md>, end-1).
        said = match answer(&format!("{base}/v2/")).await {
            Ok(StatusCode::OK | StatusCode::UNAUTHORIZED) => {
                return NodeImageFact::CanBePulled(base);
            }
            Ok(status) => format!("{base} answers {status}"),
            Err(said) => format!("{base} does not answer: {said}"),
        };
    }
    NodeImageFact::CannotBePulled(said)
}

/// The host in an image's name: what is before the first `/`, when that looks like one.
fn registry(image: &str) -> &str {
    match image.split_once('/') {
        Some((host, _)) if host == "localhost" || host.contains(['.', ':']) => host,
        _ => DOCKER_HUB,
    }
}

fn registry_url(host: &str) -> String {
    let name = host.split(':').next().unwrap_or(host);
    match name {
        // The host of its API is another than the one in names.
        DOCKER_HUB => format!("https://registry-1.{DOCKER_HUB}"),
        // As docker does: https://docs.docker.com/reference/cli/dockerd/#insecure-registries
        "localhost" | "127.0.0.1" => format!("http://{host}"),
        _ => format!("https://{host}"),
    }
}

/// Each of our clusters once; the list has a line for each node.
fn ours(listed: &str) -> Vec<String> {
    let names = listed.lines().map(str::trim).filter(|name| name.starts_with(RUN_FOLDER_PREFIX));
    let mut names: Vec<_> = names.map(str::to_owned).collect();
    names.sort();
    names.dedup();
    names
}

#[cfg(test)]
mod tests;
