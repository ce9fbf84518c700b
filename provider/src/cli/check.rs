//! `check-config`: what `run` would say of its flags and its environment, all of it at once.

use std::time::Duration;

use jiff::Timestamp;
use secrecy::ExposeSecret;
use serde::Serialize;

use crate::{
    agent::token,
    app,
    args::{Run, commands::CheckConfig},
    cli::paint::Paint,
    datadog::{Client, endpoints::Endpoint},
    query::Query,
    serve::tls::Source,
    telemetry,
};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Level {
    /// It is well.
    Ok,
    /// It works, but hardly as it is meant.
    Warning,
    /// `run` would fail.
    Error,
}

/// What is to be said about one thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    level: Level,
    text: String,
}

impl Finding {
    fn ok(text: impl Into<String>) -> Self {
        Self { level: Level::Ok, text: text.into() }
    }

    fn warning(text: impl Into<String>) -> Self {
        Self { level: Level::Warning, text: text.into() }
    }

    fn error(text: &impl ToString) -> Self {
        Self { level: Level::Error, text: text.to_string() }
    }
}

/// All that can be said without asking anybody, and with `--online` what Datadog says of the keys.
pub(super) async fn all(args: &CheckConfig) -> Vec<Finding> {
    let run = &args.run;
    let mut findings = vec![log(run), serving(run), token(run).await];
    if !run.external_metrics.enabled {
        findings.push(Finding::warning(
            "external metrics are off, set DD_EXTERNAL_METRICS_PROVIDER_ENABLED=true to serve them",
        ));
        return findings;
    }
    findings.extend(times(run));
    findings.push(cluster(run).await);
    match endpoints(run) {
        Err(finding) => findings.push(finding),
        Ok(endpoints) => {
            for endpoint in endpoints {
                findings.push(if args.online {
                    ask(run, endpoint).await
                } else {
                    let (origin, setting) = (origin(&endpoint), &endpoint.setting);
                    Finding::ok(format!("Datadog endpoint {origin}, from {setting}"))
                });
            }
        }
    }
    findings
}

/// Whether `run` would start.
pub(super) fn is_good(findings: &[Finding]) -> bool {
    findings.iter().all(|finding| finding.level != Level::Error)
}

/// A line for each.
pub(super) fn text(findings: &[Finding], paint: Paint) -> String {
    let line = |Finding { level, text }: &Finding| {
        let level = match level {
            Level::Ok => paint.good("ok     "),
            Level::Warning => paint.doubtful("warning"),
            Level::Error => paint.bad("error  "),
        };
        format!("{level}  {text}\n")
    };
    findings.iter().map(line).collect()
}

fn log(run: &Run) -> Finding {
    let level = &run.log.log_level;
    match telemetry::filter(level) {
        Ok(_) => Finding::ok(format!("log level {level}")),
        Err(error) => Finding::error(&error),
    }
}

fn serving(run: &Run) -> Finding {
    let port = run.serving.port;
    match run.serving.certificate() {
        Source::Files(files) => match files.read() {
            Ok(pair) => Finding::ok(format!(
                "port {port} with the certificate of {}, good until {}",
                files.certificate.display(),
                pair.not_after
            )),
            Err(error) => Finding::error(&error),
        },
        Source::OwnCa { secret, .. } => {
            Finding::ok(format!("port {port} with a certificate of the own CA in Secret {secret}"))
        }
        Source::SelfSigned => Finding::ok(format!(
            "port {port} with a self-signed certificate: the APIService needs insecureSkipTLSVerify"
        )),
    }
}

/// Without the cluster: what is in a Secret is not read here.
async fn token(run: &Run) -> Finding {
    match token::find(&run.agent.token.config(), None).await {
        Ok(found) => Finding::ok(format!("token in {}: {}", found.source, found.token)),
        Err(token::Error::Nowhere { .. }) => Finding::ok(format!(
            "no token in {} or a file: that of the Secret {} counts",
            token::VARIABLE,
            run.agent.token.secret
        )),
        Err(error) => Finding::error(&error),
    }
}

/// Periods that do not fit together.
fn times(run: &Run) -> Vec<Finding> {
    let settings = &run.external_metrics;
    let show = humantime::format_duration;
    let mut findings = Vec::new();
    let (refresh, age) = (settings.refresh_period, settings.max_age);
    if age < refresh {
        findings.push(Finding::warning(format!(
            "max age {} is shorter than the refresh period {}: values are too old before they are asked for again",
            show(age), show(refresh)
        )));
    }
    let buckets = Duration::from_secs(settings.rollup.into()) * 3;
    if age < buckets {
        findings.push(Finding::warning(format!(
            "max age {} is shorter than three rollups: {} count",
            show(age),
            show(buckets)
        )));
    }
    if settings.max_time_window < settings.bucket_size {
        findings.push(Finding::warning(format!(
            "bucket size {} is longer than the max time window {}, which counts",
            show(settings.bucket_size),
            show(settings.max_time_window)
        )));
    }
    if !(1..=35).contains(&settings.chunk_size) {
        let used = settings.chunk_size.clamp(1, 35);
        let text =
            format!("chunk size {} is not within 1 to 35, {used} counts", settings.chunk_size);
        findings.push(Finding::warning(text));
    }
    if findings.is_empty() {
        let text = format!("refresh period {}, max age {}", show(refresh), show(age));
        findings.push(Finding::ok(text));
    }
    findings
}

/// Whether there is a way to kube-apiserver; nobody is asked.
async fn cluster(run: &Run) -> Finding {
    match app::kube_config(run).await {
        Ok(config) => Finding::ok(format!(
            "kube-apiserver at {}, namespace {}",
            crate::scrub::url(&config.cluster_url.to_string()),
            config.default_namespace
        )),
        Err(error) => Finding::error(&app::one_line(&error)),
    }
}

/// Endpoints and keys that a client can be made of.
fn endpoints(run: &Run) -> Result<Vec<Endpoint>, Finding> {
    let endpoints = run.datadog.endpoints().map_err(|error| Finding::error(&error))?;
    Client::of(endpoints.clone(), run.datadog.query_timeout)
        .map_err(|error| Finding::error(&error))?;
    Ok(endpoints)
}

fn origin(endpoint: &Endpoint) -> String {
    endpoint.url.origin().ascii_serialization()
}

/// One query: Datadog's own validation of keys knows nothing of the application key.
async fn ask(run: &Run, endpoint: Endpoint) -> Finding {
    let (origin, setting) = (origin(&endpoint), endpoint.setting.clone());
    let keys = endpoint.keys.current();
    let client = match Client::of(vec![endpoint], run.datadog.query_timeout) {
        Ok(client) => client,
        Err(error) => return Finding::error(&error),
    };
    let query = Query::new("avg:system.cpu.user{*}.rollup(30)");
    let window = Duration::from_secs(300);
    match client.ask(&[query], Timestamp::now(), window).await.result {
        Err(error) if !error.is_about_a_query() => Finding::error(&error),
        _ => Finding::ok(format!(
            "Datadog takes the keys at {origin}, from {setting}: API key {}, application key {}",
            crate::scrub::describe(keys.api.expose_secret()),
            crate::scrub::describe(keys.app.expose_secret()),
        )),
    }
}

#[cfg(test)]
mod tests;
