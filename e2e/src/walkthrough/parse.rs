//! From the page's source to a [`Page`]; pure.
//!
//! Commands stand in blocks fenced as `console`, behind `$ `; what follows, up to the next command
//! or the end of the block, is the output. A backslash at the end continues a command on the next
//! line, as in bash. Comments for the runner stand before the block that they are about.

use std::str::FromStr;

use crate::walkthrough::{
    directive::{self, Directive, comment},
    page::{Expect, Page, Part, Step, View},
};

/// A page that cannot be run.
#[derive(Debug, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct Error {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub reason: Reason,
}

/// What is wrong with a line.
#[derive(Debug, thiserror::Error)]
pub enum Reason {
    /// A comment for the runner that cannot be obeyed.
    #[error(transparent)]
    Directive(#[from] directive::Error),
    /// A comment for the runner with no command after it.
    #[error("the comment above says how to run a command, and none follows: move it to one")]
    NoCommand,
    /// A condition for more than one command.
    #[error("`within` and `exit` are about one command, and the block has two: split it")]
    TwoCommands,
    /// Output without a command.
    #[error("a console block begins with `$ ` and a command")]
    NoPrompt,
    /// The end is missing.
    #[error("the block that begins here has no end: add a line with ``` after it")]
    Open,
    /// In a list or a quotation.
    #[error("a console block cannot be indented: move it to the beginning of the line")]
    Indented,
}

impl FromStr for Page {
    type Err = Error;

    fn from_str(source: &str) -> Result<Self, Error> {
        let mut parser = Parser::default();
        for (index, line) in source.split('\n').enumerate() {
            let number = index + 1;
            parser.line(number, line).map_err(|reason| Error { line: number, reason })?;
        }
        parser.end()
    }
}

#[derive(Default)]
struct Parser {
    page: Page,
    place: Place,
    /// For the next block or hidden command.
    expect: Option<(usize, Expect)>,
}

#[derive(Default)]
enum Place {
    #[default]
    Prose,
    /// In a block that is not ours, which ends with a fence like this.
    Other {
        fence: String,
    },
    Console(Block),
}

struct Block {
    line: usize,
    expect: Expect,
    commands: usize,
    /// The command's last line ends with a backslash.
    continued: bool,
}

// === impl Parser ===

impl Parser {
    fn line(&mut self, number: usize, line: &str) -> Result<(), Reason> {
        match &mut self.place {
            Place::Prose => self.prose(number, line),
            Place::Other { fence } => {
                let closes = line.trim() == fence;
                self.keep(line);
                if closes {
                    self.place = Place::Prose;
                }
                Ok(())
            }
            Place::Console(_) => self.console(number, line),
        }
    }

    fn end(self) -> Result<Page, Error> {
        if let Some((line, _)) = self.expect {
            return Err(Error { line, reason: Reason::NoCommand });
        }
        match self.place {
            Place::Console(block) => Err(Error { line: block.line, reason: Reason::Open }),
            Place::Prose | Place::Other { .. } => Ok(self.page),
        }
    }

    fn prose(&mut self, number: usize, line: &str) -> Result<(), Reason> {
        if let Some(text) = comment(line) {
            self.directive(number, line, text.parse()?);
            return Ok(());
        }
        let fence: String = line.trim_start().chars().take_while(|&c| c == '`').collect();
        if 3 <= fence.len() {
            if line.trim_start()[fence.len()..].trim() == "console" {
                if line.starts_with(char::is_whitespace) {
                    return Err(Reason::Indented);
                }
                let (_, expect) = self.expect.take().unwrap_or_default();
                self.place =
                    Place::Console(Block { line: number, expect, commands: 0, continued: false });
            } else {
                self.place = Place::Other { fence };
            }
        }
        if self.expect.is_some() && !line.trim().is_empty() {
            return Err(Reason::NoCommand);
        }
        self.keep(line);
        Ok(())
    }

    fn directive(&mut self, number: usize, line: &str, found: Directive) {
        match found {
            Directive::Pods(names) => self.page.pods.extend(names),
            Directive::Cleanup(command) => self.page.cleanup.push(command),
            Directive::Until(until) => self.expect(number).until = Some(until),
            Directive::Exit(code) => self.expect(number).exit = code,
            Directive::About(about) => self.expect(number).about.push(about),
            Directive::Hidden(command) => {
                let (_, expect) = self.expect.take().unwrap_or_default();
                let view = View::Hidden { comment: line.to_owned() };
                let step = Step { line: number, command, expect, view };
                return self.page.parts.push(Part::Step(step));
            }
        }
        self.keep(line);
    }

    fn expect(&mut self, number: usize) -> &mut Expect {
        &mut self.expect.get_or_insert_with(|| (number, Expect::default())).1
    }

    fn console(&mut self, number: usize, line: &str) -> Result<(), Reason> {
        let Place::Console(block) = &mut self.place else { return Ok(()) };
        let last = match self.page.parts.last_mut() {
            Some(Part::Step(step)) if 0 < block.commands => Some(step),
            _ => None,
        };
        if let Some(step) = last {
            if block.continued {
                step.command = format!("{}\n{line}", step.command);
                block.continued = line.ends_with('\\');
                return Ok(());
            }
            if line.trim_end() == "```" {
                self.place = Place::Prose;
                self.keep(line);
                return Ok(());
            }
            if let (false, View::Shown { output }) = (line.starts_with("$ "), &mut step.view) {
                output.push(line.to_owned());
                return Ok(());
            }
        }
        let command = line.strip_prefix("$ ").ok_or(Reason::NoPrompt)?;
        let single = block.expect.until.is_some() || block.expect.exit != 0;
        if single && 0 < block.commands {
            return Err(Reason::TwoCommands);
        }
        block.commands += 1;
        block.continued = command.ends_with('\\');
        let step = Step {
            line: number,
            command: command.to_owned(),
            expect: block.expect.clone(),
            view: View::Shown { output: Vec::new() },
        };
        self.page.parts.push(Part::Step(step));
        Ok(())
    }

    fn keep(&mut self, line: &str) {
        self.page.parts.push(Part::Line(line.to_owned()));
    }
}

#[cfg(test)]
mod tests;
