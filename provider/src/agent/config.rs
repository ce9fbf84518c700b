//! `GET /config`: the value of each setting, and where it comes from.

use std::{path::PathBuf, sync::Arc};

use axum::{Json, Router, routing::get};
use clap::{ArgMatches, Command, parser::ValueSource};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::scrub::{self, Scrubber};

/// Most bytes of a file with a key or a token.
const MOST_BYTES: u64 = 4096;

/// One setting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setting {
    /// Its flag, without the dashes.
    pub name: String,
    /// Its environment variable.
    pub variable: Option<String>,
    /// Its value; of a secret only what [`scrub::describe`] tells. `None` if it has none.
    pub value: Option<String>,
    /// Where the value comes from.
    pub origin: Origin,
}

/// Where a value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// The command line.
    Flag,
    /// The environment.
    Environment,
    /// Neither of them.
    Default,
}

/// All settings, and what of them is secret.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// As they may be shown.
    pub shown: Vec<Setting>,
    secrets: Vec<SecretString>,
    files: Vec<PathBuf>,
}

impl Settings {
    /// What `matches` says of the arguments of `command`. What is not shown in its help
    /// (`hide_env_values`) is secret.
    pub fn of(command: &Command, matches: &ArgMatches) -> Self {
        let mut settings = Self::default();
        let mut plain = Vec::new();
        for argument in command.get_arguments() {
            let Some(name) = argument.get_long() else { continue };
            let id = argument.get_id().as_str();
            // `help` and `version` are no settings.
            if matches!(name, "help" | "version" | "json" | "online") {
                continue;
            }
            let raw = matches.try_get_raw(id).ok().flatten();
            let value = raw.map(|values| {
                let values: Vec<_> = values.map(|value| value.to_string_lossy()).collect();
                values.join(",")
            });
            let origin = match matches.value_source(id) {
                Some(ValueSource::CommandLine) => Origin::Flag,
                Some(ValueSource::EnvVariable) => Origin::Environment,
                _ => Origin::Default,
            };
            let variable = argument.get_env().map(|it| it.to_string_lossy().into_owned());
            let is_secret = argument.is_hide_env_values_set();
            if is_secret && let Some(value) = &value {
                settings.secrets.extend(parts(value).into_iter().map(SecretString::from));
            } else if name.ends_with("key-file") || name.ends_with("token-file") {
                settings.files.extend(value.as_deref().map(PathBuf::from));
            }
            let shown = value.filter(|value| !value.is_empty());
            let shown = shown.map(|value| {
                if is_secret {
                    return scrub::describe(&value);
                }
                plain.push(settings.shown.len());
                value
            });
            settings.shown.push(Setting { name: name.to_owned(), variable, value: shown, origin });
        }
        let scrubber = settings.scrubber([]);
        for index in plain {
            let setting = settings.shown.get_mut(index);
            if let Some(value) = setting.and_then(|setting| setting.value.as_mut()) {
                *value = scrubber.scrub(value);
            }
        }
        settings
    }

    /// What takes their secrets out of a text, those in files and in `environment` included.
    pub fn scrubber(&self, environment: impl IntoIterator<Item = (String, String)>) -> Scrubber {
        let files = self.files.iter().filter_map(|path| {
            use std::io::Read;
            let mut text = String::new();
            std::fs::File::open(path).ok()?.take(MOST_BYTES).read_to_string(&mut text).ok()?;
            Some(text.into())
        });
        let environment = environment.into_iter().filter(|(name, _)| scrub::is_secret(name));
        let environment = environment.flat_map(|(_, value)| parts(&value)).map(SecretString::from);
        Scrubber::new(self.secrets.iter().cloned().chain(files).chain(environment))
    }
}

/// A secret, and where it is a JSON text all texts in that.
fn parts(value: &str) -> Vec<String> {
    fn collect(json: serde_json::Value, into: &mut Vec<String>) {
        match json {
            serde_json::Value::String(text) => into.push(text),
            serde_json::Value::Array(list) => list.into_iter().for_each(|it| collect(it, into)),
            serde_json::Value::Object(fields) => {
                let is_secret = |(name, _): &(String, _)| scrub::is_secret(name);
                fields.into_iter().filter(is_secret).for_each(|(_, it)| collect(it, into));
            }
            _ => {}
        }
    }
    let mut parts = vec![value.to_owned()];
    if value.trim_start().starts_with(['[', '{'])
        && let Ok(json) = serde_json::from_str(value)
    {
        collect(json, &mut parts);
    }
    parts
}

/// The variables of this process whose names and values are Unicode.
pub fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

/// The path.
pub fn routes(settings: Arc<Settings>) -> Router {
    let answer = async move || Json(settings.shown.clone());
    Router::new().route("/config", get(answer))
}
