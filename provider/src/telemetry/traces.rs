//! Traces by OTLP over HTTP; only with the cargo feature `otel`.

use std::{fmt::Display, future::Future, pin::Pin, time::Duration};

use axum::http::HeaderMap;
use opentelemetry::{
    propagation::{Extractor, TextMapPropagator},
    trace::TracerProvider,
};
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::{Resource, propagation::TraceContextPropagator, trace::SdkTracerProvider};
use tokio::runtime::Handle;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::{
    Layer, Registry,
    filter::{LevelFilter, Targets},
};
use url::Url;

use crate::telemetry::{BoxedLayer, SPANS};

/// How long one export may take; spans are lost then, and nothing else is.
const EXPORT: Duration = Duration::from_secs(10);

/// Why there are no traces.
#[derive(Debug, thiserror::Error)]
#[error(
    "traces cannot be sent to {endpoint} ({reason}), give an URL such as http://collector:4318"
)]
pub(super) struct TracesError {
    endpoint: Url,
    reason: String,
}

/// Where spans are collected before they are sent.
#[derive(Debug)]
pub(super) struct Traces {
    provider: SdkTracerProvider,
}

impl Traces {
    /// Sends to the collector at `endpoint`, below which `/v1/traces` is; within a runtime, which
    /// the requests run on.
    pub(super) fn to(endpoint: &Url) -> Result<Self, TracesError> {
        let error = |reason: &dyn Display| TracesError {
            endpoint: endpoint.clone(),
            reason: reason.to_string(),
        };
        let client = reqwest::Client::builder().timeout(EXPORT).build();
        let client =
            Client { client: client.map_err(|it| error(&it))?, runtime: Handle::current() };
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(client)
            .with_endpoint(format!("{}/v1/traces", endpoint.as_str().trim_end_matches('/')))
            .build()
            .map_err(|it| error(&it))?;
        let resource = Resource::builder().with_service_name("datadog-cluster-agent").build();
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_resource(resource)
            .build();
        Ok(Self { provider })
    }

    /// What turns our spans, and no others, into those of the traces.
    pub(super) fn layer(&self) -> BoxedLayer {
        let spans = Targets::new().with_target(SPANS, LevelFilter::TRACE);
        let tracer = self.provider.tracer("datadog-cluster-agent");
        tracing_opentelemetry::layer::<Registry>().with_tracer(tracer).with_filter(spans).boxed()
    }

    /// Sends what is left; takes five seconds at most.
    pub(super) async fn finish(self) {
        // It blocks, and the thread that it waits for sends by this runtime.
        let sent = tokio::task::spawn_blocking(move || self.provider.shutdown()).await;
        if let Ok(Err(error)) = sent {
            tracing::warn!(%error, "the last spans were not sent");
        }
    }
}

/// Makes `span` a part of the trace that the headers tell of (W3C's `traceparent`).
pub(super) fn continue_trace(span: &Span, headers: &HeaderMap) {
    if !span.is_disabled() {
        let context = TraceContextPropagator::new().extract(&Headers(headers));
        // Without traces there is nothing to be a part of.
        let _ = span.set_parent(context);
    }
}

struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(|value| value.to_str().ok())
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(|name| name.as_str()).collect()
    }
}

/// Our HTTP client on our runtime: the exporter has a thread of its own, without one.
#[derive(Debug)]
struct Client {
    client: reqwest::Client,
    runtime: Handle,
}

type Sent<'a> = Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'a>>;

impl HttpClient for Client {
    fn send_bytes<'a, 'b>(&'a self, request: Request<Bytes>) -> Sent<'b>
    where
        'a: 'b,
        Self: 'b,
    {
        let client = self.client.clone();
        let sent = self.runtime.spawn(async move {
            let response = client.execute(request.try_into()?).await?;
            let answer = Response::builder().status(response.status());
            Ok::<_, HttpError>(answer.body(response.bytes().await?)?)
        });
        Box::pin(async move { sent.await? })
    }
}

#[cfg(test)]
mod tests {
    use axum::{Router, body::Bytes as Body, routing::post};
    use tokio::sync::mpsc;
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn a_span_arrives_and_continues_the_trace_of_the_request() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (sender, mut received) = mpsc::unbounded_channel();
        let collect = async move |body: Body| sender.send(body.to_vec()).unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let collector = Router::new().route("/v1/traces", post(collect));
        let serving = tokio::spawn(async { axum::serve(listener, collector).await.unwrap() });

        let traces = Traces::to(&endpoint).unwrap();
        let subscriber = tracing_subscriber::registry().with(traces.layer());
        tracing::subscriber::with_default(subscriber, || {
            let span = tracing::trace_span!(target: SPANS, "request", url.path = "/apis");
            let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
            continue_trace(
                &span,
                &[("traceparent".parse().unwrap(), parent.parse().unwrap())].into_iter().collect(),
            );
            let _other = tracing::info_span!("of the log").entered();
        });
        traces.finish().await;
        let body = received.recv().await.unwrap();
        let has = |part: &[u8]| body.windows(part.len()).any(|it| it == part);
        assert!(has(b"request") && has(b"/apis") && has(b"datadog-cluster-agent"));
        assert!(has(&0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c_u128.to_be_bytes()));
        assert!(has(&0xb7ad_6b71_6920_3331_u64.to_be_bytes()));
        assert!(!has(b"of the log"));
        serving.abort();
    }
}
