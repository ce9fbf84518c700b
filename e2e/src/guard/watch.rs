//! What the guard process does.

use std::{
    io::{self, Write},
    os::fd::AsFd,
    path::PathBuf,
};

use rustix::process::{Pid, getpgrp, getpid};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    net::unix::pipe,
    signal::unix::{SignalKind, signal},
};

use crate::guard::{DETACH, READY, REMOVE, sweep};

/// Guards until the pipe closes; an error is one of starting.
pub(crate) async fn watch() -> io::Result<()> {
    // A handler instead of the default action; that nobody receives from it is to ignore it.
    let _ignored = [
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
        signal(SignalKind::hangup())?,
        signal(SignalKind::quit())?,
    ];
    if getpgrp() != getpid() {
        return Err(io::Error::other("started by a run only: it ends its whole process group"));
    }
    let pipe = pipe::Receiver::from_owned_fd(io::stdin().as_fd().try_clone_to_owned()?)?;
    let mut lines = BufReader::new(pipe).lines();
    writeln!(io::stdout(), "{READY}")?;

    let mut folders = Vec::new();
    // An error of reading means what the end means: nobody is there any more.
    while let Ok(Some(line)) = lines.next_line().await {
        if line == DETACH {
            return Ok(());
        }
        folders.extend(line.strip_prefix(REMOVE).map(PathBuf::from));
    }
    sweep::sweep(Pid::as_raw(Some(getpid())), &folders).await;
    Ok(())
}
