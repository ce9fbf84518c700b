//! Port 5005.

pub mod identity;
pub mod service_map;
pub mod token;
