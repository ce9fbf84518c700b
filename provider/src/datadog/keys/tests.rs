use std::path::Path;

use super::*;

fn source(kind: Kind, value: Value) -> Source {
    let setting = match (kind, &value) {
        (Kind::Api, Value::Key(_)) => "DD_API_KEY",
        (Kind::App, Value::Key(_)) => "DD_APP_KEY",
        (Kind::Api, Value::File(_)) => "DD_API_KEY_FILE",
        (Kind::App, Value::File(_)) => "DD_APP_KEY_FILE",
    };
    Source { kind, setting: setting.into(), value }
}

fn files(folder: &Path) -> (Source, Source) {
    let file = |kind, name| source(kind, Value::File(folder.join(name)));
    (file(Kind::Api, "api"), file(Kind::App, "app"))
}

fn write(folder: &Path, api: &str, app: &str) {
    fs::write(folder.join("api"), api).unwrap();
    fs::write(folder.join("app"), app).unwrap();
}

fn exposed(ring: &KeyRing) -> [String; 2] {
    let keys = ring.current();
    [keys.api.expose_secret().to_owned(), keys.app.expose_secret().to_owned()]
}

#[test]
fn a_key_that_cannot_be_one_is_named_with_its_setting() {
    let check =
        |text: &str| source(Kind::Api, Value::Key(text.into())).read().unwrap_err().to_string();
    insta::assert_snapshot!(check(" \n"), @"DD_API_KEY is empty: an API key is needed to query Datadog");
    insta::assert_snapshot!(check("<API_KEY>"), @"DD_API_KEY still is the placeholder <API_KEY>, put your key there");
    insta::assert_snapshot!(check("\"a b\""), @"DD_API_KEY has characters that no key has, look for quotes and line ends in it");
    insta::assert_snapshot!(check(&"a".repeat(257)), @"DD_API_KEY is longer than 256 characters: that is no key, correct it");
}

#[test]
fn a_file_without_a_key_is_named_with_its_setting_and_path() {
    let folder = tempfile::tempdir().unwrap();
    let check = |name: &str| {
        let path = folder.path().join(name);
        let error = source(Kind::App, Value::File(path)).read().unwrap_err().to_string();
        error.replace(folder.path().to_str().unwrap(), "/keys")
    };
    fs::write(folder.path().join("empty"), "\n").unwrap();
    fs::write(folder.path().join("binary"), [0xff, 0x00]).unwrap();
    insta::assert_snapshot!(check("absent"), @"DD_APP_KEY_FILE (/keys/absent) cannot be read (No such file or directory (os error 2)), correct the path or mount the Secret there");
    insta::assert_snapshot!(check("."), @"DD_APP_KEY_FILE (/keys/.) cannot be read (not a file), correct the path or mount the Secret there");
    insta::assert_snapshot!(check("empty"), @"DD_APP_KEY_FILE (/keys/empty) is empty: an application key is needed to query Datadog");
    insta::assert_snapshot!(check("binary"), @"DD_APP_KEY_FILE (/keys/binary) has characters that no key has, look for quotes and line ends in it");
}

#[test]
fn keys_are_hidden_in_the_words_of_others() {
    let keys = Keys { api: "abc".into(), app: "xyz".into() };
    assert_eq!(keys.hide("no abc, no xyz!"), "no ***, no ***!");
    assert!(!format!("{keys:?}").contains("abc"));
}

#[tokio::test]
async fn new_content_is_taken_and_bad_content_is_not() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "a1\n", "b1\n");
    let (api, app) = files(folder.path());
    let ring = KeyRing::new(api, app).unwrap();
    assert_eq!(exposed(&ring), ["a1", "b1"]);
    write(folder.path(), "a2", "b1");
    assert!(ring.reload().await);
    assert!(!ring.reload().await, "it is no change any more");
    assert_eq!(exposed(&ring), ["a2", "b1"]);
    write(folder.path(), "a3", "");
    assert!(!ring.reload().await);
    assert_eq!(exposed(&ring), ["a2", "b1"]);
    assert!(ring.0.warned.lock().await.is_some());
    fs::remove_file(folder.path().join("api")).unwrap();
    ring.reload().await;
    assert_eq!(exposed(&ring), ["a2", "b1"]);
    write(folder.path(), "a3", "b3");
    ring.reload().await;
    assert_eq!(exposed(&ring), ["a3", "b3"]);
    assert_eq!(*ring.0.warned.lock().await, None);
}

/// As the kubelet updates a mounted Secret: the files are links through `..data`, which is replaced.
#[cfg(unix)]
#[tokio::test]
async fn a_mounted_secret_that_is_updated_is_seen_by_the_task() {
    use std::os::unix::fs::symlink;

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    for (version, api, app) in [("v1", "a1", "b1"), ("v2", "a2", "b2")] {
        fs::create_dir(path.join(version)).unwrap();
        write(&path.join(version), api, app);
    }
    symlink("v1", path.join("..data")).unwrap();
    symlink("..data/api", path.join("api")).unwrap();
    symlink("..data/app", path.join("app")).unwrap();
    let (api, app) = files(path);
    let ring = KeyRing::new(api, app).unwrap();
    let stop = CancellationToken::new();
    // The first tick comes at once.
    symlink("v2", path.join("..data_new")).unwrap();
    fs::rename(path.join("..data_new"), path.join("..data")).unwrap();
    let task = tokio::spawn(run(vec![ring.clone()], |_| {}, stop.clone()));
    let mut changes = ring.subscribe();
    changes.wait_for(|keys| keys.api.expose_secret() == "a2").await.unwrap();
    assert_eq!(exposed(&ring), ["a2", "b2"]);
    stop.cancel();
    task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn without_files_the_task_waits_for_the_end() {
    let ring = KeyRing::fixed(Keys { api: "a".into(), app: "b".into() });
    let stop = CancellationToken::new();
    let mut task = tokio::spawn(run(vec![ring], |_| {}, stop.clone()));
    assert!(tokio::time::timeout(EVERY * 10, &mut task).await.is_err());
    stop.cancel();
    task.await.unwrap();
}
