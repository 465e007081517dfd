//! A canonical path is in its one form, and no later reader finds another place in it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis::pipeline::CanonicalPath;
use portcullis_fuzz::careless;

fuzz_target!(|text: &str| {
    let Ok(path) = CanonicalPath::parse(text) else { return };
    let own = path.as_str();
    assert!(own.starts_with('/') && !own.starts_with("//"));
    assert!(own.bytes().all(|byte| byte.is_ascii_graphic() && !b"\\#?".contains(&byte)));
    let again = CanonicalPath::parse(own).expect("its own form is right");
    assert_eq!(again.as_str(), own);
    if !path.has_encoded_slash() && !path.has_semicolon() && !path.has_empty_segment() {
        // However often it is decoded and resolved: the same number of segments, none of them gone.
        let kept = own.split('/').filter(|part| !part.is_empty()).count();
        let read = careless(own);
        let found = read.split('/').filter(|part| !part.is_empty()).count();
        assert_eq!(found, kept, "{own} is read as {read}");
    }
    for at in 0..own.len().min(16) {
        let behind = path.behind(at);
        assert!(
            behind.starts_with('/') || !own.is_char_boundary(at) || !own[at..].starts_with('/')
        );
    }
});
