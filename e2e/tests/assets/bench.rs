//! Folders and a mirror for one test; all of it goes when the test ends.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "clippy takes this for no test because it has no #[test]; its failure is one's"
)]

use std::{
    collections::BTreeMap,
    env::consts,
    fs,
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{StatusCode, Uri, header::CONTENT_LENGTH},
    response::{IntoResponse, Response},
};
use e2e::assets::{Mirrors, Options};
use futures::stream;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use tokio::task::JoinHandle;

/// What a fake nginx does.
pub(crate) const NGINX: &str =
    "echo 'configure arguments: --with-threads --with-http_stub_status_module' >&2";
/// The pinned version.
const KUBERNETES: &str = "v1.37.2";

/// What the mirror does with a request.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    Whole(Vec<u8>),
    /// Promises all of it, and closes the connection half-way.
    Truncated(Vec<u8>),
    NotFound,
}

#[derive(Debug, Default)]
struct Shared {
    replies: BTreeMap<String, Reply>,
    requests: Vec<String>,
}

pub(crate) struct Bench {
    folder: TempDir,
    shared: Arc<Mutex<Shared>>,
    lines: Mutex<Vec<String>>,
    base: String,
    server: JoinHandle<()>,
}

impl Bench {
    pub(crate) async fn start() -> Self {
        // Err when another test of this process was first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let shared: Arc<Mutex<Shared>> = Arc::default();
        let app = Router::new().fallback(answer).with_state(Arc::clone(&shared));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let server = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        let folder = tempfile::tempdir().unwrap();
        for name in ["assets/bin", "path"] {
            fs::create_dir_all(folder.path().join(name)).unwrap();
        }
        Self { folder, shared, lines: Mutex::default(), base, server }
    }

    /// From here on the mirror's port is closed.
    pub(crate) fn go_offline(&mut self) {
        self.server.abort();
        // A port that was bound and is not any more: nothing listens on it.
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        self.base = format!("http://{}", listener.local_addr().unwrap());
    }

    pub(crate) fn options(&self) -> Options {
        let url = |name: &str| format!("{}/{name}", self.base).parse().unwrap();
        Options {
            assets: Some(self.assets()),
            cache: self.cache(),
            mirrors: Mirrors {
                kubernetes: url("kubernetes"),
                etcd: url("etcd"),
                kwok: url("kwok"),
            },
            search_path: self.folder().join("path").into(),
            bars: false,
        }
    }

