//! The four ways to the programs, against folders of scripts and a mirror in this process.

#[path = "assets/bench.rs"]
mod bench;

use std::fs;

use e2e::assets::{Error, find, find_nginx};
use tokio::time::{Duration, Instant, sleep};

use crate::bench::{Bench, Reply, sha256};

#[tokio::test]
async fn what_is_in_the_assets_is_taken_and_asked_for_its_version_only_once() {
    let bench = Bench::start().await;
    bench.fill_assets("v1.37.2");

    let first = find(&bench.options(), &bench.report()).await.unwrap();
    assert_eq!(first.etcd, bench.assets().join("bin/etcd"));
    assert_eq!(first.kube_apiserver, bench.assets().join("bin/kube-apiserver"));
    assert_eq!(first.kubectl, None);
    assert_eq!(first.nginx, bench.assets().join("bin/nginx"));
    assert_eq!(bench.starts(), 6);

    let second = find(&bench.options(), &bench.report()).await.unwrap();
    assert_eq!(second, first);
    assert_eq!(bench.starts(), 6, "a stamp says that they were checked");

    // Another file under the same name is asked again.
    bench.put_asset("kwok", "echo kwok version v0.8.0-rc.1");
    find(&bench.options(), &bench.report()).await.unwrap();
    assert_eq!(bench.starts(), 7);
    assert_eq!(bench.requests(), Vec::<String>::new());
}

#[tokio::test]
async fn a_program_that_is_not_in_the_assets_is_downloaded_and_kept_in_the_cache() {
    let bench = Bench::start().await;
    bench.fill_assets("v1.37.2");
    fs::remove_file(bench.assets().join("bin/kwok")).unwrap();
    bench.serve_releases();

    let programs = find(&bench.options(), &bench.report()).await.unwrap();
    assert!(programs.kwok.starts_with(bench.cache()));
    assert!(programs.etcd.starts_with(bench.assets()));
    assert!(bench.said("assets: no kwok in "), "{:#?}", bench.lines());
    assert_eq!(bench.requests().len(), 2, "kwok and its digest: {:#?}", bench.requests());

    find(&bench.options(), &bench.report()).await.unwrap();
    assert_eq!(bench.requests().len(), 2, "the second time it is in the cache");
}

#[tokio::test]
async fn every_program_is_downloaded_checked_and_nothing_else_left_behind() {
    let bench = Bench::start().await;
    bench.put_asset("nginx", bench::NGINX);
    bench.serve_releases();

    let programs = find(&bench.options(), &bench.report()).await.unwrap();
    let names = ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok"];
    assert_eq!(bench.installed(), names);
    assert!(programs.kube_scheduler.starts_with(bench.cache()));
    assert_eq!(bench.work_in_progress(), 0);
    assert!(bench.said("download: etcd is here, "), "{:#?}", bench.lines());
}

#[tokio::test]
async fn a_file_with_another_digest_than_published_is_thrown_away() {
    let bench = Bench::start().await;
    bench.put_asset("nginx", bench::NGINX);
    bench.serve_releases();
    let (path, body) = ("/kwok/v0.8.0/kwok-linux-ARCH", b"something else".to_vec());
    let wanted = sha256(&bench.file(path));
    let got = sha256(&body);
    bench.serve(path, Reply::Whole(body));

    let error = find(&bench.options(), &bench.report()).await.unwrap_err().to_string();
    let url = bench.url(path);
    let told = format!("download: {url} has SHA-256 {got}, published is {wanted}");
    assert!(error.contains(&told), "{error}");
    assert!(!bench.installed().contains(&"kwok".to_owned()), "{:?}", bench.installed());
    assert_eq!(bench.work_in_progress(), 0);
}

#[tokio::test]
async fn a_download_that_breaks_off_leaves_nothing() {
    let bench = Bench::start().await;
    bench.put_asset("nginx", bench::NGINX);
    bench.serve_releases();
    let path = "/kubernetes/v1.37.2/bin/linux/ARCH/kube-scheduler";
    bench.serve(path, Reply::Truncated(vec![b'#'; 1 << 20]));

    let error = find(&bench.options(), &bench.report()).await.unwrap_err().to_string();
    let told = format!("{} broke off after ", bench.url(path));
    assert!(error.contains(&told), "{error}");
    let names = ["etcd", "kube-apiserver", "kube-controller-manager", "kwok"];
    assert_eq!(bench.installed(), names);
    assert_eq!(bench.work_in_progress(), 0);
}

#[tokio::test]
async fn a_file_that_a_mirror_does_not_have_is_named_with_the_answer() {
    let bench = Bench::start().await;
    bench.put_asset("nginx", bench::NGINX);
    bench.serve_releases();
    let path = "/kubernetes/v1.37.2/bin/linux/ARCH/kube-apiserver";
    bench.serve(path, Reply::NotFound);

    let error = find(&bench.options(), &bench.report()).await.unwrap_err().to_string();
    let told = format!("{} answers 404 Not Found", bench.url(path));
    assert!(error.contains(&told), "{error}");
}

