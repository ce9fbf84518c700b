use std::collections::VecDeque;

use proptest::prelude::*;
use rustls::pki_types::{CertificateDer, UnixTime, pem::PemObject};

use super::*;
use crate::serve::tls;

const LIVES: Lifetimes = Lifetimes {
    leaf: Duration::from_secs(3000),
    ca: Duration::from_secs(30_000),
    margin: Duration::from_secs(60),
};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn names() -> Vec<String> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    tls::names("default")
}

fn begun() -> State {
    Step::Begin.apply(None, &names(), &LIVES, at(0)).unwrap().unwrap()
}

fn then(state: &State, step: Step, second: i64) -> State {
    step.apply(Some(state), &names(), &LIVES, at(second)).unwrap().unwrap()
}

fn ours(bundle: &str) -> View {
    View::Ours { bundle: bundle.as_bytes().to_vec(), version: "1".to_owned() }
}

fn planned(state: &State, view: &View, second: i64) -> Step {
    plan(Some(state), view, &names(), &LIVES, at(second))
}

#[test]
fn a_life_of_a_ca() {
    assert_eq!(plan(None, &View::Absent, &names(), &LIVES, at(0)), Step::Begin);
    let state = begun();
    let view = ours(&state.bundle());
    assert_eq!(planned(&state, &view, 0), Step::Keep(at(2000)));
    assert_eq!(planned(&state, &view, 2000), Step::NewLeaf);
    let state = then(&state, Step::NewLeaf, 2000);
    assert_eq!(planned(&state, &view, 2000), Step::Keep(at(4000)));
    let state = then(&state, Step::NewLeaf, 18_500);
    assert_eq!(planned(&state, &view, 19_999), Step::Keep(at(20_000)));
    assert_eq!(planned(&state, &view, 20_000), Step::PrepareCa);
    let state = then(&state, Step::PrepareCa, 20_000);
    assert_eq!(planned(&state, &view, 20_001), Step::Keep(at(20_500)), "not published yet");
    let both = ours(&state.bundle());
    assert_eq!(planned(&state, &both, 20_002), Step::Published(true));
    let state = then(&state, Step::Published(true), 20_002);
    assert_eq!(planned(&state, &both, 20_003), Step::Keep(at(20_062)));
    assert_eq!(planned(&state, &View::Unknown, 20_062), Step::Keep(at(20_500)), "is it still?");
    assert_eq!(planned(&state, &view, 20_062), Step::Published(false), "it is no longer");
    assert_eq!(planned(&state, &both, 20_062), Step::SwitchCa);
    let state = then(&state, Step::SwitchCa, 20_062);
    assert_eq!(planned(&state, &ours(&state.bundle()), 20_063), Step::Keep(at(21_500)));
    assert_eq!(planned(&state, &both, 21_500), Step::DropPrevious, "the old leaf has ended");
    let state = then(&state, Step::DropPrevious, 21_500);
    assert_eq!(state.bundle().matches("BEGIN").count(), 1);
    assert_eq!(planned(&state, &both, 21_501), Step::Keep(at(22_062)));
}

#[test]
fn what_nobody_verifies_is_replaced_all_the_same() {
    let state = then(&begun(), Step::PrepareCa, 20_000);
    for view in [View::Absent, View::Unverified, View::Elsewhere(String::new())] {
        assert_eq!(planned(&state, &view, 20_001), Step::Published(true));
    }
}

#[test]
fn what_has_ended_is_made_anew() {
    let state = begun();
    assert_eq!(planned(&state, &View::Unknown, 30_000), Step::Begin);
    let state = then(&state, Step::PrepareCa, 20_000);
    assert_eq!(
        planned(&state, &View::Unknown, 30_000),
        Step::SwitchCa,
        "there is one that nobody saw"
    );
    assert_eq!(planned(&state, &View::Unknown, 50_000), Step::Begin);
}

#[test]
fn a_leaf_ends_with_its_ca_and_is_not_renewed_for_nothing() {
    let state = then(&begun(), Step::NewLeaf, 29_000);
    let end = state.leaf.as_ref().unwrap().certificate.not_after;
    assert_eq!(end, at(30_000));
    let state = then(&state, Step::PrepareCa, 29_000);
    assert_eq!(planned(&state, &View::Unknown, 29_900), Step::Keep(at(30_000)));
}

#[test]
fn a_leaf_without_a_name_that_it_needs_is_replaced() {
    let mut names = names();
    let state = begun();
    names.push("other.example".to_owned());
    let step = plan(Some(&state), &View::Unknown, &names, &LIVES, at(1));
    assert_eq!(step, Step::NewLeaf);
    let state = step.apply(Some(&state), &names, &LIVES, at(1)).unwrap().unwrap();
    assert_eq!(plan(Some(&state), &View::Unknown, &names, &LIVES, at(1)), Step::Keep(at(2001)));
}

#[test]
fn what_is_stored_is_what_is_read() {
    let state = then(&then(&begun(), Step::PrepareCa, 1), Step::Published(true), 2);
    let switched = then(&then(&state, Step::SwitchCa, 3), Step::PrepareCa, 4);
    for state in [begun(), state, switched] {
        let (read, unusable) = State::parse(&state.data());
        assert!(unusable.is_empty(), "{unusable:?}");
        assert_eq!(read.unwrap().data(), state.data());
    }
}

