//! A client for the control API, for harnesses in Rust.

use reqwest::{Method, RequestBuilder};
use serde::{Serialize, de::DeserializeOwned};
use url::Url;

use crate::control::{
    Accepted, Clock, ClockChange, Fault, FaultList, Health, Problem, RateLimit, RecordedRequest,
    Removed, RequestLog, Script, SeriesList,
};

/// Talks to the control API of one fake.
///
/// The process must have installed a rustls crypto provider before making one.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    base: Url,
}

/// Why a control call failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No HTTP client can be made.
    #[error("cannot set up an HTTP client for the fake at {base}")]
    Setup {
        /// The fake.
        base: Box<Url>,
        /// The cause.
        #[source]
        source: reqwest::Error,
    },
    /// The fake was not reached, or what it said was not understood.
    #[error("cannot {method} {url}")]
    Transport {
        /// HTTP method.
        method: Method,
        /// Address.
        url: Box<Url>,
        /// The cause.
        #[source]
        source: reqwest::Error,
    },
    /// The fake refused the call.
    #[error("{method} {url} was refused with {status}: {reason}")]
    Refused {
        /// HTTP method.
        method: Method,
        /// Address.
        url: Box<Url>,
        /// Status code.
        status: u16,
        /// The fake's words.
        reason: String,
    },
}

impl Client {
    /// A client for the fake at `url`, such as `http://127.0.0.1:8126`. Does not connect yet.
    ///
    /// # Errors
    ///
    /// When the HTTP client cannot be made.
    pub fn new(url: Url) -> Result<Self, ClientError> {
        let http = reqwest::Client::builder().no_proxy().build();
        let http =
            http.map_err(|source| ClientError::Setup { base: Box::new(url.clone()), source })?;
        Ok(Self { http, base: url })
    }

    /// Where the fake is.
    pub fn url(&self) -> &Url {
        &self.base
    }

    /// Begins a scenario, in YAML or JSON. Submitted points and the log of requests stay.
    pub async fn set_scenario(&self, text: &str) -> Result<(), ClientError> {
        let (url, request) = self.request(&Method::PUT, "/fake/scenario");
        let _: serde_json::Value =
            self.send(&Method::PUT, url, request.body(text.to_owned())).await?;
        Ok(())
    }

    /// The scenario in force, as JSON that [`Client::set_scenario`] takes.
    pub async fn scenario(&self) -> Result<String, ClientError> {
        let scenario: serde_json::Value = self.call(Method::GET, "/fake/scenario", NO_BODY).await?;
        Ok(scenario.to_string())
    }

    /// The scripted series and their values now.
    pub async fn series(&self) -> Result<SeriesList, ClientError> {
        self.call(Method::GET, "/fake/series", NO_BODY).await
    }

    /// Sets a scripted series, in place of an earlier one of the same metric and tags.
    pub async fn script(&self, script: &Script) -> Result<Accepted, ClientError> {
        self.call(Method::PUT, "/fake/series", Some(script)).await
    }

    /// Removes every scripted series.
    pub async fn clear_scripts(&self) -> Result<Removed, ClientError> {
        self.call(Method::DELETE, "/fake/series", NO_BODY).await
    }

    /// Puts a fault in force, in place of one of the same name.
    pub async fn fault(&self, fault: &Fault) -> Result<(), ClientError> {
        let _: serde_json::Value = self.call(Method::PUT, "/fake/faults", Some(fault)).await?;
        Ok(())
    }

    /// Every fault that is set, and how it stands.
    pub async fn faults(&self) -> Result<FaultList, ClientError> {
        self.call(Method::GET, "/fake/faults", NO_BODY).await
    }

    /// Lifts every fault.
    pub async fn clear_faults(&self) -> Result<Removed, ClientError> {
        self.call(Method::DELETE, "/fake/faults", NO_BODY).await
    }

    /// Where the scenario is.
    pub async fn clock(&self) -> Result<Clock, ClientError> {
        self.call(Method::GET, "/fake/clock", NO_BODY).await
    }

    /// Changes the scenario's speed, or skips a span of it.
    pub async fn set_clock(&self, change: &ClockChange) -> Result<Clock, ClientError> {
        self.call(Method::PUT, "/fake/clock", Some(change)).await
    }

    /// Sets rate limits in place of those before; none lifts them.
    pub async fn set_rate_limits(&self, limits: &[RateLimit]) -> Result<(), ClientError> {
        let _: serde_json::Value =
            self.call(Method::PUT, "/fake/rate_limits", Some(&limits)).await?;
        Ok(())
    }

    /// What clients asked so far.
    pub async fn requests(&self) -> Result<RequestLog, ClientError> {
        self.call(Method::GET, "/fake/requests", NO_BODY).await
    }

    /// One of the last requests with its headers and bodies.
    pub async fn exchange(&self, id: u64) -> Result<RecordedRequest, ClientError> {
        self.call(Method::GET, &format!("/fake/requests/{id}"), NO_BODY).await
    }

    /// Back to the state after the start; a scenario given then begins anew.
    pub async fn reset(&self) -> Result<(), ClientError> {
        let _: serde_json::Value = self.call(Method::POST, "/fake/reset", NO_BODY).await?;
        Ok(())
    }

    /// Whether the fake answers, and what it holds.
    pub async fn health(&self) -> Result<Health, ClientError> {
        self.call(Method::GET, "/fake/health", NO_BODY).await
    }

    async fn call<B: Serialize + Sync, T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&B>,
    ) -> Result<T, ClientError> {
        let (url, mut request) = self.request(&method, path);
        if let Some(body) = body {
            request = request.json(body);
        }
        self.send(&method, url, request).await
    }

    fn request(&self, method: &Method, path: &str) -> (Url, RequestBuilder) {
        let mut url = self.base.clone();
        url.set_path(path);
        (url.clone(), self.http.request(method.clone(), url))
    }

    async fn send<T: DeserializeOwned>(
        &self,
        method: &Method,
        url: Url,
        request: RequestBuilder,
    ) -> Result<T, ClientError> {
        let transport = |source| ClientError::Transport {
            method: method.clone(),
            url: Box::new(url.clone()),
            source,
        };
        let response = request.send().await.map_err(transport)?;
        let status = response.status();
        if status.is_success() {
            return response.json().await.map_err(transport);
        }
        let text = response.text().await.map_err(transport)?;
        let reason = serde_json::from_str(&text).map_or(text, |problem: Problem| problem.error);
        let (method, url) = (method.clone(), Box::new(url));
        Err(ClientError::Refused { method, url, status: status.as_u16(), reason })
    }
}

const NO_BODY: Option<&()> = None;