#[tokio::test]
async fn a_program_in_the_cache_that_is_damaged_is_fetched_anew() {
    let bench = Bench::start().await;
    bench.put_asset("nginx", bench::NGINX);
    bench.serve_releases();
    let programs = find(&bench.options(), &bench.report()).await.unwrap();
    fs::write(&programs.etcd, "").unwrap();

    let again = find(&bench.options(), &bench.report()).await.unwrap();
    assert_eq!(again, programs);
    assert!(fs::metadata(&programs.etcd).unwrap().len() > 0);
    assert!(bench.said("cache: etcd cannot be used and is fetched anew"), "{:#?}", bench.lines());
}

#[tokio::test]
async fn a_wrong_version_in_the_assets_is_an_error_with_path_output_and_remedy() {
    let bench = Bench::start().await;
    bench.fill_assets("v1.20.4");

    let error = find(&bench.options(), &bench.report()).await.unwrap_err();
    insta::assert_snapshot!(bench.redact(&error), @"kube-apiserver at [assets]/bin/kube-apiserver printed `Kubernetes v1.20.4`, wanted `Kubernetes v1.37.2` (or another version from 1.31.0 on): put such a file there, or leave it out of the assets and it is downloaded or built");
}

#[tokio::test]
async fn a_file_that_is_no_program_is_an_error_and_not_skipped() {
    let bench = Bench::start().await;
    bench.fill_assets("v1.37.2");
    fs::write(bench.assets().join("bin/etcd"), "\x7fELF, but not really").unwrap();

    let error = find(&bench.options(), &bench.report()).await.unwrap_err();
    insta::assert_snapshot!(bench.redact(&error), @"etcd at [assets]/bin/etcd does not run (Exec format error (os error 8)), wanted `etcd Version: 3.7.3` (or another version from 3.5.0 on): put such a file there, or leave it out of the assets and it is downloaded or built");
}

#[tokio::test]
async fn an_older_minor_version_is_taken_with_a_note_when_all_three_have_it() {
    let bench = Bench::start().await;
    bench.fill_assets("v1.33.5");

    find(&bench.options(), &bench.report()).await.unwrap();
    let note = "kube-scheduler: is 1.33.5, the harness is tested with 1.37.2";
    assert!(bench.said(note), "{:#?}", bench.lines());

    bench.put_asset("kube-scheduler", "echo Kubernetes v1.34.0");
    let error = find(&bench.options(), &bench.report()).await.unwrap_err();
    insta::assert_snapshot!(bench.redact(&error), @"the Kubernetes programs are of different minor versions (kube-apiserver 1.33.5 at [assets]/bin/kube-apiserver, kube-controller-manager 1.33.5 at [assets]/bin/kube-controller-manager, kube-scheduler 1.34.0 at [assets]/bin/kube-scheduler): put all three of one version into the assets, or none and v1.37.2 is downloaded or built");
}

#[tokio::test]
async fn when_no_way_works_one_error_names_all_four() {
    let mut bench = Bench::start().await;
    bench.put_asset("nginx", bench::NGINX);
    bench.go_offline();

    let started = Instant::now();
    let error = find(&bench.options(), &bench.report()).await.unwrap_err();
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    insta::assert_snapshot!(bench.redact(&error), @r"
    no etcd, kube-apiserver, kube-controller-manager, kube-scheduler and kwok to be had: give a folder that holds them with --assets DIR (or E2E_ASSETS), make one of the ways below work, or use --cluster kind
      assets: not in [assets] nor in its bin
      cache: not in [cache]/[versions]/bin
      download: etcd: cannot reach http://127.0.0.1:[port]/etcd/v3.7.3/SHA256SUMS: error sending request: client error (Connect): tcp connect error: Connection refused (os error 111)
      download: kube-apiserver, kube-controller-manager and kube-scheduler: cannot reach http://127.0.0.1:[port]/kubernetes/v1.37.2/bin/linux/[arch]/kube-apiserver.sha256: error sending request: client error (Connect): tcp connect error: Connection refused (os error 111)
      download: kwok: cannot reach http://127.0.0.1:[port]/kwok/v0.8.0/kwok-linux-[arch].sha256: error sending request: client error (Connect): tcp connect error: Connection refused (os error 111)
      go build: no go on the PATH; install Go 1.26 or newer (https://go.dev/dl)
    ");
    assert_eq!(bench.work_in_progress(), 0);
}

#[tokio::test]
async fn go_builds_what_nothing_else_has_from_the_sources_in_this_program() {
    let mut bench = Bench::start().await;
    bench.put_asset("nginx", bench::NGINX);
    bench.go_offline();
    // Stands for the compiler: looks at what it was given, and writes a script that
    // answers as the program it is called by.
    bench.put_on_path(
        "go",
        r#"
        [ "$CGO_ENABLED $GOWORK ${GOOS-unset}" = "0 off unset" ] || { echo "bad environment" >&2; exit 1; }
        [ -s go.mod ] && [ -s go.sum ] || { echo "no sources" >&2; exit 1; }
        while [ "$1" != -o ]; do shift; done
        cat > "$2" <<'END'
#!/bin/sh
case "${0##*/}" in
  etcd) echo etcd Version: 3.7.3 ;;
  kwok) echo kwok version v0.8.0 ;;
  kube-*) echo Kubernetes v1.37.2 ;;
esac
END
        "#,
    );

    let programs = find(&bench.options(), &bench.report()).await.unwrap();
    assert_eq!(fs::read_link(&programs.kube_apiserver).unwrap().to_str(), Some("kubernetes"));
    assert!(bench.said("go build: kwok took "), "{:#?}", bench.lines());
    assert_eq!(bench.work_in_progress(), 0);
}

