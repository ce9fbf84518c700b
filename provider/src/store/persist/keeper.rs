//! Brings the ConfigMaps to what they should hold.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api, Client,
    api::{Patch, PatchParams, PostParams},
};
use tokio::time::timeout;

use crate::store::{
    Snapshot,
    persist::{
        Config, DEADLINE, PIECES, entry, is_passing, name_of,
        piece::{Piece, Step},
        split::{Data, split},
    },
};

/// The field manager.
const MANAGER: &str = "datadog-cluster-agent";
/// Requests for one ConfigMap in one round: check, read, write, and once more where somebody else
/// wrote in between.
const STEPS: usize = 6;

const SAVED_NOT: &str = "samples are not saved, trying again";

/// The writer.
#[derive(Debug)]
pub(super) struct Keeper {
    api: Api<ConfigMap>,
    config: Config,
    pieces: Vec<Piece>,
    has_written: bool,
    /// What was said last of what goes wrong.
    said: Option<String>,
    said_left_out: bool,
}

/// How a request ended.
enum Ended {
    /// There is something more to do.
    Again,
    /// That is all.
    Done,
    /// This one thing is refused.
    Refused(String),
    /// Nothing can be written now.
    Away(String),
}

impl Keeper {
    pub(super) fn new(client: Client, config: Config) -> Self {
        Self {
            api: Api::namespaced(client, &config.namespace),
            config,
            pieces: Vec::new(),
            has_written: false,
            said: None,
            said_left_out: false,
        }
    }

    /// Somebody else may have written.
    pub(super) fn forget(&mut self) {
        self.pieces.clear();
    }

    pub(super) fn has_written(&self) -> bool {
        self.has_written
    }

    /// Reads all that is there. Says how long to wait until a write would not be the second of a
    /// period, where there was one; why nothing can be read, where that is so.
    pub(super) async fn look(&mut self, now: Timestamp) -> Result<Option<Duration>, String> {
        self.pieces.clear();
        for index in 0..PIECES {
            self.pieces.push(Piece::Unknown);
            let read = self.act(index, Step::Read).await;
            if let Ended::Away(error) = read {
                self.pieces.clear();
                return Err(error);
            }
            // Somebody may have deleted the first alone.
            if index > 0 && !matches!(self.pieces.last(), Some(Piece::There { .. })) {
                self.pieces.pop();
                break;
            }
        }
        let Some(Piece::There { updated: Some(updated), .. }) = self.pieces.first() else {
            return Ok(None);
        };
        let age = Duration::try_from(now.duration_since(*updated)).unwrap_or_default();
        Ok(Some(self.config.period.saturating_sub(age)))
    }

    /// Writes what is not there yet.
    pub(super) async fn round(&mut self, snapshot: &Snapshot, now: Timestamp) {
        let entries = match entry::write(snapshot, now) {
            Ok(entries) => entries,
            Err(error) => return tracing::error!(%error, "samples cannot be written as JSON"),
        };
        if self.pieces.is_empty()
            && let Err(error) = self.look(now).await
        {
            return self.tell(0, &error, SAVED_NOT);
        }
        let current = self.pieces.iter().filter(|it| matches!(it, Piece::There { .. })).count();
        let (mut wanted, left_out) = split(entries, current);
        self.tell_left_out(left_out);
        let pieces = wanted.len().max(self.pieces.len());
        self.pieces.resize_with(pieces, Piece::default);
        wanted.resize_with(pieces, Data::default);
        let mut well = true;
        for (index, data) in wanted.iter().enumerate() {
            match self.bring(index, data, now).await {
                Ended::Away(error) => {
                    return self.tell(index, &error, SAVED_NOT);
                }
                // Further ones need rights in large clusters only.
                Ended::Refused(error) if index == 0 || !data.is_empty() => {
                    well = false;
                    self.tell(index, &error, "samples are not saved, see Role dca");
                }
                _ => {}
            }
        }
        if well && self.said.take().is_some() {
            tracing::info!(name = self.config.name, "samples are saved again");
        }
    }

