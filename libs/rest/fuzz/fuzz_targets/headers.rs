#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ingot_rest::fuzzing::headers(data));
