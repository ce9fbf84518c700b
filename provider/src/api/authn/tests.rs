use std::sync::Arc;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use jiff::{Timestamp, ToSpan};
use rcgen::{
    CertificateParams, DnType, DnValue, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose,
    date_time_ymd,
};
use tokio::sync::watch;

use super::{
    tests::pki::{Ca, Identity, authority, client, now},
    *,
};

pub(super) mod pki;

struct Cluster {
    front_proxy: Ca,
    users: Ca,
    sender: watch::Sender<Arc<Trust>>,
    authenticator: Authenticator,
}

fn roots(authorities: &[&Ca]) -> Roots {
    let pem: String = authorities.iter().map(|ca| ca.certificate.pem()).collect();
    Roots::from_pem(&pem).unwrap().0
}

impl Cluster {
    fn new() -> Self {
        let (front_proxy, users) = (Ca::new("front-proxy-ca"), Ca::new("kubernetes"));
        let header = |name| vec![HeaderName::from_static(name)];
        let trust = Trust {
            generation: 1,
            known: true,
            front_proxy: roots(&[&front_proxy]),
            allowed: Allowed::Only(vec!["front-proxy-client".to_owned()]),
            client: roots(&[&users]),
            headers: HeaderNames {
                users: header("x-remote-user"),
                uids: header("x-remote-uid"),
                groups: header("x-remote-group"),
                extra_prefixes: vec!["x-remote-extra-".to_owned()],
            },
        };
        let (sender, receiver) = watch::channel(Arc::new(trust));
        Self { front_proxy, users, sender, authenticator: Authenticator::new(receiver) }
    }

    fn change(&self, change: impl FnOnce(&mut Trust)) {
        self.sender.send_modify(|trust| {
            let trust = Arc::make_mut(trust);
            trust.generation += 1;
            change(trust);
        });
    }

    /// What the authenticator says of jo's request, from which it always takes jo's name.
    fn at(&self, peer: &Peer, now: Timestamp) -> Verdict {
        let mut headers = jo();
        let verdict = self.authenticator.certificate_at(peer, &mut headers, now);
        assert_eq!(headers.keys().collect::<Vec<_>>(), ["accept"]);
        verdict
    }

    fn of(&self, identity: &Identity) -> Verdict {
        self.at(&peer(identity), now())
    }

    fn refusal(&self, identity: &Identity) -> String {
        match self.of(identity) {
            Verdict::Refused(reason) => reason,
            other => panic!("{other:?}"),
        }
    }
}

fn peer(identity: &Identity) -> Peer {
    Peer::new(([127, 0, 0, 1], 1).into(), identity.chain.clone())
}

fn jo() -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("accept", HeaderValue::from_static("*/*"));
    headers.insert("x-remote-user", HeaderValue::from_static("jo"));
    headers.append("x-remote-group", HeaderValue::from_static("a"));
    headers.append("x-remote-group", HeaderValue::from_static("b"));
    headers.insert("x-remote-extra-scopes", HeaderValue::from_static("s"));
    headers
}

