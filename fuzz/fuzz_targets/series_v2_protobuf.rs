//! The body of `POST /api/v2/series` in protobuf.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fake_datadog::fuzz::series_v2_protobuf(bytes));
