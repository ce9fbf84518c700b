use clap_complete::Shell;

use super::*;
use crate::agent::{config::Setting, health::Unhealthy};

fn os(arguments: &[&str]) -> Vec<OsString> {
    arguments.iter().map(OsString::from).collect()
}

#[test]
fn called_as_env_it_is_env() {
    assert_eq!(named(os(&["/usr/bin/env"])), os(&["/usr/bin/env", "env"]));
    assert_eq!(named(os(&["env", "-j"])), os(&["env", "env", "-j"]));
    assert_eq!(named(os(&["/bin/agent", "status"])), os(&["/bin/agent", "status"]));
    let (args, _) = parse(os(&["env"])).unwrap();
    assert!(matches!(args.command, Command::Env(_)));
}

#[test]
fn settings_say_where_they_come_from() {
    let arguments = [
        "datadog-cluster-agent",
        "run",
        "--api-key=0123456789abcdef0123456789abcdef",
        "--site=datadoghq.eu",
        "--endpoint=https://user:canary@proxy.example/x",
    ];
    let (_, settings) = parse(os(&arguments)).unwrap();
    let get = |name: &str| settings.shown.iter().find(|setting| setting.name == name).unwrap();
    assert_eq!(get("site").value.as_deref(), Some("datadoghq.eu"));
    assert_eq!(get("site").origin, config::Origin::Flag);
    assert_eq!(get("api-key").value.as_deref(), Some("(32 characters, fingerprint 3eb1bd43)"));
    assert_eq!(get("endpoint").value.as_deref(), Some("https://********@proxy.example/x"));
    assert_eq!(get("rollup").origin, config::Origin::Default);
    assert_eq!(get("rollup").value.as_deref(), Some("30"));
    assert!(!settings.shown.iter().any(|setting| setting.name == "help"));
}

#[test]
fn settings_are_a_line_each() {
    let setting = |name: &str, variable: Option<&str>, value: Option<&str>, origin| Setting {
        name: name.to_owned(),
        variable: variable.map(str::to_owned),
        value: value.map(str::to_owned),
        origin,
    };
    let settings = [
        setting("site", Some("DD_SITE"), Some("datadoghq.eu"), config::Origin::Environment),
        setting("api-key", Some("DD_API_KEY"), Some("(32 characters)"), config::Origin::Flag),
        setting("cluster-name", Some("DD_CLUSTER_NAME"), None, config::Origin::Default),
    ];
    insta::assert_snapshot!(forms::config(&settings));
    insta::assert_snapshot!(serde_json::to_string_pretty(&settings).unwrap());
}

#[test]
fn health_is_pass_or_fail() {
    let mut health =
        Health { healthy: vec!["ping".to_owned(), "shutdown".to_owned()], unhealthy: Vec::new() };
    insta::assert_snapshot!(forms::health(&health, Paint::Plain), @r"
    Agent health: PASS
    === 2 healthy components ===
    ping, shutdown
    ");
    let reason = "HPAs not read yet".to_owned();
    health.unhealthy.push(Unhealthy { name: "demand".to_owned(), reason });
    insta::assert_snapshot!(forms::health(&health, Paint::Plain), @r"
    Agent health: FAIL
    === 2 healthy components ===
    ping, shutdown
    === 1 unhealthy components ===
    demand: HPAs not read yet
    ");
    insta::assert_snapshot!(serde_json::to_string(&health).unwrap(), @r#"{"healthy":["ping","shutdown"],"unhealthy":[{"name":"demand","reason":"HPAs not read yet"}]}"#);
}

#[test]
fn each_shell_has_a_script() {
    for shell in [Shell::Bash, Shell::Elvish, Shell::Fish, Shell::PowerShell, Shell::Zsh] {
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut Args::command(), NAME, &mut script);
        assert!(String::from_utf8(script).unwrap().contains("check-config"), "{shell}");
    }
}

#[test]
fn a_node_is_one_segment_of_a_path() {
    assert_eq!(forms::segment("ip-10-0-0-1.ec2.internal"), "ip-10-0-0-1.ec2.internal");
    assert_eq!(forms::segment("a/b?c é"), "a%2Fb%3Fc%20%C3%A9");
}
