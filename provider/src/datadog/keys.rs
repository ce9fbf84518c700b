//! The keys of an account: where they come from, and how they change without a restart.

use std::{fmt, fs, io::Read, path::PathBuf, sync::Arc, time::Duration};

use secrecy::{ExposeSecret, SecretString};
use tokio::{
    sync::{Mutex, watch},
    time::MissedTickBehavior,
};
use tokio_util::sync::CancellationToken;

/// How often key files are read again. A mounted Secret changes by a symbolic link, which no
/// modification time tells, so the content is compared.
const EVERY: Duration = Duration::from_secs(10);

/// Most bytes that a key file may have; Datadog's keys have at most some tens.
const MAX_LENGTH: usize = 256;

/// The keys for metric queries.
#[derive(Debug, Clone)]
pub struct Keys {
    /// `DD-API-KEY`.
    pub api: SecretString,
    /// `DD-APPLICATION-KEY`.
    pub app: SecretString,
}

/// One of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The API key.
    Api,
    /// The application key.
    App,
}

/// Where one key comes from.
#[derive(Debug, Clone)]
pub struct Source {
    /// Which of the two it is.
    pub kind: Kind,
    /// The setting, in the words that messages use, such as `DD_API_KEY_FILE`.
    pub setting: String,
    /// What that setting says.
    pub value: Value,
}

/// What a setting says of a key.
#[derive(Debug, Clone)]
pub enum Value {
    /// The key itself.
    Key(SecretString),
    /// The file that holds it.
    File(PathBuf),
}

/// Why there is no usable key. `subject` names the setting, and the file if there is one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// Nothing, or only blanks.
    #[error("{subject} is empty: {kind} is needed to query Datadog")]
    Empty {
        /// Where.
        subject: String,
        /// What it should be.
        kind: Kind,
    },
    /// The manifest was applied without editing it.
    #[error("{subject} still is the placeholder {placeholder}, put your key there")]
    Placeholder {
        /// Where.
        subject: String,
        /// The text that should have been replaced.
        placeholder: String,
    },
    /// A key that no HTTP header can carry.
    #[error("{subject} has characters that no key has, look for quotes and line ends in it")]
    Garbled {
        /// Where.
        subject: String,
    },
    /// A text far longer than a key.
    #[error("{subject} is longer than {MAX_LENGTH} characters: that is no key, correct it")]
    TooLong {
        /// Where.
        subject: String,
    },
    /// The file is not there, or cannot be read.
    #[error("{subject} cannot be read ({reason}), correct the path or mount the Secret there")]
    Unreadable {
        /// Where.
        subject: String,
        /// The system's words.
        reason: String,
    },
}

/// The keys as they are now; clones share them.
#[derive(Debug, Clone)]
pub struct KeyRing(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    api: Source,
    app: Source,
    current: watch::Sender<Keys>,
    /// Held while the files are read, so that an older content never replaces a newer one. Holds
    /// what the last warning said. A tokio mutex: files are read while it is held.
    warned: Mutex<Option<Unusable>>,
}

/// Reads the key files of `rings` again and again until `stop`; tells `changed` the position of
/// each ring that has other keys then.
pub async fn run(rings: Vec<KeyRing>, changed: impl Fn(usize), stop: CancellationToken) {
    if !rings.iter().any(KeyRing::has_files) {
        return stop.cancelled().await;
    }
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        for (position, ring) in rings.iter().enumerate() {
            if ring.reload().await {
                changed(position);
            }
        }
    }
}

// === impl Keys ===

impl Keys {
    /// Whether both are the same texts.
    pub fn same_as(&self, other: &Self) -> bool {
        self.api.expose_secret() == other.api.expose_secret()
            && self.app.expose_secret() == other.app.expose_secret()
    }

    /// `text` without the keys, should somebody have put them in.
    pub fn hide(&self, text: &str) -> String {
        [&self.api, &self.app]
            .into_iter()
            .map(ExposeSecret::expose_secret)
            .filter(|key| !key.is_empty())
            .fold(text.to_owned(), |text, key| text.replace(key, "***"))
    }
}

// === impl Source ===

