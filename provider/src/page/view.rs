//! Writes a page as one HTML document. `html!` escapes every text that is put in.

use std::time::Duration;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::{
    lead::Role,
    page::{
        model::{Condition, Filter, Metric, Model, Row, Scaling, State},
        spark,
    },
};

mod tiles;

const STYLE: &str = include_str!("style.css");

fn document(title: &str, nonce: &str, reload: u32, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                @if reload > 0 { meta http-equiv="refresh" content=(reload); }
                title { (title) }
                style nonce=(nonce) { (PreEscaped(STYLE)) }
            }
            body { (body) }
        }
    }
}

/// Asks for the token.
pub(super) fn login(error: Option<&str>, nonce: &str) -> Markup {
    let body = html! {
        main {
            form.card.login method="post" action="/login" {
                h1 { "datadog-cluster-agent" }
                p.soft { "Status of external metrics. It takes the cluster agent's token." }
                @if let Some(error) = error { p.notice.bad role="alert" { (error) } }
                label {
                    "Token"
                    input type="password" name="token" autocomplete="current-password" required autofocus;
                }
                button type="submit" { "Show the status" }
            }
        }
    };
    document("Log in – datadog-cluster-agent", nonce, 0, &body)
}

/// The page.
pub(super) fn page(model: &Model, nonce: &str) -> Markup {
    let (in_trouble, _, _) = model.autoscalers;
    let title = match in_trouble {
        0 => "External metrics".to_owned(),
        count => format!("({count}) External metrics"),
    };
    let reload = match model.filter.reload {
        0 => 0,
        seconds => seconds.clamp(5, 3600),
    };
    let body = html! {
        header {
            h1 { "External metrics" }
            span.soft { "datadog-cluster-agent " (env!("CARGO_PKG_VERSION")) ", " (time(model)) }
            form method="post" action="/logout" { button type="submit" { "Log out" } }
        }
        main {
            (tiles::tiles(model))
            (notices(model))
            @if model.autoscalers.2 == 0 { (nothing(model)) } @else {
                (filter(model))
                (rows(model))
                (paging(model))
            }
        }
        footer {
            p {
                "Values are those of this replica. Times are UTC. "
                @if reload > 0 { "Loads itself every " (reload) " seconds." }
            }
        }
    };
    document(&title, nonce, reload, &body)
}

