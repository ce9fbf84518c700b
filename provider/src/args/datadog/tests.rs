use clap::Parser;

use super::*;
use crate::args::{Args, Command};

fn datadog(arguments: &[&str]) -> Datadog {
    let arguments = ["datadog-cluster-agent", "run"].iter().chain(arguments);
    let Command::Run(run) = Args::try_parse_from(arguments).unwrap().command else {
        panic!("not run");
    };
    run.datadog
}

fn error(arguments: &[&str]) -> String {
    datadog(arguments).endpoints().unwrap_err().to_string()
}

#[test]
fn missing_and_placeholder_keys_are_named() {
    insta::assert_snapshot!(error(&["--api-key= ", "--app-key=b"]), @"neither DD_API_KEY nor DD_API_KEY_FILE is set: an API key is needed to query Datadog");
    insta::assert_snapshot!(error(&["--api-key=a", "--app-key=<APP_KEY>"]), @"DD_APP_KEY still is the placeholder <APP_KEY>, put your key there");
    insta::assert_snapshot!(error(&["--api-key=a b", "--app-key=b"]), @"DD_API_KEY has characters that no key has, look for quotes and line ends in it");
}

#[test]
fn a_key_and_a_file_for_it_are_one_too_many() {
    insta::assert_snapshot!(error(&["--api-key=a", "--api-key-file=/a"]), @"DD_API_KEY and DD_API_KEY_FILE are both set, set one of them");
    insta::assert_snapshot!(error(&["--api-key=a", "--app-key=b", "--app-key-file=/b"]), @"DD_APP_KEY and DD_APP_KEY_FILE are both set, set one of them");
}

#[test]
fn keys_come_from_files_and_an_empty_variable_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("api");
    std::fs::write(&file, "from-file\n").unwrap();
    let file = format!("--api-key-file={}", file.display());
    let datadog = datadog(&["--api-key=", &file, "--app-key=b", "--app-key-file="]);
    let endpoint = datadog.endpoints().unwrap().remove(0);
    assert_eq!(endpoint.keys.current().api.expose_secret(), "from-file");
    assert_eq!(endpoint.keys.settings(), ["DD_API_KEY_FILE", "DD_APP_KEY"]);
    assert!(
        error(&["--api-key-file=/nowhere", "--app-key=b"]).contains("DD_API_KEY_FILE (/nowhere)")
    );
}

#[test]
fn keys_for_queries_alone_win_and_are_trimmed() {
    let datadog = datadog(&[
        "--api-key=general",
        "--app-key=app",
        "--external-metrics-provider-api-key= own\n",
    ]);
    let endpoint = datadog.endpoints().unwrap().remove(0);
    assert_eq!(endpoint.keys.current().api.expose_secret(), "own");
    assert_eq!(endpoint.keys.settings(), ["DD_EXTERNAL_METRICS_PROVIDER_API_KEY", "DD_APP_KEY"]);
    assert!(!format!("{datadog:?}").contains("general"));
}

#[test]
fn the_endpoint_follows_from_the_site_unless_it_is_given() {
    let check = |arguments: &[&str], url: &str, setting: &str| {
        let arguments = [&["--api-key=a", "--app-key=b"], arguments].concat();
        let endpoint = datadog(&arguments).endpoints().unwrap().remove(0);
        assert_eq!((endpoint.url.as_str(), endpoint.setting.as_str()), (url, setting));
    };
    check(&[], "https://api.datadoghq.com/", "DD_SITE");
    check(&["--site=datadoghq.eu", "--endpoint= "], "https://api.datadoghq.eu/", "DD_SITE");
    check(&["--datadog-host=http://h:1"], "http://h:1/", "DATADOG_HOST");
    let both = ["--datadog-host=http://h:1", "--endpoint=http://e:2/x"];
    check(&both, "http://e:2/x", "DD_EXTERNAL_METRICS_PROVIDER_ENDPOINT");
    assert!(datadog(&["--endpoint=nowhere"]).query_endpoint().is_err());
}

#[test]
fn further_endpoints_come_after_the_main_one_and_stay_out_of_debug_output() {
    let list = r#"[{"site": "datadoghq.eu", "api_key": "canary", "app_key": "b"}]"#;
    let datadog = datadog(&["--api-key=a", "--app-key=b", "--endpoints", list]);
    let urls: Vec<_> =
        datadog.endpoints().unwrap().iter().map(|endpoint| endpoint.url.to_string()).collect();
    assert_eq!(urls, ["https://api.datadoghq.com/", "https://api.datadoghq.eu/"]);
    assert!(!format!("{datadog:?}").contains("canary"));
    let blank = super::tests::datadog(&["--api-key=a", "--app-key=b", "--endpoints= "]);
    assert_eq!(blank.endpoints().unwrap().len(), 1);
}
