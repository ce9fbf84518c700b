//! Runs the commands of a page, one after the other, and notes what they print.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::walkthrough::{
    normalise::Normaliser,
    page::{Page, Step, View},
    shell::{self, Ran, Shell},
};

/// Time between two runs of a command that is repeated.
const RETRY: Duration = Duration::from_millis(500);
/// How long an output that fulfils its condition may still differ from the page's.
const SETTLES_WITHIN: Duration = Duration::from_secs(15);

/// What a run of the page has shown.
#[derive(Debug)]
pub struct Run {
    /// The page with the outputs of this run.
    pub page: Page,
    /// The command that did not do what the page says; those after it did not run.
    pub broken: Option<Broken>,
}

/// A command that did not do what the page says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// Its line in the page.
    pub line: usize,
    /// The command.
    pub command: String,
    /// What was expected, and how it ended.
    pub reason: String,
    /// What it printed last.
    pub output: Vec<String>,
}

/// What became of one command, for whoever watches the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// As on the page.
    Same,
    /// Done, with another output than on the page.
    Differs,
    /// Not done.
    Broken,
}

/// A command that was accepted, or not.
enum Judged {
    /// With this output, and the names that it has shown.
    Accepted(Vec<String>, Normaliser),
    Refused(Broken),
}

/// Runs the page in `shell`; `watch` is told of each command that has ended.
pub async fn run(
    page: &Page,
    shell: &Shell,
    normaliser: Normaliser,
    mut watch: impl FnMut(&Step, Seen, Duration),
) -> Result<Run, shell::Error> {
    let mut ran = page.clone();
    let mut normaliser = normaliser;
    for step in ran.steps_mut() {
        let started = Instant::now();
        let judged = until_accepted(step, shell, &normaliser).await?;
        let (lines, names) = match judged {
            Judged::Accepted(lines, names) => (lines, names),
            Judged::Refused(broken) => {
                watch(step, Seen::Broken, started.elapsed());
                return Ok(Run { page: page.clone(), broken: Some(broken) });
            }
        };
        let seen = if is_shown(step, &lines) { Seen::Same } else { Seen::Differs };
        watch(step, seen, started.elapsed());
        // A hidden command shows no names either.
        if let View::Shown { output } = &mut step.view {
            *output = lines;
            normaliser = names;
        }
    }
    Ok(Run { page: ran, broken: None })
}

/// Removes what the page makes. Failures are of no interest: there may be nothing to remove.
pub async fn clean_up(page: &Page, shell: &Shell) -> Result<(), shell::Error> {
    for command in page.cleanup() {
        shell.run(command).await?;
    }
    Ok(())
}

/// Repeats the command while the page says so. An output that fulfils the condition is accepted when
/// it is the one of the page; another one is given some time to become it.
async fn until_accepted(
    step: &Step,
    shell: &Shell,
    normaliser: &Normaliser,
) -> Result<Judged, shell::Error> {
    let within = step.expect.until.as_ref().map(|until| until.within);
    let started = Instant::now();
    let mut fulfilled: Option<Instant> = None;
    loop {
        // Only what is accepted has shown names: a pod that was about to go would take one.
        let mut names = normaliser.clone();
        let Ran { output, code } = shell.run(&step.command).await?;
        let lines = names.normalise(&output, &step.expect.about);
        let refused = refusal(step, code, &lines);
        let late = within.is_none_or(|within| within <= started.elapsed());
        match refused {
            Some(broken) if late => return Ok(Judged::Refused(broken)),
            Some(_) => {}
            None => {
                let settled = fulfilled.get_or_insert_with(Instant::now).elapsed();
                if within.is_none() || is_shown(step, &lines) || SETTLES_WITHIN <= settled {
                    return Ok(Judged::Accepted(lines, names));
                }
            }
        }
        sleep(RETRY).await;
    }
}

/// Why this is not what has to come of the command; none if it is.
fn refusal(step: &Step, code: i32, lines: &[String]) -> Option<Broken> {
    let expect = &step.expect;
    let reason = match &expect.until {
        _ if code != expect.exit => format!("exit code {code}, expected {}", expect.exit),
        Some(until) if !until.pattern.is_match(&lines.join("\n")) => format!(
            "waited {} for an output with {}",
            humantime::format_duration(until.within),
            until.pattern
        ),
        _ => return None,
    };
    let output = lines.to_vec();
    Some(Broken { line: step.line, command: step.command.clone(), reason, output })
}

fn is_shown(step: &Step, lines: &[String]) -> bool {
    match &step.view {
        View::Shown { output } => output == lines,
        View::Hidden { .. } => true,
    }
}

#[cfg(test)]
mod tests {
    use tokio_util::sync::CancellationToken;

    use super::*;

    async fn run_page(source: &str) -> (Run, Vec<Seen>) {
        let page: Page = source.parse().unwrap();
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folder = tempfile::tempdir().unwrap();
        let shell =
            Shell::new(folder.path(), vec![("PATH".into(), path)], CancellationToken::new());
        let normaliser = Normaliser::new(page.pods()).unwrap();
        let mut seen = Vec::new();
        let run = run(&page, &shell.unwrap(), normaliser, |_, what, _| seen.push(what)).await;
        (run.unwrap(), seen)
    }

    #[tokio::test]
    async fn outputs_become_those_of_the_run_and_the_rest_stays() {
        let source = "a\n```console\n$ echo new\nold\n$ echo same\nsame\n```\n";
        let (run, seen) = run_page(source).await;
        assert_eq!(run.page.to_string(), source.replace("old", "new"));
        assert_eq!((run.broken, seen), (None, vec![Seen::Differs, Seen::Same]));
    }

    #[tokio::test]
    async fn a_command_is_repeated_until_its_output_is_that_of_the_page() {
        let source =
            "<!-- run: within 10s until ^x+$ -->\n```console\n$ printf x >> f; cat f\nxxx\n```\n";
        let (run, seen) = run_page(source).await;
        assert_eq!(run.page.to_string(), source);
        assert_eq!((run.broken, seen), (None, vec![Seen::Same]));
    }

    #[tokio::test]
    async fn a_wrong_exit_code_ends_the_run_and_changes_nothing() {
        let source = "```console\n$ echo new\nold\n$ echo no; false\nno\n$ touch never\n```\n";
        let (run, seen) = run_page(source).await;
        assert_eq!(run.page.to_string(), source);
        let broken = run.broken.unwrap();
        assert_eq!((broken.line, broken.reason.as_str()), (4, "exit code 1, expected 0"));
        assert_eq!(broken.output, ["no"]);
        assert_eq!(seen, [Seen::Differs, Seen::Broken]);
    }

    #[tokio::test]
    async fn a_condition_that_does_not_come_true_names_what_was_waited_for() {
        let (run, _) =
            run_page("<!-- run: within 1ms until yes -->\n```console\n$ echo no\nyes\n```\n").await;
        assert_eq!(run.broken.unwrap().reason, "waited 1ms for an output with yes");
    }

    #[tokio::test]
    async fn the_declared_exit_code_is_the_good_one() {
        let (run, seen) =
            run_page("<!-- run: exit 1 -->\n```console\n$ echo no; false\nno\n```\n").await;
        assert_eq!((run.broken, seen), (None, vec![Seen::Same]));
    }
}
