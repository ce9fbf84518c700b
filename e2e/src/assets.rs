//! The programs that the `local` backend runs: where they come from, and that they are the
//! right ones.
//!
//! ```text
//! --assets DIR ─▶ cache ─▶ download ─▶ go build        first hit wins, for each program on its own
//!    search       search   release,    build
//!                          fetch
//!        └──────────┴─────────┴──────────┴──▶ check (`--version`, once for each file: stamps)
//! ```
//!
//! nginx has its own way ([`find_nginx`]): the assets, the `PATH`, `apt-get`.

mod args;
mod build;
mod cache;
mod check;
mod download;
mod error;
mod fetch;
mod nginx;
mod program;
mod release;
mod search;
mod sum;
mod survey;
mod ui;

use std::{ffi::OsString, path::PathBuf};

use url::Url;

pub use self::{
    args::Args,
    error::{Error, Missing},
};
use self::{cache::Cache, check::Stamps, search::Search, ui::Ui};
pub(crate) use self::{
    error::names,
    fetch::client,
    program::{Program, Version},
    search::on_path,
    sum::Sum,
    survey::{Found, Place, Survey, survey, tool},
};

/// Called with one line of text, without a line end, for each step taken.
pub type Report<'a> = &'a (dyn Fn(&str) + Send + Sync);

/// Where to look for programs. [`Args::options`] makes one from flags and environment.
#[derive(Debug, Clone)]
pub struct Options {
    /// A folder that holds the programs, itself or in its `bin`.
    pub assets: Option<PathBuf>,
    /// Root of the cache; each set of pinned versions has a folder in it.
    pub cache: PathBuf,
    /// Where the official release files are downloaded from.
    pub mirrors: Mirrors,
    /// Folders to look for `nginx`, `kubectl`, `go` and `apt-get` in, in the form of `PATH`.
    pub search_path: OsString,
    /// Whether to draw progress bars on standard error (ignored when it is no terminal).
    pub bars: bool,
}

/// Base URLs of the release files; below each of them the paths are the official ones.
#[derive(Debug, Clone)]
pub struct Mirrors {
    /// Stands for `https://dl.k8s.io`.
    pub kubernetes: Url,
    /// Stands for `https://github.com/etcd-io/etcd/releases/download`.
    pub etcd: Url,
    /// Stands for `https://github.com/kubernetes-sigs/kwok/releases/download`. kwok publishes no
    /// checksum files and GitHub's own list of digests is not below this URL, so another
    /// base than the official one must have `FILE.sha256` beside each file.
    pub kwok: Url,
}

/// Absolute paths of programs that ran and said the right version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Programs {
    /// The store below the apiserver.
    pub etcd: PathBuf,
    /// Must be called by exactly this file name: one file may be all three Kubernetes programs.
    pub kube_apiserver: PathBuf,
    /// As [`Programs::kube_apiserver`].
    pub kube_controller_manager: PathBuf,
    /// As [`Programs::kube_apiserver`].
    pub kube_scheduler: PathBuf,
    /// Plays the kubelets.
    pub kwok: PathBuf,
    /// For people who look at a cluster that was kept, and for what scenarios show of it.
    pub kubectl: Option<PathBuf>,
    /// Has the `stub_status` module.
    pub nginx: PathBuf,
}

/// Finds every program, or fails with one error that says what was tried and what to do.
///
/// Quick (no process is started) when the programs are in the assets or the cache and were
/// checked by an earlier run. Otherwise it may download some 300 MB, or compile for a
/// quarter of an hour; dropping the future ends that and leaves nothing behind.
pub async fn find(options: &Options, report: Report<'_>) -> Result<Programs, Error> {
    let ui = Ui::new(report, options.bars);
    let cache = Cache::new(&options.cache);
    let mut stamps = Stamps::load(cache.stamps_file()).await;
    // First, because nobody wants to hear after ten minutes of compiling that nginx is missing.
    let nginx = nginx::find(options, &mut stamps, &ui).await?;

    let mut search = Search::new(&mut stamps, &ui);
    search.look_in_assets(options.assets.as_deref()).await?;
    search.look_in_cache(&cache).await;
    if !search.missing().is_empty() {
        let workspace = cache.workspace()?;
        let missing = search.missing();
        let results = download::all(&missing, &options.mirrors, &cache, &workspace, &ui).await;
        search.take(error::Way::Download, results).await;
        let missing = search.missing();
        let results = build::all(&missing, &options.search_path, &cache, &workspace, &ui).await;
        search.take(error::Way::GoBuild, results).await;
    }
    let kubectl = search.kubectl(options, &cache).await;
    let result = search.finish(kubectl, nginx);
    stamps.save(&ui).await;
    result
}

/// Finds an nginx that has `stub_status`: in the assets, on the search path, or installed
/// by `apt-get` when we are root.
///
/// What the installation leaves behind is the package `nginx-light`; no nginx is started by it,
/// see the comment in `assets/nginx.rs`.
pub async fn find_nginx(options: &Options, report: Report<'_>) -> Result<PathBuf, Error> {
    let ui = Ui::new(report, options.bars);
    let mut stamps = Stamps::load(Cache::new(&options.cache).stamps_file()).await;
    let nginx = nginx::find(options, &mut stamps, &ui).await?;
    stamps.save(&ui).await;
    Ok(nginx)
}
