//! The last lines of the log, kept for a flare.

use std::{
    collections::VecDeque,
    io,
    sync::{Arc, Mutex, PoisonError},
};

use tracing_subscriber::fmt::MakeWriter;

/// Most bytes that are kept.
const MOST_BYTES: usize = 1 << 20;

/// The last lines, up to a mebibyte; clones share them.
#[derive(Debug, Clone, Default)]
pub struct Recent(Arc<Mutex<Lines>>);

#[derive(Debug, Default)]
struct Lines {
    lines: VecDeque<Box<str>>,
    bytes: usize,
}

impl Recent {
    /// All lines that are kept, the oldest first.
    pub fn text(&self) -> String {
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.lines.iter().map(|line| &**line).collect()
    }

    fn push(&self, line: &str) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.bytes += line.len();
        lines.lines.push_back(line.into());
        while MOST_BYTES < lines.bytes {
            let Some(oldest) = lines.lines.pop_front() else { break };
            lines.bytes -= oldest.len();
        }
    }
}

impl<'a> MakeWriter<'a> for Recent {
    type Writer = Writer<'a>;

    fn make_writer(&'a self) -> Writer<'a> {
        Writer(self)
    }
}

/// The layer writes each line at once.
#[derive(Debug)]
pub struct Writer<'a>(&'a Recent);

impl io::Write for Writer<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.push(&String::from_utf8_lossy(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_lines_go_first() {
        let recent = Recent::default();
        for n in 0..3 {
            recent.push(&format!("{n}{}\n", "x".repeat(MOST_BYTES / 2 - 10)));
        }
        let text = recent.text();
        assert!(text.starts_with('1') && text.contains("\n2") && text.len() <= MOST_BYTES);
        recent.push(&"y".repeat(MOST_BYTES + 1));
        assert_eq!(recent.text(), "");
    }

    #[test]
    fn a_line_of_the_log_is_kept() {
        use tracing_subscriber::layer::SubscriberExt;
        let recent = Recent::default();
        let layer = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(recent.clone());
        let subscriber = tracing_subscriber::registry().with(layer);
        tracing::subscriber::with_default(subscriber, || tracing::info!(n = 1, "something"));
        assert!(recent.text().ends_with("something n=1\n"), "{}", recent.text());
    }
}
