use super::*;

fn normaliser() -> Normaliser {
    let workloads = ["datadog-cluster-agent", "datadog-agent", "nginx"];
    Normaliser::new(&workloads.map(str::to_owned)).unwrap()
}

const PODS_AND_SERVICES: &str = "\
NAME                                        READY   STATUS    RESTARTS   AGE
pod/datadog-agent-5795w                     1/1     Running   0          3m7s
pod/datadog-cluster-agent-5c496d8d9-hp4f7   1/1     Running   0          18s
pod/nginx-78ffb889bd-zzwf9                  1/1     Running   0          11s
pod/nginx-78ffb889bd-bbwf9                  1/1     Running   0          11s

NAME            TYPE        CLUSTER-IP      EXTERNAL-IP   PORT(S)    AGE
service/nginx   ClusterIP   10.96.222.164   <none>        8090/TCP   11s
";

#[test]
fn a_listing_is_the_same_whatever_the_names_and_ages() {
    insta::assert_snapshot!(normaliser().normalise(PODS_AND_SERVICES, &[]).join("\n"), @r"
NAME                                         READY   STATUS    RESTARTS   AGE
pod/datadog-agent-4c5pp                      1/1     Running   0          1m
pod/datadog-cluster-agent-5f6c9d8b47-4c5pp   1/1     Running   0          1m
pod/nginx-6757dd8769-4c5pp                   1/1     Running   0          1m
pod/nginx-6757dd8769-5xzp2                   1/1     Running   0          1m

NAME            TYPE        CLUSTER-IP    EXTERNAL-IP   PORT(S)    AGE
service/nginx   ClusterIP   10.96.100.1   <none>        8090/TCP   1m
");
}

#[test]
fn a_name_stays_the_same_through_a_run() {
    let mut normaliser = normaliser();
    let first = normaliser.normalise("nginx-78ffb889bd-zzwf9 at 10.244.0.7", &[]);
    let listing = "NAME                     READY\nnginx-78ffb889bd-bbwf9   0/1\nnginx-78ffb889bd-zzwf9   1/1\n";
    let second = normaliser.normalise(listing, &[]);
    assert_eq!(first, ["nginx-5f6c9d8b47-4c5pp at 10.96.100.1"]);
    assert_eq!(
        second,
        [
            "NAME                     READY",
            "nginx-5f6c9d8b47-4c5pp   1/1",
            "nginx-5f6c9d8b47-5xzp2   0/1"
        ]
    );
}

#[test]
fn times_keep_their_precision() {
    let log = "2026-11-24T04:12:49.252413Z  WARN at 2026-11-24T04:12:49Z  \n\n";
    assert_eq!(
        normaliser().normalise(log, &[]),
        ["2026-01-01T12:00:00.000000Z  WARN at 2026-01-01T12:00:00Z"]
    );
}

#[test]
fn what_is_not_random_stays() {
    for text in [
        "deployment \"datadog-cluster-agent\" successfully rolled out",
        "NAME only",
        "  Type    Status\n  ----    ------",
        "REASON   STATE\nthree  cells  here",
        "version 1.37.2",
    ] {
        assert_eq!(normaliser().normalise(text, &[]).join("\n"), text);
    }
}

#[test]
fn a_varying_number_does_not_move_the_columns() {
    let about = ["{8667m}/9 ± 1".parse().unwrap()];
    let shown = |targets: &str| {
        let listing = format!("NAME       {:<16}AGE\nnginxext   {targets}   5s", "TARGETS");
        normaliser().normalise(&listing, &about)
    };
    assert_eq!(shown("8334m/9 (avg)"), shown("9/9 (avg)"));
    assert_ne!(shown("8334m/9 (avg)"), shown("12/9 (avg)"));
}
