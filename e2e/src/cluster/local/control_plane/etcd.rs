//! etcd, a single member whose data is disposable.

use url::Url;

use crate::{cluster::local::control_plane::Shared, ports::Reservation, process::Launch};

/// In bytes. A run writes some megabytes; one that gets here is broken and must not fill the disk.
const QUOTA: u32 = 256 << 20;

/// How etcd is started, and where clients reach it then.
pub(super) fn launch(
    shared: &Shared<'_>,
    [client, peer]: [Reservation; 2],
) -> anyhow::Result<(Launch, Url)> {
    let url = Url::parse(&format!("http://{}", client.address()))?;
    let peer_url = format!("http://{}", peer.address());
    let flag = |name: &str, value: &str| format!("--{name}={value}");
    let here = url.as_str().trim_end_matches('/');
    let launch = Launch::new("etcd", &shared.programs.etcd).args([
        flag("name", "e2e"),
        flag("data-dir", &shared.folder.join("etcd").to_string_lossy()),
        // Writes need not outlive the machine: the cluster does not either.
        flag("unsafe-no-fsync", "true"),
        // In milliseconds. The only member elects itself after such a time: 0.3 s sooner than with the
        // defaults, which are for networks.
        flag("heartbeat-interval", "10"),
        flag("election-timeout", "100"),
        flag("quota-backend-bytes", &QUOTA.to_string()),
        flag("log-level", "warn"),
        flag("listen-client-urls", here),
        flag("advertise-client-urls", here),
        flag("listen-peer-urls", &peer_url),
        flag("initial-advertise-peer-urls", &peer_url),
        flag("initial-cluster", &format!("e2e={peer_url}")),
    ]);
    client.release();
    peer.release();
    Ok((launch, url))
}
