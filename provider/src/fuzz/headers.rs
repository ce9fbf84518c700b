//! Who is believed, and whether what is reviewed is what is served.

#![expect(clippy::panic, reason = "so does a target tell of a defect")]

use std::sync::{Arc, OnceLock};

use axum::{
    Router,
    extract::{MatchedPath, RawPathParams, Request, rejection::RawPathParamsRejection},
    http::{HeaderMap, HeaderName, HeaderValue, header::AUTHORIZATION},
    middleware::{self, Next},
    response::Response,
};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
};
use rustls::pki_types::CertificateDer;
use tokio::sync::watch;
use tower::ServiceExt;

use super::{read_request, router_over, runtime};
use crate::{
    api::{
        access::{Token, bearer},
        attributes::{Attributes, Resource},
        authn::{Allowed, Authenticator, HeaderNames, Roots, Trust, Verdict},
        peer::Peer,
    },
    store::Snapshot,
};

const USERS: [HeaderName; 2] =
    [HeaderName::from_static("x-remote-user"), HeaderName::from_static("x-user")];
const GROUPS: [HeaderName; 1] = [HeaderName::from_static("x-remote-group")];
const UIDS: [HeaderName; 1] = [HeaderName::from_static("x-remote-uid")];
const EXTRAS: [&str; 2] = ["x-remote-extra-", "x-extra-"];

/// A request, as for [`super::request`]: its headers are judged as those of a stranger, of a user
/// and of a front proxy, and its target must be reviewed as what the router takes it for.
pub fn headers(bytes: &[u8]) {
    let Some(request) = read_request(bytes) else { return };
    believe(request.headers());
    read_token(request.headers());
    review(request);
}

/// Certificates are made once; what they prove is then known.
struct World {
    authenticator: Authenticator,
    /// Knows no authorities yet.
    early: Authenticator,
    stranger: Peer,
    user: Peer,
    front_proxy: Peer,
}

impl World {
    fn new() -> Result<Self, rcgen::Error> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate()?;
        let ca = params.self_signed(&key)?.pem();
        let issuer = Issuer::new(params, key);
        let roots = Roots::from_pem(&ca).map(|(roots, _)| roots).unwrap_or_default();
        let trust = Trust {
            generation: 1,
            known: true,
            front_proxy: roots.clone(),
            allowed: Allowed::Only(vec!["front-proxy".to_owned()]),
            client: roots,
            headers: HeaderNames {
                users: USERS.to_vec(),
                uids: UIDS.to_vec(),
                groups: GROUPS.to_vec(),
                extra_prefixes: EXTRAS.map(str::to_owned).to_vec(),
            },
        };
        let early = Trust { generation: 0, known: false, ..trust.clone() };
        let authenticator = |trust| Authenticator::new(watch::channel(Arc::new(trust)).1);
        let peer = |chain| Peer::new(([127, 0, 0, 1], 1).into(), chain);
        let shows = |name| leaf(name, &issuer).map(|certificate| peer(vec![certificate]));
        Ok(Self {
            authenticator: authenticator(trust),
            early: authenticator(early),
            stranger: peer(Vec::new()),
            user: shows("jane")?,
            front_proxy: shows("front-proxy")?,
        })
    }

    fn get() -> &'static Self {
        static WORLD: OnceLock<World> = OnceLock::new();
        WORLD.get_or_init(|| {
            #[expect(clippy::expect_used, reason = "nothing can be tried without one")]
            Self::new().expect("certificates")
        })
    }
}

