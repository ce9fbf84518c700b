//! The `kind` backend: docker or podman, the kind program, the node image, and the known reasons why
//! nodes do not start (<https://kind.sigs.k8s.io/docs/user/known-issues/>).

use indicatif::BinaryBytes;

use crate::doctor::{
    diagnosis::{Group, Line},
    facts::{Answers, Engine, Facts, ImageStore, Kernel, Kind, NodeImageFact},
    local,
    ready::{ContainerProgram, LEAST_DISK, no_engine},
};

/// The kind that the harness is tested with.
const TESTED_KIND: &str = "0.33";
/// A node, its images and ours.
const ENOUGH_DISK: u64 = 6 << 30;
/// One node with its control plane and the pods of a run.
const ENOUGH_MEMORY: u64 = 2 << 30;
/// <https://kind.sigs.k8s.io/docs/user/known-issues/#pod-errors-due-to-too-many-open-files>
const ENOUGH_WATCHES: u64 = 524_288;
/// As [`ENOUGH_WATCHES`].
const ENOUGH_INSTANCES: u64 = 512;
/// Bit of the capability in a set, `linux/capability.h`.
const CAP_SYS_RESOURCE: u32 = 24;

pub(crate) fn group(facts: &Facts) -> Group {
    let kind = &facts.kind;
    let mut lines = vec![engine(kind), program(kind)];
    if let Some((name, answers)) = answering(kind) {
        lines.push(node_image(name, answers, &kind.node_image));
        lines.push(storage(answers));
        lines.push(cgroup(name, answers));
        lines.push(disk(name, answers));
        if kind.kernel.release.as_deref() == Some(answers.kernel.as_str()) {
            lines.push(resource(&kind.kernel, answers));
            lines.push(inotify(&kind.kernel));
            lines.push(local::memory(facts.machine.memory_available, ENOUGH_MEMORY));
        } else {
            let kernel = &answers.kernel;
            lines.push(Line::ok("limits", format!("not known: {name} runs elsewhere ({kernel})")));
        }
        lines.extend(leftovers(answers));
    }
    Group { name: "kind", about: "a cluster whose nodes are containers", lines }
}

fn answering(kind: &Kind) -> Option<(ContainerProgram, &Answers)> {
    kind.engines.iter().find_map(|(name, engine)| match engine {
        Engine::Answers(answers) => Some((*name, &**answers)),
        Engine::NotInstalled | Engine::Silent { .. } => None,
    })
}

fn engine(kind: &Kind) -> Line {
    let Some((name, answers)) = answering(kind) else {
        // The one line that says it all has the remedy after its first colon and space.
        let why_not = no_engine(&kind.engines);
        let (found, remedy) = why_not.rsplit_once(": ").unwrap_or((&why_not, "install docker"));
        return Line::fail("containers", found, remedy);
    };
    let (path, version) = (answers.program.display(), &answers.version);
    let rootless = if answers.rootless { ", rootless" } else { "" };
    let found = format!("{name} {version}{rootless}, by {path}");
    if answers.os != "linux" {
        let remedy = "switch it to Linux containers";
        return Line::fail("containers", format!("{found}, {} containers", answers.os), remedy);
    }
    Line::ok("containers", found)
}

fn program(kind: &Kind) -> Line {
    const INSTALL: &str = "https://kind.sigs.k8s.io/docs/user/quick-start/#installation";
    match &kind.program {
        None => Line::fail(
            "kind",
            "not in the assets nor on the PATH",
            format!("install it ({INSTALL}), or give the folder that holds it with --assets"),
        ),
        Some((path, Err(said))) => Line::fail(
            "kind",
            format!("{} does not run ({said})", path.display()),
            format!("install it anew ({INSTALL})"),
        ),
        Some((path, Ok(said))) => {
            let found = format!("{said}: {}", path.display());
            if said.contains(&format!("v{TESTED_KIND}.")) {
                Line::ok("kind", found)
            } else {
                let remedy = format!("the harness is tested with {TESTED_KIND} ({INSTALL})");
                Line::warn("kind", found, remedy)
            }
        }
    }
}

