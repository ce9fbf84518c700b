//! Machines to diagnose.

use std::path::PathBuf;

use crate::{
    assets::{Found, Place, Program, Sum, Survey},
    doctor::{
        facts::{
            Answers, Building, Disk, Engine, Existing, Facts, ImageStore, Kernel, Kind, Local,
            Machine, NodeImageFact,
        },
        ready::ContainerProgram,
    },
};

const GIB: u64 = 1 << 30;

/// Everything is there.
pub(crate) fn good() -> Facts {
    Facts {
        machine: Machine {
            os: "linux".to_owned(),
            arch: "x86_64".to_owned(),
            root: false,
            memory_available: Some(8 * GIB),
            temp: disk("/tmp", 50),
        },
        local: Local {
            survey: Survey {
                programs: Program::ALL.map(|program| (program, cached(program))).into(),
                nginx: Found::Good {
                    place: Place::SearchPath,
                    path: "/usr/sbin/nginx".into(),
                    version: "1.22.1".parse().ok(),
                    sum: Sum::Unknown,
                },
                kubectl: Some("/usr/bin/kubectl".into()),
            },
            proc: Ok(()),
            ports: Ok(()),
            downloads: Vec::new(),
            apt_get: true,
            kept: Vec::new(),
        },
        kind: Kind {
            node_image: "kindest/node:v1.37.2".to_owned(),
            program: Some((
                "/opt/bin/kind".into(),
                Ok("kind v0.33.0 go1.26.8 linux/amd64".to_owned()),
            )),
            engines: vec![
                (ContainerProgram::Docker, Engine::Answers(Box::new(answers()))),
                (ContainerProgram::Podman, Engine::NotInstalled),
            ],
            kernel: Kernel {
                release: Some("6.18.0".to_owned()),
                bounding_set: Some(0x1ff_ffff_ffff),
                inotify_watches: Some(524_288),
                inotify_instances: Some(512),
            },
        },
        existing: Existing { contexts: Ok((vec!["prod".to_owned()], Some("prod".to_owned()))) },
        building: Building {
            rustc: Ok("rustc 1.95.0 (59807616e 2026-04-14)".to_owned()),
            cc: Ok("cc (Debian 12.2.0-14) 12.2.0".to_owned()),
            musl: true,
            static_glibc: true,
            go: Ok("go1.26.8".to_owned()),
            here: disk("/home/me/project", 50),
        },
    }
}

/// Nothing is there, nothing can be fetched, and what is there is wrong.
pub(crate) fn bad() -> Facts {
    let good = good();
    let url = "https://dl.k8s.io/".to_owned();
    let deaf = "dns error".to_owned();
    Facts {
        machine: Machine {
            memory_available: Some(GIB),
            temp: Disk { free: Some(GIB / 2), ..good.machine.temp },
            ..good.machine
        },
        local: Local {
            survey: Survey {
                programs: Program::ALL.map(|program| (program, Found::Nowhere)).into(),
                nginx: Found::Nowhere,
                kubectl: None,
            },
            proc: Err("this process is not in it".to_owned()),
            ports: Err("no free port on 127.0.0.1 in 500 tries".to_owned()),
            downloads: vec![(url, Err(deaf))],
            apt_get: false,
            kept: vec!["/tmp/dca-e2e-ab12".into()],
        },
        kind: Kind {
            program: None,
            engines: vec![(
                ContainerProgram::Docker,
                silent("Cannot connect to the Docker daemon"),
            )],
            ..good.kind
        },
        existing: Existing { contexts: Err("no kubeconfig".to_owned()) },
        building: Building {
            musl: false,
            static_glibc: false,
            go: Err("not on the PATH".to_owned()),
            here: Disk { free: Some(GIB), ..good.building.here },
            ..good.building
        },
    }
}

/// docker with the node image.
pub(crate) fn answers() -> Answers {
    Answers {
        program: "/usr/bin/docker".into(),
        version: "28.2.2".to_owned(),
        os: "linux".to_owned(),
        kernel: "6.18.0".to_owned(),
        storage_driver: "overlay2".to_owned(),
        image_store: ImageStore::Classic,
        cgroup: Some(2),
        rootless: false,
        default_runtime: "runc".to_owned(),
        root: disk("/var/lib/docker", 50),
        node_image: NodeImageFact::Present,
        our_clusters: Vec::new(),
    }
}

/// Installed, and no daemon answers.
pub(crate) fn silent(said: &str) -> Engine {
    Engine::Silent { said: said.to_owned() }
}

fn cached(program: Program) -> Found {
    Found::Good {
        place: Place::Cache,
        path: PathBuf::from("/home/me/.cache/e2e/bin").join(program.name()),
        version: Some(program.pinned()),
        sum: Sum::Same("ba7816bf8f01cfea414140de5dae2223".to_owned()),
    }
}

fn disk(path: &str, gib: u64) -> Disk {
    Disk { path: path.into(), free: Some(gib * GIB) }
}
