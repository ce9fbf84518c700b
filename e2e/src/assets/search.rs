//! What has been found so far, and what each way said about what it had not.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    path::{Path, PathBuf},
};

use crate::assets::{
    Options, Programs,
    cache::Cache,
    check::{self, Stamps},
    error::{Error, Missing, Way, names},
    program::{Program, Version},
    ui::Ui,
};

/// What a way made of each program that it was asked for: a file, or why not.
pub(crate) type Results = Vec<(Program, Result<PathBuf, String>)>;

pub(crate) struct Search<'a> {
    stamps: &'a mut Stamps,
    ui: &'a Ui<'a>,
    found: BTreeMap<Program, (PathBuf, Version)>,
    attempts: Vec<(Way, Program, String)>,
}

// === impl Search ===

impl<'a> Search<'a> {
    pub(crate) fn new(stamps: &'a mut Stamps, ui: &'a Ui<'a>) -> Self {
        Self { stamps, ui, found: BTreeMap::new(), attempts: Vec::new() }
    }

    pub(crate) fn missing(&self) -> Vec<Program> {
        Program::ALL.into_iter().filter(|program| !self.found.contains_key(program)).collect()
    }

    /// A program that is there and wrong is an error: somebody put it there on purpose.
    pub(crate) async fn look_in_assets(&mut self, assets: Option<&Path>) -> Result<(), Error> {
        let Some(assets) = assets else {
            self.all_missing_say(Way::Assets, "neither --assets nor E2E_ASSETS is given");
            return Ok(());
        };
        for program in self.missing() {
            let Some(path) = in_assets(assets, program.name()) else {
                self.attempts.push((
                    Way::Assets,
                    program,
                    format!("not in {} nor in its bin", assets.display()),
                ));
                continue;
            };
            match check::version(program, &path, self.stamps).await {
                Ok(version) => self.hit(program, path, version),
                Err(said) => {
                    return Err(Error::Unusable {
                        program: program.to_string(),
                        path,
                        said,
                        wanted: program.wanted(),
                        oldest: program.oldest().to_string(),
                    });
                }
            }
        }
        self.summarise(Way::Assets, assets);
        Ok(())
    }

    /// A program that is there and wrong is fetched anew: the cache is ours to repair.
    pub(crate) async fn look_in_cache(&mut self, cache: &Cache) {
        let missing = self.missing();
        for &program in &missing {
            let path = cache.bin().join(program.name());
            let said = if path.is_file() {
                match check::version(program, &path, self.stamps).await {
                    Ok(version) => {
                        self.hit(program, path, version);
                        continue;
                    }
                    Err(said) => format!("{} {said}", path.display()),
                }
            } else {
                format!("not in {}", cache.bin().display())
            };
            self.attempts.push((Way::Cache, program, said));
        }
        if !missing.is_empty() {
            self.summarise(Way::Cache, cache.bin());
        }
    }

    /// Checks what a way has installed, and keeps what it said about the rest.
    pub(crate) async fn take(&mut self, way: Way, results: Results) {
        for (program, result) in results {
            let said = match result {
                Ok(path) => match check::version(program, &path, self.stamps).await {
                    Ok(version) => {
                        self.hit(program, path, version);
                        continue;
                    }
                    Err(said) => format!("{} {said}", path.display()),
                },
                Err(said) => said,
            };
            self.attempts.push((way, program, said));
        }
    }

    /// Optional, hence never an error; also taken from the search path.
    pub(crate) async fn kubectl(&mut self, options: &Options, cache: &Cache) -> Option<PathBuf> {
        let path = options
            .assets
            .as_deref()
            .and_then(|assets| in_assets(assets, "kubectl"))
            .or_else(|| Some(cache.bin().join("kubectl")).filter(|path| path.is_file()))
            .or_else(|| on_path(&options.search_path, "kubectl"))?;
        match check::kubectl(&path, self.stamps).await {
            Ok(()) => Some(path),
            Err(said) => {
                self.ui.line(&format!("kubectl: {} {said}; going on without", path.display()));
                None
            }
        }
    }

    /// All of them and of one Kubernetes minor version, or why not.
    pub(crate) fn finish(
        self,
        kubectl: Option<PathBuf>,
        nginx: PathBuf,
    ) -> Result<Programs, Error> {
        let path = |program| self.found.get(&program).map(|(path, _)| path.clone());
        let (
            Some(etcd),
            Some(kube_apiserver),
            Some(kube_controller_manager),
            Some(kube_scheduler),
            Some(kwok),
        ) = (
            path(Program::Etcd),
            path(Program::KubeApiserver),
            path(Program::KubeControllerManager),
            path(Program::KubeScheduler),
            path(Program::Kwok),
        )
        else {
            return Err(Error::Missing(Missing::new(self.missing(), self.attempts)));
        };
        self.same_minor()?;
        Ok(Programs {
            etcd,
            kube_apiserver,
            kube_controller_manager,
            kube_scheduler,
            kwok,
            kubectl,
            nginx,
        })
    }

    fn same_minor(&self) -> Result<(), Error> {
        let kubernetes: Vec<_> =
            self.found.iter().filter(|(program, _)| program.is_kubernetes()).collect();
        let versions = || kubernetes.iter().map(|(_, (_, version))| *version);
        if versions().zip(versions().skip(1)).all(|(one, next)| one.same_minor(next)) {
            return Ok(());
        }
        let each: Vec<_> = kubernetes
            .iter()
            .map(|(program, (path, version))| format!("{program} {version} at {}", path.display()))
            .collect();
        Err(Error::MixedVersions { found: each.join(", ") })
    }

    fn hit(&mut self, program: Program, path: PathBuf, version: Version) {
        if !version.same_minor(program.pinned()) {
            let pinned = program.pinned();
            self.ui.line(&format!("{program}: is {version}, the harness is tested with {pinned}"));
        }
        self.found.insert(program, (path, version));
    }

    fn all_missing_say(&mut self, way: Way, said: &str) {
        let missing = self.missing();
        self.attempts.extend(missing.into_iter().map(|program| (way, program, said.to_owned())));
    }

    /// The one line of a way that only looks.
    fn summarise(&self, way: Way, place: &Path) {
        let missing = self.missing();
        let place = place.display();
        self.ui.line(&if missing.is_empty() {
            format!("{way}: every program found, in {place}")
        } else {
            format!("{way}: no {} in {place}, going on", names(&missing))
        });
        let repaired = self.attempts.iter().filter(|(at, _, said)| {
            *at == way && way == Way::Cache && !said.starts_with("not in ")
        });
        for (_, program, said) in repaired {
            self.ui.line(&format!("{way}: {program} cannot be used and is fetched anew: {said}"));
        }
    }
}

/// `DIR/NAME` or `DIR/bin/NAME`, absolute.
pub(crate) fn in_assets(assets: &Path, name: &str) -> Option<PathBuf> {
    let folders = [assets.to_owned(), assets.join("bin")];
    let path = folders.map(|folder| folder.join(name)).into_iter().find(|path| path.is_file())?;
    Some(std::path::absolute(&path).unwrap_or(path))
}

/// The first file of that name in the folders of a `PATH`.
pub(crate) fn on_path(search_path: &OsStr, name: &str) -> Option<PathBuf> {
    let mut paths = std::env::split_paths(search_path).map(|folder| folder.join(name));
    let path = paths.find(|path| path.is_file())?;
    Some(std::path::absolute(&path).unwrap_or(path))
}
