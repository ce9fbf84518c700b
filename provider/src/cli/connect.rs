//! The way to an agent: TCP, or a port-forward through kube-apiserver; then TLS with whoever knows
//! the token; only then the token itself.

use std::{sync::Arc, time::Duration};

use axum::body::{Body, Bytes, to_bytes};
use futures::future::BoxFuture;
use hyper::{Method, Request, StatusCode, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, pki_types::ServerName};
use serde::de::DeserializeOwned;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsConnector;

pub use crate::cli::connect::error::Error;
use crate::{
    agent::{identity, token},
    args::commands::Connect,
    cli::connect::error::first_line,
};

mod error;
mod forward;

/// Time for a connection, and then for TLS.
const CONNECT: Duration = Duration::from_secs(10);
/// Time for an answer; a flare reads all HPAs.
const ANSWER: Duration = Duration::from_secs(60);
/// Most bytes of an answer.
const MOST_BYTES: usize = 256 << 20;

/// Bytes both ways.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// A stream to what should be an agent.
struct Way {
    stream: Box<dyn Stream>,
    place: String,
    /// What kube-apiserver says when the stream breaks.
    broken: Option<BoxFuture<'static, Option<String>>>,
}

/// An agent that has shown that it knows the token.
#[derive(Debug)]
pub struct Agent {
    sender: http1::SendRequest<Body>,
    found: token::Found,
    place: String,
}

impl Agent {
    /// Connects to the agent that `args` lead to.
    pub async fn connect(args: &Connect) -> Result<Self, Error> {
        let config = args.port.token.config();
        if let Some(cluster) = forward::wanted(args).await? {
            let way = forward::open(args, &cluster).await?;
            let found = token::find(&config, Some(&cluster)).await?;
            return Self::verified(way, found).await;
        }
        let way = direct(args).await?;
        let found = match token::find(&config, None).await {
            Err(token::Error::Nowhere { .. }) => {
                token::find(&config, own_cluster(args).await.as_ref()).await
            }
            found => found,
        };
        Self::verified(way, found?).await
    }

    async fn verified(way: Way, found: token::Found) -> Result<Self, Error> {
        let tls = identity::client_config(&found.token).await;
        let tls = tls.map_err(|error| Error::Identity(error.to_string()))?;
        Self::over(way, tls, found).await
    }

    async fn over(way: Way, tls: Arc<ClientConfig>, found: token::Found) -> Result<Self, Error> {
        let Way { stream, place, broken } = way;
        let name = ServerName::try_from(identity::NAME);
        let name = name.map_err(|error| Error::Identity(error.to_string()))?;
        let unverified = |reason: String| Error::Unverified {
            place: place.clone(),
            place_of_token: found.source.to_string(),
            token: found.token.to_string(),
            reason,
        };
        let stream = match timeout(CONNECT, TlsConnector::from(tls).connect(name, stream)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                let said = async { timeout(Duration::from_secs(1), broken?).await.ok()? };
                return Err(match said.await {
                    Some(reason) => Error::Broken { place, reason: first_line(&reason) },
                    None => unverified(error.to_string()),
                });
            }
            Err(_) => return Err(unverified("no TLS handshake in time".to_owned())),
        };
        let connected = http1::handshake(TokioIo::new(stream)).await;
        let (sender, connection) = connected
            .map_err(|error| Error::Broken { place: place.clone(), reason: error.to_string() })?;
        tokio::spawn(connection);
        Ok(Self { sender, found, place })
    }

    /// What a GET of `path` answers.
    pub async fn get<T: DeserializeOwned>(&mut self, path: &str) -> Result<T, Error> {
        let body = self.ask(Method::GET, path).await?;
        serde_json::from_slice(&body).map_err(|error| Error::Unreadable {
            place: self.place.clone(),
            path: path.to_owned(),
            reason: error.to_string(),
        })
    }

    /// The body of a 200.
    pub async fn ask(&mut self, method: Method, path: &str) -> Result<Bytes, Error> {
        match timeout(ANSWER, self.exchange(method, path)).await {
            Ok(answer) => answer,
            Err(_) => Err(self.broken(&format!("no answer within {}s", ANSWER.as_secs()))),
        }
    }

    async fn exchange(&mut self, method: Method, path: &str) -> Result<Bytes, Error> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, identity::NAME)
            .header(header::AUTHORIZATION, format!("Bearer {}", self.found.token.expose()))
            .body(Body::empty())
            .map_err(|error| self.broken(&error.to_string()))?;
        let answer = self.sender.send_request(request).await;
        let answer = answer.map_err(|error| self.broken(&error.to_string()))?;
        let status = answer.status();
        let body = to_bytes(Body::new(answer.into_body()), MOST_BYTES).await;
        let body = body.map_err(|error| self.broken(&error.to_string()))?;
        let place = self.place.clone();
        match status {
            StatusCode::OK => Ok(body),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(Error::Refused {
                place,
                place_of_token: self.found.source.to_string(),
                token: self.found.token.to_string(),
                status: status.as_u16(),
            }),
            StatusCode::NOT_FOUND => Err(Error::Unknown { place, path: path.to_owned() }),
            _ => Err(Error::Status {
                place,
                path: path.to_owned(),
                status: status.as_u16(),
                words: first_line(&String::from_utf8_lossy(&body)),
            }),
        }
    }

    fn broken(&self, reason: &str) -> Error {
        Error::Broken { place: self.place.clone(), reason: reason.to_owned() }
    }
}

async fn direct(args: &Connect) -> Result<Way, Error> {
    let place = match args.port.address.as_deref() {
        None => format!("127.0.0.1:{}", args.port.cmd_port),
        Some(address) => {
            let port = address.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
            port.ok_or_else(|| Error::Address { address: address.to_owned() })?;
            address.to_owned()
        }
    };
    let absent = |reason: String| Error::Absent { place: place.clone(), reason };
    match timeout(CONNECT, TcpStream::connect(&place)).await {
        Ok(Ok(stream)) => Ok(Way { stream: Box::new(stream), place, broken: None }),
        Ok(Err(error)) => Err(absent(error.to_string())),
        Err(_) => Err(absent(format!("no connection within {}s", CONNECT.as_secs()))),
    }
}

/// The cluster that we are in, for the Secret; none is no error, as the token may be elsewhere.
async fn own_cluster(args: &Connect) -> Option<token::Cluster> {
    let own = args.port.kube_resources_namespace.clone().filter(|it| !it.is_empty());
    if args.kubeconfig.is_some() || args.context.is_some() {
        let cluster = forward::cluster(args).await.ok()?;
        let namespace = own.unwrap_or_else(|| cluster.namespace.clone());
        return Some(token::Cluster { namespace, ..cluster });
    }
    let config = kube::Config::infer().await.ok()?;
    let namespace = own.unwrap_or_else(|| config.default_namespace.clone());
    Some(token::Cluster { kube: kube::Client::try_from(config).ok()?, namespace })
}

#[cfg(test)]
mod tests;
