//! Moves the times of a recorded answer into another window.

use crate::{
    exchange::Request,
    replay::{
        asked::{Asking, window},
        json::Json,
    },
};

/// Longest step between two points that times are kept aligned to: a day, in milliseconds.
const MAX_STEP: i64 = 24 * 3600 * 1000;

/// The answer to `recorded` for the window of `asked`; `None` when nothing is to be moved.
///
/// Points stay on the grid of their interval, as Datadog's buckets are aligned to the epoch, and
/// none comes later than it would in the recording.
pub(super) fn moved(recorded: &Request, asked: &Request, answer: &str) -> Option<String> {
    let (was, is): (Asking, Asking) = (window(recorded)?, window(asked)?);
    let by = is.from.saturating_sub(was.from);
    if by == 0 {
        return None;
    }
    let mut answer: Json = serde_json::from_str(answer).ok()?;
    for name in ["from_date", "to_date"] {
        answer.field(name).into_iter().for_each(|it| it.add(by));
    }
    let by = by.div_euclid(step(&mut answer)) * step(&mut answer);
    for series in answer.field("series").map(Json::items).unwrap_or_default() {
        for name in ["start", "end"] {
            series.field(name).into_iter().for_each(|it| it.add(by));
        }
        for point in series.field("pointlist").map(Json::items).unwrap_or_default() {
            point.items().first_mut().into_iter().for_each(|time| time.add(by));
        }
    }
    answer.field("times").map(Json::items).unwrap_or_default().iter_mut().for_each(|it| it.add(by));
    for time in v2_times(&mut answer) {
        time.add(by);
    }
    serde_json::to_string(&answer).ok()
}

/// The step that all intervals of an answer fit into, in milliseconds.
fn step(answer: &mut Json) -> i64 {
    let mut steps: Vec<i64> = Vec::new();
    for series in answer.field("series").map(Json::items).unwrap_or_default() {
        let seconds = series.field("interval").and_then(|it| it.whole());
        steps.extend(seconds.map(|it| it.saturating_mul(1000)));
    }
    let times: Vec<i64> = v2_times(answer).iter().filter_map(Json::whole).collect();
    steps.extend(times.windows(2).map(|pair| pair[1].saturating_sub(pair[0])).min());
    steps.into_iter().filter(|it| (1..=MAX_STEP).contains(it)).fold(1, |all, it| {
        let common = all / gcd(all, it) * it;
        if common <= MAX_STEP { common } else { all.max(it) }
    })
}

/// The times of an answer of `POST /api/v2/query/timeseries`.
fn v2_times(answer: &mut Json) -> &mut [Json] {
    let attributes = answer.field("data").and_then(|data| data.field("attributes"));
    attributes.and_then(|it| it.field("times")).map(Json::items).unwrap_or_default()
}

fn gcd(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::Body;

    fn v1(from: i64) -> Request {
        let window = [("from", from), ("to", from + 60)];
        Request {
            method: "GET".to_owned(),
            path: "/api/v1/query".to_owned(),
            params: window.map(|(name, time)| (name.to_owned(), time.to_string())).into(),
            headers: std::collections::BTreeMap::new(),
            body: None,
        }
    }

    fn v2(from: i64) -> Request {
        let to = from + 60_000;
        let body = format!(r#"{{"data":{{"attributes":{{"from":{from},"to":{to}}}}}}}"#);
        let body = Some(Body::of(body));
        Request { path: "/api/v2/query/timeseries".to_owned(), params: vec![], body, ..v1(0) }
    }

    #[test]
    fn times_move_by_whole_intervals_and_fields_stay_in_order() {
        let answer = r#"{"status":"ok","from_date":1000000,"series":[{"pointlist":[[1000000.0,1.5],[1020000.0,null]],"interval":20,"start":1000000,"end":1039000,"a":"1000000"}],"to_date":1060000}"#;
        insta::assert_snapshot!(moved(&v1(1000), &v1(1050), answer).unwrap(), @r#"{"status":"ok","from_date":1050000,"series":[{"pointlist":[[1040000.0,1.5],[1060000.0,null]],"interval":20,"start":1040000,"end":1079000,"a":"1000000"}],"to_date":1110000}"#);
        assert_eq!(moved(&v1(1000), &v1(1000), answer), None);
        assert_eq!(moved(&v1(1000), &v1(1050), "<html>"), None);
    }

    #[test]
    fn times_of_version_2_move_too() {
        let answer = r#"{"data":{"attributes":{"times":[0,20000,40000],"values":[[1,2,3]]}}}"#;
        insta::assert_snapshot!(moved(&v2(0), &v2(-10_000), answer).unwrap(), @r#"{"data":{"attributes":{"times":[-20000,0,20000],"values":[[1,2,3]]}}}"#);
    }
}
