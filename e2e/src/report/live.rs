//! A run on a terminal: a line for each phase, and one for the state of the scaling.

use std::collections::HashMap;
use std::io;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::interval;

use crate::outcome::Phase;
use crate::phase::Event;
use crate::report::{Colour, phase_result, words};

/// How often a spinner moves.
const TICK: Duration = Duration::from_millis(100);

/// Redraws until the run is over, then leaves the screen to the report; notes stay above it.
pub(crate) async fn watch(
    mut events: UnboundedReceiver<Event>,
    colour: Colour,
    target: ProgressDrawTarget,
) -> io::Result<()> {
    let mut screen = Screen::new(colour, target);
    // Not indicatif's steady tick: its threads could draw once more after the screen is cleared.
    let mut tick = interval(TICK);
    loop {
        tokio::select! {
            _now = tick.tick() => screen.tick(),
            event = events.recv() => match event {
                None | Some(Event::Finished { .. }) => break,
                Some(event) => screen.show(event)?,
            },
        }
    }
    screen.clear()
}

struct Screen {
    colour: Colour,
    lines: MultiProgress,
    /// Ended ones too: a line that nobody holds any more is lost at the next redraw.
    phases: HashMap<usize, ProgressBar>,
    /// Always the last line.
    state: ProgressBar,
}

impl Screen {
    fn new(colour: Colour, target: ProgressDrawTarget) -> Screen {
        let lines = MultiProgress::with_draw_target(target);
        let state = lines.add(ProgressBar::new_spinner().with_style(message_only()));
        Screen { colour, lines, phases: HashMap::new(), state }
    }

    fn show(&mut self, event: Event) -> io::Result<()> {
        match event {
            Event::PhaseBegan { id, phase } => self.began(id, phase),
            Event::PhaseEnded { id, phase } => self.ended(id, &phase),
            Event::Changed(entry) => {
                self.state.set_message(format!("\n  {}", words::state(&entry.seen)));
            }
            Event::Note { text, .. } => self.lines.println(self.colour.faint(&text))?,
            // Good news waits for the report.
            Event::Asserted(assertion) => {
                if let Err(seen) = assertion.result {
                    let mark = self.colour.mark(Err(()));
                    self.lines.println(format!("{mark} {}: {seen}", assertion.name))?;
                }
            }
            Event::Finished { .. } => {}
        }
        Ok(())
    }

    fn began(&mut self, id: usize, phase: Phase) {
        let line = ProgressBar::new_spinner().with_style(spinning()).with_prefix(phase.name);
        let line = self.lines.insert_before(&self.state, line);
        line.tick();
        self.phases.insert(id, line);
    }

    fn ended(&mut self, id: usize, phase: &Phase) {
        let (Some(line), Some((_, end))) = (self.phases.get(&id), phase.end) else { return };
        let mark = self.colour.mark(phase_result(end));
        line.set_style(message_only());
        line.finish_with_message(format!("{mark} {:24} {}", phase.name, words::took(phase)));
    }

    fn tick(&self) {
        self.phases.values().filter(|line| !line.is_finished()).for_each(ProgressBar::tick);
    }

    fn clear(self) -> io::Result<()> {
        self.lines.clear()?;
        self.lines.set_draw_target(ProgressDrawTarget::hidden()); // dropping a line draws, too
        Ok(())
    }
}

/// `⠙ scale up                 2.3s`
fn spinning() -> ProgressStyle {
    let took = |state: &ProgressState, text: &mut dyn std::fmt::Write| {
        let _only_fails_if_text_does = text.write_str(&words::seconds(state.elapsed()));
    };
    style("{spinner} {prefix:24} {took}").with_key("took", took)
}

fn message_only() -> ProgressStyle {
    style("{msg}")
}

fn style(template: &str) -> ProgressStyle {
    // A template that does not parse would be a mistake in this file; the tests would show it.
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}

#[cfg(test)]
mod tests {
    use indicatif::{InMemoryTerm, ProgressDrawTarget};
    use tokio::sync::mpsc::UnboundedReceiver;

    use super::{Screen, watch};
    use crate::phase::{Event, Recorder};
    use crate::report::Colour;
    use crate::timeline::Observation;

    fn terminal() -> (InMemoryTerm, ProgressDrawTarget) {
        let terminal = InMemoryTerm::new(20, 80);
        let target = ProgressDrawTarget::term_like(Box::new(terminal.clone()));
        (terminal, target)
    }

    async fn events_of_a_run() -> (Recorder, UnboundedReceiver<Event>) {
        let (recorder, events) = Recorder::new("walkthrough", "local");
        recorder.note("kube-apiserver on 127.0.0.1:6443");
        recorder.phase("control plane", async { Ok::<_, ()>(()) }).await.expect("it is ready");
        recorder.phase("deploy", async { Err::<(), ()>(()) }).await.expect_err("it fails");
        recorder.assertion("replicas reach 3", Err("1 after 30s".into())).expect_err("it says no");
        let (value, desired, ready) = (Some(25.3), Some(3), Some(1));
        recorder.observe(Observation { value, desired, ready, current: Some(1) });
        (recorder, events)
    }

    #[tokio::test(start_paused = true)]
    async fn the_screen_shows_phases_and_below_them_the_state() {
        let (terminal, target) = terminal();
        let (_recorder, mut events) = events_of_a_run().await;
        let mut screen = Screen::new(Colour::Off, target);
        while let Ok(event) = events.try_recv() {
            screen.show(event).expect("memory takes it");
        }
        screen.state.force_draw();
        insta::assert_snapshot!(terminal.contents(), @r"
        kube-apiserver on 127.0.0.1:6443
        ✗ replicas reach 3: 1 after 30s
        ✓ control plane            0.0s
        ✗ deploy                   failed after 0.0s

          value 25.3 → desired 3 → ready 1
        ");
    }

    #[tokio::test(start_paused = true)]
    async fn at_the_end_only_what_the_report_needs_not_repeat_is_left() {
        let (terminal, target) = terminal();
        let (recorder, events) = events_of_a_run().await;
        recorder.finish(&Ok(()), 1);
        watch(events, Colour::Off, target).await.expect("memory takes it");
        insta::assert_snapshot!(terminal.contents(), @r"
        kube-apiserver on 127.0.0.1:6443
        ✗ replicas reach 3: 1 after 30s
        ");
    }
}
