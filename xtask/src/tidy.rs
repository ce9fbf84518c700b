//! Rules of the house that no compiler knows.

use std::{fs, path::Path};

use anyhow::bail;
use xshell::{Shell, cmd};

use crate::project;

mod workflows;

/// Lines that a Rust file may have; a longer one asks for a better design.
const MAX_LINES: usize = 400;

/// Fails with one line for each offence.
pub(crate) fn run() -> anyhow::Result<()> {
    let root = project::root()?;
    let shell = Shell::new()?;
    shell.change_dir(&root);
    let listed = cmd!(shell, "git ls-files --cached --others --exclude-standard").quiet().read()?;
    let mut offences = Vec::new();
    for file in listed.lines() {
        let path = root.join(file);
        if !path.is_file() {
            continue; // a link to a folder, or deleted and not yet committed
        }
        let Ok(text) = fs::read_to_string(&path) else { continue }; // not a text
        offences.extend(check(Path::new(file), &text));
        offences.extend(workflows::check(Path::new(file), &text));
    }
    if offences.is_empty() {
        return Ok(());
    }
    bail!("{}", offences.join("\n"))
}

fn check(file: &Path, text: &str) -> Vec<String> {
    let mut offences = Vec::new();
    let lines = text.lines().count();
    if file.extension().is_some_and(|extension| extension == "rs") && lines > MAX_LINES {
        let file = file.display();
        offences
            .push(format!("{file}: {lines} lines, at most {MAX_LINES}: what splits by itself?"));
    }
    // Only .ci/run may know of the folder beside the checkout.
    let outside = ["..", "shared"].join("/");
    if !file.starts_with(".ci") && text.contains(&outside) {
        offences.push(format!("{}: refers to {outside}", file.display()));
    }
    offences
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_rust_file_and_a_stray_reference_are_named() {
        let long = "\n".repeat(401);
        assert_eq!(check(Path::new("a.rs"), &long).len(), 1);
        assert!(check(Path::new("a.yaml"), &long).is_empty());
        let stray = format!("see {}/x", ["..", "shared"].join("/"));
        assert_eq!(check(Path::new("docs/a.md"), &stray).len(), 1);
        assert!(check(Path::new(".ci/run"), &stray).is_empty());
    }

    #[test]
    fn this_checkout_is_tidy() {
        run().unwrap();
    }
}