fn time(model: &Model) -> String {
    model.now.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

fn notices(model: &Model) -> Markup {
    let lead = &model.leadership;
    html! {
        @if let Some(trouble) = &model.asking.trouble {
            p.notice.bad role="alert" { (trouble) }
        }
        @if let Some(shortage) = &model.asking.shortage {
            p.notice.bad { (shortage) }
        }
        @if let Some(skew) = model.asking.clock_skew_text() { p.notice.bad { (skew) } }
        @if let Some(error) = &lead.error { p.notice.bad { "Leader election: " (error) } }
        @if lead.role == Role::Follower && lead.lease.as_ref().is_none_or(|it| it.holder.is_empty()) {
            p.notice.bad { "No replica leads: nobody asks Datadog." }
        }
    }
}

fn nothing(model: &Model) -> Markup {
    html! {
        section.card {
            @if model.ready {
                h2 { "No autoscaler asks for an external metric" }
                p { "Give a HorizontalPodAutoscaler a metric of type External. It shows up here within a second." }
                pre { code {
                    "metrics:\n- type: External\n  external:\n    metric:\n      name: nginx.net.request_per_s\n"
                    "      selector:\n        matchLabels:\n          kube_container_name: nginx\n"
                    "    target:\n      type: AverageValue\n      averageValue: \"9\"\n"
                } }
                p.soft {
                    "If there is one already, see whether DD_EXTERNAL_METRICS_PROVIDER_AUTOSCALER_AUTOGEN_LABEL_SELECTOR \
                     leaves it out."
                }
            } @else {
                h2 { "The cluster's HPAs have not been read yet" }
                p {
                    "If this stays, the log says why. Mostly a right is missing: the ClusterRole dca \
                     (rbac-cluster-agent.yaml) grants list and watch on horizontalpodautoscalers."
                }
            }
        }
    }
}

fn filter(model: &Model) -> Markup {
    let Filter { namespace, find, show, reload, .. } = &model.filter;
    let is_listed = model.namespaces.iter().any(|it| it == namespace);
    html! {
        form.filter method="get" action="/" role="search" {
            select name="namespace" aria-label="Namespace" {
                option value="" { "All namespaces" }
                @if !namespace.is_empty() && !is_listed { option value=(namespace) selected { (namespace) } }
                @for it in &model.namespaces {
                    option value=(it) selected[it == namespace] { (it) }
                }
            }
            input type="search" name="find" value=(find) placeholder="Autoscaler or metric" aria-label="Find";
            select name="show" aria-label="Which" {
                option value="" { "All" }
                option value="trouble" selected[show == "trouble"] { "Only trouble" }
            }
            select name="reload" aria-label="Reload" {
                @for (seconds, text) in [(0, "No reload"), (15, "Every 15 s"), (60, "Every 60 s")] {
                    option value=(seconds) selected[seconds == *reload] { (text) }
                }
            }
            button type="submit" { "Show" }
        }
    }
}

fn rows(model: &Model) -> Markup {
    let (_, fitting, total) = model.autoscalers;
    html! {
        @if fitting == 0 {
            section.card {
                p { "None of the " (total) " autoscalers fits. " a href="/" { "Show all" } }
            }
        }
        @for row in &model.rows { (self::row(row)) }
    }
}

fn row(row: &Row) -> Markup {
    let is_bad = |metric: &Metric| matches!(metric.state, State::Trouble(..));
    let in_trouble = !row.problems.is_empty() || row.metrics.iter().any(is_bad);
    html! {
        article.card.trouble[in_trouble] {
            div.head {
                h2 {
                    @match &row.autoscaler {
                        Some(by) => (by),
                        None => "DatadogMetric that is always asked for",
                    }
                }
                @if let Some(scaling) = &row.scaling { (replicas(scaling)) }
            }
            @if let Some(scaling) = &row.scaling { (conditions(scaling)) }
            @for problem in &row.problems {
                p { span.badge.bad { (problem.reason) } " " (problem.note) }
            }
            @for metric in &row.metrics { (self::metric(metric)) }
            @if row.more > 0 { p.soft { "and " (row.more) " more" } }
        }
    }
}

fn replicas(scaling: &Scaling) -> Markup {
    let number = |it: Option<i64>| it.map_or("?".to_owned(), |it| it.to_string());
    let Scaling { current, desired, bounds: (least, most), error, .. } = scaling;
    html! {
        span.replicas {
            @if error.is_none() {
                b { (number(*current)) }
                @if desired != current { " → " b { (number(*desired)) } }
                " replicas "
                span.soft { "(" (number(*least)) " to " (number(*most)) ")" }
            }
        }
    }
}

fn conditions(scaling: &Scaling) -> Markup {
    html! {
        @if let Some(error) = &scaling.error { p.soft { "It cannot be read: " (error) } }
        @if !scaling.conditions.is_empty() {
            ul.conditions {
                @for Condition { type_, good, reason, message } in &scaling.conditions {
                    li {
                        span.badge.good[*good].wait[!*good] title=(message) {
                            (type_) @if !reason.is_empty() { ": " (reason) }
                        }
                    }
                }
            }
            @for condition in scaling.conditions.iter().filter(|it| !it.good && !it.message.is_empty()) {
                p.soft { (condition.type_) ": " (condition.message) }
            }
        }
    }
}

fn metric(metric: &Metric) -> Markup {
    html! {
        section.metric {
            div {
                b { (metric.name) } " "
                @if !metric.key.selector.is_empty() { code.soft { "{" (metric.key.selector) "}" } " " }
                @match &metric.state {
                    State::Fresh => span.badge.good { "fresh" },
                    State::Waiting => span.badge.wait { "not asked yet" },
                    State::Trouble(reason, _) => span.badge.bad { (reason) },
                }
                @if let Some(query) = &metric.query { div { code { (query) } } }
            }
            div.value {
                b title=[metric.value] { (metric.value.map_or("–".to_owned(), short)) }
                @if let Some(age) = metric.age {
                    div.soft { (seconds(age)) " old, limit " (seconds(metric.age_limit)) }
                }
            }
            div.hour { (hour(metric)) }
            @if let State::Trouble(_, words) = &metric.state { div.why { (words) } }
        }
    }
}

fn hour(metric: &Metric) -> Markup {
    let Some((path, (x, y))) = spark::line(&metric.hour) else {
        return html! { span.soft { "no value in the last hour" } };
    };
    let known = || metric.hour.iter().flatten().copied();
    let bounds = known().reduce(f32::min).zip(known().reduce(f32::max));
    let (low, high) = bounds.unwrap_or_default();
    let label = format!("last hour: between {low} and {high}");
    html! {
        svg viewBox=(format!("0 0 {} {}", spark::WIDTH, spark::HEIGHT)) preserveAspectRatio="none" role="img" aria-label=(label) {
            title { (label) }
            path d=(path) vector-effect="non-scaling-stroke";
            circle cx=(x) cy=(y) r="2";
        }
    }
}

fn paging(model: &Model) -> Markup {
    let (page, pages) = (model.filter.page, model.pages);
    html! {
        @if pages > 1 {
            nav aria-label="Pages" {
                @if page > 1 { a href=(link(&model.filter, page - 1)) rel="prev" { "← Before" } }
                span { "Page " (page) " of " (pages) }
                @if page < pages { a href=(link(&model.filter, page + 1)) rel="next" { "After →" } }
            }
        }
    }
}

fn link(filter: &Filter, page: usize) -> String {
    let Filter { namespace, find, show, reload, .. } = filter;
    let query = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("namespace", namespace)
        .append_pair("find", find)
        .append_pair("show", show)
        .append_pair("reload", &reload.to_string())
        .append_pair("page", &page.to_string())
        .finish();
    format!("/?{query}")
}

/// Few digits, for who looks; all of them are in the tooltip.
fn short(value: f64) -> String {
    let size = value.abs();
    if size != 0.0 && !(1e-3..1e9).contains(&size) {
        return format!("{value:.3e}");
    }
    let digits = format!("{value:.3}");
    digits.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Whole seconds, as the API says them.
fn seconds(duration: Duration) -> String {
    format!("{}s", duration.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_few_digits() {
        for (value, expected) in [
            (0.0, "0"),
            (26.5, "26.5"),
            (18.554_319_7, "18.554"),
            (100.0, "100"),
            (-0.000_25, "-2.500e-4"),
            (9e15, "9.000e15"),
        ] {
            assert_eq!(short(value), expected);
        }
    }
}
