//! What a follower hears.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::http::{HeaderValue, header::AUTHORIZATION};
use reqwest::{Response, StatusCode, redirect};
use rustls::ClientConfig;
use tokio::{
    sync::{mpsc, watch},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    lead::{Leadership, Role},
    store::{
        follow::{PATH, SERVER_NAME, SILENCE},
        known::{
            News,
            line::{Reader, TooMuch},
        },
    },
};

/// The first pause after a connection that told nothing, doubled up to the longest.
const PAUSE: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(5);
/// Most characters of an answer that refuses.
const MOST_CHARACTERS: usize = 300;

/// What a leader is reached with.
#[derive(Debug, Clone)]
pub struct Access {
    /// Verifies that the server, by the name [`SERVER_NAME`], is one of us.
    pub tls: Arc<ClientConfig>,
    /// `Bearer …`, which is sent only after that.
    pub token: HeaderValue,
}

/// How far a follower has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Progress {
    /// There is no leader, or it cannot be reached.
    #[default]
    Alone,
    /// A leader answers.
    Reached,
    /// All that a leader knows has been handed on. Stays so: samples tell their age by themselves.
    Synced,
}

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("no token is known yet")]
    NoToken,
    #[error("leader cannot be asked: {0}")]
    Request(String),
    #[error("leader says nothing for {}s", SILENCE.as_secs())]
    Silent,
    #[error("leader refuses (HTTP {}: {words})", status.as_u16())]
    Refused { status: StatusCode, words: String },
    #[error(transparent)]
    TooMuch(#[from] TooMuch),
    #[error("nobody takes the news")]
    Unheard,
}

impl From<reqwest::Error> for Failure {
    fn from(error: reqwest::Error) -> Self {
        let mut cause: &dyn std::error::Error = &error;
        while let Some(next) = cause.source() {
            cause = next;
        }
        Self::Request(cause.to_string())
    }
}

/// Hears the leader whenever that is somebody else, and hands on what it knows, until `stop`.
///
/// `access` is asked before each connection, so that a new token counts; `None` where there is none
/// yet.
pub async fn run(
    leadership: watch::Receiver<Leadership>,
    access: impl Fn() -> Option<Access> + Send + Sync,
    news: mpsc::Sender<News>,
    progress: watch::Sender<Progress>,
    stop: CancellationToken,
) {
    let mut follower = Follower { access, news, progress, said: None, warned: false };
    // Boxed: the futures of requests are large, and this one lives as long as the provider.
    stop.run_until_cancelled(Box::pin(follower.run(leadership))).await;
}

/// Where the leader is, if that is somebody else.
fn leader(leadership: &Leadership) -> Option<SocketAddr> {
    let lease = leadership.lease.as_ref().filter(|lease| !lease.holder.is_empty())?;
    lease.address.filter(|_| leadership.role == Role::Follower)
}

struct Follower<A> {
    access: A,
    news: mpsc::Sender<News>,
    progress: watch::Sender<Progress>,
    /// What was said of the last failure.
    said: Option<String>,
    /// Whether it was said that lines cannot be read.
    warned: bool,
}

