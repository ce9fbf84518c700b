//! How one replica tells another: one JSON value on a line each.
//!
//! ```text
//! {"begin":{"complete":true}}
//! {"metric":{"namespace":"default","metric":"nginx.requests","selector":"app=web","memory":{…}}}
//! {"asking":{…}}
//! "end"
//! "heartbeat"
//! ```
//!
//! The replicas of a rollout have different versions: unknown fields are ignored, and a line that
//! cannot be read costs only itself.

use serde::{Deserialize, Serialize};

use crate::{
    api::selector,
    demand::MetricKey,
    store::{
        Asking, Entry,
        known::{Memory, News},
    },
};

/// Most bytes of a line. One with two errors of Datadog's longest words has some KiB.
pub const MAX_LINE: usize = 1 << 20;
/// Most bytes of the lines of one [`News`]; ten thousand metrics have some MiB.
pub const MAX_NEWS: usize = 256 << 20;

/// One line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Line {
    /// What follows, up to the end, belongs together.
    Begin {
        /// As in [`News::complete`].
        complete: bool,
    },
    /// One metric.
    Metric(Box<Known>),
    /// As in [`News::asking`].
    Asking(Box<Asking>),
    /// Nothing more for now.
    End,
    /// Nothing has changed.
    Heartbeat,
}

/// One metric and what is known of it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Known {
    /// As in [`MetricKey::namespace`].
    pub namespace: String,
    /// As in [`MetricKey::metric`].
    pub metric: String,
    /// The text of [`MetricKey::selector`].
    pub selector: String,
    /// What is known.
    pub memory: Memory,
}

impl Known {
    /// The metric of this key. `None` where its selector, which an object of the cluster may have as
    /// it likes, would be read as another one: such a metric cannot be asked for, nor is it ever.
    pub fn of(key: &MetricKey, entry: &Entry) -> Option<Self> {
        let text = key.selector.to_string();
        // Only selectors that are queries have been held against the rules yet.
        if entry.ask.is_err() && selector::parse(&text).ok().as_ref() != Some(&key.selector) {
            return None;
        }
        Some(Self {
            namespace: key.namespace.clone(),
            metric: key.metric.clone(),
            selector: text,
            memory: entry.into(),
        })
    }

    /// What was told, by its key.
    pub fn read(self) -> Result<(MetricKey, Memory), selector::SyntaxError> {
        let selector = selector::parse(&self.selector)?;
        let Self { namespace, metric, memory, .. } = self;
        Ok((MetricKey { namespace, metric, selector }, memory))
    }
}

impl Line {
    /// Appends the line and its end to `bytes`.
    pub fn write(&self, bytes: &mut Vec<u8>) -> Result<(), serde_json::Error> {
        let start = bytes.len();
        let written = serde_json::to_writer(&mut *bytes, self);
        if written.is_err() {
            bytes.truncate(start);
        } else {
            bytes.push(b'\n');
        }
        written
    }
}

/// More than [`MAX_NEWS`].
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the leader tells more than {} MiB at once", MAX_NEWS >> 20)]
pub struct TooMuch;

/// Puts the bytes of a stream together to news; pure.
#[derive(Debug, Default)]
pub struct Reader {
    /// A line without its end yet.
    rest: Vec<u8>,
    /// The line is too long and is not kept.
    skipping: bool,
    news: Option<News>,
    bytes: usize,
    /// Lines that could not be read so far, and why the first could not.
    unreadable: Option<(usize, String)>,
}

impl Reader {
    /// The news that `chunk` completes.
    pub fn feed(&mut self, chunk: &[u8]) -> Result<Vec<News>, TooMuch> {
        let mut complete = Vec::new();
        for part in chunk.split_inclusive(|byte| *byte == b'\n') {
            self.bytes += part.len();
            if self.bytes > MAX_NEWS {
                return Err(TooMuch);
            }
            let (text, ends) = match part.split_last() {
                Some((b'\n', text)) => (text, true),
                _ => (part, false),
            };
            if self.rest.len() + text.len() > MAX_LINE {
                self.rest = Vec::new();
                if !std::mem::replace(&mut self.skipping, true) {
                    self.cannot_read(format!("it has more than {} MiB", MAX_LINE >> 20));
                }
            }
            if !self.skipping {
                self.rest.extend_from_slice(text);
            }
            if ends && !std::mem::replace(&mut self.skipping, false) {
                let line = std::mem::take(&mut self.rest);
                complete.extend(self.line(&line));
                self.rest = line;
                self.rest.clear();
            }
        }
        Ok(complete)
    }

    /// How many lines could not be read since this was asked last, and why the first could not.
    pub fn unreadable(&mut self) -> Option<(usize, String)> {
        self.unreadable.take()
    }

    fn line(&mut self, line: &[u8]) -> Option<News> {
        match serde_json::from_slice(line) {
            Ok(Line::Begin { complete }) => {
                self.bytes = line.len();
                self.news = Some(News { complete, ..News::default() });
            }
            Ok(Line::Metric(known)) => {
                let metric = format!("{}/{}{{{}}}", known.namespace, known.metric, known.selector);
                match (known.read(), &mut self.news) {
                    (Ok(known), Some(news)) => news.known.push(known),
                    (Err(error), _) => self.cannot_read(format!("{metric}: {error}")),
                    (Ok(_), None) => {
                        self.cannot_read(format!("{metric} stands before any beginning"));
                    }
                }
            }
            Ok(Line::Asking(asking)) => {
                if let Some(news) = &mut self.news {
                    news.asking = Some(*asking);
                }
            }
            Ok(Line::End) => {
                self.bytes = 0;
                return self.news.take();
            }
            // Between two news it must not add up.
            Ok(Line::Heartbeat) if self.news.is_none() => self.bytes = 0,
            Ok(Line::Heartbeat) => {}
            Err(error) => self.cannot_read(error.to_string()),
        }
        None
    }

    fn cannot_read(&mut self, why: String) {
        self.unreadable.get_or_insert((0, why)).0 += 1;
    }
}
