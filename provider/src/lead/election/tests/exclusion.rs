//! Never two permits at a time, whatever the network and the scheduler do.

use proptest::prelude::*;

use super::*;

/// From one look at the simulated world to the next.
const TICK: Duration = Duration::from_millis(50);

/// What becomes of a candidate's next request.
#[derive(Debug, Clone, Copy)]
struct Fate {
    /// Ticks until it arrives at kube-apiserver; `None`: never.
    arrives: Option<u32>,
    /// Whether its answer comes back.
    answered: bool,
    /// Ticks for which the candidate's process stands still after it was sent.
    paused: u32,
}

const GOOD: Fate = Fate { arrives: Some(1), answered: true, paused: 0 };

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        8 => Just(GOOD),
        3 => (0_u32..60).prop_map(|ticks| Fate { arrives: Some(ticks), ..GOOD }),
        2 => Just(Fate { arrives: None, ..GOOD }),
        2 => (0_u32..600).prop_map(|ticks| Fate { arrives: Some(ticks), answered: false, paused: 0 }),
        1 => (0_u32..900).prop_map(|ticks| Fate { paused: ticks, ..GOOD }),
    ]
}

type Reply = Result<Option<Lease>, Conflict>;

struct Waiting {
    number: usize,
    is_read: bool,
    sent: Instant,
    until: Instant,
    reply: Option<Reply>,
}

struct Replica {
    election: Election,
    fates: std::vec::IntoIter<Fate>,
    waiting: Option<Waiting>,
    paused_until: Instant,
    /// Its clock is so many seconds off.
    skew: i64,
}

#[derive(Default)]
struct Network {
    server: Server,
    /// When which request of whom arrives, and whether it is answered.
    under_way: Vec<(Instant, usize, usize, bool, Act)>,
    sent: usize,
}

impl Network {
    fn deliver(&mut self, replicas: &mut [Replica], now: Instant) {
        for (at, from, number, answered, act) in std::mem::take(&mut self.under_way) {
            if now < at {
                self.under_way.push((at, from, number, answered, act));
                continue;
            }
            let reply = match act {
                Act::Create(lease) => self.server.create(*lease).map(Some),
                Act::Replace(lease) => self.server.replace(*lease).map(Some),
                Act::Read | Act::Rest(_) => Ok(self.server.lease.clone()),
            };
            let waiting = replicas[from].waiting.as_mut().filter(|it| it.number == number);
            if let Some(waiting) = waiting.filter(|_| answered) {
                waiting.reply = Some(reply);
            }
        }
    }
}

impl Replica {
    fn run(&mut self, own: usize, network: &mut Network, second: i64, now: Instant) {
        if now < self.paused_until {
            return;
        }
        let is_over = |it: &mut Waiting| it.reply.is_some() || it.until <= now;
        if let Some(Waiting { is_read, sent, reply, .. }) = self.waiting.take_if(is_over) {
            match reply {
                Some(Ok(lease)) if is_read => self.election.read(lease, now),
                Some(Ok(Some(lease))) => self.election.wrote(lease, sent, now),
                _ => self.election.failed(now),
            }
        }
        self.election.tick(now);
        if self.waiting.is_some() {
            return;
        }
        let act = self.election.next(wall(second + self.skew), now);
        if matches!(act, Act::Rest(_)) {
            return;
        }
        let fate = self.fates.next().unwrap_or(GOOD);
        network.sent += 1;
        self.waiting = Some(Waiting {
            number: network.sent,
            is_read: act == Act::Read,
            sent: now,
            until: self.election.request_until(now),
            reply: None,
        });
        self.paused_until = now + TICK * fate.paused;
        if let Some(ticks) = fate.arrives {
            network.under_way.push((now + TICK * ticks, own, network.sent, fate.answered, act));
        }
    }
}

proptest! {
    #[test]
    fn at_most_one_may_ask_and_in_the_end_one_does(
        fates in proptest::collection::vec(proptest::collection::vec(fate(), 0..80), 3),
        skews in proptest::collection::vec(-5000_i64..5000, 3),
    ) {
        let start = Instant::now();
        let mut network = Network::default();
        let mut replicas: Vec<Replica> = fates
            .into_iter()
            .zip(skews)
            .zip(["a", "b", "c"])
            .map(|((fates, skew), name)| Replica {
                election: candidate(name, start),
                fates: fates.into_iter(),
                waiting: None,
                paused_until: start,
                skew,
            })
            .collect();
        let mut settled = 0;
        for tick in 0..200_000_u32 {
            let now = start + TICK * tick;
            network.deliver(&mut replicas, now);
            for (own, replica) in replicas.iter_mut().enumerate() {
                replica.run(own, &mut network, i64::from(tick / 20), now);
            }
            let may = |replica: &&Replica| replica.election.permit().is_some_and(|until| now < until);
            let leaders = replicas.iter().filter(may).count();
            prop_assert!(leaders <= 1, "{leaders} leaders after {:?}", TICK * tick);
            // When nothing goes wrong any more, one leads soon, and all the while.
            let calm = replicas.iter().all(|it| it.fates.len() == 0 && it.paused_until <= now);
            settled = if calm { settled + 1 } else { 0 };
            prop_assert!(settled < 1000 || leaders == 1);
            if settled == 2000 {
                return Ok(());
            }
        }
        prop_assert!(false, "it never settled");
    }
}
