use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tempfile::TempDir;
use tokio::io::AsyncReadExt;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};
use url::Url;

use crate::load::{self, Config, Connections, Load};
use crate::nginx::{Error, Place, Starter, adapt, command_line, status};

/// As in the shipped ConfigMap, with what images add to it.
const CONF: &str = r#"
user nginx;
worker_processes 5;
error_log stderr;
pid /var/run/nginx.pid;
events { worker_connections 4096; }
http {
  access_log /var/log/nginx/access.log combined;
  client_body_temp_path /var/lib/nginx/body;
  server {
    listen 80;
    location = /nginx_status { stub_status; }
    location / { return 200 "nginx\n"; } # anything else
  }
}
"#;

const NGINX: &str = "/usr/sbin/nginx";

fn place(folder: &Path) -> Place<'_> {
    Place { port: 8090, folder, starter: Starter::User }
}

#[test]
fn only_what_a_process_needs_is_changed() {
    let conf = adapt(CONF, &place(Path::new("/run/e2e 1"))).expect("a configuration");
    insta::assert_snapshot!(conf, @r#"
    daemon off;
    pid "/run/e2e 1/nginx.pid";
    lock_file "/run/e2e 1/nginx.lock";
    error_log "/run/e2e 1/error.log" notice;
    worker_processes 5;
    events {
        worker_connections 4096;
    }
    http {
        client_body_temp_path "/run/e2e 1/client_body_temp_path";
        fastcgi_temp_path "/run/e2e 1/fastcgi_temp_path";
        proxy_temp_path "/run/e2e 1/proxy_temp_path";
        scgi_temp_path "/run/e2e 1/scgi_temp_path";
        uwsgi_temp_path "/run/e2e 1/uwsgi_temp_path";
        access_log "/run/e2e 1/access.log" combined;
        server {
            listen 127.0.0.1:8090;
            location = /nginx_status {
                stub_status;
            }
            location / {
                return 200 "nginx\n";
            }
        }
    }
    "#);
}

#[test]
fn root_keeps_its_workers_root() {
    let place = Place { starter: Starter::Root, ..place(Path::new("/run/e2e")) };
    let conf = adapt(CONF, &place).expect("a configuration");
    assert!(conf.contains("\nuser root;\n"), "{conf}");
}

#[test]
fn without_a_log_of_its_own_nothing_is_logged() {
    let conf = "events {} http { server { listen *:80 default_server; } }";
    let conf = adapt(conf, &place(Path::new("/run/e2e"))).expect("a configuration");
    assert!(conf.contains("access_log off;"), "{conf}");
    assert!(conf.contains("listen 127.0.0.1:8090 default_server;"), "{conf}");
}

#[test]
fn a_configuration_that_cannot_be_moved_is_refused_by_name() {
    #[track_caller]
    fn check(conf: &str, expected: &str) {
        let error = adapt(conf, &place(Path::new("/run/e2e"))).expect_err("it cannot be moved");
        assert_eq!(error.to_string(), expected);
    }
    let only = "nginx.conf of the ConfigMap";
    check("http {}", &format!("{only} has 0 server, the harness can run it with 1"));
    check("events {}", &format!("{only} has 0 http, the harness can run it with 1"));
    check(
        "http { server { listen 80; } server { listen 80; } }",
        &format!("{only} has 2 server, the harness can run it with 1"),
    );
    check(
        "http { server { return 200; } }",
        &format!("{only} has 0 listen, the harness can run it with 1"),
    );
    check(
        "http { server { listen 443 ssl; } }",
        &format!("{only} says `listen 443 ssl`, the harness can only move `listen 80`"),
    );
    check("http {\n server {", &format!("{only}, line 2: a {{ that is never closed"));
}

/// An nginx that ends with the test.
struct Nginx {
    process: Child,
    url: Url,
    folder: TempDir,
}

/// Starts the real program with the adapted configuration; `None` where there is none.
fn start_nginx() -> Option<Nginx> {
    if !Path::new(NGINX).exists() {
        println!("skipped: there is no nginx at {NGINX}");
        return None;
    }
    let _installed_before = rustls::crypto::ring::default_provider().install_default();
    let folder = TempDir::new().expect("a folder");
    let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = free.local_addr().expect("an address").port();
    drop(free);
    let place = Place { port, folder: folder.path(), starter: Starter::current() };
    let conf_path = folder.path().join("nginx.conf");
    let conf = adapt(CONF, &place).expect("a configuration");
    std::fs::write(&conf_path, conf).expect("a writable folder");
    let process = Command::new(NGINX)
        .args(command_line(&conf_path, folder.path()))
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .expect("nginx starts");
    let url = Url::parse(&format!("http://127.0.0.1:{port}/nginx_status")).expect("a URL");
    Some(Nginx { process, url, folder })
}

impl Nginx {
    /// Waits for the first answer; that one is counted as well.
    async fn ready(&self, client: &reqwest::Client) {
        let answered = async {
            while status(client, self.url.as_str()).await.is_err() {
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(Duration::from_secs(10), answered).await.expect("nginx answers");
    }

    /// SIGTERM to the master, which takes its workers with it; what was said on stderr.
    async fn stop(mut self) -> String {
        kill_process(self.pid().expect("it runs"), Signal::TERM).expect("it runs");
        let mut said = String::new();
        let mut stderr = self.process.stderr.take().expect("a pipe");
        stderr.read_to_string(&mut said).await.expect("text");
        let exit = self.process.wait().await.expect("an end");
        assert!(exit.success(), "{exit}: {said}");
        said
    }

    /// The master's, and its group's; `None` once it has been waited for.
    fn pid(&self) -> Option<Pid> {
        self.process.id().and_then(|pid| Pid::from_raw(pid.try_into().ok()?))
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // A test that panicked: the workers would outlive a killed master.
        if let Some(pid) = self.pid() {
            kill_process_group(pid, Signal::KILL).ok();
        }
    }
}

#[tokio::test]
async fn a_real_nginx_runs_and_counts_exactly_what_the_load_sent() {
    let Some(nginx) = start_nginx() else { return };
    let client = reqwest::Client::new();
    nginx.ready(&client).await;
    let before = status(&client, nginx.url.as_str()).await.expect("a status page");

    let url = nginx.url.join("/").expect("a URL");
    let limit = Duration::from_millis(500);
    let load = Load::start(Config {
        url,
        place: load::Place::Loopback,
        rate_per_s: 100.0,
        max_in_flight: 100,
        limit,
        connections: Connections::Kept,
    });
    let report = load.expect("a load").finished().await;
    assert_eq!(report.counts.succeeded, 50, "{report}");

    let after = status(&client, nginx.url.as_str()).await.expect("a status page");
    // The second status request counts itself.
    assert_eq!(after.requests - before.requests, report.counts.sent + 1);

    let error_log = nginx.folder.path().join("error.log");
    assert!(error_log.exists() && nginx.folder.path().join("proxy_temp_path").is_dir());
    assert_eq!(nginx.stop().await, "");
}

#[tokio::test]
async fn another_page_than_a_status_page_is_named() {
    let Some(nginx) = start_nginx() else { return };
    let client = reqwest::Client::new();
    nginx.ready(&client).await;
    let page = nginx.url.join("/").expect("a URL");
    let error = status(&client, page.as_str()).await.expect_err("it is no status page");
    assert!(matches!(&error, Error::NotStatus { url, .. } if url == page.as_str()), "{error}");
    nginx.stop().await;
    let error = status(&client, page.as_str()).await.expect_err("nothing listens");
    assert!(matches!(error, Error::Fetch(_)), "{error}");
}
