use std::convert::Infallible;
use std::future::pending;
use std::time::Duration;

use anyhow::{Context, anyhow};
use tokio::time::{sleep, timeout};

use crate::outcome::{PhaseEnd, Verdict};
use crate::phase::{Event, Recorder};
use crate::timeline::Observation;

fn recorder() -> Recorder {
    Recorder::new("walkthrough", "local").0
}

#[tokio::test(start_paused = true)]
async fn a_phase_is_timed_and_hands_on_its_result() {
    let recorder = recorder();
    let work = async {
        sleep(Duration::from_secs(4)).await;
        Ok::<_, Infallible>("ready")
    };
    assert_eq!(recorder.phase("control plane", work).await, Ok("ready"));
    let failing = async { Err::<(), _>("refused") };
    assert_eq!(recorder.phase("deploy", failing).await, Err("refused"));

    let outcome = recorder.finish(&Ok(()), 1);
    let ends: Vec<_> = outcome.phases.iter().map(|phase| (phase.took(), phase.end)).collect();
    let four = Duration::from_secs(4);
    let expected = [
        (Some(four), Some((four, PhaseEnd::Done))),
        (Some(Duration::ZERO), Some((four, PhaseEnd::Failed))),
    ];
    assert_eq!(ends, expected);
}

#[tokio::test(start_paused = true)]
async fn after_a_timeout_the_phase_in_which_it_struck_has_a_name() {
    let recorder = recorder();
    let scenario = async {
        recorder.phase("control plane", async { Ok::<_, Infallible>(()) }).await?;
        recorder.phase("scale up", pending::<Result<(), Infallible>>()).await
    };
    let result = timeout(Duration::from_secs(30), scenario).await;
    assert!(result.is_err());
    assert_eq!(recorder.current_phase().as_deref(), Some("scale up"));

    let outcome = recorder.finish(&Err(anyhow!("no verdict within 30s")), 1);
    assert_eq!(outcome.verdict, Verdict::Errored);
    assert_eq!(outcome.failure.as_deref(), Some("no verdict within 30s (in phase scale up)"));
    let stopped = (Duration::from_secs(30), PhaseEnd::Stopped);
    assert_eq!(outcome.phases.last().and_then(|phase| phase.end), Some(stopped));
}

#[tokio::test]
async fn while_phases_overlap_the_one_going_on_is_named() {
    let recorder = recorder();
    let outer = recorder.phase("outer", async {
        recorder.phase("inner", async { Ok::<_, Infallible>(()) }).await?;
        assert_eq!(recorder.current_phase().as_deref(), Some("outer"));
        Ok::<_, Infallible>(())
    });
    assert_eq!(outer.await, Ok(()));
    assert_eq!(recorder.current_phase(), None);
}

#[tokio::test]
async fn an_assertion_that_says_no_fails_the_run_even_when_the_scenario_goes_on() {
    let recorder = recorder();
    assert!(recorder.assertion("replicas reach 3", Ok("3 after 4s".into())).is_ok());
    let refused = recorder.assertion("replicas stay at 3", Err("2 after 9s".into()));
    let failure = refused.expect_err("it says no");
    assert_eq!(failure.to_string(), "replicas stay at 3: 2 after 9s");

    let outcome = recorder.finish(&Ok(()), 1);
    assert_eq!((outcome.verdict, outcome.failure), (Verdict::Failed, None));
    assert_eq!(outcome.assertions.len(), 2);
}

#[tokio::test]
async fn an_assertion_handed_on_as_error_fails_and_another_error_cannot_decide() {
    let passed = recorder();
    assert_eq!(passed.finish(&Ok(()), 1).verdict, Verdict::Passed);

    let failed = recorder();
    let error = failed.assertion("it holds", Err("it does not".into()));
    let error = error.context("while the load lasts");
    assert_eq!(failed.finish(&error, 1).verdict, Verdict::Failed);

    let errored = recorder();
    let outcome = errored.finish(&Err(anyhow!("etcd is missing").context("no cluster")), 1);
    assert_eq!(outcome.verdict, Verdict::Errored);
    assert_eq!(outcome.failure.as_deref(), Some("no cluster: etcd is missing"));
}

#[tokio::test(start_paused = true)]
async fn only_changes_are_sent_and_kept() {
    let (recorder, mut events) = Recorder::new("walkthrough", "local");
    let one = Observation { desired: Some(1), ..Observation::default() };
    recorder.observe(one);
    recorder.observe(one);
    recorder.observe(Observation::default());
    sleep(Duration::from_secs(2)).await;
    recorder.clone().observe(Observation { desired: Some(3), ..Observation::default() });
    let outcome = recorder.finish(&Ok(()), 1);
    assert_eq!(outcome.timeline.desired_counts(), [1, 3]);

    let mut changes = Vec::new();
    while let Some(event) = events.recv().await {
        match event {
            Event::Changed(entry) => changes.push((entry.at.as_secs(), entry.seen.desired)),
            Event::Finished { at } => {
                assert_eq!(at, Duration::from_secs(2));
                break;
            }
            other => panic!("unexpected {other:?}"),
        }
    }
    assert_eq!(changes, [(0, Some(1)), (2, Some(3))]);
}

#[tokio::test]
async fn a_later_fact_of_the_same_name_replaces_the_first() {
    let recorder = recorder();
    recorder.fact("offered", "1 req/s");
    recorder.fact("nginx", "1.22.1");
    recorder.fact("offered", "25 req/s");
    let facts = recorder.finish(&Ok(()), 1).facts;
    let expected = [("offered", "25 req/s"), ("nginx", "1.22.1")];
    assert_eq!(facts, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
}
