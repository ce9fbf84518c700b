//! Colour on a terminal, and nowhere else.

use std::{fmt::Display, io::IsTerminal};

use clap::builder::styling::{AnsiColor, Style};

/// How text for people is painted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paint {
    /// Not at all.
    Plain,
    /// With ANSI colours.
    Colour,
}

impl Paint {
    /// Colour where standard output is a terminal that has some and nobody said otherwise
    /// (<https://no-color.org>).
    pub fn of_stdout() -> Self {
        let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let dumb = variable("TERM").is_none_or(|term| term == "dumb");
        if std::io::stdout().is_terminal() && !dumb && variable("NO_COLOR").is_none() {
            Self::Colour
        } else {
            Self::Plain
        }
    }

    /// Something good.
    pub fn good(self, text: impl Display) -> String {
        self.with(Style::new().fg_color(Some(AnsiColor::Green.into())), text)
    }

    /// Something bad.
    pub fn bad(self, text: impl Display) -> String {
        self.with(Style::new().fg_color(Some(AnsiColor::Red.into())), text)
    }

    /// Something doubtful.
    pub fn doubtful(self, text: impl Display) -> String {
        self.with(Style::new().fg_color(Some(AnsiColor::Yellow.into())), text)
    }

    /// A heading with a rule of `sign` below it, both after `indent`.
    pub fn heading(self, indent: &str, text: &str, sign: &str) -> String {
        let rule = sign.repeat(text.chars().count());
        format!("{indent}{}\n{indent}{rule}\n", self.with(Style::new().bold(), text))
    }

    fn with(self, style: Style, text: impl Display) -> String {
        match self {
            Self::Plain => text.to_string(),
            Self::Colour => format!("{style}{text}{style:#}"),
        }
    }
}
