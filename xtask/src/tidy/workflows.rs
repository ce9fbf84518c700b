//! Rules for what runs in CI, and for the commands that people are told to run.

use std::path::Path;

use clap::CommandFactory;

/// Offences in a file below `.github`, and commands of ours that do not exist, wherever they are named.
pub(crate) fn check(file: &Path, text: &str) -> Vec<String> {
    let mut offences = Vec::new();
    if file.starts_with(".github") {
        offences.extend(text.lines().filter_map(unpinned));
        offences.extend(pasted_into_scripts(text));
    }
    let names_commands =
        file.extension().is_some_and(|extension| extension == "md" || extension == "yml");
    if names_commands || file.starts_with(".ci") {
        offences.extend(unknown_commands(text));
    }
    offences.iter().map(|offence| format!("{}: {offence}", file.display())).collect()
}

/// A tag can be moved to other code, a commit cannot
/// (<https://docs.github.com/en/actions/reference/security/secure-use#using-third-party-actions>).
fn unpinned(line: &str) -> Option<String> {
    let action = value_of(line, "uses:")?;
    let (action, comment) = action.split_once(" #").unwrap_or((action, ""));
    if action.starts_with("./") {
        return None;
    }
    let commit = action.trim().rsplit_once('@').map_or("", |(_, commit)| commit);
    let is_commit = commit.len() == 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_commit && comment.trim().starts_with('v') {
        return None;
    }
    Some(format!("`{}`: pin it by a full commit, with the version in a comment", line.trim()))
}

/// What `${{ }}` stands for becomes part of the script, and may be a title that anybody wrote
/// (<https://docs.github.com/en/actions/concepts/security/script-injections>).
fn pasted_into_scripts(text: &str) -> Vec<String> {
    let mut offences = Vec::new();
    let mut script_below = None;
    for line in text.lines() {
        let indent = line.len() - line.trim_start_matches([' ', '-']).len();
        if !line.trim().is_empty() && script_below.is_some_and(|below| indent <= below) {
            script_below = None;
        }
        if value_of(line, "run:").is_some() {
            script_below = Some(indent);
        }
        if script_below.is_some() && line.contains("${{") {
            offences.push(format!("`{}`: hand it to the script by `env`", line.trim()));
        }
    }
    offences
}

/// `cargo xtask NAME` where there is no such command.
fn unknown_commands(text: &str) -> Vec<String> {
    let ours = crate::Args::command();
    let known = |name: &str| name == "help" || ours.find_subcommand(name).is_some();
    let named = text.split("cargo xtask ").skip(1).filter_map(|rest| {
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '-'));
        let name = &rest[..end.unwrap_or(rest.len())];
        name.starts_with(|c: char| c.is_ascii_lowercase()).then_some(name)
    });
    named
        .filter(|name| !known(name))
        .map(|name| format!("there is no `cargo xtask {name}`"))
        .collect()
}

/// What follows a key, which may be the first of a list's item.
fn value_of<'a>(line: &'a str, key: &str) -> Option<&'a str> {
    let line = line.trim_start();
    line.strip_prefix("- ").unwrap_or(line).trim_start().strip_prefix(key).map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMIT: &str = "3d3c42e5aac5ba805825da76410c181273ba90b1";

    #[track_caller]
    fn check_workflow(text: &str, offences: usize) {
        assert_eq!(check(Path::new(".github/workflows/a.yml"), text).len(), offences, "{text}");
    }

    #[test]
    fn actions_are_pinned_by_commit_with_their_version_beside() {
        check_workflow(&format!("      - uses: actions/checkout@{COMMIT} # v7.0.1"), 0);
        check_workflow("        uses: ./.github/actions/setup", 0);
        check_workflow(&format!("      - uses: actions/checkout@{COMMIT}"), 1);
        check_workflow("      - uses: actions/checkout@v7 # v7", 1);
        check_workflow(&format!("      - uses: actions/checkout@{} # v7", &COMMIT[..12]), 1);
        check_workflow("      - uses: docker://alpine:3", 1);
    }

    #[test]
    fn expressions_are_handed_to_scripts_by_the_environment() {
        check_workflow("      - run: echo ${{ github.ref }}", 1);
        check_workflow("      - name: x\n        run: |\n          a\n\n          b ${{ x }}", 1);
        check_workflow("      - run: |\n          a\n        env:\n          X: ${{ x }}", 0);
        check_workflow("      - run: a\n      - if: ${{ x }}\n        run: b", 0);
    }

    #[test]
    fn commands_that_are_named_exist() {
        check_workflow("      - run: cargo xtask e2e --cluster kind", 0);
        check_workflow("      - run: cargo xtask walktrough", 1);
        let text = "`cargo xtask tset` and `cargo xtask` alone";
        assert_eq!(check(Path::new("README.md"), text).len(), 1);
        assert_eq!(check(Path::new("a.rs"), text).len(), 0);
    }
}
