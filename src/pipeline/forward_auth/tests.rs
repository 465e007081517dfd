use proptest::prelude::*;

use super::*;

const NGINX: [(&str, &str); 5] = [
    ("x-original-method", "PUT"),
    ("x-original-uri", "/a/b?c=d"),
    ("x-original-host", "api.example.org"),
    ("x-original-proto", "https"),
    ("x-original-for", "192.0.2.7"),
];
const FORWARDED: [(&str, &str); 5] = [
    ("x-forwarded-method", "PUT"),
    ("x-forwarded-uri", "/a/b?c=d"),
    ("x-forwarded-host", "api.example.org"),
    ("x-forwarded-proto", "https"),
    ("x-forwarded-for", "192.0.2.7"),
];
const ENVOY: [(&str, &str); 3] =
    [("host", "api.example.org"), ("x-forwarded-proto", "https"), ("x-forwarded-for", "192.0.2.7")];
/// Every style, with a question about the same request.
const STYLES: [(Style, &[(&str, &str)]); 4] = [
    (Style::Nginx, &NGINX),
    (Style::Traefik, &FORWARDED),
    (Style::Caddy, &FORWARDED),
    (Style::Envoy, &ENVOY),
];

fn map(fields: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        headers.append(name, HeaderValue::from_str(value).unwrap());
    }
    headers
}

fn ask(style: Style, headers: &HeaderMap) -> Result<Original, Malformed> {
    let (method, target): (_, &[u8]) = match style {
        Style::Envoy => (Method::PUT, b"/a/b?c=d"),
        _ => (Method::GET, b"/ask"),
    };
    let identity = IdentityHeaders::default();
    Original::of((style, Forwards::AsSent), &style.names(), &identity, (&method, target, headers))
}

#[test]
fn every_style_tells_the_same_request() {
    for (style, fields) in STYLES {
        let mut headers = map(fields);
        headers.append("authorization", HeaderValue::from_static("Bearer t"));
        headers.append("content-length", HeaderValue::from_static("0"));
        headers.append("content-type", HeaderValue::from_static("a/b"));
        let original = ask(style, &headers).unwrap();
        let head = String::from_utf8(original.head()).unwrap();
        assert!(head.starts_with("PUT /a/b?c=d HTTP/1.1\r\n"), "{style:?}: {head}");
        let mut lines: Vec<&str> = head.split("\r\n").skip(1).collect();
        lines.sort_unstable();
        let wanted =
            ["", "", "authorization: Bearer t", "content-type: a/b", "host: api.example.org"];
        assert_eq!(lines, wanted, "{style:?}");
        assert_eq!(original.scheme, "https");
        assert_eq!(original.hops, [Some("192.0.2.7".parse().unwrap())]);
    }
}

// requirement: 18, 19
#[test]
fn a_fact_that_is_missing_empty_or_doubled_refuses() {
    for (style, fields) in STYLES {
        for at in 0..fields.len() {
            let mut without = fields.to_vec();
            let (name, value) = without.remove(at);
            assert_eq!(ask(style, &map(&without)).unwrap_err(), Malformed::Question, "{name}");
            for second in [value, "", "other"] {
                let mut twice = fields.to_vec();
                twice.push((name, second));
                let fault = ask(style, &map(&twice)).unwrap_err();
                assert_eq!(fault, Malformed::Question, "{style:?} {name} {second}");
            }
            let mut empty = fields.to_vec();
            empty[at].1 = "";
            assert_eq!(ask(style, &map(&empty)).unwrap_err(), Malformed::Question, "{name}");
        }
    }
}

// requirement: 18
#[test]
fn fields_of_another_style_are_never_read() {
    for (style, fields) in STYLES {
        for (_, others) in STYLES {
            let foreign: Vec<_> = others
                .iter()
                .filter(|(name, _)| fields.iter().all(|(own, _)| own != name) && *name != "host")
                .map(|(name, _)| (*name, "forged"))
                .collect();
            if foreign.is_empty() {
                continue;
            }
            let all = [fields, foreign.as_slice()].concat();
            match ask(style, &map(&all)) {
                // It would be passed on as it is.
                Err(fault) => assert_eq!(fault, Malformed::Reserved, "{style:?}"),
                Ok(original) => {
                    assert!(style.removes_fields(), "{style:?}");
                    let start = original.head().starts_with(b"PUT /a/b?c=d HTTP/1.1\r\n");
                    assert!(start && original.headers["host"] == "api.example.org", "{style:?}");
                    assert_eq!(original.hops, [Some("192.0.2.7".parse().unwrap())]);
                }
            }
        }
    }
}

// requirement: 18
#[test]
fn what_the_front_would_pass_on_though_it_is_stripped_refuses() {
    for name in ["x-auth-subject", "x_auth_subject", "x.auth.subject", "x-request-id", "a_b"] {
        for (style, fields) in STYLES {
            let all = [fields, &[(name, "1")]].concat();
            let asked = ask(style, &map(&all)).map(drop);
            let wanted = if style.removes_fields() { Ok(()) } else { Err(Malformed::Reserved) };
            assert_eq!(asked, wanted, "{style:?} {name}");
        }
    }
    for name in ["x-real-ip", "x-forwarded-port", "x-forwarded-server"] {
        let all = [FORWARDED.as_slice(), &[(name, "1")]].concat();
        let own = ask(Style::Traefik, &map(&all)).unwrap();
        assert!(!own.headers.contains_key(name), "Traefik writes {name} itself");
        assert_eq!(ask(Style::Caddy, &map(&all)).unwrap_err(), Malformed::Reserved, "{name}");
    }
}

