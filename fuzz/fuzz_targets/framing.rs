//! What is noted of a request's bytes does not depend on how they come, and what passes has one reading.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis::edge::fuzzing;

fuzz_target!(|bytes: &[u8]| {
    let (cut, rest) = match bytes {
        [cut, rest @ ..] => (usize::from(*cut), rest),
        [] => return,
    };
    let head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let whole = [&head[..], rest].concat();
    let at = cut.min(whole.len());
    let (first, second) = whole.split_at(at);
    let noted = fuzzing::framing(&[&whole]);
    assert_eq!(fuzzing::framing(&[first, second]), noted);
    let single: Vec<&[u8]> = whole.chunks(1).collect();
    assert_eq!(fuzzing::framing(&single), noted);
    if noted != 0 {
        return;
    }
    // Read as plainly as can be: CR LF lines only, a size of digits, an extension only behind a semicolon.
    let mut left = rest;
    loop {
        let Some(end) = left.windows(2).position(|pair| pair == b"\r\n") else { return };
        let line = &left[..end];
        assert!(!line.contains(&b'\n') && !line.contains(&b'\r'), "a bare line end passed");
        let digits = line.split(|byte| *byte == b';').next().unwrap_or_default();
        let size =
            std::str::from_utf8(digits).ok().and_then(|text| u64::from_str_radix(text, 16).ok());
        let size = size.unwrap_or_else(|| panic!("a size that is none passed"));
        left = &left[end + 2..];
        let Ok(size) = usize::try_from(size) else { return };
        if size == 0 || left.len() < size.saturating_add(2) {
            return;
        }
        assert_eq!(&left[size..size + 2], b"\r\n", "data without an end passed");
        left = &left[size + 2..];
    }
});
