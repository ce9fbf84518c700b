//! nginx: a real one, with the status page that Datadog's check reads.

use std::{
    ffi::OsStr,
    fs, io,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    process::{self, Output, Stdio},
};

use rustix::process::geteuid;
use tokio::process::Command;

use crate::assets::{
    Options,
    check::{self, Stamps},
    error::Error,
    search::{in_assets, on_path},
    ui::Ui,
};
use crate::process::last_line;

/// Whatever this program says when the package's script asks whether nginx may be started, is
/// done (<https://people.debian.org/~hmh/invokerc.d-policyrc.d-specification.txt>). There is no
/// variable or flag for it.
const POLICY: &str = "/usr/sbin/policy-rc.d";

/// Assets, search path, `apt-get`; first hit wins. One that is found and wrong is an error.
pub(crate) async fn find(
    options: &Options,
    stamps: &mut Stamps,
    ui: &Ui<'_>,
) -> Result<PathBuf, Error> {
    let assets = options.assets.as_deref();
    let path = assets
        .and_then(|assets| in_assets(assets, "nginx"))
        .or_else(|| on_path(&options.search_path, "nginx"));
    let path = match path {
        Some(path) => path,
        None => install(options, ui).await.map_err(|install| Error::NoNginx {
            looked_in: looked_in(assets, &options.search_path),
            install,
        })?,
    };
    match check::nginx(&path, stamps).await {
        Ok(_) => {
            ui.line(&format!("nginx: {}", path.display()));
            Ok(path)
        }
        Err(said) => Err(Error::UnusableNginx { path, said }),
    }
}

/// Installs Debian's smallest package that has `stub_status`, without starting it.
async fn install(options: &Options, ui: &Ui<'_>) -> Result<PathBuf, String> {
    if !geteuid().is_root() {
        return Err("it cannot be installed because this is not run as root".to_owned());
    }
    let Some(apt_get) = on_path(&options.search_path, "apt-get") else {
        return Err("it cannot be installed because there is no apt-get on the PATH".to_owned());
    };
    ui.line("nginx: none found, installing nginx-light by apt-get");
    install_by(&apt_get, Path::new(POLICY), ui).await?;
    on_path(&options.search_path, "nginx")
        .ok_or_else(|| "apt-get install nginx-light brought no nginx onto the PATH".to_owned())
}

async fn install_by(apt_get: &Path, policy: &Path, ui: &Ui<'_>) -> Result<(), String> {
    const INSTALL: [&str; 4] = ["install", "-y", "--no-install-recommends", "nginx-light"];
    let _no_start = NoStart::begin(policy).map_err(|error| {
        format!("its start cannot be prevented by {}: {error}", policy.display())
    })?;
    let _bar = ui.spinner("apt-get");
    if run(apt_get, &INSTALL).await.is_ok() {
        return Ok(());
    }
    // Container images come without lists of packages.
    run(apt_get, &["update"]).await?;
    run(apt_get, &INSTALL).await
}

async fn run(apt_get: &Path, args: &[&str]) -> Result<(), String> {
    let ran = Command::new(apt_get)
        .args(args)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null())
        .output()
        .await;
    let what = format!("apt-get {}", args.join(" "));
    match ran {
        Ok(Output { status, .. }) if status.success() => Ok(()),
        Ok(Output { status, stderr, .. }) => {
            let said = last_line(&stderr).unwrap_or_default();
            Err(format!("{what} failed ({status}: {said})"))
        }
        Err(error) => Err(format!("{what} does not run ({error})")),
    }
}

/// While it lives, packages that are installed start no services.
struct NoStart {
    made: Option<PathBuf>,
}

impl NoStart {
    /// An administrator's own policy stays as it is.
    fn begin(path: &Path) -> io::Result<Self> {
        // Should we be killed before the file is removed, it means nothing any more.
        let script = format!(
            "#!/bin/sh\n# Made by the e2e harness while it installs nginx; may be removed.\n\
             [ -d /proc/{} ] && exit 101\nexit 0\n",
            process::id()
        );
        let made = fs::OpenOptions::new().write(true).create_new(true).mode(0o755).open(path);
        match made {
            Ok(mut file) => {
                let policy = Self { made: Some(path.to_owned()) };
                io::Write::write_all(&mut file, script.as_bytes())?;
                Ok(policy)
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(Self { made: None }),
            Err(error) => Err(error),
        }
    }
}

impl Drop for NoStart {
    fn drop(&mut self) {
        if let Some(path) = &self.made {
            // Harmless when it stays, see above.
            let _ = fs::remove_file(path);
        }
    }
}

fn looked_in(assets: Option<&Path>, search_path: &OsStr) -> String {
    let path = search_path.to_string_lossy();
    match assets {
        Some(assets) => format!("{} and {path}", assets.display()),
        None => path.into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    /// An `apt-get` that knows nginx-light once its lists are up to date, and asks the policy as
    /// the package's script would.
    fn fake_apt_get(folder: &Path) -> PathBuf {
        let path = folder.join("apt-get");
        let script = "#!/bin/sh\ncd \"${0%/*}\"; echo \"$DEBIAN_FRONTEND $*\" >>calls\n\
                      case $1 in update) : >lists; exit 0;; esac\n\
                      [ -e lists ] || { echo 'E: Unable to locate package' >&2; exit 100; }\n\
                      sh ./policy-rc.d nginx start; echo \"policy $?\" >>calls\n";
        fs::write(&path, script).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    #[tokio::test]
    async fn the_package_is_installed_after_an_update_and_its_service_not_started() {
        let folder = tempfile::tempdir().unwrap();
        let policy = folder.path().join("policy-rc.d");
        let apt_get = fake_apt_get(folder.path());

        install_by(&apt_get, &policy, &Ui::new(&|_| {}, false)).await.unwrap();

        let calls = fs::read_to_string(folder.path().join("calls")).unwrap();
        let install = "noninteractive install -y --no-install-recommends nginx-light";
        let update = "noninteractive update";
        assert_eq!(calls, format!("{install}\n{update}\n{install}\npolicy 101\n"));
        assert!(!policy.exists());
    }

    #[test]
    fn the_policy_of_an_administrator_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("policy-rc.d");
        fs::write(&path, "#!/bin/sh\nexit 0\n").unwrap();

        drop(NoStart::begin(&path).unwrap());

        assert_eq!(fs::read_to_string(&path).unwrap(), "#!/bin/sh\nexit 0\n");
    }
}
