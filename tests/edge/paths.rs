//! One canonical path for routing, policy and the bytes sent upstream.

use crate::{
    bench::{bench, mark, request},
    support::wire::Reaction,
};

/// Refused everywhere, before any route is looked at.
const NEVER: &[&str] = &[
    "/open/{m}/../x",
    "/open/{m}/./x",
    "/open/{m}/..",
    "/open/{m}/.",
    "/open/../open/{m}",
    "/../open/{m}",
    "/./open/{m}",
    "/open/{m}/%2e%2e/x",
    "/open/{m}/%2E%2E/x",
    "/open/{m}/.%2e/x",
    "/open/{m}/%2e/x",
    "/open/{m}/%2e",
    "/open/{m}/..%2fx",
    "/open/{m}/%2e%2e%2fx",
    "/open/{m}/\\x",
    "/open/{m}/%5cx",
    "/open/{m}/..%5cx",
    "/open/{m}/%00",
    "/open/{m}/x%00y",
    "/open/{m}/%0a",
    "/open/{m}/%0d%0aX-Auth-Subject:%20x",
    "/open/{m}/%1f",
    "/open/{m}/%7f",
    "/open/{m}/%",
    "/open/{m}/%2",
    "/open/{m}/%zz",
    "/open/{m}/%2 0",
    "/open/{m}/%252e%252e/x",
    "/open/{m}/%252f",
    "/open/{m}/%255c",
    "/open/{m}/%25%32%65",
    "/open/{m}/%c0%ae%c0%ae/x",
    "/open/{m}/%c0%af",
    "/open/{m}/%e0%80%af",
    "/open/{m}/%ff",
    "/open/{m}/%ed%a0%80",
    "/open/{m}#x",
    "/open/{m}/#",
    "open/{m}",
    "*{m}",
];

/// Refused unless the route opts in.
const OPT_IN: &[&str] = &[
    "{m}/a%2fb",
    "{m}/a%2Fb",
    "{m}/a;x=1",
    "{m}/a;x",
    "{m}/a%3bx",
    "{m}//b",
    "{m}/a//b",
    "{m}///b",
];

/// Forwarded byte for byte.
const EXACT: &[&str] = &[
    "/open/{m}",
    "/open/{m}/",
    "/open/{m}/a/b/c",
    "/open/{m}/a.b/c..d/...e",
    "/open/{m}/%C3%BC",
    "/open/{m}/a%20b",
    "/open/{m}/a+b",
    "/open/{m}/~!$&'()*,=:@-_",
    "/open/{m}/%3F",
    "/open/{m}/%23",
    "/open/{m}?",
    "/open/{m}?a=b&c=d",
    "/open/{m}?a=../../etc&b=%2e%2e%2f;x//y",
    "/open/{m}?a=b?c=d",
    "/open/{m}?%00",
    "/open/{m}/?x=%zz",
];

/// Two spellings of one path (RFC 3986, section 6.2.2), and the one that is routed and forwarded.
const CANONICAL: &[(&str, &str)] = &[
    ("/open/{m}/%c3%bc", "/open/{m}/%C3%BC"),
    ("/open/{m}/%61%7e", "/open/{m}/a~"),
    ("/%6fpen/{m}/x", "/open/{m}/x"),
    ("/open/{m}/a|b", "/open/{m}/a%7Cb"),
    ("/open/{m}/%2A", "/open/{m}/%2A"),
];

// requirement: 20
#[tokio::test]
async fn ambiguous_paths_are_400_before_any_route() {
    let bench = bench();
    for template in NEVER {
        let mark = mark();
        let path = template.replace("{m}", &mark);
        match bench.provoke(request("GET", &path, "")).await {
            Reaction::Closed => {}
            Reaction::Replied(reply) => {
                assert_eq!(reply.status, 400, "{path}: {}", reply.text());
            }
        }
        bench.none(&mark);
        // The same with a credential on a protected route.
        let path = path.replacen("open/", "closed/", 1);
        let fields = format!("X-API-Key: {}\r\n", bench.key);
        if let Reaction::Replied(reply) = bench.provoke(request("GET", &path, &fields)).await {
            assert_eq!(reply.status, 400, "{path}: {}", reply.text());
        }
        bench.none(&mark);
    }
}

