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

use crate::guard::{DETACH, FORGET, LastCommand, READY, REMOVE, RUN, last, sweep};

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

    let (mut folders, mut commands) = (Vec::new(), Vec::<LastCommand>::new());
    // An error of reading means what the end means: nobody is there any more.
    while let Ok(Some(line)) = lines.next_line().await {
        if line == DETACH {
            return Ok(());
        }
        if line == FORGET {
            commands.clear();
        }
        folders.extend(line.strip_prefix(REMOVE).map(PathBuf::from));
        commands.extend(line.strip_prefix(RUN).and_then(|json| serde_json::from_str(json).ok()));
    }
    let us = Pid::as_raw(Some(getpid()));
    sweep::end_group(us).await;
    for command in commands {
        // Nobody hears of a failure; `e2e sweep` finds what is left.
        let _ = command.run(last::LIMIT).await;
    }
    sweep::remove(us, &folders);
    Ok(())
}
