use std::{convert::Infallible, future::pending};

use super::*;

const SECOND: Duration = Duration::from_secs(1);

type Seen = Result<Probe<u32>, String>;

/// Waits ten seconds, looking each second, while the looks go as in `script`; its last entry goes
/// on for ever. Also how many looks there were.
async fn wait_on(script: &[Seen]) -> (Result<u32, Timeout>, usize) {
    let mut looks = 0;
    let outcome = until("the script to end", 10 * SECOND, SECOND, async || {
        let seen = script[looks.min(script.len() - 1)].clone();
        looks += 1;
        seen
    })
    .await;
    (outcome, looks)
}

fn not_yet(state: &str) -> Probe<u32> {
    Probe::NotYet(state.to_owned())
}

#[tokio::test(start_paused = true)]
async fn a_condition_that_holds_at_once_costs_no_time() {
    let start = Instant::now();
    assert_eq!(wait_on(&[Ok(Probe::Ready(7))]).await, (Ok(7), 1));
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn looks_are_an_interval_apart_until_it_holds() {
    let start = Instant::now();
    let script = [Ok(not_yet("a")), Err("reset".to_owned()), Ok(not_yet("b")), Ok(Probe::Ready(7))];
    assert_eq!(wait_on(&script).await, (Ok(7), 4));
    assert_eq!(start.elapsed(), 3 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn at_the_deadline_the_error_tells_the_last_state_and_the_last_failed_read() {
    let start = Instant::now();
    let script =
        [Ok(not_yet("1 of 3 ready")), Ok(not_yet("2 of 3 ready")), Err("refused".to_owned())];
    let (outcome, looks) = wait_on(&script).await;
    assert_eq!(looks, 10);
    assert_eq!(start.elapsed(), 10 * SECOND);
    assert_eq!(
        outcome.unwrap_err().to_string(),
        "waited 10s for the script to end: 2 looks, and 8 that failed, lastly: refused; \
         last seen: 2 of 3 ready"
    );
}

#[tokio::test(start_paused = true)]
async fn failed_reads_alone_are_no_observation() {
    let (outcome, _) = wait_on(&[Err("refused".to_owned())]).await;
    let timeout = outcome.unwrap_err();
    assert_eq!((timeout.observations, timeout.last_seen), (0, None));
}

#[tokio::test(start_paused = true)]
async fn a_look_that_hangs_is_given_up_at_the_deadline() {
    let start = Instant::now();
    let mut looks = 0;
    let outcome = until("an answer", 3 * SECOND, SECOND, async || {
        looks += 1;
        if looks == 1 {
            return Ok::<_, Infallible>(Probe::<()>::NotYet("asked".to_owned()));
        }
        pending().await
    })
    .await;
    // A timer is as exact as a millisecond.
    assert_eq!(start.elapsed().as_millis() / 10, 300);
    assert_eq!(
        outcome.unwrap_err().to_string(),
        "waited 3s for an answer: 1 looks, and 1 that failed, lastly: no answer before the \
         deadline; last seen: asked"
    );
}
