//! Runs the walkthrough's nginx as a process on loopback.
//!
//! The configuration stays the one of the manifest's ConfigMap; only what a process without a
//! container needs is changed: where it listens, where it writes, and who it runs as.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use fake_datadog::node_check::stub_status::{ParseError, StubStatus};

use crate::nginx::conf::{Directive, Printed, quoted};

mod conf;
mod reading;
#[cfg(test)]
mod tests;

pub use conf::SyntaxError;
pub use reading::{Counted, Reading, Target};

/// The port that the container of the walkthrough listens on.
const CONTAINER_PORT: &str = "80";

/// A status page that takes longer than this counts as unanswered.
const STATUS_TIMEOUT: Duration = Duration::from_secs(2);

/// Directives of the main context that are ours to set.
const MAIN_DIRECTIVES: [&str; 5] = ["daemon", "error_log", "lock_file", "pid", "user"];

/// Where nginx keeps bodies that are too large for memory. Every build for general use has these
/// modules, and most put the folders where only root may write.
const TEMP_PATHS: [&str; 5] = [
    "client_body_temp_path",
    "fastcgi_temp_path",
    "proxy_temp_path",
    "scgi_temp_path",
    "uwsgi_temp_path",
];

/// Why a configuration cannot be adapted, or a status page cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The text is no nginx configuration.
    #[error("nginx.conf of the ConfigMap, {0}")]
    Syntax(#[from] SyntaxError),
    /// It has not exactly one of something that the harness relies on.
    #[error("nginx.conf of the ConfigMap has {found} {what}, the harness can run it with 1")]
    NotOne {
        /// What was counted.
        what: &'static str,
        /// How many there are.
        found: usize,
    },
    /// It listens on something else than the container's port.
    #[error(
        "nginx.conf of the ConfigMap says `listen {listen}`, the harness can only move `listen 80`"
    )]
    Listen {
        /// The parameters of the directive.
        listen: String,
    },
    /// The run folder's path cannot be written into a configuration.
    #[error("the run folder {0:?} is not UTF-8, choose another TMPDIR")]
    Folder(PathBuf),
    /// The status page could not be fetched.
    #[error("nginx's status page cannot be read")]
    Fetch(#[source] reqwest::Error),
    /// What came is no status page.
    #[error("{url} does not answer with nginx's status page")]
    NotStatus {
        /// The page's address.
        url: String,
        /// Where it differs.
        #[source]
        problem: ParseError,
    },
}

/// Where the process is to live.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// Port on 127.0.0.1 to listen on.
    pub port: u16,
    /// Absolute folder for its pid, logs and temporary files; it must exist.
    pub folder: &'a Path,
    /// Who starts it.
    pub starter: Starter,
}

/// Who starts nginx, which decides whom its workers run as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Starter {
    /// root: the workers must be told to stay root, or they could not reach our folder.
    Root,
    /// Anybody else: the workers run as the same user anyway.
    User,
}

impl Starter {
    /// Who this process is.
    pub fn current() -> Starter {
        if rustix::process::geteuid().is_root() { Starter::Root } else { Starter::User }
    }
}

/// The configuration `text` of the ConfigMap, adapted for a process at `place`.
pub fn adapt(text: &str, place: &Place<'_>) -> Result<String, Error> {
    let mut main = conf::parse(text)?;
    main.retain(|directive| !MAIN_DIRECTIVES.contains(&directive.name.as_str()));
    let http = only_block(&mut main, "http")?;
    let server = only_block(http, "server")?;
    move_listen(server, place.port)?;
    redirect_files(http, place.folder)?;
    if !http.iter().any(|directive| directive.name == "access_log") {
        http.insert(0, Directive::new("access_log", ["off"])); // else a compiled-in path
    }
    http.splice(0..0, temp_paths(place.folder)?);
    main.splice(0..0, main_directives(place)?);
    Ok(Printed(&main).to_string())
}

