//! A request to the API: method, target and headers.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| provider::fuzz::request(bytes));