fn name(verdict: &Verdict) -> &str {
    match verdict {
        Verdict::User(user) => &user.name,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_front_proxy_speaks_for_its_users() {
    let cluster = Cluster::new();
    let user = User {
        name: "jo".to_owned(),
        uid: String::new(),
        groups: vec!["a".to_owned(), "b".to_owned()],
        extra: [("scopes".to_owned(), vec!["s".to_owned()])].into(),
    };
    let kubeadm = client("front-proxy-client");
    assert_eq!(cluster.of(&cluster.front_proxy.issue(&kubeadm)), Verdict::User(user));
    let rsa = cluster.front_proxy.issue_for(pki::rsa(), &kubeadm);
    assert_eq!(name(&cluster.of(&rsa)), "jo");
    let by_rsa = Ca::with(pki::rsa(), authority("rsa"));
    cluster.change(|trust| trust.front_proxy = roots(&[&by_rsa]));
    assert_eq!(name(&cluster.of(&by_rsa.issue(&kubeadm))), "jo");
}

#[test]
fn headers_of_anyone_else_are_not_believed() {
    let cluster = Cluster::new();
    let nobody = Identity { chain: Vec::new(), key: pki::rsa() };
    assert_eq!(cluster.of(&nobody), Verdict::NoOpinion);
    let jane = cluster.users.issue(&client("jane"));
    assert_eq!(name(&cluster.of(&jane)), "jane");
    let impostor = Ca::new("front-proxy-ca").issue(&client("front-proxy-client"));
    insta::assert_snapshot!(cluster.refusal(&impostor), @"front proxy: its signature is not that of an authority; client certificate: none of the authorities has signed it");
    let other_name = cluster.front_proxy.issue(&client("other\n"));
    insta::assert_snapshot!(cluster.refusal(&other_name), @r#"front proxy: its common name "other\n" is not among the allowed names; client certificate: none of the authorities has signed it"#);
    // The name alone is nobody's: users can have any.
    let same_name = cluster.users.issue(&client("front-proxy-client"));
    assert_eq!(name(&cluster.of(&same_name)), "front-proxy-client");
    cluster.change(|trust| trust.allowed = Allowed::Anyone);
    assert_eq!(name(&cluster.of(&other_name)), "jo");
    cluster.change(|trust| trust.allowed = Allowed::Nobody);
    cluster.refusal(&cluster.front_proxy.issue(&client("front-proxy-client")));
}

#[test]
fn without_a_user_in_the_headers_a_front_proxy_is_itself_or_nobody() {
    let cluster = Cluster::new();
    let front_proxy = peer(&cluster.front_proxy.issue(&client("front-proxy-client")));
    let ask = || {
        let authenticator = &cluster.authenticator;
        authenticator.certificate_at(&front_proxy, &mut HeaderMap::new(), now())
    };
    assert!(matches!(ask(), Verdict::Refused(reason) if reason.starts_with("client certificate:")));
    cluster.change(|trust| trust.client = Roots::default());
    assert_eq!(ask(), Verdict::NoOpinion);
    cluster.change(|trust| trust.client = trust.front_proxy.clone());
    assert_eq!(name(&ask()), "front-proxy-client");
    let mut headers = jo();
    headers.insert("x-remote-user", HeaderValue::from_bytes(b"j\xff").unwrap());
    let verdict = cluster.authenticator.certificate_at(&front_proxy, &mut headers, now());
    let reason = "front proxy: header x-remote-user is not UTF-8".to_owned();
    assert_eq!(verdict, Verdict::Refused(reason));
}

#[test]
fn a_certificate_says_who_its_user_is() {
    let cluster = Cluster::new();
    let mut params = client("first");
    let push = |params: &mut CertificateParams, oid: &[u64], text: &str| {
        params.distinguished_name.push(DnType::CustomDnType(oid.to_vec()), text);
    };
    params.distinguished_name.push(DnType::OrganizationName, "system:masters");
    push(&mut params, &[2, 5, 4, 10], "devs");
    push(&mut params, &[2, 5, 4, 3], "jane");
    push(&mut params, &[1, 3, 6, 1, 4, 1, 57_683, 2], "42");
    let jane = cluster.users.issue(&params);
    let Verdict::User(user) = cluster.of(&jane) else { panic!() };
    assert_eq!((user.name.as_str(), user.uid.as_str()), ("jane", "42"));
    assert_eq!(user.groups, ["system:masters", "devs"]);
    let id = &user.extra["authentication.kubernetes.io/credential-id"][0];
    assert!(id.starts_with("X509SHA256=") && id.len() == 11 + 64, "{id}");
    let nameless = cluster.users.issue(&client(""));
    assert!(cluster.refusal(&nameless).starts_with("front proxy: "));
    cluster.change(|trust| trust.front_proxy = Roots::default());
    assert_eq!(cluster.of(&nameless), Verdict::NoOpinion);
    let mut no_uid = client("jane");
    push(&mut no_uid, &[1, 3, 6, 1, 4, 1, 57_683, 2], "");
    assert!(cluster.refusal(&cluster.users.issue(&no_uid)).contains("UID"));
    let mut no_text = client("jane");
    let teletex = DnValue::TeletexString("system:masters".try_into().unwrap());
    no_text.distinguished_name.push(DnType::OrganizationName, teletex);
    assert!(cluster.refusal(&cluster.users.issue(&no_text)).contains("is no text"));
}

#[test]
fn only_chains_for_clients_are_believed() {
    use ExtendedKeyUsagePurpose::{Any, ClientAuth, ServerAuth};
    let cluster = Cluster::new();
    let usages = |usages: &[ExtendedKeyUsagePurpose]| {
        let mut params = client("jane");
        params.extended_key_usages = usages.to_vec();
        cluster.users.issue(&params)
    };
    assert!(cluster.refusal(&usages(&[ServerAuth])).ends_with("not that of a client"));
    for good in [&[][..], &[Any], &[ServerAuth, ClientAuth]] {
        assert_eq!(name(&cluster.of(&usages(good))), "jane", "{good:?}");
    }
    let ca_itself = cluster.users.issue(&authority("jane"));
    assert!(cluster.refusal(&ca_itself).ends_with("an authority itself"));
    let garbage = Identity { chain: vec![b"garbage".to_vec().into()], key: pki::rsa() };
    assert!(cluster.refusal(&garbage).ends_with("it cannot be read"));
}

#[test]
fn a_chain_may_have_authorities_between_but_not_just_anyone() {
    let cluster = Cluster::new();
    let below = |params| {
        let between = cluster.users.below(params);
        let mut jane = between.issue(&client("jane"));
        jane.chain.push(between.certificate.der().clone());
        jane
    };
    let mut jane = below(authority("between"));
    jane.chain.insert(1, b"garbage".to_vec().into());
    assert_eq!(name(&cluster.of(&jane)), "jane");
    // A user's certificate signs another's.
    cluster.refusal(&below(client("between")));
    let mut no_signer = authority("between");
    no_signer.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    cluster.refusal(&below(no_signer));
    let mut for_servers = authority("between");
    for_servers.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    cluster.refusal(&below(for_servers));
    let bomb = Identity { chain: vec![jane.chain[0].clone(); 7], key: jane.key };
    assert!(cluster.refusal(&bomb).ends_with("has 7 certificates, more than 6"));
}

#[test]
fn authorities_must_be_able_to_sign() {
    let mut no_ca = client("no-ca");
    no_ca.is_ca = IsCa::ExplicitNoCa;
    let (good, bad) = (Ca::new("good"), Ca::with(pki::rsa(), no_ca));
    let bundle = bad.certificate.pem() + &good.certificate.pem();
    let (roots, unfit) = Roots::from_pem(&bundle).unwrap();
    assert_eq!((roots, unfit), (self::roots(&[&good]), vec![1]));
}

/// Of one connection, as time goes by.
#[test]
fn a_certificate_counts_while_it_and_its_authority_are_valid() {
    let cluster = Cluster::new();
    let mut params = client("jane");
    params.not_before = date_time_ymd(2026, 3, 1);
    params.not_after = date_time_ymd(2026, 9, 1);
    let jane = peer(&cluster.users.issue(&params));
    let at = |time: &str| match cluster.at(&jane, time.parse().unwrap()) {
        Verdict::User(user) => user.name,
        Verdict::Refused(reason) => reason.rsplit(": ").next().unwrap().to_owned(),
        Verdict::NoOpinion => panic!(),
    };
    assert_eq!(at("2026-02-28T23:59:59Z"), "it is not valid yet");
    assert_eq!(at("2026-03-01T00:00:00Z"), "jane");
    assert_eq!(at("2026-09-01T00:00:00Z"), "jane");
    assert_eq!(at("2026-09-01T00:00:01Z"), "it has expired");
    // A clock that was wrong and is put right.
    assert_eq!(at("2026-08-01T00:00:00Z"), "jane");

    let mut long = client("jane");
    long.not_after = date_time_ymd(2030, 1, 1);
    let jane = peer(&cluster.users.issue(&long));
    let end: Timestamp = "2027-01-01T00:00:00Z".parse().unwrap();
    assert_eq!(name(&cluster.at(&jane, end)), "jane");
    assert!(matches!(cluster.at(&jane, end + 1.second()), Verdict::Refused(_)));
}

#[test]
fn a_chain_is_judged_once_until_something_changes() {
    let cluster = Cluster::new();
    let jane = peer(&cluster.users.issue(&client("jane")));
    let judged = || jane.judged(|_| true, || unreachable!());
    cluster.at(&jane, now());
    let first = judged();
    cluster.at(&jane, now() + 720.hours());
    assert!(Arc::ptr_eq(&first, &judged()));
    cluster.change(|_| {});
    cluster.at(&jane, now());
    assert!(!Arc::ptr_eq(&first, &judged()));
    // A refusal is kept as well: it cost as much.
    cluster.change(|trust| trust.client = Roots::default());
    cluster.at(&jane, now());
    let refused = judged();
    cluster.at(&jane, now());
    assert!(Arc::ptr_eq(&refused, &judged()));
}

#[test]
fn a_change_of_authorities_counts_on_live_connections() {
    let cluster = Cluster::new();
    let (old, new) = (Ca::new("kubernetes"), Ca::new("kubernetes"));
    let (before, after) = (old.issue(&client("before")), new.issue(&client("after")));
    let (before, after) = (peer(&before), peer(&after));
    let believed = || [&before, &after].map(|it| matches!(cluster.at(it, now()), Verdict::User(_)));
    cluster.change(|trust| trust.client = roots(&[&old]));
    assert_eq!(believed(), [true, false]);
    cluster.change(|trust| trust.client = roots(&[&old, &new]));
    assert_eq!(believed(), [true, true]);
    cluster.change(|trust| trust.client = roots(&[&new]));
    assert_eq!(believed(), [false, true]);
}

#[test]
fn before_the_authorities_are_known_a_certificate_is_refused() {
    let cluster = Cluster::new();
    let jane = peer(&cluster.users.issue(&client("jane")));
    let known = cluster.sender.send_replace(Arc::default());
    assert!(!cluster.authenticator.known());
    assert!(matches!(cluster.at(&jane, now()), Verdict::Refused(_)));
    cluster.sender.send_replace(known);
    assert!(cluster.authenticator.known());
    assert_eq!(name(&cluster.at(&jane, now())), "jane");
}