impl<A: Fn() -> Option<Access>> Follower<A> {
    async fn run(&mut self, mut leadership: watch::Receiver<Leadership>) {
        loop {
            let address = leader(&leadership.borrow_and_update());
            let moved = async {
                // Nobody will tell of another leader: stay with this one.
                if leadership.wait_for(|it| leader(it) != address).await.is_err() {
                    std::future::pending::<()>().await;
                }
            };
            let follow = async {
                match address {
                    Some(address) => self.follow(address).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = moved => self.come_down(),
                () = follow => return,
            }
        }
    }

    /// Connects to this leader again and again; ends when nobody takes the news any more.
    async fn follow(&mut self, address: SocketAddr) {
        let mut failures = 0;
        loop {
            let mut heard = false;
            let ended = self.hear(address, &mut heard).await;
            self.come_down();
            if heard {
                failures = 0;
            }
            match ended {
                Ok(()) => tracing::debug!(%address, "the leader ended the stream"),
                Err(Failure::Unheard) => return,
                Err(error) => self.say(address, &error),
            }
            sleep(pause(failures)).await;
            failures += 1;
        }
    }

    /// One connection; `heard` is set once it told everything.
    async fn hear(&mut self, address: SocketAddr, heard: &mut bool) -> Result<(), Failure> {
        let access = (self.access)().ok_or(Failure::NoToken)?;
        let client = client(access.tls, address)?;
        let url = format!("https://{SERVER_NAME}:{}{PATH}", address.port());
        let request = client.get(url).header(AUTHORIZATION, access.token).send();
        let mut response = timeout(SILENCE, request).await.map_err(|_| Failure::Silent)??;
        if response.status() != StatusCode::OK {
            return Err(refusal(response).await);
        }
        self.rise(Progress::Reached);
        let mut reader = Reader::default();
        while let Some(bytes) =
            timeout(SILENCE, response.chunk()).await.map_err(|_| Failure::Silent)??
        {
            for news in reader.feed(&bytes)? {
                let complete = news.complete;
                self.news.send(news).await.map_err(|_| Failure::Unheard)?;
                if complete {
                    tracing::info!(%address, "following the leader");
                    (*heard, self.said) = (true, None);
                    self.rise(Progress::Synced);
                }
            }
            if let Some((lines, why)) = reader.unreadable()
                && !std::mem::replace(&mut self.warned, true)
            {
                tracing::warn!(%address, lines, why, "the leader says what cannot be read");
            }
        }
        Ok(())
    }

    fn rise(&self, to: Progress) {
        self.progress.send_if_modified(|progress| {
            let rises = *progress != Progress::Synced && *progress != to;
            if rises {
                *progress = to;
            }
            rises
        });
    }

    fn come_down(&self) {
        self.rise(Progress::Alone);
    }

    /// The same failure once.
    fn say(&mut self, address: SocketAddr, error: &Failure) {
        let text = error.to_string();
        if self.said.as_ref() == Some(&text) {
            tracing::debug!(%address, error = text, "the leader cannot be followed");
        } else {
            tracing::warn!(%address, error = text, "the leader cannot be followed, trying again");
            self.said = Some(text);
        }
    }
}

fn client(tls: Arc<ClientConfig>, address: SocketAddr) -> Result<reqwest::Client, reqwest::Error> {
    let mut tls = Arc::unwrap_or_clone(tls);
    // One request on a connection: HTTP/2 would add nothing.
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .resolve(SERVER_NAME, address)
        .no_proxy()
        // A redirection would take the token with it.
        .redirect(redirect::Policy::none())
        .connect_timeout(SILENCE)
        .build()
}

async fn refusal(mut response: Response) -> Failure {
    let status = response.status();
    let first = timeout(SILENCE, response.chunk()).await;
    let body = first.ok().and_then(Result::ok).flatten().unwrap_or_default();
    let words = String::from_utf8_lossy(&body);
    let words = words.lines().next().unwrap_or_default().chars().take(MOST_CHARACTERS).collect();
    Failure::Refused { status, words }
}

/// After the `failures`-th failure in a row, with a random half, so that followers do not come
/// together.
fn pause(failures: u32) -> Duration {
    let longest = PAUSE.saturating_mul(1 << failures.min(8)).min(LONGEST);
    longest.mul_f64(1.0 - fastrand::f64() / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_begin_below_a_second_and_are_bounded() {
        for (failures, most) in [(0, 0.25), (1, 0.5), (2, 1.0), (5, 5.0), (99, 5.0)] {
            let pause = pause(failures).as_secs_f64();
            assert!(pause <= most && pause >= most / 2.0, "{failures}: {pause}");
        }
    }
}
