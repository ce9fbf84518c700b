//! The body of `POST /api/v1/distribution_points`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fake_datadog::fuzz::distribution_points(bytes));
