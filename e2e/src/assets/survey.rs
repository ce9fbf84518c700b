//! What is there of all programs, without downloading, building or installing any.

use std::path::PathBuf;

use futures::future;

use crate::assets::{
    Options,
    cache::Cache,
    check::{self, Stamps},
    program::{Program, Version},
    search::{in_assets, on_path},
    sum::{self, Sum},
};

/// What [`survey`] found.
#[derive(Debug, Clone)]
pub(crate) struct Survey {
    pub(crate) programs: Vec<(Program, Found)>,
    pub(crate) nginx: Found,
    pub(crate) kubectl: Option<PathBuf>,
}

/// One program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Found {
    /// It ran and is the right one. (nginx is taken in any version, also one that cannot be read.)
    Good { place: Place, path: PathBuf, version: Option<Version>, sum: Sum },
    /// It is there and cannot be used; `said` continues "PROGRAM at PATH …".
    Wrong { place: Place, path: PathBuf, said: String },
    /// It is in none of the places.
    Nowhere,
}

/// Where a program was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Assets,
    Cache,
    SearchPath,
}

/// Looks where [`crate::assets::find`] looks first, in the same order.
pub(crate) async fn survey(options: &Options) -> Survey {
    let cache = Cache::new(&options.cache);
    let mut stamps = Stamps::load(cache.stamps_file()).await;
    let mut programs = Vec::new();
    for program in Program::ALL {
        programs.push((program, look(program, options, &cache, &mut stamps).await));
    }
    let sums = future::join_all(programs.iter_mut().map(|(_, found)| found.check_sum()));
    sums.await;
    // The stamps are not saved: looking must leave nothing behind, not even a cache folder.
    let nginx = nginx(options, &mut stamps).await;
    Survey { programs, nginx, kubectl: tool(options, "kubectl") }
}

/// A program that is no part of the control plane: in the assets, else on the search path.
pub(crate) fn tool(options: &Options, name: &str) -> Option<PathBuf> {
    let assets = options.assets.as_deref();
    assets
        .and_then(|assets| in_assets(assets, name))
        .or_else(|| on_path(&options.search_path, name))
}

async fn look(program: Program, options: &Options, cache: &Cache, stamps: &mut Stamps) -> Found {
    let assets = options.assets.as_deref();
    let cached = cache.bin().join(program.name());
    let (place, path) = match assets.and_then(|assets| in_assets(assets, program.name())) {
        Some(path) => (Place::Assets, path),
        None if cached.is_file() => (Place::Cache, cached),
        None => return Found::Nowhere,
    };
    match check::version(program, &path, stamps).await {
        Ok(version) => Found::Good { place, path, version: Some(version), sum: Sum::Unknown },
        Err(said) => Found::Wrong { place, path, said },
    }
}

async fn nginx(options: &Options, stamps: &mut Stamps) -> Found {
    let in_assets = options.assets.as_deref().and_then(|assets| in_assets(assets, "nginx"));
    let on_path = || on_path(&options.search_path, "nginx").map(|path| (Place::SearchPath, path));
    let Some((place, path)) = in_assets.map(|path| (Place::Assets, path)).or_else(on_path) else {
        return Found::Nowhere;
    };
    match check::nginx(&path, stamps).await {
        Ok(version) => Found::Good { place, path, version, sum: Sum::Unknown },
        Err(said) => Found::Wrong { place, path, said },
    }
}

impl Found {
    async fn check_sum(&mut self) {
        if let Self::Good { place: Place::Cache, path, sum, .. } = self {
            *sum = sum::check(path).await;
        }
    }
}
