use super::*;

fn killed(place: &Place) -> bool {
    place.signals.kill.is_cancelled()
}

fn closed(place: &Place) -> bool {
    place.signals.close.is_cancelled()
}

fn opened(connections: &Arc<Connections>) -> Place {
    let place = connections.arrive();
    assert!(place.open());
    place
}

#[test]
fn one_handshake_too_many_ends_the_oldest() {
    let connections = Connections::new(2, 2);
    let places = [(); 3].map(|()| connections.arrive());
    assert_eq!([0, 1, 2].map(|nth| killed(&places[nth])), [true, false, false]);
    let [_, second, _] = places;
    drop(second);
    let fourth = connections.arrive();
    assert!(!killed(&fourth));
    assert_eq!(connections.stages().handshakes.len(), 2);
}

#[test]
fn whoever_is_past_the_handshake_counts_no_more_as_one() {
    let connections = Connections::new(1, 2);
    let place = opened(&connections);
    let next = connections.arrive();
    assert!(!killed(&place) && !killed(&next));
    connections.make_room();
    assert!(!killed(&place) && killed(&next));
}

#[tokio::test(start_paused = true)]
async fn the_one_that_never_asked_goes_first_then_the_longest_idle() {
    let connections = Connections::new(9, 3);
    let asked_early = opened(&connections);
    let asked_late = opened(&connections);
    for place in [&asked_early, &asked_late] {
        tokio::time::advance(Duration::from_secs(1)).await;
        drop(Busy::new(place.signals.clone()));
    }
    let silent = opened(&connections);
    let busy = opened(&connections);
    assert!(closed(&silent) && !closed(&asked_early) && !closed(&asked_late));
    let _request = Busy::new(busy.signals.clone());
    let _request = Busy::new(opened(&connections).signals.clone());
    assert!(closed(&asked_early) && !closed(&asked_late) && !closed(&busy));
    assert!([silent, asked_early, busy].iter().all(|place| !killed(place)));
}

#[test]
fn who_comes_when_all_are_busy_is_turned_away() {
    let connections = Connections::new(9, 1);
    let busy = opened(&connections);
    let request = Busy::new(busy.signals.clone());
    assert!(!connections.arrive().open());
    drop(request);
    assert!(connections.arrive().open());
    assert!(closed(&busy));
}

#[test]
fn those_that_are_told_to_close_and_do_not_are_ended() {
    let connections = Connections::new(9, 2);
    let places = [(); 5].map(|()| opened(&connections));
    assert_eq!(places.each_ref().map(closed), [true, true, true, false, false]);
    assert_eq!(places.each_ref().map(killed), [true, false, false, false, false]);
    drop(places);
    let stages = connections.stages();
    assert!(stages.handshakes.is_empty() && stages.open.is_empty() && stages.closing.is_empty());
}

#[tokio::test(start_paused = true)]
async fn idle_counts_from_the_end_of_the_last_request() {
    let signals = Arc::<Signals>::default();
    let started = Instant::now();
    let request = Busy::new(signals.clone());
    let idle = tokio::spawn({
        let signals = signals.clone();
        async move {
            signals.activity.idle_for(Duration::from_secs(90)).await;
            started.elapsed().as_secs()
        }
    });
    tokio::time::sleep(Duration::from_secs(100)).await;
    drop(request);
    assert_eq!(idle.await.unwrap(), 190);
}