#[tokio::test]
async fn non_ascii_and_control_bytes_in_a_path_are_refused() {
    let bench = bench();
    for bytes in [&b"\xc3\xbc"[..], b"\xff", b"\x01", b"\x7f", b"\t", b"\x0b"] {
        let mark = mark();
        let mut text = format!("GET /open/{mark}/").into_bytes();
        text.extend_from_slice(bytes);
        let host = bench.address();
        text.extend_from_slice(format!(" HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes());
        if let Reaction::Replied(reply) = bench.provoke(text).await {
            assert_eq!(reply.status, 400, "{bytes:?}: {}", reply.text());
        }
        bench.none(&mark);
    }
}

#[tokio::test]
async fn some_forms_need_the_routes_consent() {
    let bench = bench();
    for tail in OPT_IN {
        let mark = mark();
        let tail = tail.replace("{m}", &mark);
        let path = format!("/open/{tail}");
        let reply = bench.exchange(request("GET", &path, "")).await;
        assert_eq!(reply.status, 400, "{path}: {}", reply.text());
        bench.none(&mark);

        let path = format!("/loose/{tail}");
        let reply = bench.exchange(request("GET", &path, "")).await;
        assert_eq!(reply.status, 200, "{path}: {}", reply.text());
        let seen = bench.only(&mark).target();
        assert!(seen.eq_ignore_ascii_case(&path), "{path} arrived as {seen}");
    }
}

#[tokio::test]
async fn ordinary_paths_go_on_byte_for_byte() {
    let bench = bench();
    for template in EXACT {
        let mark = mark();
        let path = template.replace("{m}", &mark);
        let reply = bench.exchange(request("GET", &path, "")).await;
        assert_eq!(reply.status, 200, "{path}: {}", reply.text());
        assert_eq!(bench.only(&mark).target(), path);
    }
}

// requirement: 20
#[tokio::test]
async fn spellings_of_one_path_become_one() {
    let bench = bench();
    for (sent, canonical) in CANONICAL {
        let mark = mark();
        let path = sent.replace("{m}", &mark);
        let reply = bench.exchange(request("GET", &path, "")).await;
        assert_eq!(reply.status, 200, "{path}: {}", reply.text());
        assert_eq!(bench.only(&mark).target(), canonical.replace("{m}", &mark));
    }
    // A protected route stays protected in every spelling.
    for path in ["/%63losed/x", "/clos%65d/x", "//closed/x", "/closed/%78"] {
        let reply = bench.exchange(request("GET", path, "")).await;
        assert_eq!(reply.status, 401, "{path}");
    }
}

#[tokio::test]
async fn leading_slashes_are_one() {
    let bench = bench();
    for lead in ["//", "///", "////////"] {
        let mark = mark();
        let reply = bench.exchange(request("GET", &format!("{lead}open/{mark}"), "")).await;
        assert_eq!(reply.status, 200, "{lead}: {}", reply.text());
        assert_eq!(bench.only(&mark).target(), format!("/open/{mark}"));
    }
}

// requirement: 20
#[tokio::test]
async fn a_path_without_a_route_is_404_and_goes_nowhere() {
    let bench = bench();
    for template in ["/{m}", "/Open/{m}", "/OPEN/{m}", "/opened/{m}", "/ope/{m}", "/open%2f{m}x"] {
        let mark = mark();
        let path = template.replace("{m}", &mark);
        let reply = bench.exchange(request("GET", &path, "")).await;
        assert!(matches!(reply.status, 400 | 404), "{path}: {}", reply.status);
        assert!(reply.json().is_object());
        bench.none(&mark);
    }
}

#[tokio::test]
async fn other_names_for_the_path_do_not_decide() {
    let bench = bench();
    for name in ["X-Original-URL", "X-Rewrite-URL", "X-Forwarded-Uri", "X-Forwarded-Prefix"] {
        let mark = mark();
        let fields = format!("{name}: /open/{mark}\r\n");
        let reply = bench.exchange(request("GET", &format!("/closed/{mark}"), &fields)).await;
        assert_eq!(reply.status, 401, "{name}");
        bench.none(&mark);
    }
    for name in ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Forwarded-Method"] {
        let reply = bench
            .exchange(request(
                "POST",
                "/only-get",
                &format!("{name}: GET\r\nContent-Length: 0\r\n"),
            ))
            .await;
        assert_eq!(reply.status, 405, "{name}");
    }
}
