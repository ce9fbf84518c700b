//! The commands.

pub mod explain;
