//! What clients asked, in bounded memory.

use std::collections::{BTreeMap, VecDeque};

use crate::control::{RecordedRequest, RequestCount, RequestLog};

/// Most requests kept; beyond it the oldest go, while the counts stay.
const MAX_REQUESTS: usize = 1000;

/// Path under which requests to unknown paths are counted, so that a scanner cannot fill memory.
const OTHER: &str = "other";

/// Requests in the order in which they were answered.
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    total: u64,
    counts: BTreeMap<(String, String, u16), u64>,
    requests: VecDeque<RecordedRequest>,
}

/// Whether the fake serves the path of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Path {
    Served,
    Unknown,
}

impl Recorder {
    /// Adds a request.
    pub(crate) fn record(&mut self, path: Path, request: RecordedRequest) {
        let (method, counted) = match path {
            Path::Served => (request.method.clone(), request.path.clone()),
            Path::Unknown => (OTHER.to_owned(), OTHER.to_owned()),
        };
        *self.counts.entry((method, counted, request.status)).or_default() += 1;
        self.total += 1;
        self.requests.push_back(request);
        if MAX_REQUESTS < self.requests.len() {
            self.requests.pop_front();
        }
    }

    /// Everything so far.
    pub(crate) fn log(&self) -> RequestLog {
        let counts = self.counts.iter().map(|((method, path, status), count)| RequestCount {
            method: method.clone(),
            path: path.clone(),
            status: *status,
            count: *count,
        });
        RequestLog {
            total: self.total,
            counts: counts.collect(),
            requests: self.requests.iter().cloned().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(path: &str) -> RecordedRequest {
        RecordedRequest {
            time: jiff::Timestamp::UNIX_EPOCH,
            method: "GET".to_owned(),
            path: path.to_owned(),
            query: BTreeMap::new(),
            api_key: None,
            app_key: None,
            user_agent: None,
            status: 200,
            duration_ms: 0,
        }
    }

    #[test]
    fn only_the_last_requests_are_kept_but_all_are_counted() {
        let mut recorder = Recorder::default();
        for index in 0..=MAX_REQUESTS {
            recorder.record(Path::Unknown, request(&format!("/{index}")));
        }
        recorder.record(Path::Served, request("/api/v1/query"));
        let log = recorder.log();
        assert_eq!((log.total, log.requests.len()), (1002, MAX_REQUESTS));
        assert_eq!(log.requests[0].path, "/2");
        let counts: Vec<_> = log.counts.iter().map(|it| (it.path.as_str(), it.count)).collect();
        assert_eq!(counts, [("/api/v1/query", 1), ("other", 1001)]);
    }
}
