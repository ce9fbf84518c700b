//! Expectations while requests come in.

use std::{
    collections::VecDeque,
    fmt,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::{
    control::RecordedRequest,
    expect::{Expectation, brief},
};

/// Most requests that the report of one expectation lists.
const MAX_LISTED: usize = 5;

/// An expectation and what came of it. Counts each request as it is recorded, so that the count
/// does not end with what the recorder keeps.
#[derive(Debug)]
pub(crate) struct Watch {
    expectation: Expectation,
    count: AtomicU64,
    came: Mutex<Came>,
}

/// The last requests that did not meet the expectation, each as a line.
#[derive(Debug, Default)]
struct Came {
    /// To the right path.
    near: VecDeque<String>,
    far: VecDeque<String>,
    /// Those that did, for when there are too many.
    met: VecDeque<String>,
}

impl Watch {
    pub(crate) fn new(expectation: Expectation) -> Self {
        Self { expectation, count: AtomicU64::new(0), came: Mutex::default() }
    }

    /// Looks at a request that came.
    pub(crate) fn see(&self, request: &RecordedRequest) {
        let misses = self.expectation.misses(request);
        let is_near = self.expectation.is_near(request);
        let mut came = self.came();
        let list = match (is_near, misses.is_empty()) {
            (true, true) => {
                self.count.fetch_add(1, Ordering::Relaxed);
                &mut came.met
            }
            (true, false) => &mut came.near,
            (false, _) => &mut came.far,
        };
        let why = if is_near { misses.join(", ") } else { String::new() };
        list.push_back(line(request, &why));
        if MAX_LISTED < list.len() {
            list.pop_front();
        }
    }

    /// True when as many came as expected.
    pub(crate) fn is_met(&self) -> bool {
        self.expectation.times.contains(self.count())
    }

    /// True when no more need to come; there may be too many.
    pub(crate) fn is_reached(&self) -> bool {
        self.expectation.times.reached(self.count())
    }

    fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    fn came(&self) -> MutexGuard<'_, Came> {
        self.came.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What was expected and what came.
impl fmt::Display for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { expectation, .. } = self;
        let came = match self.count() {
            0 => "none came".to_owned(),
            1 => "1 came".to_owned(),
            count => format!("{count} came"),
        };
        write!(f, "{expectation}\n  expected {}, {came}", expectation.times)?;
        let lists = self.came();
        let (heading, list) = if self.is_reached() {
            ("those that came", &lists.met)
        } else if lists.near.is_empty() {
            ("other requests", &lists.far)
        } else {
            ("nearest misses", &lists.near)
        };
        if list.is_empty() {
            return Ok(());
        }
        write!(f, "; {heading}:")?;
        list.iter().try_for_each(|line| write!(f, "\n  - {line}"))
    }
}

fn line(request: &RecordedRequest, why: &str) -> String {
    let query = request.query.iter().map(|(name, value)| format!("{name}={value}"));
    let query = query.collect::<Vec<_>>().join("&");
    let target = if query.is_empty() {
        request.path.clone()
    } else {
        format!("{}?{}", request.path, brief(&query))
    };
    let RecordedRequest { id, method, status, .. } = request;
    let why = if why.is_empty() { String::new() } else { format!(": {why}") };
    format!("#{id} {method} {target} ({status}){why}")
}
