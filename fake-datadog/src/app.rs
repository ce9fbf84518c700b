//! The composition root of the program.

use std::{
    fs, io,
    io::{IsTerminal, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use tokio_util::sync::CancellationToken;

use crate::{
    args::{Args, CheckArgs, Command, LogArgs, LogFormat, ServeArgs},
    node_check, record, replay,
    scenario::{self, LoadError, Scenario},
    server::{FakeDatadog, StartError, TlsError},
};

/// Why the program ends with another code than 0.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Scenario(#[from] LoadError),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("cannot write port file {path}: {source}")]
    PortFile { path: PathBuf, source: io::Error },
    #[error("cannot write to stdout: {0}")]
    Stdout(io::Error),
    #[error("cannot wait for signals: {0}")]
    Signals(io::Error),
    #[error("{0:#}")]
    Other(#[from] anyhow::Error),
}

impl Error {
    /// 2 for what the caller must correct, 3 for an address in use, else 1.
    fn exit_code(&self) -> u8 {
        match self {
            Self::Scenario(_) | Self::Start(StartError::Tls(_)) => 2,
            Self::Start(StartError::AddressInUse { .. }) => 3,
            Self::Start(_)
            | Self::PortFile { .. }
            | Self::Stdout(_)
            | Self::Signals(_)
            | Self::Other(_) => 1,
        }
    }
}

/// Runs the program until it is told to stop by SIGINT or SIGTERM. A second signal ends it at
/// once. An error is printed as one line on stderr.
pub async fn run(args: Args) -> ExitCode {
    let Args { command, log } = args;
    init_log(&log);
    match run_command(command).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("fake-datadog: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

async fn run_command(command: Command) -> Result<ExitCode, Error> {
    let stop = CancellationToken::new();
    stop_on_signal(stop.clone()).map_err(Error::Signals)?;
    match command {
        Command::Serve(args) => serve(*args, stop).await?,
        Command::NodeCheck(args) => node_check::run(*args, stop).await?,
        Command::Record(args) => record::run(args, stop).await?,
        Command::Replay(args) => replay::run(args, stop).await?,
        Command::Check(args) => return check(&args),
        Command::Schema => {
            write!(io::stdout(), "{}", scenario::schema_text()).map_err(Error::Stdout)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints a line for each file: what is in a good one on stdout, what is bad on stderr.
fn check(args: &CheckArgs) -> Result<ExitCode, Error> {
    let mut code = ExitCode::SUCCESS;
    for path in &args.files {
        match Scenario::load(path) {
            Ok(scenario) => {
                let (series, faults) = (scenario.count_series(), scenario.faults.len());
                let path = path.display();
                writeln!(io::stdout(), "{path}: ok, {series} series, {faults} faults")
                    .map_err(Error::Stdout)?;
            }
            Err(error) => {
                eprintln!("fake-datadog: {error}");
                code = ExitCode::from(2);
            }
        }
    }
    Ok(code)
}

async fn serve(args: ServeArgs, stop: CancellationToken) -> Result<(), Error> {
    let keys = args.keys();
    let ServeArgs { listen, tls, scenario, seed, port_file, .. } = args;
    let mut scenario = scenario.as_deref().map(Scenario::load).transpose()?.unwrap_or_default();
    scenario.seed = seed.unwrap_or(scenario.seed);
    let (seed, time_scale) = (scenario.seed, scenario.time_scale);
    let mut builder = FakeDatadog::builder().listen(listen).scenario(scenario);
    if let Some(keys) = keys {
        builder = builder.keys(keys);
    }
    if let Some(source) = tls.source() {
        builder = builder.tls(source);
    }
    if let Some(listen) = tls.tls_listen {
        builder = builder.tls_listen(listen);
    }
    let fake = builder.start().await?;
    tracing::info!(seed, %time_scale, "serving");
    if let (Some(path), Some(pem)) = (&tls.tls_ca_file, fake.ca_pem()) {
        write_whole(path, pem)
            .map_err(|source| StartError::Tls(TlsError::CaFile { path: path.clone(), source }))?;
    }
    if let (Some(path), Some(port)) = (&port_file, fake.url().port_or_known_default()) {
        write_whole(path, &format!("{port}\n"))
            .map_err(|source| Error::PortFile { path: path.clone(), source })?;
    }
    for url in [Some(fake.url()), fake.https_url()].into_iter().flatten() {
        let address = url.as_str().trim_end_matches('/');
        writeln!(io::stdout(), "fake-datadog listening on {address}").map_err(Error::Stdout)?;
    }
    fake.run_until(stop.cancelled_owned()).await;
    tracing::info!("stopped");
    Ok(())
}

/// Writes beside the target first, so that a reader never sees half of it.
fn write_whole(path: &Path, text: &str) -> io::Result<()> {
    let mut partial = path.as_os_str().to_owned();
    partial.push(format!(".{}", std::process::id()));
    fs::write(&partial, text)?;
    fs::rename(&partial, path).inspect_err(|_| {
        let _ = fs::remove_file(&partial);
    })
}

fn stop_on_signal(stop: CancellationToken) -> io::Result<()> {
    let mut signals = Signals::new()?;
    tokio::spawn(async move {
        signals.recv().await;
        tracing::info!("stopping");
        stop.cancel();
        signals.recv().await;
        std::process::exit(1);
    });
    Ok(())
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let interrupt = signal(SignalKind::interrupt())?;
        Ok(Self { interrupt, terminate: signal(SignalKind::terminate())? })
    }

    async fn recv(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self)
    }

    async fn recv(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

fn init_log(args: &LogArgs) {
    let LogArgs { log_format, log_level } = args;
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(log_level.to_filter())
        .with_ansi(io::stderr().is_terminal())
        .with_writer(io::stderr);
    match log_format {
        LogFormat::Plain => subscriber.init(),
        LogFormat::Json => subscriber.json().init(),
    }
}
