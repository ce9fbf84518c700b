//! Whether kind can be used here: the decision that `--cluster auto` and the doctor share.

use std::path::PathBuf;

use crate::doctor::facts::{Answers, Engine, Kind, NodeImageFact};

/// What a kind cluster would be made with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KindReady {
    /// Which program runs the containers. (kind takes it as `KIND_EXPERIMENTAL_PROVIDER`.)
    pub container_program: ContainerProgram,
    /// Where that program is.
    pub container_path: PathBuf,
    /// Where the kind program is.
    pub kind: PathBuf,
    /// Whether the node image is there.
    pub node_image: NodeImage,
    /// The containers' machine has cgroup v1: a kubelet from 1.35 on refuses that unless its
    /// configuration says `failCgroupV1: false`
    /// (<https://kubernetes.io/docs/concepts/architecture/cgroups/>).
    pub cgroup_v1: bool,
}

/// A program that runs containers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContainerProgram {
    /// <https://docs.docker.com/engine/>
    Docker,
    /// <https://podman.io>
    Podman,
}

/// Where the image of kind's nodes comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeImage {
    /// It is there.
    Present,
    /// It is not; its registry answers, so that kind can pull it (some 400 MB).
    ToBePulled,
}

/// Less than this at the engine's root, and a node (its image unpacked, and what it writes) does not
/// fit: 2 GiB.
pub(crate) const LEAST_DISK: u64 = 2 << 30;

/// The first engine with which it would work; else why the first one that answers will not do.
pub(crate) fn decide(kind: &Kind) -> Result<KindReady, String> {
    let answering: Vec<_> = kind.engines.iter().filter_map(answering).collect();
    if answering.is_empty() {
        return Err(no_engine(&kind.engines));
    }
    let Some((program, version)) = &kind.program else {
        return Err(
            "no program `kind` in the assets nor on the PATH: install it \
             (https://kind.sigs.k8s.io/docs/user/quick-start/#installation), or give the folder that \
             holds it with --assets"
                .to_owned(),
        );
    };
    if let Err(said) = version {
        let path = program.display();
        return Err(format!("kind at {path} does not run ({said}): install it anew"));
    }
    let ready = |(container_program, answers): &(ContainerProgram, &Answers)| {
        let node_image = usable(*container_program, answers, &kind.node_image)?;
        Ok(KindReady {
            container_program: *container_program,
            container_path: answers.program.clone(),
            kind: program.clone(),
            node_image,
            cgroup_v1: answers.cgroup == Some(1),
        })
    };
    let mut results = answering.iter().map(ready);
    let first = results.next().unwrap_or_else(|| Err(no_engine(&kind.engines)));
    first.or_else(|why_not| results.find_map(Result::ok).ok_or(why_not))
}

fn answering((name, engine): &(ContainerProgram, Engine)) -> Option<(ContainerProgram, &Answers)> {
    match engine {
        Engine::Answers(answers) => Some((*name, answers)),
        Engine::NotInstalled | Engine::Silent { .. } => None,
    }
}

fn usable(name: ContainerProgram, answers: &Answers, image: &str) -> Result<NodeImage, String> {
    if answers.os != "linux" {
        let os = &answers.os;
        return Err(format!("{name} runs {os} containers: switch it to Linux containers"));
    }
    if answers.rootless && answers.cgroup == Some(1) {
        // https://kind.sigs.k8s.io/docs/user/rootless/
        return Err(format!(
            "{name} is rootless and the machine has cgroup v1, where kind needs v2: use {name} as root"
        ));
    }
    if let Some(free) = answers.root.free.filter(|free| *free < LEAST_DISK) {
        let (free, path) = (indicatif::BinaryBytes(free), answers.root.path.display());
        return Err(format!(
            "only {free} free in {path}, a node needs 2 GiB: remove what is not used ({name} system \
             prune)"
        ));
    }
    match &answers.node_image {
        NodeImageFact::Present => Ok(NodeImage::Present),
        NodeImageFact::CanBePulled(_) => Ok(NodeImage::ToBePulled),
        NodeImageFact::CannotBePulled(said) => Err(format!(
            "node image {image} is not there and cannot be pulled ({said}): `{name} pull {image}` where \
             there is a network and bring it here with `{name} save` and `{name} load`, or name one that \
             is there with --node-image"
        )),
    }
}

/// Why there is nothing to run containers with: what was said by an engine that is installed says more
/// than that another is not.
pub(crate) fn no_engine(engines: &[(ContainerProgram, Engine)]) -> String {
    let silent = engines.iter().find_map(|(name, engine)| match engine {
        Engine::Silent { said } => Some((*name, said)),
        _ => None,
    });
    match silent {
        Some((ContainerProgram::Docker, said)) if said.contains("permission denied") => format!(
            "the docker daemon does not let us in ({said}): add your user to the group `docker` and log \
             in again, or run as root"
        ),
        Some((ContainerProgram::Docker, said)) => format!(
            "no docker daemon answers ({said}): start it (`systemctl start docker`), or set DOCKER_HOST \
             to one that runs"
        ),
        Some((ContainerProgram::Podman, said)) => {
            format!("podman does not work ({said}): see `podman info`")
        }
        None => "neither docker nor podman is on the PATH: install docker \
                 (https://docs.docker.com/engine/install/)"
            .to_owned(),
    }
}

// === impl KindReady ===

impl KindReady {
    /// What has to happen before a cluster can be made.
    pub(crate) fn first(&self) -> Option<String> {
        match self.node_image {
            NodeImage::Present => None,
            NodeImage::ToBePulled => Some("after pulling the node image".to_owned()),
        }
    }
}

// === impl ContainerProgram ===

impl ContainerProgram {
    /// Its file name, which is also what kind calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Podman => "podman",
        }
    }
}

impl std::fmt::Display for ContainerProgram {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests;
