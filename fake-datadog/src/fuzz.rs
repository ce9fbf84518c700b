//! What the fuzz targets do with their bytes.
//!
//! The crate in `fuzz/` only hands bytes to the functions here, and a test runs them over its
//! seeds, so that it keeps compiling. They panic when they find a defect.

mod intake;
mod query;

pub use crate::fuzz::{
    intake::{
        check_run, distribution_points, encoding, series_v1, series_v2_json, series_v2_protobuf,
    },
    query::query,
};

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    #[track_caller]
    fn runs_over_seeds(target: &str, run: impl Fn(&[u8])) {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let seeds = fs::read_dir(root.join("fuzz/corpus").join(target)).unwrap();
        let seeds: Vec<_> = seeds.map(|seed| fs::read(seed.unwrap().path()).unwrap()).collect();
        assert!(!seeds.is_empty(), "{target} has no seeds");
        for seed in &seeds {
            run(seed);
        }
    }

    #[test]
    fn every_target_takes_its_seeds() {
        runs_over_seeds("query", super::query);
        runs_over_seeds("series_v1", super::series_v1);
        runs_over_seeds("series_v2_json", super::series_v2_json);
        runs_over_seeds("series_v2_protobuf", super::series_v2_protobuf);
        runs_over_seeds("distribution_points", super::distribution_points);
        runs_over_seeds("check_run", super::check_run);
        runs_over_seeds("encoding", super::encoding);
    }
}
