//! The status as text: the walkthrough's lines word for word, then the layout of today's Datadog
//! Cluster Agent with what it does not know.

use std::fmt::{self, Write};

use jiff::Timestamp;

use crate::{
    agent::status::{Autoscaler, Endpoint, ExternalMetrics, LeaderElection, Metric, Status},
    cli::{number, paint::Paint},
};

/// The whole, as `status` prints it.
pub fn text(status: &Status, paint: Paint) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    _ = write(&mut text, status, paint);
    text
}

/// The walkthrough's `custom-metrics-provider.log`.
pub fn provider_log(status: &Status) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    _ = provider(&mut text, status.external_metrics.as_ref(), Paint::Plain, true);
    text
}

/// `Thu, 19 Jul 2018 23:18:42 UTC`.
fn time(at: Timestamp) -> String {
    at.strftime("%a, %d %b %Y %H:%M:%S UTC").to_string()
}

fn or_never(at: Option<Timestamp>) -> String {
    at.map_or_else(|| "Never".to_owned(), time)
}

fn seconds(seconds: f64) -> String {
    format!("{:.0}s", seconds.ceil())
}

fn write(out: &mut String, status: &Status, paint: Paint) -> fmt::Result {
    let title = format!("Datadog Cluster Agent (v{})", status.version);
    let rule = "=".repeat(title.chars().count());
    writeln!(out, "{rule}\n{title}\n{rule}\n")?;
    writeln!(out, "  Status date: {}", time(status.now))?;
    writeln!(out, "  Agent start: {}", time(status.started))?;
    writeln!(out, "  Pid: {}", status.pid)?;
    if let Some(pod) = &status.pod {
        writeln!(out, "  Pod: {pod}")?;
    }
    writeln!(out, "  Build arch: {}", status.platform)?;
    writeln!(out, "  Agent flavor: cluster_agent")?;
    writeln!(out, "  Log level: {}\n", status.log_level)?;
    election(out, &status.leader_election, paint)?;
    out.push('\n');
    provider(out, status.external_metrics.as_ref(), paint, false)?;
    out.push('\n');
    out.push_str(&paint.heading("", "Custom Metrics Server", "="));
    match &status.external_metrics {
        Some(external) => server(out, external, paint),
        None => writeln!(
            out,
            "  Status: external metrics are not enabled, set DD_EXTERNAL_METRICS_PROVIDER_ENABLED=true"
        ),
    }
}

fn election(out: &mut String, election: &LeaderElection, paint: Paint) -> fmt::Result {
    out.push_str(&paint.heading("", "Leader Election", "="));
    if !election.enabled {
        return writeln!(out, "  Leader Election Status: Disabled, this replica leads");
    }
    match &election.error {
        None => writeln!(out, "  Leader Election Status: {}", paint.good("Running"))?,
        Some(error) => {
            writeln!(out, "  Leader Election Status: {}", paint.bad("Failing"))?;
            writeln!(out, "  Error: {error}")?;
        }
    }
    let this = if election.leads { " (this replica)" } else { "" };
    match &election.leader {
        Some(leader) => writeln!(out, "  Leader Name is: {leader}{this}")?,
        None => writeln!(out, "  Leader Name is: {}", paint.bad("nobody leads"))?,
    }
    if let Some(lease) = &election.lease {
        writeln!(out, "  Lease: {lease}")?;
    }
    writeln!(out, "  Last Acquisition of the lease: {}", or_never(election.acquired))?;
    writeln!(out, "  Renewed leadership: {}", or_never(election.renewed))?;
    let transitions = election.transitions.unwrap_or_default();
    writeln!(out, "  Number of leader transitions: {transitions} transitions")
}

/// The walkthrough's block; with a part for each metric in the flare.
fn provider(
    out: &mut String,
    external: Option<&ExternalMetrics>,
    paint: Paint,
    all: bool,
) -> fmt::Result {
    out.push_str(&paint.heading("  ", "Custom Metrics Provider", "="));
    out.push_str(&paint.heading("  ", "External Metrics", "="));
    let Some(external) = external else {
        return writeln!(out, "    External metrics are not enabled");
    };
    if let Some(name) = &external.config_map {
        let name = name.split_once('/').map_or(name.as_str(), |(_, name)| name);
        writeln!(out, "    ConfigMap name: {name}")?;
    }
    writeln!(out, "    Number of external metrics detected: {}", external.total)?;
    for error in errors(external) {
        writeln!(out, "    Error: {}", paint.bad(error))?;
    }
    if all {
        external.metrics.iter().try_for_each(|metric| block(out, metric))?;
    }
    Ok(())
}

/// What is wrong with the provider as a whole.
fn errors(external: &ExternalMetrics) -> impl Iterator<Item = &str> {
    let unread = (!external.ready).then_some("the cluster's HPAs have not been read yet");
    let asking = &external.asking;
    let words = [&asking.trouble, &asking.shortage, &asking.clock_warning];
    unread.into_iter().chain(words.into_iter().filter_map(Option::as_deref))
}

fn block(out: &mut String, metric: &Metric) -> fmt::Result {
    writeln!(out, "\n    hpa:")?;
    for Autoscaler { namespace, name, .. } in &metric.autoscalers {
        writeln!(out, "    - name: {name}\n    - namespace: {namespace}")?;
    }
    writeln!(out, "    labels:")?;
    for (key, value) in &metric.labels {
        writeln!(out, "    - {key}: {value}")?;
    }
    let at = metric.timestamp.map_or(0.0, |at| at.as_duration().as_secs_f64().floor());
    writeln!(out, "    metricName: {}", metric.name)?;
    writeln!(out, "    ts: {}", number::go(at))?;
    writeln!(out, "    valid: {}", metric.valid)?;
    writeln!(out, "    value: {}", number::go(metric.value.unwrap_or_default()))?;
    if let Some(error) = &metric.error {
        writeln!(out, "    error: {error}")?;
    }
    Ok(())
}