/// nginx's arguments for the configuration at `conf_path`, in the foreground; relative paths are
/// below `prefix`, and what it has to say before it reads the configuration goes to stderr.
pub fn command_line(conf_path: &Path, prefix: &Path) -> Vec<String> {
    let [conf_path, prefix] = [conf_path, prefix].map(|path| path.to_string_lossy().into_owned());
    ["-c", &conf_path, "-p", &prefix, "-e", "stderr"].map(str::to_owned).to_vec()
}

/// Reads the status page at `url` (the walkthrough's `/nginx_status`).
pub async fn status(client: &reqwest::Client, url: &str) -> Result<StubStatus, Error> {
    let response = client.get(url).timeout(STATUS_TIMEOUT).send().await.map_err(Error::Fetch)?;
    let response = response.error_for_status().map_err(Error::Fetch)?;
    let text = response.text().await.map_err(Error::Fetch)?;
    text.parse().map_err(|problem| Error::NotStatus { url: url.to_owned(), problem })
}

/// The inside of the only block called `what`.
fn only_block<'a>(
    directives: &'a mut [Directive],
    what: &'static str,
) -> Result<&'a mut Vec<Directive>, Error> {
    let mut blocks: Vec<&mut Vec<Directive>> = directives
        .iter_mut()
        .filter(|directive| directive.name == what)
        .filter_map(|directive| directive.block.as_mut())
        .collect();
    match blocks.pop() {
        Some(block) if blocks.is_empty() => Ok(block),
        last => Err(Error::NotOne { what, found: blocks.len() + usize::from(last.is_some()) }),
    }
}

/// Makes the only `listen` of the server, which has to be on the container's port, ours.
fn move_listen(server: &mut [Directive], port: u16) -> Result<(), Error> {
    let mut listens: Vec<&mut Directive> =
        server.iter_mut().filter(|directive| directive.name == "listen").collect();
    let [listen] = &mut listens[..] else {
        return Err(Error::NotOne { what: "listen", found: listens.len() });
    };
    let everywhere = ["", "*:", "0.0.0.0:"].map(|address| format!("{address}{CONTAINER_PORT}"));
    match listen.args.first_mut() {
        Some(address) if everywhere.contains(address) => {
            *address = format!("{}:{port}", Ipv4Addr::LOCALHOST);
            Ok(())
        }
        _ => Err(Error::Listen { listen: listen.args.join(" ") }),
    }
}

/// Moves logs into the folder and drops the temporary paths, at any depth: they are set once, for
/// all, at the top.
fn redirect_files(directives: &mut Vec<Directive>, folder: &Path) -> Result<(), Error> {
    directives.retain(|directive| !TEMP_PATHS.contains(&directive.name.as_str()));
    for directive in directives {
        let moved = match directive.name.as_str() {
            "access_log" => Some("access.log"),
            "error_log" => Some("error.log"),
            _ => None,
        };
        if let (Some(name), Some(target)) = (moved, directive.args.first_mut())
            && target != "off"
        {
            *target = inside(folder, name)?;
        }
        if let Some(block) = &mut directive.block {
            redirect_files(block, folder)?;
        }
    }
    Ok(())
}

fn main_directives(place: &Place<'_>) -> Result<Vec<Directive>, Error> {
    let mut directives = vec![
        Directive::new("daemon", ["off"]),
        Directive::new("pid", [&inside(place.folder, "nginx.pid")?]),
        Directive::new("lock_file", [&inside(place.folder, "nginx.lock")?]),
        Directive::new("error_log", [&inside(place.folder, "error.log")?, "notice"]),
    ];
    if place.starter == Starter::Root {
        directives.push(Directive::new("user", ["root"]));
    }
    Ok(directives)
}

fn temp_paths(folder: &Path) -> Result<Vec<Directive>, Error> {
    TEMP_PATHS.iter().map(|name| Ok(Directive::new(name, [&inside(folder, name)?]))).collect()
}

/// A path inside the folder, as a word of the configuration.
fn inside(folder: &Path, name: &str) -> Result<String, Error> {
    match folder.join(name).to_str() {
        Some(path) => Ok(quoted(path)),
        None => Err(Error::Folder(folder.to_owned())),
    }
}
