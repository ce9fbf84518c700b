//! Which node image: that of a Kubernetes version, or one that is named.

use std::{fmt, str::FromStr};

use crate::{
    assets,
    cluster::kind::{ANSWERS_WITHIN, tool::Runtime},
};

/// Where node images are.
const REPOSITORY: &str = "kindest/node";
/// The version that the harness is tested with, here and on `local`.
const NEWEST: Minor = Minor(37);
/// What kind 0.33 publishes for each minor version, by digest as its release notes ask for; for 1.33,
/// which that release has no more, what kind 0.29 published.
const PUBLISHED: [(Minor, &str); 5] = [
    (Minor(33), "v1.33.1@sha256:8d866994839cd096b3590681c55a6fa4a071fdaf33be7b9660e5697d2ed13002"),
    (Minor(34), "v1.34.11@sha256:44e222ee2132dab25ff87301682f89eb82c7880ea3a1bf543bfe9708fd08d67d"),
    (Minor(35), "v1.35.8@sha256:07b2536e30b803ed61d1677a79df6115f798ce64c80f9e22f6ed45afd09323c0"),
    (Minor(36), "v1.36.4@sha256:099e049362a1526b2db71494e1947aae99bd16290d7c895f2b7ea312e3cbfaed"),
    (Minor(37), "v1.37.0@sha256:a1ed56cfb0e7b93589bdf97c8cd566405a265939e3620fc4f5de89adff580ae5"),
];

/// A minor version of Kubernetes 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Minor(u32);

impl fmt::Display for Minor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "1.{}", self.0)
    }
}

impl FromStr for Minor {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = text.strip_prefix("1.").and_then(|minor| minor.parse().ok()).map(Self);
        let known = || PUBLISHED.map(|(minor, _)| minor.to_string()).join(", ");
        number
            .filter(|minor| PUBLISHED.iter().any(|(known, _)| known == minor))
            .ok_or_else(|| format!("choose from {}, or name an image with --node-image", known()))
    }
}

/// The image for a minor version, the newest where none is asked for: one that docker or podman has,
/// else the published one, which kind pulls.
pub async fn choose(options: &assets::Options, wanted: Option<Minor>) -> String {
    let wanted = wanted.unwrap_or(NEWEST);
    let listed = ["image", "list", "--format", "{{.Tag}}", REPOSITORY];
    let tags = match Runtime::find(options).await {
        Ok(runtime) => runtime.run(listed, ANSWERS_WITHIN).await.unwrap_or_default(),
        Err(_) => String::new(),
    };
    let tag = newest_of(wanted, tags.lines()).map(ToOwned::to_owned).or_else(|| published(wanted));
    format!("{REPOSITORY}:{}", tag.unwrap_or_else(|| format!("v{wanted}.0")))
}

fn published(wanted: Minor) -> Option<String> {
    let found = PUBLISHED.into_iter().find(|(minor, _)| *minor == wanted);
    found.map(|(_, tag)| tag.to_owned())
}

fn newest_of<'a>(wanted: Minor, tags: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let patch =
        |tag: &str| -> Option<u32> { tag.strip_prefix(&format!("v{wanted}."))?.parse().ok() };
    tags.map(str::trim).filter_map(|tag| Some((patch(tag)?, tag))).max().map(|(_, tag)| tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_patch_of_the_minor_version_is_taken() {
        let tags = ["v1.37.2", "v1.37.10", "v1.36.11", "<none>", "v1.37.11-rc.0"];
        assert_eq!(newest_of(Minor(37), tags.into_iter()), Some("v1.37.10"));
        assert_eq!(newest_of(Minor(35), tags.into_iter()), None);
    }

    #[test]
    fn a_version_that_is_not_published_is_refused_with_those_that_are() {
        assert_eq!("1.36".parse(), Ok(Minor(36)));
        for text in ["1.12", "36", "v1.36", "1.36.4", ""] {
            assert_eq!(
                text.parse::<Minor>().unwrap_err(),
                "choose from 1.33, 1.34, 1.35, 1.36, 1.37, or name an image with --node-image",
                "{text}"
            );
        }
        assert!(published(NEWEST).is_some());
    }
}
