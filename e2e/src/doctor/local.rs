//! The `local` backend: its programs, and what it needs from the machine.

use std::path::Path;

use indicatif::BinaryBytes;

use crate::{
    assets::{Found, Place, Program, Sum, Version, names},
    doctor::{
        diagnosis::{Group, Line, Mark, Verdict},
        facts::{Facts, Machine},
    },
};

/// The data of etcd and the logs of a run are some 200 MB; with room.
const ENOUGH_DISK: u64 = 1 << 30;
/// The control plane takes about 700 MB.
const ENOUGH_MEMORY: u64 = 3 << 29;

pub(crate) fn group(facts: &Facts) -> Group {
    let local = &facts.local;
    let mut lines = vec![system(&facts.machine)];
    let programs = local.survey.programs.iter();
    lines.extend(programs.filter_map(|(program, found)| program_line(*program, found)));
    lines.extend(mixed(&local.survey.programs));
    lines.extend(to_be_fetched(facts));
    lines.push(nginx(facts));
    lines.push(kubectl(facts));
    lines.push(match &local.ports {
        Ok(()) => Line::ok("ports", "free ones on 127.0.0.1"),
        Err(said) => Line::fail("ports", said, "end what listens there, see `ss -ltn`"),
    });
    lines.push(match &local.proc {
        Ok(()) => Line::ok("/proc", "readable"),
        Err(said) => Line::fail("/proc", said, "mount it: processes are told apart by it"),
    });
    lines.push(disk(&facts.machine));
    lines.push(memory(facts.machine.memory_available, ENOUGH_MEMORY));
    lines.extend(kept(facts));
    Group { name: "local", about: "the control plane as processes on loopback", lines }
}

/// Works when nothing fails; what is missing and to be had is fetched by the run.
pub(crate) fn verdict(facts: &Facts) -> Verdict {
    let lines = group(facts).lines;
    let failed = lines.iter().find_map(|line| match &line.mark {
        Mark::Fail(remedy) => Some(format!("{} {}: {remedy}", line.what, line.found)),
        _ => None,
    });
    if let Some(why_not) = failed {
        return Verdict::Fails(why_not);
    }
    let missing = missing(facts);
    let mut first = Vec::new();
    if !missing.is_empty() {
        let way = if downloadable(facts) { "downloading" } else { "building" };
        first.push(format!("{way} {}", names(&missing)));
    }
    if matches!(facts.local.survey.nginx, Found::Nowhere) {
        first.push("installing nginx".to_owned());
    }
    let first = (!first.is_empty()).then(|| format!("after {}", first.join(" and ")));
    Verdict::Works(first)
}

fn system(machine: &Machine) -> Line {
    let found = format!("{} {}", machine.os, machine.arch);
    if machine.os == "linux" {
        Line::ok("system", found)
    } else {
        Line::fail("system", found, "the local backend is for Linux: use --cluster kind")
    }
}

/// None for a program that is nowhere: [`to_be_fetched`] names all of those.
fn program_line(program: Program, found: &Found) -> Option<Line> {
    let name = program.name();
    Some(match found {
        Found::Nowhere => return None,
        Found::Good { place, path, version, sum } => {
            let version = version.map_or_else(String::new, |version| format!("{version} "));
            let found = format!("{version}{place}: {}", path.display());
            sum_line(name, found, path, sum)
        }
        Found::Wrong { place: Place::Cache, path, said } => Line::warn(
            name,
            format!("{} {said}", path.display()),
            "nothing to do: it is fetched anew by the next run",
        ),
        Found::Wrong { path, said, .. } => Line::fail(
            name,
            format!("{} {said}", path.display()),
            format!("put {} or newer there, or remove it", program.oldest()),
        ),
    })
}

fn sum_line(name: &str, found: String, path: &Path, sum: &Sum) -> Line {
    let path = path.display();
    match sum {
        Sum::Unknown => Line::ok(name, found),
        Sum::Same(digest) => {
            let short = digest.get(..12).unwrap_or(digest);
            Line::ok(name, format!("{found}, SHA-256 {short} as installed"))
        }
        Sum::Differs => Line::fail(
            name,
            format!("{found}, SHA-256 is not that of the file that was installed"),
            format!("remove {path}: it is fetched anew"),
        ),
        Sum::Unreadable(said) => Line::fail(
            name,
            format!("{found}: {said}"),
            format!("make {path} readable, or remove it"),
        ),
    }
}

/// Kubernetes promises nothing across minor versions of one control plane.
fn mixed(programs: &[(Program, Found)]) -> Option<Line> {
    let versions: Vec<(Program, Version)> = programs
        .iter()
        .filter(|(program, _)| program.is_kubernetes())
        .filter_map(|(program, found)| match found {
            Found::Good { version: Some(version), .. } => Some((*program, *version)),
            _ => None,
        })
        .collect();
    if versions.iter().zip(versions.iter().skip(1)).all(|(one, next)| one.1.same_minor(next.1)) {
        return None;
    }
    let each: Vec<_> =
        versions.iter().map(|(program, version)| format!("{program} {version}")).collect();
    let remedy = "put programs of one minor version into the assets";
    Some(Line::fail("versions", each.join(", "), remedy))
}

