//! Datadog's own clients against the fake: `tests/clients/clients.py` holds the checks.
//!
//! The clients are installed from their registry into a virtual environment below `target`, once. Where
//! that cannot be done (no Python, no registry) the test is skipped and says so.

use std::{
    ffi::OsStr,
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use fake_datadog::FakeDatadog;
use tokio::{process::Command, time::timeout};

/// The checks take two seconds; a client that retries for ever must not hold up everything.
const CHECKS_WITHIN: Duration = Duration::from_secs(120);

/// A registry may be slow; one that does not answer is as good as none.
const INSTALLED_WITHIN: Duration = Duration::from_secs(300);

#[tokio::test]
async fn datadogs_python_clients_cannot_tell_the_difference() {
    let clients = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients");
    let python = match python_with(&clients.join("requirements.txt")).await {
        Ok(python) => python,
        Err(reason) => {
            // Not by `eprintln!`, which a passed test does not show.
            writeln!(io::stderr(), "skipped: Datadog's Python clients: {reason}").unwrap();
            return;
        }
    };
    let _ = rustls::crypto::ring::default_provider().install_default();
    let fake = FakeDatadog::start().await.unwrap();
    let mut checks = Command::new(python);
    checks.arg(clients.join("clients.py")).arg(fake.url().as_str());
    // A proxy of this machine has no business between the two.
    checks.env("NO_PROXY", "127.0.0.1").kill_on_drop(true);
    let output = timeout(CHECKS_WITHIN, checks.output()).await.expect("the checks end").unwrap();
    let (passed, said) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{passed}{said}");
    assert_eq!(passed.lines().count(), 14, "{passed}");
}

/// A Python that has what `requirements` lists.
async fn python_with(requirements: &Path) -> Result<PathBuf, String> {
    let wanted = fs::read_to_string(requirements).map_err(|error| error.to_string())?;
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("datadog-clients");
    let (python, installed) = (folder.join("bin/python"), folder.join("installed.txt"));
    if fs::read_to_string(&installed).is_ok_and(|done| done == wanted) && python.is_file() {
        return Ok(python);
    }
    run(
        "python3",
        ["-m", "venv", "--clear"].map(OsStr::new).into_iter().chain([folder.as_os_str()]),
    )
    .await?;
    let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--retries=1"];
    let install =
        install.map(OsStr::new).into_iter().chain(["-r".as_ref(), requirements.as_os_str()]);
    run(&python, install).await?;
    fs::write(installed, wanted).map_err(|error| error.to_string())?;
    Ok(python)
}

async fn run<'a>(
    program: impl AsRef<OsStr>,
    arguments: impl Iterator<Item = &'a OsStr>,
) -> Result<(), String> {
    let program = program.as_ref();
    let shown = program.display();
    let running = Command::new(program).args(arguments).kill_on_drop(true).output();
    let Ok(output) = timeout(INSTALLED_WITHIN, running).await else {
        return Err(format!("{shown} took longer than {INSTALLED_WITHIN:?}"));
    };
    let output = output.map_err(|error| format!("{shown} cannot be run: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = text(&output.stderr);
    Err(said.lines().next_back().unwrap_or("it failed without a word").to_owned())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
