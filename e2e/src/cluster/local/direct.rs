//! One GET after the other, with the credentials and headers of a scenario's choice: kube's client
//! hides too much of both.

use std::{fmt, fs, path::Path, time::Duration};

use anyhow::{Context, ensure};
use http::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Certificate, Identity, tls::TlsInfo};
use url::Url;

use crate::{load::Connections, pki::Pair};

/// No answer takes longer on loopback.
const LIMIT: Duration = Duration::from_secs(10);

/// Whose certificates a server may have.
#[derive(Debug, Clone, Copy)]
pub enum Trust<'a> {
    /// Anybody's.
    Anybody,
    /// That of these authorities, as PEM.
    Authority(&'a [u8]),
}

/// A client of one server with one client certificate, or none.
#[derive(Clone)]
pub struct Direct {
    url: Url,
    trust: Option<Vec<Certificate>>,
    identity: Option<Identity>,
    /// None where each request has a connection of its own: reqwest would resume the TLS session of an
    /// earlier one, in which no certificate is shown.
    http: Option<reqwest::Client>,
}

/// What the server said.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, byte for byte.
    pub body: Vec<u8>,
    /// The certificate of the server, as DER.
    pub certificate: Vec<u8>,
}

impl Direct {
    /// A client of the server at `url`.
    pub fn new(
        url: &Url,
        trust: Trust<'_>,
        pair: Option<&Pair>,
        connections: Connections,
    ) -> anyhow::Result<Self> {
        let trust = match trust {
            Trust::Anybody => None,
            Trust::Authority(pem) => Some(Certificate::from_pem_bundle(pem)?),
        };
        let identity = pair.map(identity).transpose()?;
        let mut direct = Self { url: url.clone(), trust, identity, http: None };
        if connections == Connections::Kept {
            direct.http = Some(direct.client()?);
        }
        Ok(direct)
    }

    fn client(&self) -> reqwest::Result<reqwest::Client> {
        let client = reqwest::Client::builder().no_proxy().timeout(LIMIT).tls_info(true);
        let client = match &self.trust {
            None => client.tls_danger_accept_invalid_certs(true),
            Some(certificates) => client.tls_certs_only(certificates.iter().cloned()),
        };
        match &self.identity {
            Some(identity) => client.identity(identity.clone()),
            None => client,
        }
        .build()
    }

    /// Asks for a path, with a query or without, as it is.
    pub async fn get(&self, path: &str, headers: &[(&str, &str)]) -> anyhow::Result<Answer> {
        let url = self.url.join(path)?;
        ensure!(url.origin() == self.url.origin(), "{path} leads to another server");
        let mut all = HeaderMap::new();
        for (name, value) in headers {
            all.append(HeaderName::try_from(*name)?, HeaderValue::try_from(*value)?);
        }
        let client = match &self.http {
            Some(client) => client.clone(),
            None => self.client()?,
        };
        let answer = client.get(url).headers(all).send().await?;
        let info = answer.extensions().get::<TlsInfo>().and_then(TlsInfo::peer_certificate);
        let certificate = info.unwrap_or_default().to_vec();
        Ok(Answer {
            status: answer.status().as_u16(),
            headers: answer.headers().clone(),
            certificate,
            body: answer.bytes().await?.to_vec(),
        })
    }

    /// As [`Direct::get`] with the token of somebody.
    pub async fn get_as(&self, token: &str, path: &str) -> anyhow::Result<Answer> {
        self.get(path, &[("authorization", &format!("Bearer {token}"))]).await
    }
}

impl fmt::Debug for Direct {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Direct").field("url", &self.url.as_str()).finish_non_exhaustive()
    }
}

impl Answer {
    /// The status and the body on one line.
    pub fn describe(&self) -> String {
        format!("{} {}", self.status, self.text().trim_end())
    }

    /// The body, if it is text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// A pair as reqwest wants it.
pub(super) fn identity(pair: &Pair) -> anyhow::Result<Identity> {
    let read =
        |path: &Path| fs::read(path).with_context(|| format!("cannot read {}", path.display()));
    let pem = [read(&pair.certificate)?, read(&pair.key)?].concat();
    Ok(Identity::from_pem(&pem)?)
}
