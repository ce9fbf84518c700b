//! Candidates over a simulated kube-apiserver and a simulated clock.

use super::*;

mod exclusion;

const LEASE: Duration = Duration::from_secs(15);

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn wall(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

fn candidate(identity: &str, now: Instant) -> Election {
    let address = Some("10.0.0.1:5005".parse().unwrap());
    let name = ("datadog", "datadog-leader-election");
    Election::new(name, identity.to_owned(), address, Times::of(LEASE), now)
}

/// What kube-apiserver keeps.
#[derive(Debug, Default)]
struct Server {
    lease: Option<Lease>,
    version: u64,
}

#[derive(Debug, PartialEq)]
struct Conflict;

impl Server {
    fn store(&mut self, mut lease: Lease) -> Lease {
        self.version += 1;
        lease.metadata.resource_version = Some(self.version.to_string());
        self.lease = Some(lease.clone());
        lease
    }

    fn create(&mut self, lease: Lease) -> Result<Lease, Conflict> {
        if self.lease.is_some() { Err(Conflict) } else { Ok(self.store(lease)) }
    }

    fn replace(&mut self, lease: Lease) -> Result<Lease, Conflict> {
        let version = self.lease.as_ref().map(|lease| &lease.metadata.resource_version);
        if version == Some(&lease.metadata.resource_version) {
            Ok(self.store(lease))
        } else {
            Err(Conflict)
        }
    }

    fn holder(&self) -> Option<&str> {
        self.lease.as_ref().and_then(holder)
    }
}

/// Does one thing that is due, at once; whether there was one.
fn step(election: &mut Election, server: &mut Server, wall: Timestamp, now: Instant) -> bool {
    election.tick(now);
    let written = match election.next(wall, now) {
        Act::Rest(_) => return false,
        Act::Read => {
            election.read(server.lease.clone(), now);
            return true;
        }
        Act::Create(lease) => server.create(*lease),
        Act::Replace(lease) => server.replace(*lease),
    };
    match written {
        Ok(lease) => election.wrote(lease, now, now),
        Err(Conflict) => election.failed(now),
    }
    true
}

/// All that is due.
fn steps(election: &mut Election, server: &mut Server, wall: Timestamp, now: Instant) {
    while step(election, server, wall, now) {}
}

fn spec(server: &Server) -> &LeaseSpec {
    server.lease.as_ref().unwrap().spec.as_ref().unwrap()
}

#[test]
fn a_lease_that_is_not_there_is_created_and_renewed_after_a_quarter() {
    let now = Instant::now();
    let (mut a, mut server) = (candidate("a", now), Server::default());
    steps(&mut a, &mut server, wall(0), now);
    assert_eq!(a.permit(), Some(now + LEASE / 2));
    let lease = spec(&server);
    assert_eq!(lease.holder_identity.as_deref(), Some("a"));
    assert_eq!((lease.lease_transitions, lease.lease_duration_seconds), (Some(0), Some(15)));
    let view = a.view().unwrap();
    assert_eq!(view.name, "datadog/datadog-leader-election");
    assert_eq!(view.address, Some("10.0.0.1:5005".parse().unwrap()));
    assert_eq!((view.acquired, view.renewed), (Some(wall(0)), Some(wall(0))));
    let renewal = now + LEASE / 4;
    assert_eq!(a.next(wall(1), now + seconds(1)), Act::Rest(renewal));
    assert!(step(&mut a, &mut server, wall(4), renewal));
    assert_eq!(a.permit(), Some(renewal + LEASE / 2));
    let view = a.view().unwrap();
    assert_eq!((view.acquired, view.renewed), (Some(wall(0)), Some(wall(4))));
    assert_eq!(view.transitions, 0);
}

#[test]
fn a_fresh_lease_of_another_is_left_alone_and_looked_at_each_second() {
    let now = Instant::now();
    let mut server = Server::default();
    steps(&mut candidate("a", now), &mut server, wall(0), now);
    let mut b = candidate("b", now);
    steps(&mut b, &mut server, wall(0), now);
    assert_eq!(b.permit(), None);
    assert_eq!(b.view().unwrap().holder, "a");
    assert_eq!(b.next(wall(0), now), Act::Rest(now + seconds(1)));
    assert_eq!(b.next(wall(1), now + seconds(1)), Act::Read);
}

#[test]
fn a_lease_has_expired_when_we_saw_no_change_for_as_long_as_it_says() {
    // The other's clock is an hour off, in either direction: it does not count.
    for skew in [-3600, 0, 3600] {
        let now = Instant::now();
        let mut server = Server::default();
        steps(&mut candidate("a", now), &mut server, wall(skew), now);
        let seen = now + seconds(10);
        let mut b = candidate("b", seen);
        steps(&mut b, &mut server, wall(10), seen);
        for second in 11..25 {
            steps(&mut b, &mut server, wall(second), now + seconds(second.unsigned_abs()));
            assert_eq!(b.permit(), None, "after {second} s with a skew of {skew}");
        }
        let taken = seen + LEASE;
        steps(&mut b, &mut server, wall(25), taken);
        assert_eq!(b.permit(), Some(taken + LEASE / 2), "with a skew of {skew}");
        let view = b.view().unwrap();
        assert_eq!((view.holder.as_str(), view.transitions), ("b", 1));
        assert_eq!(view.acquired, Some(wall(25)));
    }
}

#[test]
fn a_lease_that_says_that_it_lasts_longer_is_waited_for() {
    let now = Instant::now();
    let mut server = Server::default();
    steps(&mut candidate("a", now), &mut server, wall(0), now);
    let lease = server.lease.as_mut().unwrap();
    lease.spec.as_mut().unwrap().lease_duration_seconds = Some(60);
    let mut b = candidate("b", now);
    steps(&mut b, &mut server, wall(0), now);
    steps(&mut b, &mut server, wall(59), now + seconds(59));
    assert_eq!(b.permit(), None);
    steps(&mut b, &mut server, wall(60), now + seconds(60));
    assert!(b.permit().is_some());
}

#[test]
fn who_comes_second_to_a_free_lease_reads_again() {
    let now = Instant::now();
    let mut server = Server::default();
    let (mut a, mut b) = (candidate("a", now), candidate("b", now));
    // Both read that there is none.
    assert!(step(&mut a, &mut server, wall(0), now) && step(&mut b, &mut server, wall(0), now));
    steps(&mut a, &mut server, wall(0), now);
    steps(&mut b, &mut server, wall(0), now);
    assert_eq!((a.permit().is_some(), b.permit()), (true, None));
    let again = now + LEASE / 16;
    assert_eq!(b.next(wall(0), now), Act::Rest(again));
    steps(&mut b, &mut server, wall(1), again);
    assert_eq!(b.view().unwrap().holder, "a");
}

#[test]
fn a_change_by_somebody_else_costs_the_leader_one_more_look() {
    let now = Instant::now();
    let (mut a, mut server) = (candidate("a", now), Server::default());
    steps(&mut a, &mut server, wall(0), now);
    let mut edited = server.lease.clone().unwrap();
    edited.metadata.labels = Some([("by".to_owned(), "hand".to_owned())].into());
    server.store(edited);
    let renewal = now + LEASE / 4;
    steps(&mut a, &mut server, wall(4), renewal);
    assert_eq!(a.permit(), Some(now + LEASE / 2), "still of the first renewal");
    let again = renewal + LEASE / 16;
    steps(&mut a, &mut server, wall(5), again);
    assert_eq!(a.permit(), Some(again + LEASE / 2));
    assert!(server.lease.unwrap().metadata.labels.unwrap().contains_key("by"), "it is kept");
}

#[test]
fn a_leader_whose_renewals_fail_stops_at_the_deadline_and_leads_again_when_they_work() {
    let now = Instant::now();
    let (mut a, mut server) = (candidate("a", now), Server::default());
    steps(&mut a, &mut server, wall(0), now);
    a.failed(now + LEASE / 4);
    a.tick(now + LEASE / 2 - Duration::from_millis(1));
    assert!(a.permit().is_some());
    assert_eq!(
        a.request_until(now + seconds(7)),
        now + LEASE / 2,
        "no request outlives the permit"
    );
    a.tick(now + LEASE / 2);
    assert_eq!(a.permit(), None);
    // Nobody else may have it yet.
    steps(&mut a, &mut server, wall(9), now + seconds(9));
    assert_eq!(a.permit(), Some(now + seconds(9) + LEASE / 2));
    assert_eq!(a.view().unwrap().transitions, 0, "it never changed hands");
    assert_eq!(a.view().unwrap().acquired, Some(wall(0)));
}

#[test]
fn an_answer_that_comes_after_the_deadline_is_no_permit() {
    let now = Instant::now();
    let (mut a, mut server) = (candidate("a", now), Server::default());
    assert!(step(&mut a, &mut server, wall(0), now));
    let Act::Create(lease) = a.next(wall(0), now) else { panic!("not created") };
    let lease = server.create(*lease).unwrap();
    // The process was paused while the request was under way.
    let woken = now + seconds(60);
    a.wrote(lease, now, woken);
    a.tick(woken);
    assert_eq!(a.permit(), None);
}

#[test]
fn a_paused_leader_finds_its_successor() {
    let now = Instant::now();
    let mut server = Server::default();
    let (mut a, mut b) = (candidate("a", now), candidate("b", now));
    steps(&mut a, &mut server, wall(0), now);
    steps(&mut b, &mut server, wall(0), now);
    steps(&mut b, &mut server, wall(15), now + LEASE);
    assert_eq!(server.holder(), Some("b"));
    let woken = now + seconds(20);
    steps(&mut a, &mut server, wall(20), woken);
    steps(&mut a, &mut server, wall(21), woken + seconds(1));
    assert_eq!(a.permit(), None);
    assert_eq!(a.view().unwrap().holder, "b");
}

#[test]
fn a_released_lease_is_free_at_once() {
    let now = Instant::now();
    let mut server = Server::default();
    let (mut a, mut b) = (candidate("a", now), candidate("b", now));
    steps(&mut a, &mut server, wall(0), now);
    steps(&mut b, &mut server, wall(0), now);
    let held = server.lease.clone().unwrap();
    assert_eq!(b.released(held.clone(), wall(1)), None, "it is not b's to give up");
    a.resign();
    assert_eq!(a.permit(), None);
    server.replace(a.released(held, wall(1)).unwrap()).unwrap();
    let lease = spec(&server);
    assert_eq!((&lease.holder_identity, lease.lease_duration_seconds), (&None, Some(1)));
    let annotations = server.lease.as_ref().unwrap().metadata.annotations.clone();
    assert_eq!(annotations, Some([].into()), "no address of nobody");
    steps(&mut b, &mut server, wall(1), now + seconds(1));
    assert!(b.permit().is_some());
    assert_eq!((spec(&server).lease_transitions, server.holder()), (Some(1), Some("b")));
}

#[test]
fn a_lease_that_was_deleted_is_still_its_holders_for_its_time() {
    let now = Instant::now();
    let mut server = Server::default();
    let (mut a, mut b) = (candidate("a", now), candidate("b", now));
    steps(&mut a, &mut server, wall(0), now);
    steps(&mut b, &mut server, wall(0), now);
    server.lease = None;
    steps(&mut b, &mut server, wall(1), now + seconds(1));
    assert_eq!((b.permit(), b.view()), (None, None));
    // The holder misses it at its next renewal and makes it anew.
    for second in [4, 5] {
        steps(&mut a, &mut server, wall(second), now + seconds(second.unsigned_abs()));
    }
    assert_eq!(server.holder(), Some("a"));
    server.lease = None;
    steps(&mut b, &mut server, wall(15), now + LEASE);
    assert_eq!(server.holder(), Some("b"));
}

#[test]
fn a_restarted_holder_goes_on() {
    let now = Instant::now();
    let mut server = Server::default();
    steps(&mut candidate("a", now), &mut server, wall(0), now);
    let mut again = candidate("a", now + seconds(2));
    steps(&mut again, &mut server, wall(2), now + seconds(2));
    assert!(again.permit().is_some());
    assert_eq!(again.view().unwrap().acquired, Some(wall(0)));
}

#[test]
fn a_lease_full_of_nonsense_is_read() {
    let now = Instant::now();
    let nonsense = |holder: &str, duration| {
        let spec = LeaseSpec {
            holder_identity: Some(holder.to_owned()),
            lease_duration_seconds: Some(duration),
            lease_transitions: Some(i32::MAX),
            ..LeaseSpec::default()
        };
        let mut lease = Lease { spec: Some(spec), ..Lease::default() };
        lease.metadata.resource_version = Some("7".to_owned());
        lease.metadata.annotations = Some([(ADDRESS.to_owned(), "nowhere".to_owned())].into());
        Server { lease: Some(lease), version: 7 }
    };
    for duration in [-5, 0] {
        let (mut a, mut server) = (candidate("a", now), nonsense("x", duration));
        steps(&mut a, &mut server, wall(0), now);
        assert_eq!((a.permit(), a.view().unwrap().address), (None, None));
        steps(&mut a, &mut server, wall(15), now + LEASE);
        assert!(a.permit().is_some(), "ours counts where it says none");
        assert_eq!(a.view().unwrap().transitions, i32::MAX);
    }
    let (mut a, mut server) = (candidate("a", now), nonsense("", i32::MAX));
    steps(&mut a, &mut server, wall(0), now);
    assert!(a.permit().is_some(), "an empty holder is none");
}

#[test]
fn times_fit_into_each_other() {
    for lease in [seconds(1), LEASE, seconds(60)] {
        let times = Times::of(lease);
        let two_requests = times.renew + times.request + times.again;
        assert!(two_requests < times.deadline && times.deadline < lease, "{times:?}");
    }
    assert_eq!(whole_seconds(Duration::from_millis(1500)), 2);
}
