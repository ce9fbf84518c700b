//! The HPA controller asks for protobuf first, and gets it: by its own log of what it was answered.

use std::time::Duration;

use crate::{
    cluster::local::LocalCluster,
    phase::Recorder,
    scenario::METRIC,
    wait::{self, Probe},
};

/// What every object in Kubernetes' protobuf begins with
/// (k8s.io/apimachinery/pkg/runtime/serializer/protobuf).
const MAGIC: [u8; 4] = *b"k8s\0";
/// The level at which client-go logs bodies.
const BODIES: u8 = 8;
const SAID_WITHIN: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(100);

pub(super) async fn run(cluster: &LocalCluster, recorder: &Recorder) -> anyhow::Result<()> {
    let log = cluster.controller_manager_log_at(BODIES).await?;
    let looked = wait::until("the HPA controller to ask", SAID_WITHIN, LOOK_EVERY, async || {
        let text = log.read().await?;
        let decided = text.contains("\"Proposing desired replicas\"");
        let answer = bodies(&text).into_iter().find(|body| is_ours(body));
        anyhow::Ok(match answer {
            Some(body) if decided => Probe::Ready(body),
            _ => Probe::NotYet(format!("{} bytes of log, decided: {decided}", text.len())),
        })
    });
    let looked = looked.await;
    log.set_level(0).await?;
    let decoded = looked.map_err(|timeout| timeout.to_string()).and_then(|body| {
        let text = format!("{} bytes of protobuf, and it decided by them", body.len());
        if body.starts_with(&MAGIC) { Ok(text) } else { Err(String::from_utf8_lossy(&body).into()) }
    });
    recorder.assertion("the HPA controller reads the metric by protobuf", decoded)?;
    Ok(())
}

/// Whether this is an answer about the metric, in whichever format.
fn is_ours(body: &[u8]) -> bool {
    let has = |text: &str| memchr::memmem::find(body, text.as_bytes()).is_some();
    has("ExternalMetricValueList") && has(METRIC)
}

/// The bodies that were logged: those that are no text as a hex dump, the others as they are.
fn bodies(log: &str) -> Vec<Vec<u8>> {
    let mut bodies = Vec::new();
    for answer in log.split("\"Response Body\" body=").skip(1) {
        let Some(dump) = answer.strip_prefix("<\n") else {
            bodies.push(answer.lines().next().unwrap_or_default().as_bytes().to_vec());
            continue;
        };
        let lines = dump.lines().take_while(|line| !line.starts_with(" >"));
        let bytes = lines.map_while(dumped);
        bodies.push(bytes.flatten().collect());
    }
    bodies
}

/// The bytes of one line of a dump, which has an offset before them and their text after them; none
/// where it is something else.
fn dumped(line: &str) -> Option<Vec<u8>> {
    let (offset, rest) = line.trim_start().split_once("  ")?;
    let (hex, _) = rest.split_once('|')?;
    u32::from_str_radix(offset, 16).ok()?;
    hex.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_read_out_of_the_controllers_log() {
        let log = "I1 client.go:92] \"Response Body\" body=<\n\
                   \t00000000  6b 38 73 00 0a 17 0a 0e  61 75 74 6f 73 63 61 6c  |k8s..|.autoscal|\n\
                   \t00000010  69 6e                                             |in|\n \
                   >\n\
                   I1 horizontal.go:958] \"Proposing desired replicas\"\n\
                   I1 client.go:92] \"Response Body\" body=\"{}\"\n";
        assert_eq!(bodies(log), [b"k8s\0\n\x17\n\x0eautoscalin".to_vec(), b"\"{}\"".to_vec()]);
    }
}
