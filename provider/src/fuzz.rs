//! What the fuzz targets of the API do with their bytes.
//!
//! The crate in `fuzz/` only hands bytes to the functions here, and a test runs them over its
//! seeds, so that it keeps compiling. They panic when they find a defect.

#![expect(clippy::missing_panics_doc, reason = "they panic when they find a defect")]

use std::sync::{Arc, OnceLock};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::Request,
};
use tokio::{runtime::Runtime, sync::watch};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::{
    api::{
        self,
        health::Readiness,
        negotiate::{self, Format, PLAIN, VALUES},
        protobuf, selector,
    },
    quantity,
    serve::guard::Guard,
    store::Snapshot,
};

mod headers;

pub use headers::headers;

/// The text of a `labelSelector`: what is read is written such that it is read as the same.
pub fn selector(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(selector) = selector::parse(text) {
        let canonical = selector.to_string();
        assert_eq!(selector::parse(&canonical), Ok(selector), "{canonical:?}");
    }
}

/// A header `Accept`, then on lines of their own a query and a `User-Agent`.
pub fn accept(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.splitn(3, '\n');
    let accept = lines.next().unwrap_or_default();
    let (query, user_agent) = (lines.next(), lines.next());
    let offered = negotiate::negotiate(accept, VALUES);
    let plain = negotiate::negotiate(accept, PLAIN);
    assert!(plain.is_none_or(|accepted| accepted.format != Format::Table), "{accept:?}");
    // Who gets something without Tables gets something with them.
    assert!(plain.is_none() || offered.is_some(), "{accept:?}");
    negotiate::wants_pretty(query.unwrap_or_default(), user_agent.unwrap_or_default());
}

/// A quantity's text, and the same bytes as a number.
pub fn quantity(bytes: &[u8]) {
    let text = std::str::from_utf8(bytes).ok().and_then(quantity::parse);
    let number = bytes.first_chunk().map(|chunk| f64::from_le_bytes(*chunk));
    for value in [text, number].into_iter().flatten() {
        let Some(written) = quantity::format(value) else {
            assert!(!value.is_finite(), "{value} is a number");
            continue;
        };
        let read = quantity::parse(&written);
        // What is written is the nearest that there is: it stays as it is.
        assert_eq!(read.and_then(quantity::format).as_ref(), Some(&written), "{value}");
    }
}

/// A protobuf body: what anybody may send, and what we write of it.
pub fn protobuf(bytes: &[u8]) {
    protobuf::check(bytes);
}

/// A request: method and target on the first line, a header on each of the others. The answer is
/// one of those that the API has, and an error is a Status that says the same as the code.
pub fn request(bytes: &[u8]) {
    let Some(request) = read_request(bytes) else { return };
    let told = format!("{} {}", request.method(), request.uri());
    let is_head = request.method() == "HEAD";
    let is_api = request.uri().path().starts_with("/apis");
    let Ok((parts, body)) = runtime().block_on(async {
        let Ok(response) = router().clone().oneshot(request).await;
        let (parts, body) = response.into_parts();
        to_bytes(body, usize::MAX).await.map(|body| (parts, body))
    }) else {
        return;
    };
    let code = parts.status.as_u16();
    let known = [200, 204, 301, 304, 400, 404, 405, 406, 415, 422, 500, 503];
    assert!(known.contains(&code), "{code} for {told}");
    let json = parts.headers.get("content-type").is_some_and(|it| it == negotiate::JSON);
    if code >= 400 && is_api && json && !is_head {
        let status: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
        assert_eq!(status["code"], code, "{told}");
    }
}

fn read_request(bytes: &[u8]) -> Option<Request> {
    let mut lines = bytes.split(|byte| *byte == b'\n');
    let first = lines.next()?;
    let space = first.iter().position(|byte| *byte == b' ')?;
    let (method, target) = (&first[..space], &first[space + 1..]);
    let mut request = Request::builder().method(method).uri(target);
    for line in lines {
        let colon = line.iter().position(|byte| *byte == b':')?;
        request = request.header(&line[..colon], line[colon + 1..].trim_ascii());
    }
    request.body(Body::empty()).ok()
}

fn router() -> &'static Router {
    static ROUTER: OnceLock<Router> = OnceLock::new();
    ROUTER.get_or_init(|| router_over(Snapshot::new(Arc::default(), &[])))
}

fn router_over(snapshot: Snapshot) -> Router {
    let (_, store) = watch::channel(Arc::new(snapshot));
    let readiness = Readiness::new(CancellationToken::new());
    api::router(Some(api::Config { store }), readiness, Arc::default(), Guard::default())
}

fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        let built = tokio::runtime::Builder::new_current_thread().enable_time().build();
        #[expect(clippy::expect_used, reason = "nothing can be tried without one")]
        built.expect("a runtime")
    })
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use proptest::{collection::vec, prelude::*, sample::Index};

    type Target = (&'static str, fn(&[u8]));

    const TARGETS: [Target; 6] = [
        ("selector", super::selector),
        ("accept", super::accept),
        ("quantity", super::quantity),
        ("protobuf", super::protobuf),
        ("request", super::request),
        ("headers", super::headers),
    ];

    fn seeds(target: &str) -> Vec<Vec<u8>> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let seeds = fs::read_dir(root.join("fuzz/corpus").join(target)).unwrap();
        seeds.map(|seed| fs::read(seed.unwrap().path()).unwrap()).collect()
    }

    #[test]
    fn every_target_takes_its_seeds() {
        for (target, run) in TARGETS {
            let seeds = seeds(target);
            assert!(!seeds.is_empty(), "{target} has no seeds");
            for seed in &seeds {
                run(seed);
            }
        }
    }

    proptest! {
        /// Without the fuzzer's guidance; for long with `PROPTEST_CASES`.
        #[test]
        fn property_test_no_seed_with_a_few_other_bytes_is_a_defect(
            seed: Index,
            edits in vec((any::<Index>(), 0..3_u8, prop_oneof![
                any::<u8>().prop_map(|byte| vec![byte]),
                "[=!,()<> ;/%*.\n]|q=|in|%2[fF]|g=|as=|e9|\\xff".prop_map(String::into_bytes),
            ]), 1..6),
        ) {
            for (target, run) in TARGETS {
                let seeds = seeds(target);
                let mut bytes = seed.get(&seeds).clone();
                for (at, edit, with) in &edits {
                    let at = at.index(bytes.len() + 1);
                    let end = bytes.len().min(at + usize::from(*edit));
                    bytes.splice(at..end, with.iter().copied());
                }
                run(&bytes);
            }
        }
    }
}
