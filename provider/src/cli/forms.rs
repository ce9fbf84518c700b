//! The text of the small commands.

use std::fmt::Write;

use serde::{Serialize, Serializer};

use crate::{
    agent::{
        config::{Origin, Setting},
        health::Health,
    },
    cli::paint::Paint,
};

/// Of `health`.
pub(super) fn health(health: &Health, paint: Paint) -> String {
    let well = health.unhealthy.is_empty();
    let verdict = if well { paint.good("PASS") } else { paint.bad("FAIL") };
    let mut text = format!("Agent health: {verdict}\n");
    // Writing to a String cannot fail.
    _ = writeln!(text, "=== {} healthy components ===", paint.good(health.healthy.len()));
    if !health.healthy.is_empty() {
        _ = writeln!(text, "{}", health.healthy.join(", "));
    }
    if !well {
        _ = writeln!(text, "=== {} unhealthy components ===", paint.bad(health.unhealthy.len()));
    }
    for unhealthy in &health.unhealthy {
        _ = writeln!(text, "{}: {}", unhealthy.name, unhealthy.reason);
    }
    text
}

/// Of `config`: a line for each setting, with where its value comes from.
pub(super) fn config(settings: &[Setting]) -> String {
    let rows: Vec<_> = settings
        .iter()
        .map(|setting| {
            let origin = match setting.origin {
                Origin::Flag => "flag",
                Origin::Environment => "environment",
                Origin::Default => "default",
            };
            let name = setting.variable.clone().unwrap_or_else(|| format!("--{}", setting.name));
            (name, origin, setting.value.as_deref().unwrap_or("(not set)"))
        })
        .collect();
    let width = rows.iter().map(|(name, ..)| name.len()).max().unwrap_or_default();
    let line = |(name, origin, value): &(String, &str, &str)| {
        format!("{name:width$}  {origin:11}  {value}\n")
    };
    rows.iter().map(line).collect()
}

/// Of `env`.
pub(super) struct Environment(pub(super) Vec<(String, String)>);

impl Environment {
    /// As `env` prints it.
    pub(super) fn text(&self) -> String {
        let lines = self.0.iter().map(|(name, value)| format!("{name}={value}"));
        lines.fold(String::new(), |text, line| text + &line + "\n")
    }
}

impl Serialize for Environment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

/// One segment of a path, whatever is in it.
pub(super) fn segment(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes().fold(String::new(), |mut path, byte| {
        // Writing to a String cannot fail.
        _ = if is_plain(byte) {
            write!(path, "{}", char::from(byte))
        } else {
            write!(path, "%{byte:02X}")
        };
        path
    })
}
