//! A run as lines, for logs: one for each thing that happens.

use std::io::{self, Write};
use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;

use crate::outcome::{Assertion, Phase};
use crate::phase::Event;
use crate::report::{Colour, phase_result, words};
use crate::timeline::{Entry, Observation};

/// The value moves with every poll; a move of less than this part of it is not worth a line. The
/// HPA ignores as much (its tolerance).
const SMALL_MOVE: f64 = 0.1;

/// Writes a line for each event until the run is over.
pub(crate) async fn watch(
    mut events: UnboundedReceiver<Event>,
    colour: Colour,
    out: &mut impl Write,
) -> io::Result<()> {
    let mut shown = Observation::default();
    while let Some(event) = events.recv().await {
        if let Event::Finished { .. } = event {
            break;
        }
        if let Event::Changed(entry) = &event {
            if !is_news(&shown, &entry.seen) {
                continue;
            }
            shown = entry.seen;
        }
        if let Some((at, text)) = line(event, colour) {
            let time = colour.faint(&format!("[{:>6}]", words::seconds(at)));
            writeln!(out, "{time} {text}")?;
            out.flush()?;
        }
    }
    Ok(())
}

fn is_news(shown: &Observation, seen: &Observation) -> bool {
    let moved = match (shown.value, seen.value) {
        (Some(old), Some(new)) => SMALL_MOVE * old.abs().max(new.abs()) < (new - old).abs(),
        (old, new) => old != new,
    };
    moved || (shown.desired, shown.ready) != (seen.desired, seen.ready)
}

/// When an event happened and what to say about it.
fn line(event: Event, colour: Colour) -> Option<(Duration, String)> {
    let line = match event {
        Event::PhaseBegan { phase, .. } => (phase.began, format!("{} …", phase.name)),
        Event::PhaseEnded { phase, .. } => return ended(&phase, colour),
        Event::Changed(Entry { at, seen }) => (at, words::state(&seen)),
        Event::Note { at, text } => (at, text),
        Event::Asserted(Assertion { at, name, result }) => {
            let mark = colour.mark(result.as_ref().map(drop).map_err(drop));
            let (Ok(seen) | Err(seen)) = result;
            (at, format!("{mark} {name}: {seen}"))
        }
        Event::Finished { .. } => return None,
    };
    Some(line)
}

fn ended(phase: &Phase, colour: Colour) -> Option<(Duration, String)> {
    let (at, end) = phase.end?;
    let text = match phase_result(end) {
        Ok(()) => format!("{}: done in {}", phase.name, words::took(phase)),
        Err(()) => format!("{} {}: {}", colour.mark(Err(())), phase.name, words::took(phase)),
    };
    Some((at, text))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::time::Duration;

    use tokio::time::sleep;

    use super::watch;
    use crate::phase::Recorder;
    use crate::report::Colour;
    use crate::timeline::Observation;

    #[tokio::test(start_paused = true)]
    async fn a_run_is_told_line_by_line() {
        let (recorder, events) = Recorder::new("walkthrough", "local");
        let control_plane = recorder.phase("control plane", async {
            recorder.note("kube-apiserver on 127.0.0.1:6443");
            sleep(Duration::from_millis(4_140)).await;
            Ok::<_, Infallible>(())
        });
        control_plane.await.expect("infallible");
        let scale_up = recorder.phase("scale up", async {
            for (value, desired) in [(0.0, 1), (24.0, 1), (24.5, 1), (25.0, 3), (25.1, 3)] {
                recorder.observe(Observation {
                    value: Some(value),
                    desired: Some(desired),
                    current: Some(1),
                    ready: Some(1),
                });
                sleep(Duration::from_secs(1)).await;
            }
            recorder.assertion("replicas reach 3", Ok("after 3s".into()))?;
            recorder.assertion("replicas stay at 3", Err("1 after 4s".into()))
        });
        scale_up.await.expect_err("an assertion said no");
        recorder.finish(&Ok(()), 1);
        let mut out = Vec::new();
        watch(events, Colour::Off, &mut out).await.expect("memory takes it");
        insta::assert_snapshot!(String::from_utf8(out).expect("text"));
    }
}
