//! A whole HTTP/1 head through admission: what goes upstream is read in one way, and was let in as that.
#![no_main]

use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use libfuzzer_sys::fuzz_target;
use portcullis::{
    edge::fuzzing,
    pipeline::{
        Authn, RequestView, authz,
        mutate::{self, HopFacts, IdentityHeaders},
        view::check_target,
    },
};
use portcullis_fuzz::{careless, client, is_ours, snapshot};

fuzz_target!(|bytes: &[u8]| {
    let mut slots = [httparse::EMPTY_HEADER; 256];
    let mut head = httparse::Request::new(&mut slots);
    let Ok(httparse::Status::Complete(length)) = head.parse(bytes) else { return };
    let raw = &bytes[..length];
    if fuzzing::judge(raw).is_err() || fuzzing::framing(&[raw]) != 0 {
        return;
    }
    // What passes the judge has one line end, and nothing before a colon but a name.
    assert!(raw.ends_with(b"\r\n\r\n"));
    let text = String::from_utf8_lossy(raw).into_owned();
    assert_eq!(text.matches('\n').count(), text.matches("\r\n").count());
    let target = head.path.unwrap_or_default();
    let (Ok(method), Ok(uri)) =
        (Method::from_bytes(head.method.unwrap_or_default().as_bytes()), target.parse::<Uri>())
    else {
        return;
    };
    if check_target(target.as_bytes()).is_err() {
        return;
    }
    let mut headers = HeaderMap::new();
    for field in head.headers.iter() {
        let name = HeaderName::from_bytes(field.name.as_bytes());
        let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(field.value)) else { return };
        headers.append(name, value);
    }
    let client = client();
    let Ok(view) = RequestView::new(&method, &uri, &headers, &client) else { return };
    assert!(headers.get_all("host").iter().count() <= 1);
    assert!(
        headers.get_all("content-length").iter().count()
            + headers.get_all("transfer-encoding").iter().count()
            <= 1
    );
    let Ok(found) = snapshot().routes.find("public", &view) else { return };
    let path = view.path.behind(found.prefix_len);
    if found.route.authn != Authn::Public {
        return;
    }
    let Ok(permit) = authz::authorize(found.route, None, &view, path) else { return };
    let hop = HopFacts { scheme: "http", host: "a" };
    let patch =
        mutate::patch(&permit, &view, found.prefix_len, &IdentityHeaders::default(), &hop, |_| {
            unreachable!("nobody is asked")
        });
    if &*found.route.name == "open" {
        let sent = patch.path_and_query.split('?').next().unwrap_or_default();
        let read = careless(sent);
        assert!(read == "/open" || read.starts_with("/open/"), "{sent} is read as {read}");
        assert!(
            read != "/open/vault" && !read.starts_with("/open/vault/"),
            "{sent} is read as {read}"
        );
    }
    for name in headers.keys().filter(|name| !patch.remove.contains(name)) {
        assert!(!is_ours(name) && !name.as_str().contains('_'), "{name} stays");
    }
});
