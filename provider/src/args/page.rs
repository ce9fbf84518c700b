//! The status page.

use std::net::{IpAddr, Ipv4Addr};

use clap::Args as ClapArgs;

/// The status page.
#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "Status page")]
pub struct Page {
    /// HTTPS port of the status page, which wants the cluster agent's token [default: no page]
    #[arg(long, env = "DD_STATUS_PAGE_PORT", value_name = "PORT")]
    pub status_page_port: Option<u16>,
    /// Address that the status page listens on; `kubectl port-forward` reaches the default
    #[arg(
        long,
        env = "DD_STATUS_PAGE_BIND_ADDRESS",
        default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST),
        value_name = "IP"
    )]
    pub status_page_bind_address: IpAddr,
}
