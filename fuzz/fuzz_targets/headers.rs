//! A request to the API: who is believed by its headers, and what is reviewed.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| provider::fuzz::headers(bytes));