fn missing(facts: &Facts) -> Vec<Program> {
    let there = |found: &Found| matches!(found, Found::Good { .. });
    let programs = facts.local.survey.programs.iter();
    programs.filter(|(_, found)| !there(found)).map(|(program, _)| *program).collect()
}

fn downloadable(facts: &Facts) -> bool {
    facts.local.downloads.iter().all(|(_, reached)| reached.is_ok())
}

/// What is not there, on one line, and how it would be fetched.
fn to_be_fetched(facts: &Facts) -> Option<Line> {
    let missing = missing(facts);
    if missing.is_empty() {
        return None;
    }
    let found = format!("{}: neither in the assets nor in the cache", names(&missing));
    let deaf = facts.local.downloads.iter().find_map(|(url, reached)| {
        reached.as_ref().err().map(|said| format!("{url} does not answer ({said})"))
    });
    Some(match (deaf, &facts.building.go) {
        (None, _) => Line::warn(
            "missing",
            found,
            "nothing to do: the run downloads it; to have it before, give --assets or E2E_ASSETS",
        ),
        (Some(deaf), Ok(_)) => Line::warn(
            "missing",
            format!("{found}; {deaf}"),
            "the run tries go build, which needs Go's module proxy and a quarter of an hour; with a \
             mirror (--mirror-kubernetes, --mirror-etcd, --mirror-kwok) or --assets it is quick",
        ),
        (Some(deaf), Err(_)) => Line::fail(
            "missing",
            format!("{found}; {deaf}"),
            "give a folder that holds it with --assets, name a mirror (--mirror-kubernetes, \
             --mirror-etcd, --mirror-kwok), or install Go to build it (https://go.dev/dl)",
        ),
    })
}

fn nginx(facts: &Facts) -> Line {
    const INSTALL: &str =
        "install it (on Debian: apt-get install nginx-light), or put one into the assets";
    match &facts.local.survey.nginx {
        Found::Good { place, path, version, .. } => {
            let version = version.map_or_else(String::new, |version| format!("{version} "));
            Line::ok("nginx", format!("{version}{place}: {}", path.display()))
        }
        Found::Wrong { path, said, .. } => Line::fail(
            "nginx",
            format!("{} {said}", path.display()),
            "install nginx-light: it must be built --with-http_stub_status_module",
        ),
        Found::Nowhere if facts.machine.root && facts.local.apt_get => Line::warn(
            "nginx",
            "not in the assets nor on the PATH",
            format!("the run installs nginx-light by apt-get; to do without, {INSTALL}"),
        ),
        Found::Nowhere => Line::fail("nginx", "not in the assets nor on the PATH", INSTALL),
    }
}

fn kubectl(facts: &Facts) -> Line {
    match &facts.local.survey.kubectl {
        Some(path) => Line::ok("kubectl", path.display().to_string()),
        None => Line::warn(
            "kubectl",
            "not in the assets nor on the PATH",
            "only to look at a cluster that was kept: https://kubernetes.io/docs/tasks/tools",
        ),
    }
}

fn disk(machine: &Machine) -> Line {
    let path = machine.temp.path.display();
    match machine.temp.free {
        Some(free) if free < ENOUGH_DISK => Line::warn(
            "disk",
            format!("{} free in {path}", BinaryBytes(free)),
            "a run takes up to 1 GiB: make room, or set TMPDIR to a roomier place",
        ),
        Some(free) => Line::ok("disk", format!("{} free in {path}", BinaryBytes(free))),
        None => {
            Line::fail("disk", format!("{path} cannot be used"), "set TMPDIR to another folder")
        }
    }
}

pub(crate) fn memory(available: Option<u64>, enough: u64) -> Line {
    match available {
        None => Line::ok("memory", "unknown"),
        Some(bytes) if bytes < enough => Line::warn(
            "memory",
            format!("{} available", BinaryBytes(bytes)),
            format!("a cluster takes up to {}: end something", BinaryBytes(enough)),
        ),
        Some(bytes) => Line::ok("memory", format!("{} available", BinaryBytes(bytes))),
    }
}

fn kept(facts: &Facts) -> Option<Line> {
    let folders: Vec<_> =
        facts.local.kept.iter().map(|folder| folder.display().to_string()).collect();
    (!folders.is_empty())
        .then(|| Line::warn("kept runs", folders.join(", "), "remove them: cargo xtask e2e down"))
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Assets => "in the assets",
            Self::Cache => "in the cache",
            Self::SearchPath => "on the PATH",
        })
    }
}

#[cfg(test)]
mod tests;
