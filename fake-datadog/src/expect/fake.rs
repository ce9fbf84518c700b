//! Expectations of a running fake.

use std::{fmt, time::Duration};

use crate::{Expectation, FakeDatadog, control::RecordedRequest, expect::Watch, tags::Tags};

/// Expectations that are not met; prints as a report of what was expected and what came.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Unmet(Vec<String>);

impl FakeDatadog {
    /// Expects requests from now on. [`FakeDatadog::verify`] checks them, and so does dropping
    /// the fake, unless the thread is panicking already.
    pub fn expect(&self, expectation: Expectation) {
        self.shared.recorder().watch(Watch::new(expectation));
    }

    /// Panics with a report when an expectation is not met.
    ///
    /// # Panics
    ///
    /// When an expectation is not met.
    #[track_caller]
    pub fn verify(&self) {
        self.check().unwrap_or_else(|unmet| fail(&unmet));
    }

    /// Waits until as many requests have come as are expected at least, then verifies. It does
    /// not wait to see whether too many will come.
    ///
    /// # Panics
    ///
    /// When an expectation is not met in time.
    pub async fn verify_within(&self, timeout: Duration) {
        let mut newest = self.shared.recorder().newest();
        let all_came = newest.wait_for(|_| self.shared.recorder().watches_reached());
        // Out of time or not, the report says what is missing.
        let _ = tokio::time::timeout(timeout, all_came).await;
        self.verify();
    }

    /// Whether every expectation is met so far.
    ///
    /// # Errors
    ///
    /// With a report of those that are not.
    pub fn check(&self) -> Result<(), Unmet> {
        let unmet = self.shared.recorder().unmet();
        if unmet.is_empty() { Ok(()) } else { Err(Unmet(unmet)) }
    }

    /// The last requests with headers and bodies, oldest first; keys are left out.
    ///
    /// ```
    /// # use fake_datadog::FakeDatadog;
    /// # let _ = rustls::crypto::ring::default_provider().install_default();
    /// # tokio::runtime::Runtime::new()?.block_on(async {
    /// let fake = FakeDatadog::start().await?;
    /// let url = fake.url().join("api/v1/validate")?;
    /// reqwest::Client::new().get(url).header("user-agent", "me").send().await?;
    ///
    /// let requests = fake.received_requests();
    /// assert_eq!(requests[0].path, "/api/v1/validate");
    /// assert_eq!(requests[0].header("user-agent"), Some("me"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn received_requests(&self) -> Vec<RecordedRequest> {
        self.shared.recorder().exchanges()
    }

    /// The submitted points of the series of a metric that have all of `tags`, as
    /// `(Unix seconds, value)`, in order of time.
    ///
    /// ```
    /// # use fake_datadog::FakeDatadog;
    /// # let _ = rustls::crypto::ring::default_provider().install_default();
    /// # tokio::runtime::Runtime::new()?.block_on(async {
    /// let fake = FakeDatadog::start().await?;
    /// let now = jiff::Timestamp::now().as_second();
    /// fake.submit("queue.depth", ["queue:mail", "env:test"], &[(now, 12.0)]);
    /// assert_eq!(fake.points("queue.depth", ["queue:mail"]), [(now, 12.0)]);
    /// assert_eq!(fake.points("queue.depth", ["queue:news"]), []);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn points<T: AsRef<str>>(
        &self,
        metric: &str,
        tags: impl IntoIterator<Item = T>,
    ) -> Vec<(i64, f64)> {
        let tags = Tags::normalise(tags);
        let mut points = self.shared.submitted_points(metric, &tags);
        points.sort_by_key(|(time, _)| *time);
        points
    }

    /// Verifies when the fake goes, unless something else went wrong before.
    pub(crate) fn verify_on_drop(&self) {
        if !std::thread::panicking() {
            self.verify();
        }
    }
}

#[track_caller]
#[expect(clippy::panic, reason = "how a test fails")]
fn fail(unmet: &Unmet) {
    panic!("{unmet}")
}

impl fmt::Display for Unmet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expectations not met:")?;
        self.0.iter().enumerate().try_for_each(|(index, it)| write!(f, "\n{}. {it}", index + 1))
    }
}
