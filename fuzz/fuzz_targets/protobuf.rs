//! Kubernetes' protobuf.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| provider::fuzz::protobuf(bytes));
