//! Reads what `cargo tree` prints.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context;

/// Asks for what [`Graph::parse`] reads: package, licence, repository.
pub(crate) const FORMAT: &str = "{p}\t{l}\t{r}";

/// A package by name and version.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Id {
    pub(crate) name: String,
    pub(crate) version: String,
}

/// What is known of a package.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Package {
    /// As an SPDX expression; empty when not told.
    pub(crate) licence: String,
    /// Empty when not told.
    pub(crate) repository: String,
    pub(crate) needs: BTreeSet<Id>,
}

/// Packages and what they need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Graph {
    /// The one that the others are needed for.
    pub(crate) root: Id,
    pub(crate) packages: BTreeMap<Id, Package>,
}

impl Graph {
    /// Each line: depth, `name vVERSION`, perhaps `(where it comes from)`, licence, repository; `(*)`
    /// at the end where the package was shown before, with what it needs.
    pub(crate) fn parse(tree: &str) -> anyhow::Result<Self> {
        let mut packages: BTreeMap<Id, Package> = BTreeMap::new();
        let mut above: Vec<Id> = Vec::new();
        for line in tree.lines().filter(|line| !line.is_empty()) {
            let (depth, id, known) =
                parse_line(line).with_context(|| format!("cargo tree printed {line:?}"))?;
            above.truncate(depth);
            if let Some(parent) = above.last() {
                packages.entry(parent.clone()).or_default().needs.insert(id.clone());
            }
            let package = packages.entry(id.clone()).or_default();
            package.licence = known.licence;
            package.repository = known.repository;
            above.push(id);
        }
        let root = above.into_iter().next().context("cargo tree printed no package")?;
        Ok(Self { root, packages })
    }

    /// Without what the package `root` does not need.
    pub(crate) fn reachable_from(&self, root: &str) -> anyhow::Result<Self> {
        let root = self.packages.keys().find(|id| id.name == root);
        let root = root.with_context(|| format!("{root:?} is not in cargo's tree"))?.clone();
        let mut packages = BTreeMap::new();
        let mut left = vec![root.clone()];
        while let Some(id) = left.pop() {
            let Some(package) = self.packages.get(&id) else { continue };
            if packages.insert(id, package.clone()).is_none() {
                left.extend(package.needs.iter().filter(|id| !packages.contains_key(id)).cloned());
            }
        }
        Ok(Self { root, packages })
    }
}

fn parse_line(line: &str) -> Option<(usize, Id, Package)> {
    let digits = line.find(|c: char| !c.is_ascii_digit())?;
    let (depth, rest) = line.split_at(digits);
    let mut fields = rest.split('\t');
    let mut words = fields.next()?.split(' ');
    let name = words.next()?.to_owned();
    let version = words.next()?.strip_prefix('v')?.to_owned();
    let licence = fields.next()?;
    let repository = fields.next()?.trim_end_matches(" (*)");
    let package = Package {
        // Older crates say `MIT/Apache-2.0`.
        licence: licence.split('/').map(str::trim).collect::<Vec<_>>().join(" OR "),
        repository: repository.to_owned(),
        needs: BTreeSet::new(),
    };
    Some((depth.parse().ok()?, Id { name, version }, package))
}
