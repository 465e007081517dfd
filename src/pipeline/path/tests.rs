use proptest::prelude::*;

use super::*;

fn canonical(raw: &str) -> Result<String, Malformed> {
    CanonicalPath::parse(raw).map(|path| path.as_str().to_owned())
}

#[test]
fn harmless_paths_are_kept_or_brought_into_one_form() {
    for (raw, wanted) in [
        ("/", "/"),
        ("/a/b/", "/a/b/"),
        ("//a", "/a"),
        ("////", "/"),
        ("/a//b", "/a//b"),
        ("/%61%2D%7e", "/a-~"),
        ("/a%2fb", "/a%2Fb"),
        ("/a;v=1", "/a;v=1"),
        ("/a%3bv", "/a%3Bv"),
        ("/%e4%bd%a0", "/%E4%BD%A0"),
        ("/a|b{c}", "/a%7Cb%7Bc%7D"),
        ("/100%25", "/100%25"),
        ("/a%25zz", "/a%25zz"),
        ("/a%23b%3Fc", "/a%23b%3Fc"),
        ("/...", "/..."),
        ("/.well-known/x", "/.well-known/x"),
        ("/a!$&'()*+,=:@", "/a!$&'()*+,=:@"),
    ] {
        assert_eq!(canonical(raw).as_deref(), Ok(wanted), "{raw}");
    }
}

#[test]
fn paths_that_can_be_read_in_two_ways_are_refused() {
    use Malformed::*;
    for (raw, why) in [
        ("", Target),
        ("*", Target),
        ("host:443", Target),
        ("a/b", Target),
        ("/a\0", PathByte),
        ("/a\tb", PathByte),
        ("/a b", PathByte),
        ("/a\u{7f}", PathByte),
        ("/ä", PathByte),
        ("/a\\b", PathByte),
        ("/a%5cb", PathByte),
        ("/a%5Cb", PathByte),
        ("/a#b", PathByte),
        ("/a?b", PathByte),
        ("/a%", PathEncoding),
        ("/a%4", PathEncoding),
        ("/a%zz", PathEncoding),
        ("/a%+1", PathEncoding),
        ("/%00", PathEncoding),
        ("/%0a", PathEncoding),
        ("/%1F", PathEncoding),
        ("/%7f", PathEncoding),
        ("/%c0%af", PathEncoding),
        ("/%e0%80%af", PathEncoding),
        ("/%ed%a0%80", PathEncoding),
        ("/%ff", PathEncoding),
        ("/%c3/%a4", PathEncoding),
        ("/%252e", PathDoubleEncoding),
        ("/%252E%252e/a", PathDoubleEncoding),
        ("/%25%32%65", PathDoubleEncoding),
        ("/.", PathDots),
        ("/..", PathDots),
        ("/a/../b", PathDots),
        ("/a/./b", PathDots),
        ("/a/%2e%2E/b", PathDots),
        ("/a/.%2e", PathDots),
        ("/..;/a", PathDots),
        ("/..%3Bx/a", PathDots),
        ("/a/..%2fb", PathDots),
        ("/%2f..%2f", PathDots),
    ] {
        assert_eq!(canonical(raw), Err(why), "{raw:?}");
    }
}

#[test]
fn forms_a_route_must_opt_into_are_noticed_in_every_spelling() {
    for (raw, slash, semicolon, empty) in [
        ("/a/b/", false, false, false),
        ("//a", false, false, false),
        ("/a%2fb", true, false, false),
        ("/a;b", false, true, false),
        ("/a%3bb", false, true, false),
        ("/a//b", false, false, true),
        ("/a//", false, false, true),
    ] {
        let path = CanonicalPath::parse(raw).unwrap();
        let seen = (path.has_encoded_slash(), path.has_semicolon(), path.has_empty_segment());
        assert_eq!(seen, (slash, semicolon, empty), "{raw}");
    }
}

