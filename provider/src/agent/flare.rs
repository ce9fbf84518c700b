//! `POST /flare`: a zip file with all that support needs to know. Whatever goes into it passes one
//! scrubber.

use std::{
    io::{Cursor, Write},
    sync::Arc,
};

use axum::{
    Router,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use jiff::{Timestamp, tz::TimeZone};
use serde::Serialize;
use tokio::sync::Semaphore;
use zip::{DateTime, ZipWriter, result::ZipError, write::SimpleFileOptions};

use crate::{
    agent::{
        config::{self, Setting},
        facts::Facts,
        health::Health,
    },
    cli::{metamap, paint::Paint, status},
    scrub::{self, Scrubber},
};

mod hpas;

/// One file of a flare, before it is scrubbed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Its path in the zip file.
    pub name: &'static str,
    /// Its text.
    pub text: String,
}

impl File {
    fn new(name: &'static str, text: impl Into<String>) -> Self {
        Self { name, text: text.into() }
    }

    fn json(name: &'static str, value: &impl Serialize) -> Self {
        let text = serde_json::to_string_pretty(value);
        Self::new(name, text.unwrap_or_else(|error| format!("cannot be written: {error}")) + "\n")
    }
}

/// What this process is.
#[derive(Debug, Serialize)]
pub struct Version {
    /// Of the program.
    pub version: &'static str,
    /// The operating system.
    pub os: &'static str,
    /// The processor.
    pub architecture: &'static str,
}

/// Of this program.
pub const VERSION: Version = Version {
    version: env!("CARGO_PKG_VERSION"),
    os: std::env::consts::OS,
    architecture: std::env::consts::ARCH,
};

/// The files that can be had without the agent.
pub fn local(
    settings: &[Setting],
    environment: impl IntoIterator<Item = (String, String)>,
    scrubber: &Scrubber,
) -> Vec<File> {
    let environment = scrub::environment(environment, scrubber);
    let lines = environment.iter().map(|(name, value)| format!("{name}={value}\n"));
    vec![
        File::json("config.json", &settings),
        File::new("envvars.log", lines.collect::<String>()),
        File::json("version.json", &VERSION),
    ]
}

/// All files of the agent's flare; `hpas` is YAML, or why there is none.
fn files(facts: &Facts, hpas: String, scrubber: &Scrubber, now: Timestamp) -> Vec<File> {
    let status = facts.status(now);
    let mut files = local(&facts.settings.shown, config::environment(), scrubber);
    files.extend([
        File::new("custom-metrics-provider.log", status::provider_log(&status)),
        File::json("health.json", &Health::of(&facts.readiness)),
        File::new("hpas.yaml", hpas),
        File::json("leader.json", &status.leader_election),
        File::new("logs/datadog-cluster-agent.log", facts.recent.text()),
        File::new("metamap.log", map(facts)),
        File::new("metrics.txt", facts.metrics.text()),
        File::json("status.json", &status),
        File::new("status.log", status::text(&status, Paint::Plain)),
    ]);
    files
}

fn map(facts: &Facts) -> String {
    let Some(map) = &facts.metamap else { return "There is no service map\n".to_owned() };
    match serde_json::from_value(map.0()) {
        Ok(map) => metamap::text(&map),
        Err(error) => format!("The service map cannot be read: {error}\n"),
    }
}

/// The files, scrubbed, sorted and packed.
pub fn zip(mut files: Vec<File>, scrubber: &Scrubber, now: Timestamp) -> Result<Vec<u8>, ZipError> {
    files.sort_by_key(|file| file.name);
    let at = now.to_zoned(TimeZone::UTC).datetime();
    let part = |value: i8| u8::try_from(value).unwrap_or_default();
    let at = DateTime::from_date_and_time(
        at.year().try_into().unwrap_or_default(),
        part(at.month()),
        part(at.day()),
        part(at.hour()),
        part(at.minute()),
        part(at.second()),
    );
    let options = SimpleFileOptions::default()
        .last_modified_time(at.unwrap_or_default())
        .unix_permissions(0o600);
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for file in files {
        zip.start_file(file.name, options)?;
        zip.write_all(scrubber.scrub(&file.text).as_bytes())?;
    }
    Ok(zip.finish()?.into_inner())
}

/// The path. One flare at a time: it reads all HPAs.
pub fn routes(facts: Arc<Facts>) -> Router {
    let turn = Arc::new(Semaphore::new(1));
    let make = async move || {
        let Ok(_turn) = turn.try_acquire() else {
            let words = "another flare is being made, try again in a moment\n";
            return (StatusCode::SERVICE_UNAVAILABLE, words).into_response();
        };
        make(facts).await
    };
    Router::new().route("/flare", post(make))
}

async fn make(facts: Arc<Facts>) -> Response {
    let hpas = match &facts.external {
        None => "# external metrics are off\n".to_owned(),
        Some(external) => hpas::yaml(&external.kube).await,
    };
    let made = tokio::task::spawn_blocking(move || {
        let (scrubber, now) = (facts.scrubber(), Timestamp::now());
        zip(files(&facts, hpas, &scrubber, now), &scrubber, now)
    });
    match made.await {
        Ok(Ok(zip)) => ([(header::CONTENT_TYPE, "application/zip")], zip).into_response(),
        Ok(Err(error)) => failed(&error),
        Err(error) => failed(&error),
    }
}

fn failed(error: &dyn std::fmt::Display) -> Response {
    let words = format!("the flare cannot be made: {error}\n");
    (StatusCode::INTERNAL_SERVER_ERROR, words).into_response()
}

#[cfg(test)]
pub(crate) mod tests;