impl Source {
    /// The key, without blanks around it, as Datadog's agent takes it. Reads the file if it comes
    /// from one.
    pub fn read(&self) -> Result<SecretString, Unusable> {
        let subject = || match &self.value {
            Value::Key(_) => self.setting.clone(),
            Value::File(path) => format!("{} ({})", self.setting, path.display()),
        };
        let text = match &self.value {
            Value::Key(key) => key.clone(),
            Value::File(path) => read_file(path).map_err(|error| Unusable::Unreadable {
                subject: subject(),
                reason: error.to_string(),
            })?,
        };
        let key = text.expose_secret().trim();
        if key.is_empty() {
            Err(Unusable::Empty { subject: subject(), kind: self.kind })
        } else if MAX_LENGTH < key.len() {
            Err(Unusable::TooLong { subject: subject() })
        } else if key.starts_with('<') && key.ends_with('>') {
            Err(Unusable::Placeholder { subject: subject(), placeholder: key.to_owned() })
        } else if !key.chars().all(|c| c.is_ascii_graphic()) {
            Err(Unusable::Garbled { subject: subject() })
        } else {
            Ok(key.into())
        }
    }
}

/// The beginning of a file, long enough to tell a key from something else.
fn read_file(path: &std::path::Path) -> std::io::Result<SecretString> {
    // Opening a pipe would wait for its other end.
    if !fs::metadata(path)?.is_file() {
        return Err(std::io::Error::other("not a file"));
    }
    let mut bytes = Vec::new();
    let most = u64::try_from(2 * MAX_LENGTH).unwrap_or(u64::MAX);
    fs::File::open(path)?.take(most).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned().into())
}

// === impl Kind ===

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Api => "an API key",
            Self::App => "an application key",
        })
    }
}

// === impl KeyRing ===

impl KeyRing {
    /// The keys that these sources have now.
    pub fn new(api: Source, app: Source) -> Result<Self, Unusable> {
        let keys = Keys { api: api.read()?, app: app.read()? };
        let current = watch::Sender::new(keys);
        Ok(Self(Arc::new(Inner { api, app, current, warned: Mutex::default() })))
    }

    /// Keys that never change, taken as they are.
    pub fn fixed(keys: Keys) -> Self {
        let source = |kind, setting: &str, key: &SecretString| Source {
            kind,
            setting: setting.to_owned(),
            value: Value::Key(key.clone()),
        };
        let api = source(Kind::Api, "DD_API_KEY", &keys.api);
        let app = source(Kind::App, "DD_APP_KEY", &keys.app);
        let current = watch::Sender::new(keys);
        Self(Arc::new(Inner { api, app, current, warned: Mutex::default() }))
    }

    /// The keys to use now.
    pub fn current(&self) -> Keys {
        self.0.current.borrow().clone()
    }

    /// Where changes of them are seen.
    pub fn subscribe(&self) -> watch::Receiver<Keys> {
        self.0.current.subscribe()
    }

    /// The settings that the two come from.
    pub fn settings(&self) -> [&str; 2] {
        [&self.0.api.setting, &self.0.app.setting]
    }

    fn has_files(&self) -> bool {
        [&self.0.api, &self.0.app].iter().any(|source| matches!(source.value, Value::File(_)))
    }

    /// Reads the files now; true when there are other keys in them. What cannot be used leaves the
    /// keys as they are and is logged once.
    pub async fn reload(&self) -> bool {
        if !self.has_files() {
            return false;
        }
        let mut warned = self.0.warned.lock().await;
        let (api, app) = (self.0.api.clone(), self.0.app.clone());
        let read = move || Ok(Keys { api: api.read()?, app: app.read()? });
        let Ok(read) = tokio::task::spawn_blocking(read).await else { return false };
        match read {
            Ok(keys) => {
                *warned = None;
                let changed = !keys.same_as(&self.0.current.borrow());
                if changed {
                    tracing::info!(settings = self.settings().join(", "), "keys have changed");
                    self.0.current.send_replace(keys);
                }
                changed
            }
            Err(error) => {
                if warned.as_ref() != Some(&error) {
                    tracing::warn!(%error, "keys cannot be read again, the last ones stay in use");
                    *warned = Some(error);
                }
                false
            }
        }
    }
}

#[cfg(test)]
mod tests;