fn leaf(name: &str, issuer: &Issuer<'_, KeyPair>) -> Result<CertificateDer<'static>, rcgen::Error> {
    let mut params = CertificateParams::default();
    // There is another one in it.
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    Ok(params.signed_by(&KeyPair::generate()?, issuer)?.der().clone())
}

fn believe(headers: &HeaderMap) {
    let world = World::get();
    for peer in [&world.user, &world.front_proxy] {
        let verdict = judge(&world.early, peer, headers);
        assert!(matches!(verdict, Verdict::Refused(_)), "{verdict:?} before anybody is known");
    }
    for authenticator in [&world.early, &world.authenticator] {
        let verdict = judge(authenticator, &world.stranger, headers);
        assert_eq!(verdict, Verdict::NoOpinion, "without a certificate");
    }
    let Verdict::User(jane) = judge(&world.authenticator, &world.user, headers) else {
        panic!("the headers make a user nobody")
    };
    assert_eq!((jane.name.as_str(), jane.uid.as_str()), ("jane", ""));
    assert!(jane.groups.is_empty() && jane.extra.len() == 1, "{jane:?}");

    let verdict = judge(&world.authenticator, &world.front_proxy, headers);
    let is_text = |value: &HeaderValue| std::str::from_utf8(value.as_bytes()).is_ok();
    let says = |names: &[HeaderName], text: &str| {
        let mut values = names.iter().flat_map(|name| headers.get_all(name));
        values.any(|value| value.as_bytes() == text.as_bytes())
    };
    match verdict {
        Verdict::User(user) if user.name == "front-proxy" && !says(&USERS, "front-proxy") => {
            // Nobody is named: of a repeated header the first counts.
            let first = |name| headers.get(name).is_none_or(HeaderValue::is_empty);
            assert!(USERS.iter().all(first), "{headers:?}");
            assert!(user.groups.is_empty(), "{user:?}");
        }
        Verdict::User(user) => {
            assert!(says(&USERS, &user.name), "{user:?}");
            assert!(user.uid.is_empty() || says(&UIDS, &user.uid), "{user:?}");
            assert!(user.groups.iter().all(|group| says(&GROUPS, group)), "{user:?}");
            let said =
                headers.keys().filter(|name| is_extra(name)).flat_map(|name| headers.get_all(name));
            let read: usize = user.extra.values().map(Vec::len).sum();
            assert_eq!(read, said.count(), "{user:?}");
        }
        Verdict::Refused(_) => {
            assert!(!headers.values().all(is_text), "all of it is text");
        }
        Verdict::NoOpinion => panic!("it has a name of its own"),
    }
}

/// Afterwards the front proxy's headers are gone, and no others.
fn judge(authenticator: &Authenticator, peer: &Peer, headers: &HeaderMap) -> Verdict {
    let mut left = headers.clone();
    let verdict = authenticator.certificate(peer, &mut left);
    let is_said = |name: &HeaderName| {
        USERS.contains(name) || GROUPS.contains(name) || UIDS.contains(name) || is_extra(name)
    };
    let found = left.keys().find(|name| is_said(name));
    assert_eq!(found, None, "{verdict:?}");
    let others = headers.iter().filter(|(name, _)| !is_said(name)).count();
    assert_eq!(left.len(), others, "{verdict:?}");
    verdict
}

fn is_extra(name: &HeaderName) -> bool {
    EXTRAS.iter().any(|prefix| name.as_str().starts_with(prefix))
}

fn read_token(headers: &HeaderMap) {
    let token = bearer(headers);
    match headers.get_all(AUTHORIZATION).iter().count() {
        0 => assert_eq!(token, Token::None),
        1 => {}
        _ => assert!(matches!(token, Token::Unreadable(_)), "{token:?}"),
    }
    if let Token::Bearer(token) = token {
        assert!(!token.is_empty() && !token.contains(' '), "{token:?}");
    }
}

/// What the router took a request for: the pattern, the namespace and the metric.
#[derive(Debug, Clone)]
struct Route {
    pattern: String,
    namespace: String,
    metric: String,
}

fn review(request: Request) {
    let told = format!("{} {}", request.method(), request.uri());
    let attributes = Attributes::of(request.method(), request.uri());
    assert_ne!(attributes.resource().is_some(), attributes.path().is_some(), "{told}");
    assert!(!attributes.to_string().is_empty());
    let Ok(response) = runtime().block_on(noting_router().clone().oneshot(request));
    let Some(route) = response.extensions().get::<Route>() else { return };
    let Some(below) = route.pattern.strip_prefix("/apis/external.metrics.k8s.io/v1beta1/") else {
        let Attributes::Path { path, .. } = attributes else { panic!("{told}: {attributes:?}") };
        assert!(path == route.pattern || route.pattern.contains('{'), "{told}: {path}");
        return;
    };
    let Attributes::Resource(reviewed) = attributes else { panic!("{told}: {attributes:?}") };
    assert_eq!(reviewed.group, "external.metrics.k8s.io", "{told}");
    assert_eq!(reviewed.version, "v1beta1", "{told}");
    // Whoever is refused may have been judged as anything.
    if !response.status().is_client_error() {
        assert_eq!(expected(below, route, &reviewed), reviewed, "{told}");
    }
}

/// What must be reviewed where the router serves `below`.
fn expected(below: &str, route: &Route, reviewed: &Resource) -> Resource {
    let Route { namespace, metric, .. } = route;
    let is_status = ["status", "finalize"].contains(&metric.as_str());
    let (resource, name, subresource) = match below {
        // In kube-apiserver's eyes these two are parts of the namespace.
        "namespaces/{namespace}/{metric}" if is_status => {
            ("namespaces", namespace.as_str(), metric.as_str())
        }
        "namespaces/{namespace}/{metric}" => (metric.as_str(), "", ""),
        _ => ("externalmetrics", metric.as_str(), ""),
    };
    Resource {
        verb: if name.is_empty() { "list" } else { "get" }.into(),
        resource: resource.to_owned(),
        subresource: subresource.to_owned(),
        namespace: namespace.clone(),
        name: name.to_owned(),
        ..reviewed.clone()
    }
}

fn noting_router() -> &'static Router {
    static ROUTER: OnceLock<Router> = OnceLock::new();
    ROUTER.get_or_init(|| {
        // As long as the demand has not been read no metric is called unwanted.
        let unready = Snapshot::default();
        router_over(unready).layer(middleware::from_fn(note))
    })
}

async fn note(
    pattern: Option<MatchedPath>,
    parameters: Result<RawPathParams, RawPathParamsRejection>,
    request: Request,
    next: Next,
) -> Response {
    let mut response = next.run(request).await;
    let Some(pattern) = pattern else { return response };
    let parameter = |wanted| {
        let mut all = parameters.iter().flatten();
        all.find(|(name, _)| *name == wanted).map(|(_, value)| value.to_owned()).unwrap_or_default()
    };
    response.extensions_mut().insert(Route {
        pattern: pattern.as_str().to_owned(),
        namespace: parameter("namespace"),
        metric: parameter("metric"),
    });
    response
}
