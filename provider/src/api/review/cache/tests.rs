use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use tokio::{sync::oneshot, time::advance};

use super::*;

const LIFE: Life = Life {
    refresh: Duration::from_secs(30),
    fresh: Duration::from_secs(60),
    hold: Duration::from_secs(300),
};

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn failure() -> Failure {
    Failure::Refused("no".to_owned())
}

/// The step for an answer of this age, and since when renewing fails.
fn at(age: u64, failed: Option<u64>) -> Step {
    step(Some((LIFE, seconds(age))), failed.map(seconds))
}

#[test]
fn an_answer_is_used_renewed_held_and_forgotten() {
    let hit = |renew| Step::Use { renew, found: Found::Hit };
    let held = |renew| Step::Use { renew, found: Found::Held };
    assert_eq!(step(None, None), Step::Ask { or_hold: false });
    assert_eq!(step(None, Some(seconds(0))), Step::Ask { or_hold: false });
    assert_eq!(at(0, None), hit(false));
    assert_eq!(at(29, None), hit(false));
    assert_eq!(at(30, None), hit(true));
    assert_eq!(at(59, None), hit(true));
    assert_eq!(at(59, Some(4)), hit(false), "not at each request while it fails");
    assert_eq!(at(59, Some(5)), hit(true));
    assert_eq!(at(60, None), Step::Ask { or_hold: true });
    assert_eq!(at(60, Some(4)), held(false));
    assert_eq!(at(299, Some(5)), held(true));
    assert_eq!(at(300, None), Step::Ask { or_hold: false });
    assert_eq!(at(300, Some(1)), Step::Ask { or_hold: false });
}

struct Fixture {
    cache: Arc<Cache<&'static str, u32>>,
    asked: Arc<AtomicU32>,
}

fn fixture() -> Fixture {
    Fixture { cache: Arc::new(Cache::new(100, |_| 1)), asked: Arc::default() }
}

impl Fixture {
    async fn find(&self, answer: Result<u32, Failure>) -> Result<(u32, Found), Failure> {
        let ask = || {
            self.asked.fetch_add(1, Relaxed);
            std::future::ready(answer)
        };
        self.cache.find(&"key", |_| LIFE, ask).await
    }

    fn asked(&self) -> u32 {
        self.asked.swap(0, Relaxed)
    }
}

/// Lets the tasks run that are ready.
async fn settle() {
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn who_asks_every_fifteen_seconds_never_waits_and_costs_a_question_a_half_minute() {
    let fixture = fixture();
    assert_eq!(fixture.find(Ok(1)).await, Ok((1, Found::Miss)));
    for _ in 0..40 {
        advance(seconds(15)).await;
        assert_eq!(fixture.find(Ok(1)).await, Ok((1, Found::Hit)));
        settle().await;
    }
    assert_eq!(fixture.asked(), 1 + 20, "in ten minutes");
}

#[tokio::test(start_paused = true)]
async fn a_renewed_answer_replaces_the_old_one_at_once() {
    let fixture = fixture();
    fixture.find(Ok(1)).await.unwrap();
    advance(seconds(31)).await;
    assert_eq!(fixture.find(Ok(2)).await, Ok((1, Found::Hit)));
    settle().await;
    assert_eq!(fixture.find(Ok(3)).await, Ok((2, Found::Hit)));
}

#[tokio::test(start_paused = true)]
async fn an_old_answer_holds_while_asking_fails_and_no_longer_than_it_may() {
    let fixture = fixture();
    fixture.find(Ok(1)).await.unwrap();
    advance(seconds(100)).await;
    assert_eq!(fixture.find(Err(failure())).await, Ok((1, Found::Held)));
    advance(seconds(199)).await;
    assert_eq!(fixture.find(Err(failure())).await, Ok((1, Found::Held)));
    settle().await;
    advance(seconds(1)).await;
    assert_eq!(fixture.find(Err(failure())).await, Err(failure()));
    assert_eq!(fixture.find(Ok(2)).await, Ok((2, Found::Miss)));
}

#[tokio::test(start_paused = true)]
async fn an_error_is_not_remembered() {
    let fixture = fixture();
    assert_eq!(fixture.find(Err(failure())).await, Err(failure()));
    assert_eq!(fixture.find(Ok(2)).await, Ok((2, Found::Miss)));
    assert_eq!(fixture.asked(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_slow_question_holds_up_one_client_for_a_second_where_there_is_an_old_answer() {
    let fixture = fixture();
    fixture.find(Ok(1)).await.unwrap();
    advance(seconds(100)).await;
    let (answer, answered) = oneshot::channel::<u32>();
    let started = Instant::now();
    let slow = || async { answered.await.map_err(|_| failure()) };
    let found = fixture.cache.find(&"key", |_| LIFE, slow).await;
    assert_eq!((found, started.elapsed().as_secs()), (Ok((1, Found::Held)), PATIENCE.as_secs()));
    fixture.asked();
    for _ in 0..3 {
        assert_eq!(fixture.find(Ok(3)).await, Ok((1, Found::Held)));
    }
    assert_eq!((fixture.asked(), started.elapsed().as_secs()), (0, 1), "the first is under way");
    answer.send(2).unwrap();
    settle().await;
    // It counts from when it was asked for.
    assert_eq!(fixture.find(Ok(3)).await, Ok((2, Found::Hit)));
}

#[tokio::test(start_paused = true)]
async fn many_at_once_are_one_question_and_one_who_leaves_takes_nothing_along() {
    let fixture = fixture();
    let (answer, answered) = oneshot::channel::<u32>();
    let first = tokio::spawn({
        let cache = fixture.cache.clone();
        async move {
            let ask = || async { answered.await.map_err(|_| failure()) };
            cache.find(&"key", |_| LIFE, ask).await
        }
    });
    settle().await;
    let others: Vec<_> = (0..50)
        .map(|_| {
            let cache = fixture.cache.clone();
            let asked = fixture.asked.clone();
            tokio::spawn(async move {
                let ask = || {
                    asked.fetch_add(1, Relaxed);
                    std::future::ready(Ok(9))
                };
                cache.find(&"key", |_| LIFE, ask).await
            })
        })
        .collect();
    settle().await;
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    answer.send(7).unwrap();
    for other in others {
        assert_eq!(other.await.unwrap(), Ok((7, Found::Miss)));
    }
    assert_eq!(fixture.asked(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_question_that_breaks_is_asked_anew() {
    let fixture = fixture();
    let broken = || async { panic!("a bug") };
    let found = fixture.cache.find(&"key", |_: &u32| LIFE, broken).await;
    assert_eq!(found, Err(Failure::Dropped));
    assert_eq!(fixture.find(Ok(2)).await, Ok((2, Found::Miss)));
}

#[tokio::test(start_paused = true)]
async fn it_is_bounded_and_keeps_what_is_asked_often() {
    let cache = Cache::<u32, u32>::new(100, |_| 1);
    let (mut often, mut missed) = (0, 0);
    for key in 1_000..6_000 {
        cache.find(&key, |_| LIFE, || async { Ok(0) }).await.unwrap();
        if key % 50 == 0 {
            for key in 0..10 {
                let (_, found) = cache.find(&key, |_| LIFE, || async { Ok(0) }).await.unwrap();
                often += 1;
                missed += u32::from(found == Found::Miss);
            }
        }
    }
    assert!(cache.len().await <= 100);
    assert!(missed * 2 < often, "{missed} of {often}");
}
