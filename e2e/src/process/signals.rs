//! What a fault does to a process of the run.

use std::{io, process::ExitStatus};

use rustix::process::Signal;

use crate::process::Process;

impl Process {
    /// Ends it at once, as a crash would: it is told nothing.
    pub async fn kill(&self) -> io::Result<ExitStatus> {
        self.told_to_end.cancel();
        self.signal(Signal::KILL)?;
        Ok(self.wait().await)
    }

    /// Takes its time away: its connections stay, and nothing answers on them.
    pub fn pause(&self) -> io::Result<bool> {
        self.signal(Signal::STOP)
    }

    /// Lets it go on where it was paused.
    pub fn resume(&self) -> io::Result<bool> {
        self.signal(Signal::CONT)
    }

    /// Whether it was paused and not resumed. Source: the state in proc(5), the stat file.
    pub fn is_paused(&self) -> bool {
        self.identity.is_stopped()
    }
}