fn server(out: &mut String, external: &ExternalMetrics, paint: Paint) -> fmt::Result {
    if let Some(name) = &external.config_map {
        writeln!(out, "  ConfigMap name: {name}")?;
    }
    if external.datadog_metrics {
        writeln!(out, "  DatadogMetrics are read, see: kubectl get datadogmetrics -A")?;
    }
    for error in errors(external) {
        writeln!(out, "  Error: {}", paint.bad(error))?;
    }
    writeln!(out)?;
    out.push_str(&paint.heading("  ", "External Metrics", "-"));
    writeln!(out, "    Total: {}", external.total)?;
    writeln!(out, "    Valid: {}", external.valid)?;
    external.metrics.iter().try_for_each(|metric| bullet(out, metric, paint))?;
    if !external.problems.is_empty() {
        writeln!(out)?;
        out.push_str(&paint.heading("  ", "Problems of autoscalers", "-"));
        for problem in &external.problems {
            let Autoscaler { kind, namespace, name } = &problem.autoscaler;
            let reason = paint.doubtful(&problem.reason);
            writeln!(out, "  * {kind} pod autoscaler: {namespace}/{name}")?;
            writeln!(out, "    {reason}: {}", problem.note)?;
        }
    }
    writeln!(out)?;
    asking(out, external)?;
    writeln!(out)?;
    endpoints(out, &external.endpoints, paint)
}

fn bullet(out: &mut String, metric: &Metric, paint: Paint) -> fmt::Result {
    writeln!(out)?;
    let Some((first, others)) = metric.autoscalers.split_first() else {
        writeln!(out, "  * DatadogMetric that is always active")?;
        return details(out, metric, paint);
    };
    writeln!(out, "  * {} pod autoscaler: {}/{}", first.kind, first.namespace, first.name)?;
    for Autoscaler { kind, namespace, name } in others {
        writeln!(
            out,
            "    also {kind} pod autoscaler: {namespace}/{name} (younger: the options of the one above hold)"
        )?;
    }
    details(out, metric, paint)
}

fn details(out: &mut String, metric: &Metric, paint: Paint) -> fmt::Result {
    writeln!(out, "    Metric name: {}", metric.name)?;
    // What no label can say is said by the selector.
    let plain: Vec<_> = metric.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    if !metric.labels.is_empty() {
        writeln!(out, "    Labels:")?;
        for (key, value) in &metric.labels {
            writeln!(out, "    - {key}: {value}")?;
        }
    }
    if plain.join(",") != metric.selector {
        writeln!(out, "    Selector: {}", metric.selector)?;
    }
    if let Some(query) = &metric.query {
        writeln!(out, "    Query: {query}")?;
    }
    let fallback = if metric.fallback { " (fallback)" } else { "" };
    match metric.value {
        Some(value) => writeln!(out, "    Value: {value}{fallback}")?,
        None => writeln!(out, "    Value: none")?,
    }
    if let (Some(at), Some(age)) = (metric.timestamp, metric.age) {
        let (age, limit) = (seconds(age), seconds(metric.max_age));
        writeln!(out, "    Timestamp: {} ({age} old, the limit is {limit})", time(at))?;
    }
    let valid = if metric.valid { paint.good("true") } else { paint.bad("false") };
    writeln!(out, "    Valid: {valid}")?;
    match &metric.error {
        Some(error) => writeln!(out, "    Error: {error}"),
        None => Ok(()),
    }
}

fn asking(out: &mut String, external: &ExternalMetrics) -> fmt::Result {
    let asking = &external.asking;
    writeln!(out, "  Datadog queries\n  ---------------")?;
    writeln!(out, "    Refresh period: {}", seconds(asking.period))?;
    writeln!(out, "    Calls an hour: {:.0}", asking.calls_per_hour)?;
    if let Some(budget) = &asking.budget {
        let (period, reset) = (seconds(budget.period), seconds(budget.reset));
        writeln!(
            out,
            "    Budget: {} of {} calls left in {period}, resets within {reset}",
            budget.remaining, budget.limit
        )?;
    }
    writeln!(out, "    Refused queries: {}", asking.refused)?;
    match asking.clock_skew {
        Some(skew) => writeln!(out, "    Our clock minus Datadog's: {skew:.0}s"),
        None => Ok(()),
    }
}

fn endpoints(out: &mut String, endpoints: &[Endpoint], paint: Paint) -> fmt::Result {
    out.push_str(&paint.heading("", "External Metrics endpoints", "="));
    for endpoint in endpoints {
        let status = match endpoint.status.as_str() {
            "OK" => paint.good("OK"),
            "Failed" => paint.bad("Failed"),
            other => other.to_owned(),
        };
        writeln!(out, "  - URL: {}  [{status}]", endpoint.url)?;
        writeln!(out, "    Last failure: {}", or_never(endpoint.last_failure))?;
        if let Some(error) = &endpoint.last_error {
            writeln!(out, "    Last error: {error}")?;
        }
        writeln!(out, "    Last Success: {}", or_never(endpoint.last_success))?;
        if let Some(until) = endpoint.skipped_until {
            writeln!(out, "    Others are asked until: {}", time(until))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
