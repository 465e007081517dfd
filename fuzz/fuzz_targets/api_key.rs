//! Only what was issued in the format is a key; any change of a character is seen before any look-up.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis::model::{
    Digest, SystemRandom,
    api_key::{self, KeyFormat},
    secret::ExposeSecret,
};

fuzz_target!(|bytes: &[u8]| {
    let format: KeyFormat = "tmws_key_".into();
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Some(key) = api_key::parse(&format, text)
    {
        assert!(text.starts_with("tmws_key_") && text.starts_with(key.id.as_str()));
        assert!(text.len() <= api_key::MAX_KEY_BYTES && text.is_ascii());
    }
    // Of a key that is good: one character changed.
    let [at, with, ..] = bytes else { return };
    let issued = api_key::issue(&format, &SystemRandom).expect("random numbers");
    let good = issued.text.expose_secret().as_bytes();
    let found = api_key::parse(&format, issued.text.expose_secret()).expect("it was issued");
    assert_eq!(found.digest, issued.digest);
    let mut other = good.to_vec();
    let at = usize::from(*at) % other.len();
    other[at] = *with;
    if other == good {
        return;
    }
    if let Ok(text) = std::str::from_utf8(&other)
        && let Some(key) = api_key::parse(&format, text)
    {
        assert!(key.id != issued.id || key.digest != issued.digest, "two spellings of one key");
    }
    let _ = Digest::of(bytes);
});
