//! What is random in an output, made the same in every run; pure.
//!
//! The first pod of nginx that a run shows is called the same on the page, whatever Kubernetes has
//! called it, and so is the second; likewise addresses. Times and ages become fixed ones. Everything
//! else has to be as the page has it.

use regex::{Captures, Regex};

use crate::walkthrough::about::About;

mod table;
#[cfg(test)]
mod tests;

/// The names and addresses that a run has shown so far.
#[derive(Clone, Debug)]
pub struct Normaliser {
    workloads: Vec<Workload>,
    /// Hashes of pod templates, of all workloads.
    templates: Vec<String>,
    addresses: Vec<String>,
    address: Regex,
    time: Regex,
}

#[derive(Clone, Debug)]
struct Workload {
    name: String,
    pattern: Regex,
    pods: Vec<String>,
}

/// In alphabetical order, so that a listing keeps the order in which they were given out.
const PODS: [&str; 12] = [
    "4c5pp", "5xzp2", "8kq2v", "b7l4f", "cmdtc", "h9wvs", "k6h6x", "mq2zt", "qqd3z", "s8r7n",
    "vzd5b", "x4wlg",
];
const TEMPLATES: [&str; 6] =
    ["5f6c9d8b47", "6757dd8769", "7b7f6d5547", "84c6d9f5bb", "9d7b58c64f", "b8f59d7c6b"];
/// The alphabet of Kubernetes' random names (`k8s.io/apimachinery/pkg/util/rand`).
const SAFE: &str = "[bcdfghjklmnpqrstvwxz2456789]";

const TIME: &str = "2026-01-01T12:00:00";

const TIMES: &str = r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z";
/// Cluster addresses are private ones; other dotted numbers are versions.
const ADDRESSES: &str = r"\b(?:10|172|192)\.\d{1,3}\.\d{1,3}\.\d{1,3}\b";

impl Normaliser {
    /// For the pods of these workloads.
    pub fn new(workloads: &[String]) -> Result<Self, regex::Error> {
        let workload = |name: &String| {
            let escaped = regex::escape(name);
            let pattern = format!(r"\b{escaped}-(?:({SAFE}{{6,10}})-)?({SAFE}{{5}})\b");
            Ok(Workload { name: name.clone(), pattern: Regex::new(&pattern)?, pods: Vec::new() })
        };
        let workloads = workloads.iter().map(workload).collect::<Result<_, regex::Error>>()?;
        let (address, time) = (Regex::new(ADDRESSES)?, Regex::new(TIMES)?);
        Ok(Self { workloads, templates: Vec::new(), addresses: Vec::new(), address, time })
    }

    /// The lines of `output` as the page shows them.
    pub fn normalise(&mut self, output: &str, about: &[About]) -> Vec<String> {
        let mut text = output.to_owned();
        for workload in &mut self.workloads {
            text = workload.rename(&text, &mut self.templates);
        }
        let addresses = &mut self.addresses;
        let address = |found: &Captures<'_>| match nth(addresses, &found[0]) {
            index @ 0..250 => format!("10.96.100.{}", index + 1),
            _ => found[0].to_owned(),
        };
        text = self.address.replace_all(&text, address).into_owned();
        let time = |found: &Captures<'_>| match found.get(1) {
            Some(fraction) => format!("{TIME}.{}Z", "0".repeat(fraction.len() - 1)),
            None => format!("{TIME}Z"),
        };
        text = self.time.replace_all(&text, time).into_owned();
        text = about.iter().fold(text, |text, about| about.apply(&text));
        let lines: Vec<&str> = text.trim_end().lines().map(str::trim_end).collect();
        table::lay_out(&lines)
    }
}

impl Workload {
    fn rename(&mut self, text: &str, templates: &mut Vec<String>) -> String {
        let Self { name, pattern, pods } = self;
        let renamed = pattern.replace_all(text, |found: &Captures<'_>| {
            let template = found.get(1).map(|template| nth(templates, template.as_str()));
            let pod = PODS.get(nth(pods, &found[0]));
            match (template.map(|index| TEMPLATES.get(index)), pod) {
                (None, Some(pod)) => format!("{name}-{pod}"),
                (Some(Some(template)), Some(pod)) => format!("{name}-{template}-{pod}"),
                // More than a page shows: left as they are, which the reader of the diff sees.
                _ => found[0].to_owned(),
            }
        });
        renamed.into_owned()
    }
}

/// The place of `item` in `seen`, where it is put if it is new.
fn nth(seen: &mut Vec<String>, item: &str) -> usize {
    seen.iter().position(|known| known == item).unwrap_or_else(|| {
        seen.push(item.to_owned());
        seen.len() - 1
    })
}
