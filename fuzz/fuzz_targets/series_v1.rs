//! The body of `POST /api/v1/series`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fake_datadog::fuzz::series_v1(bytes));
