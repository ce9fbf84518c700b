//! Lines to the caller's report, progress bars to a terminal, without one tearing the other.

use std::{borrow::Cow, time::Duration};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::assets::Report;

pub(crate) struct Ui<'a> {
    report: Report<'a>,
    bars: MultiProgress,
}

impl<'a> Ui<'a> {
    pub(crate) fn new(report: Report<'a>, bars: bool) -> Self {
        // indicatif itself draws nothing where standard error is no terminal.
        let target = if bars { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        Self { report, bars: MultiProgress::with_draw_target(target) }
    }

    /// One step, one line.
    pub(crate) fn line(&self, text: &str) {
        self.bars.suspend(|| (self.report)(text));
    }

    /// A bar over `length` bytes; without a length it only counts. Gone when finished or dropped.
    pub(crate) fn bytes(&self, name: impl Into<Cow<'static, str>>, length: Option<u64>) -> Bar {
        let template = match length {
            Some(_) => {
                "  {prefix:24} [{bar:30}] {decimal_bytes:>9} of {decimal_total_bytes:9} {eta}"
            }
            None => "  {prefix:24} {spinner} {decimal_bytes}",
        };
        let bar = length.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
        self.add(bar, template, name)
    }

    /// A line that shows the time spent and the last message.
    pub(crate) fn spinner(&self, name: impl Into<Cow<'static, str>>) -> Bar {
        let template = "  {prefix:24} {spinner} {elapsed:4} {wide_msg}";
        let bar = self.add(ProgressBar::new_spinner(), template, name);
        bar.0.enable_steady_tick(Duration::from_millis(200));
        bar
    }

    fn add(&self, bar: ProgressBar, template: &str, name: impl Into<Cow<'static, str>>) -> Bar {
        let style = ProgressStyle::with_template(template);
        let bar = self.bars.add(bar.with_prefix(name));
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Bar(bar)
    }
}

/// A progress bar that leaves the screen however its owner ends.
pub(crate) struct Bar(ProgressBar);

impl Bar {
    pub(crate) fn advance(&self, bytes: u64) {
        self.0.inc(bytes);
    }

    pub(crate) fn message(&self, text: &str) {
        self.0.set_message(text.to_owned());
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
