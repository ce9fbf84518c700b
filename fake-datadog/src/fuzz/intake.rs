//! Bodies of every intake, and what becomes of their points in the store.

use crate::{
    intake::{self, Batch, Encoding, Limits, Refusal},
    store::{Store, Submission},
};

/// `POST /api/v1/series`.
pub fn series_v1(body: &[u8]) {
    keep(intake::series_v1(body));
}

/// `POST /api/v2/series` in JSON.
pub fn series_v2_json(body: &[u8]) {
    keep(intake::series_v2_json(body));
}

/// `POST /api/v2/series` in protobuf.
pub fn series_v2_protobuf(body: &[u8]) {
    keep(intake::series_v2_protobuf(body));
}

/// `POST /api/v1/distribution_points`.
pub fn distribution_points(body: &[u8]) {
    keep(intake::distribution_points(body));
}

/// `POST /api/v1/check_run`, and `POST /intake/` with the same bytes.
pub fn check_run(body: &[u8]) {
    let _ = intake::check_run(body);
    let _ = intake::agent(body);
}

/// A packed body: the first byte says how, the rest is what was sent.
pub fn encoding(bytes: &[u8]) {
    let Some((first, sent)) = bytes.split_first() else { return };
    let limits = Limits { sent: 1 << 20, inflated: 1 << 20, zstd: true };
    let encoding = match first % 3 {
        0 => Encoding::Deflate,
        1 => Encoding::Gzip,
        _ => Encoding::Zstd,
    };
    if let Ok(body) = encoding.inflate(sent, limits) {
        assert!(body.len() <= 1 << 20, "a body above the limit");
    }
}

/// Puts the points into a store at the time of the first of each series.
fn keep(batch: Result<Batch, Refusal>) {
    let Ok(batch) = batch else { return };
    let mut store = Store::default();
    for series in &batch.series {
        let now = series.points.first().map_or(0, |(time, _)| *time);
        let submission = Submission {
            metric: &series.metric,
            tags: &series.tags,
            kind: series.kind.unwrap_or_default(),
            interval: series.interval,
            points: &series.points,
        };
        store.insert(now, &submission);
    }
    assert!(store.points() <= batch.points(), "more points than were sent");
    assert!(store.series() <= batch.series.len(), "more series than were sent");
}
