//! `flare`: the agent makes it, this writes it. Without an agent, what can be had without one.

use std::{
    fs::OpenOptions,
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, anyhow};
use hyper::Method;
use jiff::Timestamp;

use crate::{
    agent::{
        config::{self, Settings},
        flare::{self, File},
    },
    args::commands,
    cli::{
        NAME, connect,
        connect::{Agent, Error},
    },
};

pub(super) async fn run(args: &commands::Flare, settings: &Settings) -> anyhow::Result<ExitCode> {
    let now = Timestamp::now();
    let zip = match of_agent(&args.connect).await {
        Ok(zip) => zip,
        Err(error) => {
            eprintln!("{NAME}: the agent was unable to make the flare: {error}");
            eprintln!("{NAME}: initiating flare locally, without status, log and metrics");
            local(&error, settings, now)?
        }
    };
    let path = match args.out.as_deref() {
        Some(path) if path == Path::new("-") => return super::print(&zip),
        Some(path) => {
            let written = write(OpenOptions::new().create(true).truncate(true), path, &zip);
            written.with_context(|| format!("--out {} cannot be written", path.display()))?;
            path.to_owned()
        }
        None => find_place(&places(), &name(now), &zip)?,
    };
    super::print(format!("{}\n", path.display()).as_bytes())
}

async fn of_agent(args: &commands::Connect) -> Result<Vec<u8>, Error> {
    let mut agent = Agent::connect(args).await?;
    Ok(agent.ask(Method::POST, "/flare").await?.to_vec())
}

/// With the marker `local`, as Datadog's, and in it why there is no more.
fn local(error: &connect::Error, settings: &Settings, now: Timestamp) -> anyhow::Result<Vec<u8>> {
    let scrubber = settings.scrubber(config::environment());
    // Settings that `run` would refuse are no reason to have no flare.
    let shown = super::local().map(|settings| settings.shown).unwrap_or_default();
    let mut files = flare::local(&shown, config::environment(), &scrubber);
    files.push(File { name: "local", text: format!("{error}\n") });
    flare::zip(files, &scrubber, now).context("flare cannot be made")
}

fn name(now: Timestamp) -> String {
    format!("{NAME}-{}.zip", now.strftime("%Y-%m-%dT%H-%M-%SZ"))
}

/// Where a file may be writable in an image whose root is not.
fn places() -> Vec<PathBuf> {
    let mut places = vec![std::env::temp_dir(), "/tmp".into(), "/dev/shm".into(), ".".into()];
    places.dedup();
    places
}

fn find_place(places: &[PathBuf], name: &str, zip: &[u8]) -> anyhow::Result<PathBuf> {
    let mut failed = Vec::new();
    for place in places {
        let path = place.join(name);
        match write(OpenOptions::new().create_new(true), &path, zip) {
            Ok(()) => return Ok(path),
            Err(error) => failed.push(format!("{}: {error}", place.display())),
        }
    }
    let failed = failed.join(", ");
    Err(anyhow!("there is no place for the flare ({failed}): give --out FILE, or --out - > FILE"))
}

/// For our eyes only.
fn write(options: &mut OpenOptions, path: &Path, bytes: &[u8]) -> io::Result<()> {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options.write(true).open(path)?.write_all(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flare_goes_where_it_can_and_the_error_names_all_places() {
        let folder = tempfile::tempdir().unwrap();
        let absent = folder.path().join("absent");
        let name = name("2026-11-25T12:00:01Z".parse().unwrap());
        assert_eq!(name, "datadog-cluster-agent-2026-11-25T12-00-01Z.zip");
        let places = [absent.clone(), folder.path().to_owned()];
        let path = find_place(&places, &name, b"zip").unwrap();
        assert_eq!(path, folder.path().join(&name));
        assert_eq!(std::fs::read(path).unwrap(), b"zip");
        let error = find_place(&places[..1], &name, b"zip").unwrap_err().to_string();
        let error = error.replace(absent.to_str().unwrap(), "/absent");
        insta::assert_snapshot!(error, @"there is no place for the flare (/absent: No such file or directory (os error 2)): give --out FILE, or --out - > FILE");
    }
}