    /// Brings one ConfigMap to `data`.
    async fn bring(&mut self, index: usize, data: &Data, now: Timestamp) -> Ended {
        let name = name_of(&self.config.name, index);
        for _ in 0..STEPS {
            let Some(piece) = self.pieces.get(index) else { break };
            match self.act(index, piece.step(index == 0, &name, data, now)).await {
                Ended::Again => {}
                ended => return ended,
            }
        }
        Ended::Done
    }

    /// Does one step, and remembers what kube-apiserver says to it.
    async fn act(&mut self, index: usize, step: Step) -> Ended {
        let creates = matches!(step, Step::Create(_));
        let writes = creates || matches!(step, Step::Patch(_));
        let (piece, ended) = match timeout(DEADLINE, self.request(index, step)).await {
            Ok(Ok((piece, ended))) => {
                self.has_written |= writes;
                (piece, ended)
            }
            Ok(Err(kube::Error::Api(status))) => match status.code {
                404 if !creates => (Some(Piece::Absent), Ended::Again),
                409 => (Some(Piece::Unknown), Ended::Again),
                code if is_passing(code) => (None, Ended::Away(status.message.clone())),
                _ => (None, Ended::Refused(status.message.clone())),
            },
            Ok(Err(error)) => (Some(Piece::Unknown), Ended::Away(error.to_string())),
            Err(_) => {
                let error = format!("no answer within {}s", DEADLINE.as_secs());
                (Some(Piece::Unknown), Ended::Away(error))
            }
        };
        if let (Some(piece), Some(place)) = (piece, self.pieces.get_mut(index)) {
            *place = piece;
        }
        ended
    }

    /// What is known of the ConfigMap after this step, if that is something new.
    async fn request(
        &self,
        index: usize,
        step: Step,
    ) -> Result<(Option<Piece>, Ended), kube::Error> {
        let name = name_of(&self.config.name, index);
        let manager = Some(MANAGER.to_owned());
        let piece = match step {
            Step::Rest => return Ok((None, Ended::Done)),
            Step::Read => {
                let there = self.api.get_opt(&name).await?;
                return Ok((Some(there.map_or(Piece::Absent, Piece::of)), Ended::Again));
            }
            Step::Check => {
                let there = self.api.get_metadata_opt(&name).await?;
                let version = there.and_then(|it| it.metadata.resource_version);
                let known = self.pieces.get(index).is_some_and(|it| it.is(version.as_deref()));
                let other = (Some(Piece::Unknown), Ended::Again);
                return Ok(if known { (None, Ended::Done) } else { other });
            }
            Step::Create(object) => {
                let object = serde_json::from_value(object).map_err(kube::Error::SerdeError)?;
                let params = PostParams { field_manager: manager, ..PostParams::default() };
                let made = self.api.create(&params, &object).await?;
                tracing::info!(name, "ConfigMap for the samples made");
                made
            }
            Step::Patch(patch) => {
                let params = PatchParams { field_manager: manager, ..PatchParams::default() };
                self.api.patch(&name, &params, &Patch::Merge(patch)).await?
            }
        };
        Ok((Some(Piece::of(piece)), Ended::Done))
    }

    /// The same trouble once.
    fn tell(&mut self, index: usize, error: &str, what: &'static str) {
        if self.said.as_deref() == Some(error) {
            return;
        }
        let name = name_of(&self.config.name, index);
        tracing::warn!(namespace = self.config.namespace, name, error, "{what}");
        self.said = Some(error.to_owned());
    }

    fn tell_left_out(&mut self, entries: usize) {
        if entries > 0 && !self.said_left_out {
            tracing::warn!(
                entries,
                "{PIECES} ConfigMaps do not hold all samples: these are asked anew after a restart"
            );
        }
        self.said_left_out = entries > 0;
    }
}
