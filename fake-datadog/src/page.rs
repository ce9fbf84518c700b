//! The web page at `/`: what the fake holds, what it was asked, and what is wrong with it on
//! purpose.
//!
//! ```text
//! GET /            ─▶ page/index.html, one file without anything from elsewhere
//! GET /fake/live ─▶ events: what the page shows, as it changes
//! ```

mod events;
mod plot;

use std::sync::LazyLock;

use axum::{
    extract::Request,
    http::{HeaderMap, Method, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use sha2::{Digest, Sha256};

pub(crate) use crate::page::{
    events::events,
    plot::{Plot, Wanted, thinned},
};

/// The page.
const HTML: &str = include_str!("page/index.html");

/// Nothing from elsewhere, no script and no style but the page's own. Metric names, tags and
/// bodies come from anybody.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    format!(
        "default-src 'none'; script-src '{}'; style-src '{}'; connect-src 'self'; \
         img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        hash_of("script"),
        hash_of("style"),
    )
});

/// Answers a browser that asks for `/`; any other request goes on to Datadog's API and is
/// recorded there.
pub(crate) async fn at_root(request: Request, next: Next) -> Response {
    let is_root = request.uri().path() == "/" && request.method() == Method::GET;
    if is_root && accepts_html(request.headers()) { page() } else { next.run(request).await }
}

fn page() -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, POLICY.as_str()),
        (header::CACHE_CONTROL, "no-cache"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    (headers, HTML).into_response()
}

fn accepts_html(headers: &HeaderMap) -> bool {
    let Some(accept) = headers.get(header::ACCEPT) else { return true };
    let accept = accept.to_str().unwrap_or_default();
    let mut types = accept.split(',').map(|it| it.split(';').next().unwrap_or_default().trim());
    types.any(|it| matches!(it, "text/html" | "text/*" | "*/*"))
}

/// The hash by which the policy allows the page's element of that name.
fn hash_of(element: &str) -> String {
    let (start, end) = (format!("<{element}>"), format!("</{element}>"));
    let text = HTML.split_once(&start).and_then(|(_, rest)| rest.split_once(&end));
    let digest = Sha256::digest(text.map_or("", |(text, _)| text).as_bytes());
    format!("sha256-{}", STANDARD.encode(digest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepts(accept: &'static str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, accept.parse().unwrap());
        accepts_html(&headers)
    }

    #[test]
    fn only_who_takes_html_gets_the_page() {
        assert!(accepts("text/html,application/xhtml+xml;q=0.9"));
        assert!(accepts("*/*"));
        assert!(accepts("application/json, text/html;q=0.1"));
        assert!(accepts_html(&HeaderMap::new()));
        assert!(!accepts("application/json"));
    }

    #[test]
    fn the_page_is_one_file_with_one_script_and_one_style() {
        assert_eq!(HTML.matches("<script>").count(), 1);
        assert_eq!(HTML.matches("<style>").count(), 1);
        assert!(!HTML.contains("src="), "nothing is loaded");
        assert!(!HTML.contains("innerHTML"), "what clients send never becomes markup");
        // The hash of nothing would mean that the element was not found.
        assert!(!POLICY.contains("47DEQpj8HBSa"), "{}", *POLICY);
    }
}
