//! The text of a `labelSelector`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| provider::fuzz::selector(bytes));
