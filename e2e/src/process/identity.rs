//! Which process is meant: a process id alone is not enough, the system uses it again.
//!
//! Facts from `/proc/PID/stat` (proc(5)); signals go through a pidfd (`pidfd_open(2)`, Linux
//! 5.3), so that none can reach a process that got the id in between.

use std::{fmt, fs, io, str::FromStr};

use rustix::{
    io::Errno,
    process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal},
};
use serde::{Deserialize, Serialize};

/// One process for ever: its id and when it was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Identity {
    pid: i32,
    /// In clock ticks since the machine was started.
    started: u64,
}

impl Identity {
    /// The process that has this id now, if any.
    pub fn of(pid: i32) -> Option<Self> {
        Stat::of(pid).map(|stat| Self { pid, started: stat.started })
    }

    /// As [`Identity::of`], for the id type of `std::process::Child`.
    pub(crate) fn of_child(pid: u32) -> Option<Self> {
        i32::try_from(pid).ok().and_then(Self::of)
    }

    /// The process id.
    pub fn pid(self) -> i32 {
        self.pid
    }

    /// Whether it still runs. A zombie does not: it only waits for its parent to notice.
    pub fn is_alive(self) -> bool {
        Stat::of(self.pid).is_some_and(|stat| stat.started == self.started && stat.runs())
    }

    /// Whether it is there and SIGSTOP holds it.
    pub(crate) fn is_stopped(self) -> bool {
        Stat::of(self.pid).is_some_and(|stat| stat.started == self.started && stat.state == 'T')
    }

    /// Sends `signal` to exactly this process; `false` when it does not run any more.
    pub fn signal(self, signal: Signal) -> io::Result<bool> {
        let Some(pid) = Pid::from_raw(self.pid) else { return Ok(false) };
        let result = pidfd_open(pid, PidfdFlags::empty()).and_then(|process| {
            // Asked after opening: from here on the descriptor stands for one process only.
            if self.is_alive() { pidfd_send_signal(process, signal) } else { Err(Errno::SRCH) }
        });
        match result {
            Ok(()) => Ok(true),
            Err(Errno::SRCH) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

/// `PID-START`, for names.
impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.pid, self.started)
    }
}

impl FromStr for Identity {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (pid, started) = text.split_once('-').ok_or(())?;
        Ok(Self { pid: pid.parse().map_err(drop)?, started: started.parse().map_err(drop)? })
    }
}

/// The processes of a group that run (no zombies), in no order.
pub fn group_members(group: i32) -> io::Result<Vec<Identity>> {
    let mut members = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        if let Some(stat) = Stat::of(pid).filter(|stat| stat.group == group && stat.runs()) {
            members.push(Identity { pid, started: stat.started });
        }
    }
    Ok(members)
}

/// What the program of a process is called, at most 15 bytes.
pub fn program_name(pid: i32) -> Option<String> {
    fs::read_to_string(format!("/proc/{pid}/comm")).ok().map(|name| name.trim_end().to_owned())
}

#[derive(Debug, PartialEq, Eq)]
struct Stat {
    state: char,
    group: i32,
    started: u64,
}

impl Stat {
    fn of(pid: i32) -> Option<Self> {
        // Reading fails when the process is gone, which is what callers want to know.
        Self::parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    /// Fields 3 (state), 5 (process group) and 22 (start time) of proc(5). The name, field 2, may
    /// hold blanks and brackets, so counting starts behind its last bracket.
    fn parse(line: &str) -> Option<Self> {
        let (_, rest) = line.rsplit_once(')')?;
        let mut fields = rest.split_ascii_whitespace();
        let state = fields.next()?.chars().next()?;
        let group = fields.nth(1)?.parse().ok()?;
        let started = fields.nth(16)?.parse().ok()?;
        Some(Self { state, group, started })
    }

    fn runs(&self) -> bool {
        !matches!(self.state, 'Z' | 'X')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_and_blanks_does_not_shift_the_fields() {
        let line = "42 (a) (b c) S 1 77 77 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987654 1000 2";
        assert_eq!(Stat::parse(line), Some(Stat { state: 'S', group: 77, started: 987_654 }));
    }

    #[test]
    fn a_line_that_is_cut_off_is_no_process() {
        assert_eq!(Stat::parse("42 (a) S 1 77"), None);
        assert_eq!(Stat::parse(""), None);
    }

    #[test]
    fn this_process_is_alive_and_another_start_time_is_not_it() {
        let us = Identity::of_child(std::process::id()).unwrap();
        assert!(us.is_alive());
        let predecessor = Identity { started: us.started - 1, ..us };
        assert!(!predecessor.is_alive());
        // SIGKILL: were it sent, this test could not report it.
        assert!(!predecessor.signal(Signal::KILL).unwrap());
    }
}