fn node_image(name: ContainerProgram, answers: &Answers, image: &str) -> Line {
    match &answers.node_image {
        NodeImageFact::Present => Line::ok("node image", format!("{image} is there")),
        NodeImageFact::CanBePulled(by) => Line::warn(
            "node image",
            format!("{image} is not there; {by} answers"),
            format!("nothing to do: the run pulls it; to have it before, {name} pull {image}"),
        ),
        NodeImageFact::CannotBePulled(said) => Line::fail(
            "node image",
            format!("{image} is not there and cannot be pulled ({said})"),
            format!(
                "bring it with `{name} save` and `{name} load`, or name another (--node-image)"
            ),
        ),
    }
}

/// kind#1945, #2163 and #2411: the root file system's device is not seen in the node.
fn storage(answers: &Answers) -> Line {
    let driver = &answers.storage_driver;
    let store = match answers.image_store {
        ImageStore::Classic => "",
        // kind#3795: `docker save` of all platforms names blobs that are not there.
        ImageStore::Containerd => ", containerd image store: images go as archives of one platform",
    };
    let found = format!("{driver}{store}");
    match driver.as_str() {
        "btrfs" | "zfs" => Line::warn(
            "storage",
            found,
            format!("when the node does not start, move docker's data off {driver} (ext4, xfs)"),
        ),
        "vfs" => Line::warn(
            "storage",
            found,
            "every layer is a whole copy, which is slow and large: use overlay2 \
             (https://docs.docker.com/engine/storage/drivers/overlayfs-driver/)",
        ),
        _ => Line::ok("storage", found),
    }
}

fn cgroup(name: ContainerProgram, answers: &Answers) -> Line {
    match answers.cgroup {
        None => Line::ok("cgroup", "version unknown"),
        Some(1) if answers.rootless => Line::fail(
            "cgroup",
            format!("v1, and {name} is rootless, for which kind needs v2"),
            format!("use {name} as root, or a machine with cgroup v2"),
        ),
        Some(1) => Line::ok(
            "cgroup",
            "v1, which kubelets from 1.35 on refuse unless told: the harness sets failCgroupV1: false",
        ),
        Some(version) => Line::ok("cgroup", format!("v{version}")),
    }
}

fn disk(name: ContainerProgram, answers: &Answers) -> Line {
    let path = answers.root.path.display();
    let Some(free) = answers.root.free else {
        return Line::ok("disk", format!("not known: {name} keeps its data in {path}"));
    };
    let found = format!("{} free in {path}", BinaryBytes(free));
    let remedy = format!("remove what is not used ({name} system prune): a run takes up to 6 GiB");
    match free {
        _ if free < LEAST_DISK => Line::fail("disk", found, remedy),
        _ if free < ENOUGH_DISK => Line::warn("disk", found, remedy),
        _ => Line::ok("disk", found),
    }
}

/// A node's systemd and kubelet lower `oom_score_adj` and raise limits, as static pods do; without the
/// capability runc refuses to start such containers.
fn resource(kernel: &Kernel, answers: &Answers) -> Line {
    let Some(set) = kernel.bounding_set else {
        return Line::ok("CAP_SYS_RESOURCE", "unknown");
    };
    if set & (1 << CAP_SYS_RESOURCE) != 0 {
        return Line::ok("CAP_SYS_RESOURCE", "there");
    }
    let runtime = &answers.default_runtime;
    Line::warn(
        "CAP_SYS_RESOURCE",
        format!("missing; containers are started by {runtime}"),
        "containers cannot lower oom_score_adj: when nodes do not start, use an OCI runtime that leaves \
         it alone, or a machine that grants the capability",
    )
}

fn inotify(kernel: &Kernel) -> Line {
    let (Some(watches), Some(instances)) = (kernel.inotify_watches, kernel.inotify_instances)
    else {
        return Line::ok("inotify", "limits unknown");
    };
    let found = format!("{watches} watches, {instances} instances");
    if watches >= ENOUGH_WATCHES && instances >= ENOUGH_INSTANCES {
        return Line::ok("inotify", found);
    }
    Line::warn(
        "inotify",
        found,
        format!(
            "enough for one node; for more, sudo sysctl fs.inotify.max_user_watches={ENOUGH_WATCHES} \
             fs.inotify.max_user_instances={ENOUGH_INSTANCES}"
        ),
    )
}

fn leftovers(answers: &Answers) -> Option<Line> {
    let clusters = &answers.our_clusters;
    (!clusters.is_empty()).then(|| {
        Line::warn(
            "clusters",
            format!("{} still there", clusters.join(", ")),
            "unless a run is using them, remove them: cargo xtask e2e down",
        )
    })
}

#[cfg(test)]
mod tests;
