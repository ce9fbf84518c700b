//! Which of several replicas asks Datadog.

use std::time::Duration;

use clap::{Args as ClapArgs, builder::BoolishValueParser};

use crate::args::parse_duration;

/// Which of several replicas asks Datadog.
#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "Leader election")]
pub struct LeaderElection {
    /// Let only one of several replicas ask Datadog: the one that holds the Lease
    #[arg(
        long,
        env = "DD_LEADER_ELECTION",
        default_value = "false",
        default_missing_value = "true",
        num_args = 0..=1,
        value_parser = BoolishValueParser::new(),
        action = clap::ArgAction::Set,
        value_name = "BOOL"
    )]
    pub leader_election: bool,
    /// How long the Lease of a leader that died keeps others away; Datadog's default is 60, which is
    /// half of the max age of a sample. The leader renews it after a quarter, and asks nothing
    /// when half of it has passed without a renewal
    #[arg(
        long,
        env = "DD_LEADER_LEASE_DURATION",
        default_value = "15",
        value_parser = parse_lease_duration,
        value_name = "SECONDS"
    )]
    pub leader_lease_duration: Duration,
    /// Name of the Lease, in the namespace of the objects that we make
    #[arg(
        long,
        env = "DD_LEADER_LEASE_NAME",
        default_value = "datadog-leader-election",
        value_name = "NAME"
    )]
    pub leader_lease_name: String,
    /// Give the Lease up at the end, so that another replica leads at once
    #[arg(
        long,
        env = "DD_LEADER_ELECTION_RELEASE_ON_SHUTDOWN",
        default_value = "true",
        default_missing_value = "true",
        num_args = 0..=1,
        value_parser = BoolishValueParser::new(),
        action = clap::ArgAction::Set,
        value_name = "BOOL"
    )]
    pub leader_election_release_on_shutdown: bool,
    /// Kind of the object that is held; only Leases are supported
    #[arg(
        long,
        env = "DD_LEADER_ELECTION_DEFAULT_RESOURCE",
        default_value = "lease",
        value_name = "KIND"
    )]
    pub leader_election_default_resource: String,
}

impl LeaderElection {
    /// What the user must know about the kind of the object, if anything.
    pub fn warning(&self) -> Option<String> {
        let kind = self.leader_election_default_resource.trim();
        let supported = ["", "lease", "leases"].iter().any(|own| kind.eq_ignore_ascii_case(own));
        (!supported).then(|| {
            format!(
                "DD_LEADER_ELECTION_DEFAULT_RESOURCE={kind} is not supported, a Lease is used; set it to lease"
            )
        })
    }
}

/// A Lease is valid for whole seconds.
fn parse_lease_duration(text: &str) -> Result<Duration, String> {
    let duration = parse_duration(text)?;
    if duration < Duration::from_secs(1) {
        return Err("must be a second or longer".to_owned());
    }
    Ok(duration)
}

/// The name of a replica in the election: that of its pod, else of its host with the process's
/// number, since several replicas may run on one.
pub fn identity(pod_name: Option<&str>) -> String {
    match pod_name.filter(|name| !name.is_empty()) {
        Some(name) => name.to_owned(),
        None => format!("{}_{}", host_name(), std::process::id()),
    }
}

fn host_name() -> String {
    let file = |path| std::fs::read_to_string(path).ok();
    let names = [file("/proc/sys/kernel/hostname"), file("/etc/hostname")];
    let mut names = names.into_iter().flatten().map(|name| name.trim().to_owned());
    names.find(|name| !name.is_empty()).unwrap_or_else(|| "datadog-cluster-agent".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        election: LeaderElection,
    }

    fn parse(arguments: &[&str]) -> Result<LeaderElection, clap::Error> {
        let line = [&["x"], arguments].concat();
        Line::try_parse_from(line).map(|line| line.election)
    }

    #[test]
    fn only_leases_are_supported_and_others_are_warned_of() {
        for kind in ["lease", "leases", "Lease", " leases ", ""] {
            let election = parse(&["--leader-election-default-resource", kind]).unwrap();
            assert_eq!(election.warning(), None, "{kind}");
        }
        for kind in ["configmap", "configmaps"] {
            let election = parse(&["--leader-election-default-resource", kind]).unwrap();
            assert_eq!(
                election.warning().unwrap(),
                format!(
                    "DD_LEADER_ELECTION_DEFAULT_RESOURCE={kind} is not supported, a Lease is used; set it to lease"
                )
            );
        }
    }

    #[test]
    fn a_lease_lasts_a_second_or_longer() {
        let lasts = |text| {
            parse(&["--leader-lease-duration", text]).map(|election| election.leader_lease_duration)
        };
        assert_eq!(lasts("60").unwrap(), Duration::from_secs(60));
        assert!(lasts("500ms").is_err() && lasts("0").is_err());
    }

    #[test]
    fn a_pods_name_is_its_identity_and_processes_of_one_host_differ() {
        assert_eq!(identity(Some("dca-0")), "dca-0");
        let own = identity(Some(""));
        assert!(own.ends_with(&format!("_{}", std::process::id())), "{own}");
        assert_eq!(own, identity(None));
    }
}
