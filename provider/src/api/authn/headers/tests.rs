use std::fmt::Write;

use proptest::prelude::*;

use super::*;

fn names() -> Names {
    let header = |name| HeaderName::from_static(name);
    Names {
        users: vec![header("x-first-user"), header("x-remote-user")],
        uids: vec![header("x-remote-uid")],
        groups: vec![header("x-remote-group"), header("x-more-groups")],
        extra_prefixes: vec!["x-remote-extra-".to_owned(), "x-more-".to_owned()],
    }
}

fn headers(rows: &[(&str, &str)]) -> HeaderMap {
    let row = |(name, value): &(&str, &str)| {
        (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap())
    };
    rows.iter().map(row).collect()
}

#[test]
fn several_names_and_repeated_headers_are_read_as_in_go() {
    let read = names().user(&headers(&[
        ("X-First-User", ""),
        ("X-First-User", "not the first value"),
        ("X-REMOTE-USER", "jo"),
        ("x-remote-user", "admin"),
        ("X-More-Groups", "c"),
        ("X-Remote-Group", "a"),
        ("x-remote-GROUP", ""),
        ("x-remote-group", "b"),
        ("X-Remote-Uid", "42"),
        ("X-Remote-Extra-Example.com%2FScopes", "1"),
        ("X-Remote-Extra-example.com%2fscopes", "2"),
        ("X-More-Example.com%2Fscopes", "3"),
        ("X-Remote-Extra-%41", ""),
        ("X-Remote-Extra-100%", "raw"),
        ("X-Remote-Extra-%ff", "raw"),
        ("X_Remote_Group", "system:masters"),
        ("X-Remote-User-Name", "admin"),
    ]));
    let user = read.unwrap().unwrap();
    insta::assert_json_snapshot!(user, @r#"
    {
      "name": "jo",
      "uid": "42",
      "groups": [
        "a",
        "b",
        "c"
      ],
      "extra": {
        "%ff": [
          "raw"
        ],
        "100%": [
          "raw"
        ],
        "A": [
          ""
        ],
        "example.com/scopes": [
          "1",
          "2",
          "3"
        ],
        "groups": [
          "c"
        ]
      }
    }
    "#);
}

#[test]
fn no_user_is_no_opinion_whatever_else_is_said() {
    let said = [("x-remote-group", "system:masters"), ("x-remote-user", ""), ("x-remote-uid", "0")];
    assert_eq!(names().user(&headers(&said)), Ok(None));
    assert_eq!(Names::default().user(&headers(&[("x-remote-user", "jo")])), Ok(None));
}

#[test]
fn what_is_no_text_is_refused_wherever_it_is() {
    for name in ["x-first-user", "x-remote-uid", "x-more-groups", "x-more-scopes"] {
        let mut headers = headers(&[("x-remote-user", "jo")]);
        headers.append(name, HeaderValue::from_bytes(b"\xff").unwrap());
        let refused = names().user(&headers).unwrap_err();
        assert_eq!(refused, format!("header {name} is not UTF-8"));
    }
    let mut headers = HeaderMap::new();
    headers.insert("x-remote-user", HeaderValue::from_bytes("jürgen".as_bytes()).unwrap());
    assert_eq!(names().user(&headers).unwrap().unwrap().name, "jürgen");
}

#[test]
fn all_of_them_are_removed_and_nothing_else() {
    let rows = [
        ("X-First-User", "jo"),
        ("x-remote-USER", "jo"),
        ("X-Remote-User", "jo"),
        ("x-remote-uid", "1"),
        ("x-remote-group", "a"),
        ("x-more-groups", "a"),
        ("x-more-groups", "b"),
        ("X-Remote-Extra-a%2Fb", "a"),
        ("X-Remote-Extra-", "a"),
        ("x-more-c", "a"),
        ("accept", "*/*"),
        ("x-remote-extras", "a"),
    ];
    let left = |names: Names| {
        let mut headers = headers(&rows);
        names.remove_from(&mut headers);
        let mut left: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        left.join(" ")
    };
    assert_eq!(left(names()), "accept x-remote-extras");
    let default = left(Names::default());
    assert_eq!(default, "accept x-first-user x-more-c x-more-groups x-remote-extras");
}

proptest! {
    #[test]
    fn what_kube_apiserver_escapes_is_read_back(key in "\\PC*") {
        let escaped = key.bytes().fold(String::new(), |mut text, byte| {
            if byte.is_ascii_alphanumeric() {
                text.push(byte.into());
            } else {
                let _ = write!(text, "%{byte:02X}");
            }
            text
        });
        prop_assert_eq!(unescape(&escaped), key);
    }

    #[test]
    fn any_key_gives_something(key in ".*") {
        prop_assert!(key.is_empty() || !unescape(&key).is_empty());
    }
}
