//! A packed body.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fake_datadog::fuzz::encoding(bytes));
