//! LibFuzzer's target. See CONTRIBUTING.md.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| obscraft_native_fuzz::check(data));
