//! The one value of a cookie against a reader that is as simple as can be.
#![no_main]

use http::{HeaderMap, HeaderValue, header};
use libfuzzer_sys::fuzz_target;
use portcullis::pipeline::cookie;

fuzz_target!(|bytes: &[u8]| {
    let mut headers = HeaderMap::new();
    let mut values = Vec::new();
    for line in bytes.split(|byte| *byte == b'\n') {
        let Ok(value) = HeaderValue::from_bytes(line) else { continue };
        for pair in value.as_bytes().split(|byte| *byte == b';') {
            let mut halves = pair.splitn(2, |byte| *byte == b'=');
            let name = halves.next().unwrap_or_default().trim_ascii();
            let whole = pair.trim_ascii();
            if name == b"sid" && !whole.is_empty() {
                let at =
                    whole.iter().position(|byte| *byte == b'=').map_or(whole.len(), |at| at + 1);
                values.push(whole[at..].to_vec());
            }
        }
        headers.append(header::COOKIE, value);
    }
    let found = cookie::value(&headers, "sid");
    match values.split_first() {
        None => assert_eq!(found, None),
        Some((first, rest)) if rest.iter().all(|other| other == first) => {
            assert_eq!(found, Some(Some(&first[..])));
        }
        Some(_) => assert_eq!(found, Some(None), "two that differ are none"),
    }
});
