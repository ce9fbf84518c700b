//! Images of the programs, packed here: from scratch, without docker, the same bytes every time.
//!
//! ```text
//! rootfs ─▶ layer ─▶ pack ─▶ archive ─▶ command ─▶ load
//! files     tar.gz   config,  OCI and    digests,   into docker
//!           digests  manifest docker     sizes      or kind
//! ```

mod archive;
mod blob;
mod command;
mod layer;
mod load;
mod pack;
mod platform;
mod rootfs;
mod sbom;
#[cfg(test)]
mod tests;

pub use archive::{docker_archive, oci_archive};
pub use command::{Args, run};
pub use pack::{Image, Origin, Program};
pub use platform::Platform;

/// What an image is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Product {
    /// The provider.
    ClusterAgent,
    /// Datadog's stand-in, and the node check.
    FakeDatadog,
    /// The harness, for its load generator.
    E2e,
}

/// The version of all images, as in the manifests.
macro_rules! version {
    () => {
        env!("CARGO_PKG_VERSION")
    };
}

/// The reference of the image `name`.
macro_rules! reference {
    ($name:literal) => {
        concat!("datadog-external-metrics/", $name, ":", version!())
    };
}

impl Product {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::ClusterAgent, Self::FakeDatadog, Self::E2e];

    /// The image's name and tag, as the manifests have it.
    pub fn reference(self) -> &'static str {
        match self {
            Self::ClusterAgent => reference!("cluster-agent"),
            Self::FakeDatadog => reference!("fake-datadog"),
            Self::E2e => reference!("e2e"),
        }
    }

    /// Its docker archive, in the folder of the images.
    pub fn archive(self) -> &'static str {
        match self {
            Self::ClusterAgent => "cluster-agent.docker.tar",
            Self::FakeDatadog => "fake-datadog.docker.tar",
            Self::E2e => "e2e.docker.tar",
        }
    }

    /// Its OCI image layout, in the folder of the images.
    pub fn oci_archive(self) -> &'static str {
        match self {
            Self::ClusterAgent => "cluster-agent.oci.tar",
            Self::FakeDatadog => "fake-datadog.oci.tar",
            Self::E2e => "e2e.oci.tar",
        }
    }

    /// The image's name, without a tag.
    pub fn name(self) -> &'static str {
        match self {
            Self::ClusterAgent => "cluster-agent",
            Self::FakeDatadog => "fake-datadog",
            Self::E2e => "e2e",
        }
    }

    /// The program in it.
    pub fn program(self) -> &'static str {
        match self {
            Self::ClusterAgent => "datadog-cluster-agent",
            Self::FakeDatadog => "fake-datadog",
            Self::E2e => "e2e",
        }
    }

    /// Other paths at which the program is found, and what each says: the program goes by the name it
    /// is called by.
    fn links(self) -> &'static [(&'static str, &'static str)] {
        match self {
            // `kubectl exec … env` is what the walkthrough says to look at the environment with. There
            // is no other `env` in the image, and this one shows keys by their fingerprints only.
            Self::ClusterAgent => &[
                ("usr/bin/env", "../local/bin/datadog-cluster-agent"),
                ("usr/local/bin/agent", "datadog-cluster-agent"),
            ],
            Self::FakeDatadog | Self::E2e => &[],
        }
    }

    /// The package that the program is in.
    fn package(self) -> &'static str {
        match self {
            Self::ClusterAgent => "provider",
            Self::FakeDatadog => "fake-datadog",
            Self::E2e => "e2e",
        }
    }

    /// The packages that are built in one go, and share the features of what they depend on: as in
    /// `xtask/src/build.rs`.
    fn built_with(self) -> &'static [&'static str] {
        match self {
            Self::ClusterAgent => &["provider"],
            Self::FakeDatadog | Self::E2e => &["fake-datadog", "e2e"],
        }
    }

    fn description(self) -> &'static str {
        match self {
            Self::ClusterAgent => "External metrics for Kubernetes' HPA, fed by Datadog",
            Self::FakeDatadog => {
                "A stand-in for Datadog's metrics API, and a check of nginx, for tests"
            }
            Self::E2e => "The harness of datadog-external-metrics: puts load on a URL",
        }
    }

    /// What the program does when it is told nothing.
    fn default_arguments(self) -> &'static [&'static str] {
        match self {
            Self::ClusterAgent => &["run"],
            Self::FakeDatadog => &["serve", "--listen", "0.0.0.0:8126"],
            Self::E2e => &["--help"],
        }
    }

    fn ports(self) -> &'static [&'static str] {
        match self {
            Self::ClusterAgent => &["5005/tcp", "8443/tcp"],
            Self::FakeDatadog => &["8126/tcp"],
            Self::E2e => &[],
        }
    }
}
