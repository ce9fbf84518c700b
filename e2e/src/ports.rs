//! Free ports on loopback for programs that cannot be told to take any port and say which.

use std::{
    collections::HashSet,
    fs,
    io::ErrorKind,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    ops::RangeInclusive,
};

/// Below it are ports that services are known by.
const LOWEST: u16 = 10_000;
/// What Linux has by default (ip(7), `ip_local_port_range`).
const USUAL_EPHEMERAL: RangeInclusive<u16> = 32_768..=60_999;
/// A machine on which this many ports in a row are taken has another problem.
const TRIES: u32 = 500;

/// Why there is no port.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Binding failed for another reason than that the port is taken.
    #[error("cannot listen on {address}")]
    Bind {
        /// The address on loopback.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// Every try met a port in use.
    #[error("no free port on 127.0.0.1 in {tries} tries: end what listens there, see `ss -ltn`")]
    NoneFree {
        /// How many ports were tried.
        tries: u32,
    },
}

/// Chooses ports at random, so that runs beside each other seldom meet, and outside of the range
/// from which the system takes the local ports of connections: a port that was released for a
/// program cannot become the source port of somebody's connection before the program listens.
#[derive(Debug)]
pub struct Ports {
    choices: Choices,
    ephemeral: RangeInclusive<u16>,
    given: HashSet<u16>,
}

impl Ports {
    /// The same `seed` leads to the same choices as far as those ports are free.
    pub fn new(seed: u64) -> Self {
        let ephemeral = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range")
            .ok()
            .and_then(|text| parse_range(&text))
            .unwrap_or(USUAL_EPHEMERAL);
        Self { choices: Choices(seed), ephemeral, given: HashSet::new() }
    }

    /// Reserves a port that this object has not given before.
    pub fn reserve(&mut self) -> Result<Reservation, Error> {
        for _ in 0..TRIES {
            let port = self.choices.port();
            if self.is_ephemeral(port) || !self.given.insert(port) {
                continue;
            }
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
            match TcpListener::bind(address) {
                Ok(listener) => return Ok(Reservation { listener, port }),
                Err(error) if error.kind() == ErrorKind::AddrInUse => {}
                Err(source) => return Err(Error::Bind { address, source }),
            }
        }
        Err(Error::NoneFree { tries: TRIES })
    }

    /// A range that covers nearly everything leaves too little to choose from.
    fn is_ephemeral(&self, port: u16) -> bool {
        let everything = *self.ephemeral.start() <= LOWEST + 1000 && *self.ephemeral.end() > 64_000;
        !everything && self.ephemeral.contains(&port)
    }
}

/// A port that nobody else can take as long as this lives.
#[derive(Debug)]
pub struct Reservation {
    listener: TcpListener,
    port: u16,
}

impl Reservation {
    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The port on 127.0.0.1.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    /// Frees the port for a program that is started right after.
    pub fn release(self) -> u16 {
        drop(self.listener);
        self.port
    }
}

fn parse_range(text: &str) -> Option<RangeInclusive<u16>> {
    let mut numbers = text.split_ascii_whitespace().map(str::parse);
    Some(numbers.next()?.ok()?..=numbers.next()?.ok()?)
}

/// `SplitMix64` (Steele, Lea, Flood 2014): enough for ports, repeatable, and no dependency.
#[derive(Debug)]
struct Choices(u64);

impl Choices {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    fn port(&mut self) -> u16 {
        let choice = self.next() % u64::from(u16::MAX - LOWEST + 1);
        LOWEST + u16::try_from(choice).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_distinct_and_outside_of_the_ephemeral_range() {
        let mut ports = Ports::new(1);
        let reserved: Vec<_> = (0..100).map(|_| ports.reserve().unwrap()).collect();
        let distinct: HashSet<_> = reserved.iter().map(Reservation::port).collect();
        assert_eq!(distinct.len(), 100);
        for port in distinct {
            assert!(port >= LOWEST && !ports.is_ephemeral(port), "{port}");
        }
    }

    #[test]
    fn a_reserved_port_is_taken_until_it_is_released() {
        let reservation = Ports::new(2).reserve().unwrap();
        let address = reservation.address();
        assert_eq!(TcpListener::bind(address).unwrap_err().kind(), ErrorKind::AddrInUse);
        assert_eq!(reservation.release(), address.port());
        TcpListener::bind(address).unwrap();
    }

    #[test]
    fn a_taken_port_is_passed_over() {
        let first = Ports::new(3).reserve().unwrap();
        let second = Ports::new(3).reserve().unwrap();
        assert_ne!(first.port(), second.port());
    }

    #[test]
    fn the_range_of_the_system_is_two_numbers() {
        assert_eq!(parse_range("32768\t60999\n"), Some(32_768..=60_999));
        assert_eq!(parse_range("32768"), None);
        assert_eq!(parse_range("1 70000"), None);
    }

    #[test]
    fn a_range_that_covers_everything_is_not_avoided() {
        let ports = Ports { choices: Choices(0), ephemeral: 1024..=65_535, given: HashSet::new() };
        assert!(!ports.is_ephemeral(30_000));
    }
}
