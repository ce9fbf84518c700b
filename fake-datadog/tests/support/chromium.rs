//! A headless Chromium, driven by the `DevTools` protocol over pipes.

use std::{path::PathBuf, process::Stdio, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    process::{Child, ChildStdin, ChildStdout, Command},
};

/// Longest wait for anything; it takes a loaded machine seconds to start a browser.
const PATIENCE: Duration = Duration::from_secs(60);

/// No GPU, no sandbox (CI runs as root), and no calls home.
const FLAGS: &str = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run \
    --disable-background-networking --disable-component-update --disable-sync \
    --disable-dev-shm-usage --remote-debugging-pipe";

/// What the protocol answers where the page of a question is gone, or not there yet.
const GONE: i64 = -32000;

/// A browser with one page. It ends when this is dropped.
pub(crate) struct Browser {
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    /// Number of the last command.
    last: u64,
    session: Option<String>,
    _child: Child,
    _profile: tempfile::TempDir,
}

impl Browser {
    /// Starts one; `None`, with the reason printed, where there is no Chromium.
    pub(crate) async fn start() -> Option<Self> {
        let Some(program) = program() else {
            eprintln!("skipped: no chromium in the PATH");
            return None;
        };
        let profile = tempfile::tempdir().unwrap();
        // Chromium wants its pipes as descriptors 3 and 4.
        let script = format!(
            "exec '{}' {FLAGS} --user-data-dir='{}' 3<&0 4>&1 </dev/null >/dev/null 2>&1",
            program.display(),
            profile.path().display()
        );
        let mut command = Command::new("sh");
        command.args(["-c", &script]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.kill_on_drop(true).spawn().unwrap();
        let input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let mut browser =
            Self { input, output, last: 0, session: None, _child: child, _profile: profile };
        let target = browser.call("Target.createTarget", json!({ "url": "about:blank" })).await;
        let target = json!({ "targetId": target["targetId"], "flatten": true });
        let attached = browser.call("Target.attachToTarget", target).await;
        browser.session = attached["sessionId"].as_str().map(str::to_owned);
        // Servers of tests sign their certificates themselves.
        browser.call("Security.setIgnoreCertificateErrors", json!({ "ignore": true })).await;
        Some(browser)
    }

    /// Opens an address in a window of that size.
    pub(crate) async fn open(&mut self, url: &str, width: u32, height: u32) {
        let size =
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.call("Emulation.setDeviceMetricsOverride", size).await;
        self.call("Page.navigate", json!({ "url": url })).await;
    }

    /// The value of a JavaScript expression.
    pub(crate) async fn evaluate(&mut self, expression: &str) -> Value {
        let answer = self.call("Runtime.evaluate", evaluation(expression)).await;
        assert_eq!(answer["exceptionDetails"], Value::Null, "{expression}");
        answer["result"]["value"].clone()
    }

    /// Waits until a JavaScript expression is true. The page itself looks again and again; where it
    /// gives way to another page, that one does.
    pub(crate) async fn wait_for(&mut self, expression: &str) {
        let looking = format!(
            "new Promise(done => {{ const look = () => ({expression}) ? done(true) : \
             setTimeout(look, 20); look(); }})"
        );
        loop {
            match self.ask("Runtime.evaluate", evaluation(&looking)).await {
                Ok(answer) => {
                    return assert_eq!(answer["exceptionDetails"], Value::Null, "{expression}");
                }
                Err(error) => assert_eq!(error["code"], GONE, "{expression}: {error}"),
            }
        }
    }

    /// Clicks with the mouse into the middle of an element that a JavaScript expression gives.
    pub(crate) async fn click(&mut self, element: &str) {
        let place = format!(
            "(() => {{ const it = {element}; it.scrollIntoView({{ block: 'center' }}); \
             const box = it.getBoundingClientRect(); \
             return [box.x + box.width / 2, box.y + box.height / 2]; }})()"
        );
        let place = self.evaluate(&place).await;
        for kind in ["mousePressed", "mouseReleased"] {
            let event = json!({
                "type": kind, "x": place[0], "y": place[1], "button": "left", "clickCount": 1,
            });
            self.call("Input.dispatchMouseEvent", event).await;
        }
    }

    /// The window as a PNG file.
    pub(crate) async fn screenshot(&mut self) -> Vec<u8> {
        let shot = self.call("Page.captureScreenshot", json!({ "format": "png" })).await;
        STANDARD.decode(shot["data"].as_str().unwrap()).unwrap()
    }

    /// The answer to a command of the protocol.
    pub(crate) async fn call(&mut self, method: &str, params: Value) -> Value {
        let answer = self.ask(method, params).await;
        assert!(answer.is_ok(), "{method}: {answer:?}");
        answer.unwrap()
    }

    async fn ask(&mut self, method: &str, params: Value) -> Result<Value, Value> {
        let asked = tokio::time::timeout(PATIENCE, self.ask_at_leisure(method, params)).await;
        assert!(asked.is_ok(), "the browser does not answer {method} {}", self.last);
        asked.unwrap()
    }

    async fn ask_at_leisure(&mut self, method: &str, params: Value) -> Result<Value, Value> {
        self.last += 1;
        let mut message = json!({ "id": self.last, "method": method, "params": params });
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        // Messages end with a zero byte.
        self.input.write_all(format!("{message}\0").as_bytes()).await.unwrap();
        loop {
            let mut answer = Vec::new();
            self.output.read_until(0, &mut answer).await.unwrap();
            assert_eq!(answer.pop(), Some(0), "the browser ended");
            let answer: Value = serde_json::from_slice(&answer).unwrap();
            if answer["id"] == self.last {
                let error = &answer["error"];
                return if error.is_null() {
                    Ok(answer["result"].clone())
                } else {
                    Err(error.clone())
                };
            }
        }
    }
}

fn evaluation(expression: &str) -> Value {
    json!({ "expression": expression, "awaitPromise": true, "returnByValue": true })
}

fn program() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let all = std::env::split_paths(&path).flat_map(|folder| names.map(|it| folder.join(it)));
    all.into_iter().find(|program| program.is_file())
}
