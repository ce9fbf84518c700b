//! Somebody else uses up the account's rate limit: the HPA keeps its replicas and says why, the provider
//! does not make it worse by asking again and again, and goes on by itself in the next period.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, ensure};
use fake_datadog::{
    control::{Endpoint, RateLimit, RecordedRequest},
    keys,
};
use jiff::Timestamp;

use crate::{
    cluster::Cluster,
    phase::Recorder,
    scenario::{
        Settings,
        stage::{Says, Stage, count},
    },
};

/// Calls that the limit allows in a second of the period: twice what the provider makes.
const PER_SECOND: u32 = 2;

pub(super) async fn run<C: Cluster>(
    cluster: &C,
    settings: &Settings,
    recorder: &Recorder,
) -> anyhow::Result<()> {
    let stage = Stage::at_three(cluster, settings, recorder).await?;
    // Limits apply to periods that are aligned to the clock: the fault is the rest of one.
    let period = stage.fault_for;
    recorder.phase("next period", next_period(period)).await?;
    let held = recorder.phase("fault", async {
        use_up(cluster, period).await?;
        stage.hold(Says::WhenTooOld(&["HTTP 429"])).await
    });
    let calls = held.await?;
    recorder.assertion(
        "at most one 429 in a period",
        match most_in_a_period(&calls, period) {
            0 | 1 => Ok(count(&calls)),
            most => Err(format!("{most} in one, of these calls: {}", count(&calls))),
        },
    )?;
    stage.recover(period).await
}

/// Waits for a period to begin.
async fn next_period(period: Duration) -> anyhow::Result<()> {
    let now = Timestamp::now().as_duration();
    let period = i128::try_from(period.as_nanos())?;
    let left = period - now.as_nanos().rem_euclid(period);
    tokio::time::sleep(Duration::from_nanos(u64::try_from(left)?)).await;
    Ok(())
}

/// Sets a limit that would be enough for the provider, and makes all the calls that it allows, as another
/// program with the same API key would.
async fn use_up<C: Cluster>(cluster: &C, period: Duration) -> anyhow::Result<()> {
    let limit = PER_SECOND * u32::try_from(period.as_secs())?;
    let limits = [RateLimit::new(Endpoint::Query, limit, period)];
    cluster.fake().set_rate_limits(&limits).await?;
    let client = reqwest::Client::builder().no_proxy().user_agent("another-program").build()?;
    let mut url = cluster.fake().url().join("api/v1/query")?;
    let now = Timestamp::now().as_second();
    url.query_pairs_mut()
        .append_pair("from", &(now - 60).to_string())
        .append_pair("to", &now.to_string())
        .append_pair("query", "avg:system.load.1{*}");
    for _ in 0..=limit {
        let call = client
            .get(url.clone())
            .header("DD-API-KEY", keys::DEFAULT_API_KEY)
            .header("DD-APPLICATION-KEY", keys::DEFAULT_APP_KEY);
        let status = call.send().await.context("call to the fake")?.status();
        if status == http::StatusCode::TOO_MANY_REQUESTS {
            return Ok(());
        }
        ensure!(status.is_success(), "the fake answers {status} to a query");
    }
    anyhow::bail!("{limit} calls and one more do not use up a limit of {limit}")
}

/// The most answers of 429 that came in one period.
fn most_in_a_period(calls: &[RecordedRequest], period: Duration) -> usize {
    let period = i64::try_from(period.as_secs()).unwrap_or(i64::MAX).max(1);
    let mut refused = BTreeMap::<i64, usize>::new();
    for call in calls.iter().filter(|call| call.status == 429) {
        *refused.entry(call.time.as_second().div_euclid(period)).or_default() += 1;
    }
    refused.into_values().max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn refusals_are_counted_by_the_period_that_they_came_in() {
        let calls: Vec<RecordedRequest> = [(9, 429), (10, 429), (15, 200), (19, 429), (20, 429)]
            .into_iter()
            .map(|(second, status)| {
                let time = Timestamp::from_second(second).unwrap();
                serde_json::from_value(json!({
                    "time": time, "method": "GET", "path": "/api/v1/query", "query": {},
                    "api_key": null, "app_key": null, "user_agent": null,
                    "status": status, "duration_ms": 1,
                }))
                .unwrap()
            })
            .collect();
        assert_eq!(most_in_a_period(&calls, Duration::from_secs(10)), 2);
        assert_eq!(most_in_a_period(&[], Duration::from_secs(10)), 0);
        assert_eq!(count(&calls), "1 × 200, 4 × 429");
    }
}