#[tokio::test]
async fn what_go_said_is_in_the_error() {
    let mut bench = Bench::start().await;
    bench.fill_assets("v1.37.2");
    fs::remove_file(bench.assets().join("bin/kwok")).unwrap();
    bench.go_offline();
    bench.put_on_path("go", "echo 'go: downloading x v1'; echo 'go: no such host' >&2; exit 1");

    let error = find(&bench.options(), &bench.report()).await.unwrap_err().to_string();
    let told = "go build: building kwok ended with exit code 1: go: no such host";
    assert!(error.contains(told), "{error}");
}

#[tokio::test]
async fn a_build_that_is_given_up_ends_its_compilers_too() {
    let mut bench = Bench::start().await;
    bench.fill_assets("v1.37.2");
    fs::remove_file(bench.assets().join("bin/kwok")).unwrap();
    bench.go_offline();
    let (pid, ready) = (bench.folder().join("pid"), bench.folder().join("ready"));
    let (pid_text, ready_text) = (pid.display(), ready.display());
    bench.put_on_path(
        "go",
        &format!("sleep 600 & echo $! >{pid_text}; mv {pid_text} {ready_text}; wait"),
    );

    let options = bench.options();
    let report = bench.report();
    tokio::select! {
        result = find(&options, &report) => panic!("it was not given up: {result:?}"),
        () = until(|| ready.exists()) => {}
    }
    let compiler = fs::read_to_string(&ready).unwrap();
    let process = std::path::Path::new("/proc").join(compiler.trim());
    let gone = || {
        // A zombie is dead too; whoever adopted it has not looked yet.
        fs::read_to_string(process.join("stat")).map_or(true, |stat| stat.contains(") Z "))
    };
    until(gone).await;
    assert_eq!(bench.work_in_progress(), 0);
}

#[tokio::test]
async fn an_nginx_without_the_status_page_is_an_error() {
    let bench = Bench::start().await;
    bench.put_asset("nginx", "echo 'nginx version: nginx/1.28.0' >&2");

    let error = find_nginx(&bench.options(), &bench.report()).await.unwrap_err();
    insta::assert_snapshot!(bench.redact(&error), @"nginx at [assets]/bin/nginx printed `nginx version: nginx/1.28.0`, wanted one built --with-http_stub_status_module: install nginx-light, or put such an nginx into the folder given with --assets");
}

#[tokio::test]
async fn no_nginx_and_no_way_to_install_it_is_an_error_with_the_remedy() {
    let bench = Bench::start().await;

    let error = find_nginx(&bench.options(), &bench.report()).await.unwrap_err();
    assert!(matches!(error, Error::NoNginx { .. }), "{error:?}");
    assert!(error.to_string().contains("apt-get install nginx-light"), "{error}");
}

#[tokio::test]
async fn an_nginx_on_the_path_is_taken() {
    let bench = Bench::start().await;
    bench.put_on_path("nginx", bench::NGINX);

    let nginx = find_nginx(&bench.options(), &bench.report()).await.unwrap();
    assert_eq!(nginx, bench.folder().join("path/nginx"));
}

#[tokio::test]
async fn a_kubectl_that_does_not_run_is_left_out() {
    let bench = Bench::start().await;
    bench.fill_assets("v1.37.2");
    bench.put_asset("kubectl", "echo 'Client Version: v1.37.2'");
    let programs = find(&bench.options(), &bench.report()).await.unwrap();
    assert_eq!(programs.kubectl, Some(bench.assets().join("bin/kubectl")));

    bench.put_asset("kubectl", "echo broken >&2; exit 1");
    let programs = find(&bench.options(), &bench.report()).await.unwrap();
    assert_eq!(programs.kubectl, None);
    assert!(bench.said("kubectl: "), "{:#?}", bench.lines());
}

/// Polls, because neither a file nor the end of another's process can be awaited.
async fn until(condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < deadline, "waited 20 s in vain");
        sleep(Duration::from_millis(5)).await;
    }
}
