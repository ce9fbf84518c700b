//! `/healthz`, `/livez` and `/readyz` as Kubernetes' own servers answer them
//! (`k8s.io/apiserver/pkg/server/healthz`).

use std::{fmt, sync::Arc};

use axum::{
    Router,
    extract::Request,
    http::{
        HeaderName, HeaderValue, StatusCode,
        header::{CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS},
    },
    response::{IntoResponse, Response},
    routing::get,
};
use tokio_util::sync::CancellationToken;

/// What `/readyz` looks at. Datadog is not part of it: while it cannot be reached, an answer that
/// says so is worth more than an API that is gone.
#[derive(Debug, Clone)]
pub struct Readiness(Vec<Check>);

/// Something that is well or not, and if not says why.
#[derive(Clone)]
struct Check {
    name: &'static str,
    look: Arc<dyn Fn() -> Result<(), String> + Send + Sync>,
}

impl fmt::Debug for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl Check {
    fn new(
        name: &'static str,
        look: impl Fn() -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        Self { name, look: Arc::new(look) }
    }

    /// The process answers, so it is alive.
    fn ping() -> Self {
        Self::new("ping", || Ok(()))
    }

    /// By itself, at its own path: with the reason, since authorisation stands before it.
    fn answer(&self) -> Response {
        match (self.look)() {
            Ok(()) => text(StatusCode::OK, "ok".to_owned()),
            Err(why) => {
                text(StatusCode::INTERNAL_SERVER_ERROR, format!("internal server error: {why}\n"))
            }
        }
    }
}

impl Readiness {
    /// Ready until `stopping` is cancelled.
    pub fn new(stopping: CancellationToken) -> Self {
        let shutdown = move || {
            if stopping.is_cancelled() {
                return Err("process is shutting down".to_owned());
            }
            Ok(())
        };
        Self(vec![Check::ping(), Check::new("shutdown", shutdown)])
    }

    /// Ready only while `look` finds nothing wrong, too. `name` is the last part of its own path.
    #[must_use]
    pub fn with(
        mut self,
        name: &'static str,
        look: impl Fn() -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        self.0.push(Check::new(name, look));
        self
    }

    /// What each check says now.
    pub fn look(&self) -> impl Iterator<Item = (&'static str, Result<(), String>)> {
        self.0.iter().map(|check| (check.name, (check.look)()))
    }
}

/// The three paths, and one below them for each check.
pub fn routes(readiness: Readiness) -> Router {
    let alive = vec![Check::ping()];
    let all = [("healthz", alive.clone()), ("livez", alive), ("readyz", readiness.0)];
    all.into_iter().fold(Router::new(), |router, (name, checks)| {
        let router = checks.iter().cloned().fold(router, |router, check| {
            let path = format!("/{name}/{}", check.name);
            router.route(&path, get(async move || check.answer()))
        });
        let all = async move |request: Request| answer(name, &checks, request.uri().query());
        router.route(&format!("/{name}"), get(all))
    })
}

/// All checks that the query does not exclude. Why one fails is told to nobody, since anyone may
/// ask; the log has it.
fn answer(name: &str, checks: &[Check], query: Option<&str>) -> Response {
    let query = || url::form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    let mut excluded: Vec<_> =
        query().filter(|(key, _)| key == "exclude").map(|(_, value)| value).collect();
    let mut lines = vec![];
    let mut failed = false;
    for Check { name: check, look } in checks {
        let asked = excluded.len();
        excluded.retain(|name| name != check);
        lines.push(if excluded.len() < asked {
            format!("[+]{check} excluded: ok\n")
        } else if let Err(why) = look() {
            tracing::debug!(check, why, "{name} check failed");
            failed = true;
            format!("[-]{check} failed: reason withheld\n")
        } else {
            format!("[+]{check} ok\n")
        });
    }
    if !excluded.is_empty() {
        excluded.dedup();
        let unknown: Vec<_> = excluded.iter().map(|name| format!("{name:?}")).collect();
        let unknown = unknown.join(",");
        lines.push(format!(
            "warn: some health checks cannot be excluded: no matches for {unknown}\n"
        ));
    }
    let lines = lines.concat();
    if failed {
        return text(StatusCode::INTERNAL_SERVER_ERROR, format!("{lines}{name} check failed\n"));
    }
    if query().any(|(key, _)| key == "verbose") {
        return text(StatusCode::OK, format!("{lines}{name} check passed\n"));
    }
    text(StatusCode::OK, "ok".to_owned())
}

fn text(code: StatusCode, body: String) -> Response {
    const HEADERS: [(HeaderName, HeaderValue); 2] = [
        (CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8")),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ];
    (code, HEADERS, body).into_response()
}

#[cfg(test)]
mod tests;