// requirement: 20
#[test]
fn only_a_path_that_is_judged_as_it_is_forwarded_is_judged() {
    let with = |target: &'static str| {
        let mut fields = NGINX;
        fields[1].1 = target;
        let asked = ask(Style::Nginx, &map(&fields));
        asked.map(|original| String::from_utf8(original.target).unwrap())
    };
    for fine in ["/", "/a", "/a/", "/a%2Fb", "/a;b", "/a//b", "/a%20b?x=%2e%2E&y=//..", "/a?", "/?"]
    {
        assert_eq!(with(fine).as_deref(), Ok(fine));
    }
    for (odd, fault) in [
        ("/%61", Malformed::PathSpelling),
        ("/a%2fb", Malformed::PathSpelling),
        ("/a|b", Malformed::PathSpelling),
        ("//a", Malformed::PathSpelling),
        ("/a/../b", Malformed::PathDots),
        ("/a/%2e%2e/b", Malformed::PathDots),
        ("/a\\b", Malformed::PathByte),
        ("/%252e", Malformed::PathDoubleEncoding),
        ("/a#b", Malformed::Target),
        ("/a b", Malformed::Target),
        ("*", Malformed::Target),
        ("http://other/a", Malformed::Target),
        ("other:443", Malformed::Target),
    ] {
        assert_eq!(with(odd), Err(fault), "{odd}");
    }
}

// requirement: 20
#[test]
fn a_front_that_forwards_as_it_is_told_may_ask_about_any_spelling_of_a_path() {
    let with = |target: &'static str| {
        let mut fields = NGINX;
        fields[1].1 = target;
        let way = (Style::Nginx, Forwards::AsTold);
        let (names, identity) = (Style::Nginx.names(), IdentityHeaders::default());
        let question = (&Method::GET, &b"/ask"[..], &map(&fields));
        Original::of(way, &names, &identity, question).map(|original| original.head())
    };
    // What each of them is, and whether it may be, is judged as for a request that came itself.
    for target in ["/%61", "/a%2fb", "/a|b", "//a", "/a/../b", "http://other/a", "https://x"] {
        let head = with(target).unwrap();
        assert!(head.starts_with(format!("PUT {target} HTTP/1.1\r\n").as_bytes()), "{target}");
    }
    for target in ["*", "other:443", "/a b", "/a#b", "ftp://other/a", "a://b"] {
        assert_eq!(with(target).unwrap_err(), Malformed::Target, "{target}");
    }
}

#[test]
fn scheme_method_and_address_are_what_they_must_be() {
    for (name, value) in
        [("x-original-proto", "HTTPS"), ("x-original-proto", "ws"), ("x-original-method", "G T")]
    {
        let mut fields = NGINX.to_vec();
        fields.iter_mut().filter(|(own, _)| *own == name).for_each(|field| field.1 = value);
        assert_eq!(ask(Style::Nginx, &map(&fields)).unwrap_err(), Malformed::Question, "{value}");
    }
    let mut fields = NGINX.to_vec();
    fields[4].1 = "6.6.6.6, nonsense ,::ffff:192.0.2.1, 2001:db8::1";
    let hops = ask(Style::Nginx, &map(&fields)).unwrap().hops;
    let address = |text: &str| Some(text.parse().unwrap());
    let wanted = [address("6.6.6.6"), None, address("192.0.2.1"), address("2001:db8::1")];
    assert_eq!(hops, wanted);
}

#[test]
fn the_connection_that_a_front_tells_is_the_clients() {
    let mut fields = NGINX.to_vec();
    fields.push(("connection", "keep-alive"));
    assert!(!ask(Style::Nginx, &map(&fields)).unwrap().headers.contains_key("connection"));
    fields.push(("x-original-connection", "X-Auth-Subject"));
    let headers = ask(Style::Nginx, &map(&fields)).unwrap().headers;
    assert_eq!(headers["connection"], "X-Auth-Subject");
}

/// Fields that could be mistaken for one another, with values that could be mistaken for something else.
fn fields() -> impl Strategy<Value = Vec<(&'static str, &'static str)>> {
    let names: Vec<&str> = [&NGINX[..], &FORWARDED, &ENVOY]
        .concat()
        .into_iter()
        .map(|(name, _)| name)
        .chain(["x-auth-subject", "x_auth_roles", "connection", "upgrade", "x-own", "te"])
        .collect();
    let values =
        vec!["PUT", "/a", "/%61", "//a", "a.example", "http", "192.0.2.7", "x", "", "a, b"];
    let field = (proptest::sample::select(names), proptest::sample::select(values));
    proptest::collection::vec(field, 0..6)
}

proptest! {
    // requirement: 18, 19, 20
    #[test]
    fn whatever_is_added_to_a_question_it_tells_one_request_or_none(
        added in fields(),
        which in 0_usize..4,
    ) {
        let (style, own) = STYLES[which];
        let asked = ask(style, &map(&[own, added.as_slice()].concat()));
        let is_fact = |name: &str| own.iter().any(|(known, _)| *known == name);
        // A second telling of a fact is never settled by taking one of them.
        prop_assert!(asked.is_err() || added.iter().all(|(name, _)| !is_fact(name)));
        if let Ok(original) = asked {
            let head = original.head();
            prop_assert!(head.starts_with(b"PUT /a/b?c=d HTTP/1.1\r\n"));
            prop_assert_eq!(original.headers.get_all("host").iter().count(), 1);
            prop_assert_eq!(&original.headers["host"], "api.example.org");
            prop_assert_eq!(original.hops, [Some("192.0.2.7".parse().unwrap())]);
            let names = IdentityHeaders::default();
            let stripped = original.headers.keys().any(|name| is_stripped(name, &names));
            prop_assert!(style.removes_fields() || !stripped);
        }
    }
}
