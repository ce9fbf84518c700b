//! The body of `POST /api/v1/check_run`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fake_datadog::fuzz::check_run(bytes));