#[test]
fn garbage_is_named_and_costs_no_more_than_it_must() {
    let state = then(&begun(), Step::PrepareCa, 1);
    let mut data = state.data();
    let garbage = |data: &mut crate::serve::ca::state::Data, key: &str| {
        data.insert(key.to_owned(), k8s_openapi::ByteString(b"garbage".to_vec()));
        let (state, unusable) = State::parse(data);
        (state, unusable.join("; "))
    };
    let (read, said) = garbage(&mut data, "next-ca.crt");
    assert!(read.unwrap().next.is_none());
    assert!(said.starts_with("next-ca.crt: "), "{said}");
    let (read, said) = garbage(&mut data, "tls.key");
    assert!(read.is_some_and(|it| it.leaf.is_none()));
    assert!(said.contains("tls.crt with tls.key: "), "{said}");
    let (read, said) = garbage(&mut data, "ca.crt");
    assert!(read.is_none());
    assert!(said.starts_with("ca.crt: "), "{said}");
    let mut data = begun().data();
    data.extend(begun().data().into_iter().filter(|(key, _)| key.starts_with("tls.")));
    let (read, said) = State::parse(&data);
    assert!(read.is_some_and(|it| it.leaf.is_none()), "a leaf of another CA");
    assert!(said[0].starts_with("tls.crt is not signed by ca.crt"), "{said:?}");
}

/// As kube-apiserver does: the name of the Service, the usage, the time.
fn accepts(bundle: &str, state: &State, now: Timestamp) -> bool {
    let trusted: Vec<_> =
        CertificateDer::pem_slice_iter(bundle.as_bytes()).map(Result::unwrap).collect();
    let anchors: Vec<_> =
        trusted.iter().map(|it| webpki::anchor_from_trusted_cert(it).unwrap()).collect();
    let leaf = &state.leaf.as_ref().unwrap().certificate.der;
    let leaf = webpki::EndEntityCert::try_from(leaf).unwrap();
    let name = "datadog-custom-metrics-server.default.svc".try_into().unwrap();
    let time = Duration::from_secs(now.as_second().try_into().unwrap());
    let verified = leaf.verify_for_usage(
        webpki::ALL_VERIFICATION_ALGS,
        &anchors,
        &[],
        UnixTime::since_unix_epoch(time),
        webpki::KeyUsage::server_auth(),
        None,
        None,
    );
    verified.is_ok() && leaf.verify_is_valid_for_subject_name(&name).is_ok()
}

/// What may go wrong at a look.
#[derive(Debug, Clone, Copy)]
enum Trouble {
    None,
    Unreadable,
    NotWritten,
    Reapplied,
}

fn trouble() -> impl Strategy<Value = Trouble> {
    prop_oneof![
        12 => Just(Trouble::None),
        1 => Just(Trouble::Unreadable),
        1 => Just(Trouble::NotWritten),
        1 => Just(Trouble::Reapplied),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// A kube-apiserver that is behind by less than the margin accepts what a replica serves that is
    /// behind by some looks, through several lives of a CA.
    #[test]
    fn what_is_served_is_always_trusted(
        troubles in prop::collection::vec((1_i64..90, trouble()), 1..20),
        lag in 0_i64..50,
    ) {
        let mut now = 0;
        let mut state = begun();
        let mut bundle = state.bundle();
        // What was published, and since when; what was stored.
        let mut published = VecDeque::from([(i64::MIN, bundle.clone())]);
        let mut stored = VecDeque::from([(i64::MIN, state.clone())]);
        let mut changes_of_ca = 0;
        // However bad it gets: now and then an hour goes by without trouble.
        let well = vec![(30, Trouble::None); 12];
        for (pause, trouble) in troubles.iter().chain(&well).cycle() {
            if now > 60_000 {
                break;
            }
            now += pause * 10;
            let view = match trouble {
                Trouble::Unreadable => View::Unknown,
                // An old copy of the object: what was the bundle of the first state.
                Trouble::Reapplied => {
                    bundle = state.ca.certificate.pem.clone();
                    if let Some(previous) = &state.previous {
                        bundle += &previous.certificate.pem;
                    }
                    published.push_back((now, bundle.clone()));
                    ours(&bundle)
                }
                _ => ours(&bundle),
            };
            // Step by step; then the bundle.
            loop {
                let step = planned(&state, &view, now);
                let new = step.apply(Some(&state), &names(), &LIVES, at(now)).unwrap();
                let Some(new) = new else { break };
                prop_assert_ne!(step, Step::Begin);
                changes_of_ca += u32::from(step == Step::SwitchCa);
                state = new;
                stored.push_back((now, state.clone()));
            }
            if matches!(trouble, Trouble::None) && bundle != state.bundle() {
                bundle = state.bundle();
                published.push_back((now, bundle.clone()));
            }
            while stored.get(1).is_some_and(|(since, _)| *since <= now - lag) {
                stored.pop_front();
            }
            while published.get(1).is_some_and(|(since, _)| *since <= now - lag) {
                published.pop_front();
            }
            for (_, bundle) in &published {
                for (_, served) in &stored {
                    prop_assert!(accepts(bundle, served, at(now)), "at {now}");
                }
            }
        }
        prop_assert!(changes_of_ca >= 2, "{changes_of_ca}");
    }
}
