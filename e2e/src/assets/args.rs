//! Flags and environment of this module; nothing else in it reads the environment.

use std::{
    env,
    ffi::{OsStr, OsString},
    io::{IsTerminal as _, stderr},
    path::{Path, PathBuf},
};

use clap::builder::{OsStringValueParser, TypedValueParser as _, ValueParser};
use url::Url;

use crate::assets::{
    Error, Mirrors, Options,
    release::{ETCD_BASE, KUBERNETES_BASE, KWOK_BASE},
};

/// Where the programs of the `local` backend come from.
#[derive(Debug, Clone, clap::Args)]
#[group(id = "programs")] // the default, `Args`, is the name of others too
#[command(next_help_heading = "Programs of the local backend")]
pub struct Args {
    /// Folder that holds etcd, kube-apiserver, kube-controller-manager, kube-scheduler, kwok
    /// and nginx, itself or in its `bin`; what is not there is looked for in the cache, downloaded or
    /// built
    #[arg(long, env = "E2E_ASSETS", value_name = "DIR", value_parser = folder())]
    pub assets: Option<PathBuf>,

    /// Folder where programs are kept between runs
    /// [default: `datadog-external-metrics-e2e` in `$XDG_CACHE_HOME` or `~/.cache`]
    #[arg(long, env = "E2E_CACHE", value_name = "DIR", value_parser = folder())]
    pub cache_dir: Option<PathBuf>,

    /// Base URL to download Kubernetes programs from, each with a .sha256 file beside it
    #[arg(long, env = "E2E_MIRROR_KUBERNETES", value_name = "URL", default_value = KUBERNETES_BASE)]
    pub mirror_kubernetes: Url,

    /// Base URL to download etcd from, with SHA256SUMS beside the archive
    #[arg(long, env = "E2E_MIRROR_ETCD", value_name = "URL", default_value = ETCD_BASE)]
    pub mirror_etcd: Url,

    /// Base URL to download kwok from; when it is not the default, with a .sha256 file beside it
    #[arg(long, env = "E2E_MIRROR_KWOK", value_name = "URL", default_value = KWOK_BASE)]
    pub mirror_kwok: Url,

    #[arg(long, env = "XDG_CACHE_HOME", hide = true, value_parser = folder())]
    xdg_cache_home: Option<PathBuf>,

    #[arg(long, env = "HOME", hide = true, value_parser = folder())]
    home: Option<PathBuf>,

    #[arg(long, env = "PATH", hide = true)]
    search_path: Option<OsString>,
}

impl Args {
    /// Resolves the folders. An empty value counts as none.
    pub fn options(self) -> Result<Options, Error> {
        let Self {
            assets,
            cache_dir,
            mirror_kubernetes,
            mirror_etcd,
            mirror_kwok,
            xdg_cache_home,
            home,
            search_path,
        } = self;
        let given = |path: Option<PathBuf>| path.filter(|path| !path.as_os_str().is_empty());
        let cache = given(cache_dir)
            .or_else(|| default_cache(given(xdg_cache_home), given(home)))
            .ok_or(Error::NoCacheFolder)?;
        Ok(Options {
            assets: given(assets),
            cache,
            mirrors: Mirrors {
                kubernetes: mirror_kubernetes,
                etcd: mirror_etcd,
                kwok: mirror_kwok,
            },
            search_path: with_system_folders(search_path.as_deref().unwrap_or_default()),
            bars: stderr().is_terminal(),
        })
    }
}

/// As clap's own parser of paths, but an empty value (a variable that a CI sets to nothing) is no
/// error; [`Args::options`] takes it as none.
fn folder() -> ValueParser {
    OsStringValueParser::new().map(PathBuf::from).into()
}

/// As the XDG base directory specification says: a relative `XDG_CACHE_HOME` is ignored.
fn default_cache(xdg_cache_home: Option<PathBuf>, home: Option<PathBuf>) -> Option<PathBuf> {
    let xdg = xdg_cache_home.filter(|path| path.is_absolute());
    let base = xdg.or_else(|| home.map(|home| home.join(".cache")))?;
    Some(base.join("datadog-external-metrics-e2e"))
}

/// On Debian nginx is in /usr/sbin, which is on root's PATH only.
fn with_system_folders(path: &OsStr) -> OsString {
    let mut folders: Vec<PathBuf> =
        env::split_paths(path).filter(|folder| !folder.as_os_str().is_empty()).collect();
    for folder in ["/usr/local/sbin", "/usr/sbin", "/sbin"].map(Path::new) {
        if !folders.iter().any(|known| known == folder) {
            folders.push(folder.to_owned());
        }
    }
    env::join_paths(folders).unwrap_or_else(|_| path.to_owned())
}

#[cfg(test)]
mod tests {
    use clap::{Args as _, FromArgMatches as _};

    use super::*;

    fn options(args: &[&str]) -> Result<Options, Error> {
        // Without the variables of the machine that runs this test.
        let command = Args::augment_args(clap::Command::new("e2e").no_binary_name(true))
            .mut_args(|arg| arg.env(None::<&str>));
        let matches = command.try_get_matches_from(args).unwrap();
        Args::from_arg_matches(&matches).unwrap().options()
    }

    #[track_caller]
    fn check_cache(args: &[&str], expected: &str) {
        assert_eq!(options(args).unwrap().cache, Path::new(expected), "{args:?}");
    }

    #[test]
    fn the_command_line_is_well_formed() {
        Args::augment_args(clap::Command::new("e2e")).debug_assert();
    }

    #[test]
    fn the_cache_follows_the_flag_then_xdg_then_home() {
        check_cache(&["--cache-dir=/c", "--xdg-cache-home=/x", "--home=/h"], "/c");
        check_cache(
            &["--cache-dir=", "--xdg-cache-home=/x", "--home=/h"],
            "/x/datadog-external-metrics-e2e",
        );
        check_cache(
            &["--xdg-cache-home=relative", "--home=/h"],
            "/h/.cache/datadog-external-metrics-e2e",
        );
        assert!(matches!(options(&[]), Err(Error::NoCacheFolder)));
    }

    #[test]
    fn empty_assets_are_none() {
        assert_eq!(options(&["--home=/h", "--assets="]).unwrap().assets, None);
    }

    #[test]
    fn the_folders_of_system_programs_are_searched_after_those_on_the_path() {
        let path = options(&["--home=/h", "--search-path=/a:/usr/sbin"]).unwrap().search_path;
        assert_eq!(path, "/a:/usr/sbin:/usr/local/sbin:/sbin");
    }
}
