//! The header `Accept`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| provider::fuzz::accept(bytes));