    pub(crate) fn report(&self) -> impl Fn(&str) + Send + Sync {
        |line| self.lines.lock().unwrap().push(line.to_owned())
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    pub(crate) fn said(&self, start: &str) -> bool {
        self.lines().iter().any(|line| line.starts_with(start))
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn assets(&self) -> PathBuf {
        self.folder().join("assets")
    }

    pub(crate) fn cache(&self) -> PathBuf {
        self.folder().join("cache")
    }

    // --- programs

    /// All programs, each of which counts its starts.
    pub(crate) fn fill_assets(&self, kubernetes: &str) {
        for (name, body) in programs_of(kubernetes) {
            self.put_asset(name, &body);
        }
        self.put_asset("nginx", NGINX);
    }

    pub(crate) fn put_asset(&self, name: &str, body: &str) {
        let count = format!("echo >>{}\n{body}", self.folder().join("starts").display());
        put(&self.assets().join("bin").join(name), &count);
    }

    pub(crate) fn put_on_path(&self, name: &str, body: &str) {
        put(&self.folder().join("path").join(name), body);
    }

    /// How often a program of the assets was started.
    pub(crate) fn starts(&self) -> usize {
        fs::read_to_string(self.folder().join("starts")).unwrap_or_default().lines().count()
    }

    /// The files in the cache's `bin`.
    pub(crate) fn installed(&self) -> Vec<String> {
        let versions = fs::read_dir(self.cache()).unwrap().map(|entry| entry.unwrap().path());
        let bin = versions.map(|path| path.join("bin")).find(|bin| bin.is_dir()).unwrap();
        let names = fs::read_dir(bin).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
        names.sort();
        names
    }

    pub(crate) fn work_in_progress(&self) -> usize {
        fs::read_dir(self.cache().join("tmp")).unwrap().count()
    }

    // --- mirror

    /// Everything that the official hosts have, of the pinned versions.
    pub(crate) fn serve_releases(&self) {
        for (name, body) in programs_of(KUBERNETES) {
            let body = script(&body).into_bytes();
            match name {
                "etcd" => {
                    let stem = format!("etcd-v3.7.3-linux-{}", arch());
                    let archive = tar_gz(&format!("{stem}/etcd"), &body);
                    let sums = format!("{}  {stem}.tar.gz\n", sha256(&archive));
                    self.serve("/etcd/v3.7.3/SHA256SUMS", Reply::Whole(sums.into()));
                    self.serve(&format!("/etcd/v3.7.3/{stem}.tar.gz"), Reply::Whole(archive));
                }
                "kwok" => self.serve_with_digest("/kwok/v0.8.0/kwok-linux-ARCH", body),
                name => {
                    let path = format!("/kubernetes/v1.37.2/bin/linux/ARCH/{name}");
                    self.serve_with_digest(&path, body);
                }
            }
        }
    }

    fn serve_with_digest(&self, path: &str, body: Vec<u8>) {
        self.serve(&format!("{path}.sha256"), Reply::Whole(sha256(&body).into()));
        self.serve(path, Reply::Whole(body));
    }

    /// `ARCH` in the path stands for this machine's.
    pub(crate) fn serve(&self, path: &str, reply: Reply) {
        self.shared.lock().unwrap().replies.insert(path.replace("ARCH", arch()), reply);
    }

    /// What is served whole at a path.
    pub(crate) fn file(&self, path: &str) -> Vec<u8> {
        match self.shared.lock().unwrap().replies.get(&path.replace("ARCH", arch())) {
            Some(Reply::Whole(body)) => body.clone(),
            other => panic!("{path}: {other:?}"),
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{}", self.base, path.replace("ARCH", arch()))
    }

    pub(crate) fn requests(&self) -> Vec<String> {
        self.shared.lock().unwrap().requests.clone()
    }

    /// Without what differs from run to run and machine to machine.
    pub(crate) fn redact(&self, error: &e2e::assets::Error) -> String {
        let port = self.base.rsplit(':').next().unwrap();
        let versions = "kubernetes-1.37.2-etcd-3.7.3-kwok-0.8.0";
        let versions = format!("{versions}-{}-{}", consts::OS, consts::ARCH);
        error
            .to_string()
            .replace(&self.assets().display().to_string(), "[assets]")
            .replace(&self.cache().display().to_string(), "[cache]")
            .replace(&versions, "[versions]")
            .replace(&format!("127.0.0.1:{port}"), "127.0.0.1:[port]")
            .replace(arch(), "[arch]")
    }
}

async fn answer(State(shared): State<Arc<Mutex<Shared>>>, uri: Uri) -> Response {
    let reply = {
        let mut shared = shared.lock().unwrap();
        shared.requests.push(uri.path().to_owned());
        shared.replies.get(uri.path()).cloned()
    };
    match reply {
        Some(Reply::Whole(body)) => body.into_response(),
        Some(Reply::Truncated(body)) => {
            let half = Bytes::copy_from_slice(&body[..body.len() / 2]);
            let stream = stream::iter([Ok::<_, std::io::Error>(half)]);
            ([(CONTENT_LENGTH, body.len())], Body::from_stream(stream)).into_response()
        }
        Some(Reply::NotFound) | None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// Name and script of each program, as it prints its version.
fn programs_of(kubernetes: &str) -> Vec<(&'static str, String)> {
    let etcd = "echo etcd Version: 3.7.3; echo Git SHA: abc".to_owned();
    let kwok = "echo 'kwok version v0.8.0 go1.26.8 (linux/amd64)'".to_owned();
    let three = ["kube-apiserver", "kube-controller-manager", "kube-scheduler"];
    let three = three.map(|name| (name, format!("echo Kubernetes {kubernetes}")));
    [("etcd", etcd), ("kwok", kwok)].into_iter().chain(three).collect()
}

fn script(body: &str) -> String {
    format!("#!/bin/sh\n{body}\n")
}

pub(crate) fn sha256(body: &[u8]) -> String {
    Sha256::digest(body).iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

fn put(path: &Path, body: &str) {
    // A new file each time, so that its stamp changes with it.
    let _ = fs::remove_file(path);
    fs::write(path, script(body)).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

fn tar_gz(name: &str, body: &[u8]) -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.set_size(body.len() as u64);
    header.set_mode(0o755);
    let mut archive = tar::Builder::new(Vec::new());
    archive.append_data(&mut header, name, body).unwrap();
    let tar = archive.into_inner().unwrap();
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(&tar).unwrap();
    gz.finish().unwrap()
}

fn arch() -> &'static str {
    match consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}
