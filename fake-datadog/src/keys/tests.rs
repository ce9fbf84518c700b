use super::*;

/// Keys of two organisations.
fn keys() -> Keys {
    Keys::new("good", "fine")
        .and(Key::api("spare").named("spare"))
        .and(Key::api("late").revoked())
        .and(Key::app("query").named("reader").scoped([Right::TimeseriesQuery]))
        .and(Key::app("nothing").scoped([]))
        .and(Key::app("gone").named("gone").revoked())
        .and(Key::api("theirs").of("other"))
        .and(Key::app("their app").of("other"))
}

fn presented(api: Option<&str>, app: Option<&str>) -> Presented {
    Presented { api: api.map(Into::into), app: app.map(Into::into) }
}

#[track_caller]
fn check(api: Option<&str>, app: Option<&str>, needs: Needs, expected: Result<(), Refusal>) {
    assert_eq!(keys().check(&presented(api, app), needs), expected);
}

#[test]
fn reading_needs_both_keys_and_writing_one() {
    for api in [Some("good"), Some("spare")] {
        check(api, None, Needs::Api, Ok(()));
        check(api, Some("fine"), Needs::ApiAndApp, Ok(()));
        check(api, None, Needs::ApiAndApp, Err(Refusal::Forbidden));
        check(api, Some("bad"), Needs::ApiAndApp, Err(Refusal::Forbidden));
    }
    check(Some("bad"), Some("fine"), Needs::ApiAndApp, Err(Refusal::Forbidden));
    check(Some(""), None, Needs::Api, Err(Refusal::Forbidden));
    check(None, Some("fine"), Needs::Api, Err(Refusal::ApiKeyMissing));
}

#[test]
fn one_kind_of_key_is_not_the_other() {
    check(Some("fine"), Some("fine"), Needs::Api, Err(Refusal::Forbidden));
    check(Some("good"), Some("good"), Needs::ApiAndApp, Err(Refusal::Forbidden));
}

#[test]
fn an_application_key_may_do_what_its_scopes_say() {
    let forbidden = Err(Refusal::Forbidden);
    let rights = [Right::TimeseriesQuery, Right::MetricsRead, Right::MetricsMetadataWrite];
    for right in rights {
        check(Some("good"), Some("fine"), Needs::Right(right), Ok(()));
        check(Some("good"), Some("nothing"), Needs::Right(right), forbidden);
        let expected = if right == Right::TimeseriesQuery { Ok(()) } else { forbidden };
        check(Some("good"), Some("query"), Needs::Right(right), expected);
    }
    check(Some("good"), Some("nothing"), Needs::ApiAndApp, Ok(()));
}

#[test]
fn keys_of_two_organisations_do_not_go_together() {
    let needs = Needs::Right(Right::TimeseriesQuery);
    check(Some("theirs"), Some("their app"), needs, Ok(()));
    check(Some("theirs"), Some("fine"), needs, Err(Refusal::Forbidden));
    check(Some("good"), Some("their app"), needs, Err(Refusal::Forbidden));
}

#[test]
fn a_revoked_key_is_good_for_nothing() {
    check(Some("late"), None, Needs::Api, Err(Refusal::Forbidden));
    check(Some("late"), Some("fine"), Needs::ApiAndApp, Err(Refusal::Forbidden));
    check(Some("good"), Some("gone"), Needs::ApiAndApp, Err(Refusal::Forbidden));
}

#[test]
fn keys_are_known_by_fingerprint_and_name() {
    let labels = |api, app| keys().labels(&presented(api, app));
    let print = |key: &str| fingerprint(&key.into());
    assert_eq!(
        labels(Some("spare"), Some("query")),
        [print("spare"), print("query"), "spare".to_owned(), "reader".to_owned()]
    );
    assert_eq!(labels(Some("good"), None), [print("good")]);
    assert_eq!(labels(None, Some("gone")), [print("gone")]);
}

#[test]
fn keys_do_not_show_in_debug_output() {
    let keys = Keys::default();
    let text = format!("{keys:?}");
    assert!(!text.contains("fa4e0"), "{text}");
    assert!(text.contains(&fingerprint(&DEFAULT_API_KEY.into())), "{text}");
}

#[test]
fn the_fingerprint_is_the_head_of_the_sha_256() {
    assert_eq!(fingerprint(&SecretString::from("abc")), "ba7816bf");
}
