//! A server that is measured: a process of its own, asked from here.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, bail};
use tokio::time::{Instant, sleep};

use crate::load::{Case, Connection, Format, Identity, Protocol, Target};

const DEADLINE: Duration = Duration::from_secs(30);

/// Ended when this is dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) target: Arc<Target>,
    /// From exec to the first metric served.
    pub(crate) first_answer: Duration,
}

/// Resident memory in bytes.
#[derive(Debug, Clone, Copy, serde::Serialize)]
pub(crate) struct Memory {
    pub(crate) now: u64,
    pub(crate) peak: u64,
}

impl Server {
    /// Starts what `command` makes of a port and waits until the first of `paths` is answered. What
    /// it writes goes to `log`.
    pub(crate) async fn start(
        command: impl FnOnce(u16) -> Command,
        identity: &Identity,
        paths: &[String],
        log: &Path,
    ) -> anyhow::Result<Self> {
        let address = free()?;
        let target = Arc::new(Target::new(address, identity.clone(), paths)?);
        let mut command = command(address.port());
        let log_file = fs::File::create(log)?;
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log_file);
        let started = Instant::now();
        let child = command.spawn().with_context(|| format!("cannot start {command:?}"))?;
        let mut server = Self { child, target, first_answer: Duration::ZERO };
        let case = Case { protocol: Protocol::Http1, format: Format::Protobuf, connections: 1 };
        while server.ask(&case).await.is_err() {
            if let Some(status) = server.child.try_wait()? {
                let log = fs::read_to_string(log).unwrap_or_default();
                let last = log.lines().last().unwrap_or_default().to_owned();
                bail!("{command:?} ended before it served, {status}: {last}");
            }
            if started.elapsed() > DEADLINE {
                bail!("{command:?} did not serve in {DEADLINE:?}, see {}", log.display());
            }
            sleep(Duration::from_millis(1)).await;
        }
        server.first_answer = started.elapsed();
        Ok(server)
    }

    async fn ask(&self, case: &Case) -> anyhow::Result<()> {
        let mut connection = Connection::open(&self.target, case.protocol).await?;
        connection.ask(self.target.request(case, 0)).await
    }

    pub(crate) fn memory(&self) -> anyhow::Result<Memory> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let bytes = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let kibibytes = line.and_then(|line| line.split_whitespace().next());
            let kibibytes = kibibytes.with_context(|| format!("/proc/PID/status has no {name}"))?;
            anyhow::Ok(kibibytes.parse::<u64>()? * 1024)
        };
        Ok(Memory { now: bytes("VmRSS:")?, peak: bytes("VmHWM:")? })
    }

    /// CPU time so far, user and system, to a hundredth of a second.
    pub(crate) fn cpu(&self) -> anyhow::Result<Duration> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // After the name in parentheses, from the state on, `utime` and `stime` are the fields 11
        // and 12, in ticks, of which Linux gives a hundred a second (proc(5)).
        let fields = stat.rsplit_once(')').context("/proc/PID/stat has no name")?.1;
        let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<u64>);
        let ticks: u64 = ticks.sum::<Result<u64, _>>()?;
        Ok(Duration::from_millis(ticks * 10))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An address that nobody listens on just now.
fn free() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}