#[test]
fn a_canonical_path_is_borrowed() {
    for raw in ["/api/v1/tasks", "/a%2Fb", "//a/b;c"] {
        assert!(matches!(CanonicalPath::parse(raw).unwrap().text, Cow::Borrowed(_)), "{raw}");
    }
}

#[test]
fn what_lies_behind_a_prefix_begins_with_a_slash() {
    let path = CanonicalPath::parse("/v2/a").unwrap();
    assert_eq!((path.behind(0), path.behind(3), path.behind(5)), ("/v2/a", "/a", "/"));
    assert_eq!(path.behind(99), "/");
    let empty = CanonicalPath::parse("/v2//a//").unwrap();
    assert_eq!((empty.behind(0), empty.behind(3)), ("/v2//a//", "/a//"));
    assert_eq!(CanonicalPath::parse("/v2//").unwrap().behind(3), "/");
}

/// The same rules, written without regard to speed: decode everything once, then look at the pieces.
fn model(raw: &str) -> Option<String> {
    let bytes = raw.as_bytes();
    if bytes.first() != Some(&b'/') {
        return None;
    }
    let mut decoded = Vec::new();
    let mut text = String::new();
    let mut at = 0;
    while at < bytes.len() {
        let (byte, escaped) = if bytes[at] == b'%' {
            let digits = std::str::from_utf8(bytes.get(at + 1..at + 3)?).ok()?;
            if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                return None;
            }
            at += 2;
            (u8::from_str_radix(digits, 16).ok()?, true)
        } else {
            (bytes[at], false)
        };
        at += 1;
        if byte.is_ascii_control() || byte == b'\\' {
            return None;
        }
        if !escaped && (!byte.is_ascii_graphic() || byte == b'#' || byte == b'?') {
            return None;
        }
        decoded.push(byte);
        let unreserved = byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        let must_escape = b"\"<>^`{|}".contains(&byte);
        if unreserved || (!escaped && !must_escape) {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    String::from_utf8(decoded).ok()?;
    let text = format!("/{}", text.trim_start_matches('/'));
    let doubled = text.split("%25").skip(1).any(|behind| {
        behind.len() >= 2 && behind.bytes().take(2).all(|byte| byte.is_ascii_hexdigit())
    });
    let pieces = text.replace("%2F", "/");
    let dots = pieces.split('/').any(|piece| {
        let piece = piece.replace("%3B", ";");
        [".", ".."].contains(&piece.split(';').next().unwrap())
    });
    (!doubled && !dots).then_some(text)
}

/// Paths made of the pieces that matter, in any order.
fn nasty() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        proptest::sample::select(vec![
            "/",
            "//",
            ".",
            "..",
            "%2e",
            "%2E",
            "%2f",
            "%5c",
            "%25",
            "%3b",
            ";",
            "%",
            "%0",
            "%c3",
            "%a4",
            "%e2%82%ac",
            "%41",
            "%7e",
            "2e",
            "41",
            "\\",
            "#",
            "?",
            "|",
            "{",
            "a",
            "tasks",
            "\u{e4}",
            " ",
            "\0",
        ])
        .prop_map(str::to_owned),
        "[ -~]{0,3}",
        "%[0-9a-fA-F]{2}",
    ];
    proptest::collection::vec(piece, 0..8).prop_map(|pieces| format!("/{}", pieces.concat()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn parsing_agrees_with_the_plain_model(raw in nasty()) {
        prop_assert_eq!(canonical(&raw).ok(), model(&raw));
    }

    #[test]
    fn canonicalising_twice_changes_nothing(raw in nasty()) {
        if let Ok(once) = CanonicalPath::parse(&raw) {
            let twice = CanonicalPath::parse(once.as_str()).unwrap();
            prop_assert_eq!(&once, &twice);
            prop_assert!(matches!(twice.text, Cow::Borrowed(_)));
        }
    }

    #[test]
    fn any_text_is_read_without_panic(raw in ".*") {
        let _ = CanonicalPath::parse(&raw);
    }
}
