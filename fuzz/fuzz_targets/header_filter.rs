//! Whatever a client writes: what goes upstream has no name of ours but those that the gateway set.
#![no_main]

use http::{Method, Uri, header};
use libfuzzer_sys::fuzz_target;
use portcullis::pipeline::{
    RequestView, authz,
    mutate::{self, HopFacts, IdentityHeaders},
};
use portcullis_fuzz::{client, fields, is_ours, snapshot};

fuzz_target!(|bytes: &[u8]| {
    let mut headers = fields(bytes);
    headers.insert(header::HOST, "a.example".parse().expect("a host"));
    let (client, uri) = (client(), Uri::from_static("/open/x"));
    let Ok(view) = RequestView::new(&Method::GET, &uri, &headers, &client) else { return };
    let found =
        snapshot().routes.find("public", &view).unwrap_or_else(|_| panic!("the open route"));
    let permit = authz::authorize(found.route, None, &view, "/open/x").expect("it is open");
    let hop = HopFacts { scheme: "http", host: "a.example" };
    let names = IdentityHeaders::default();
    let patch = mutate::patch(&permit, &view, 0, &names, &hop, |_| unreachable!("nobody is asked"));
    let mut out = headers.clone();
    for name in &patch.remove {
        out.remove(name);
    }
    for name in out.keys() {
        assert!(!is_ours(name), "{name} stays");
        assert!(!name.as_str().contains('_'), "{name} stays");
        assert!(name != header::AUTHORIZATION && name != "x-api-key", "{name} stays");
    }
    patch.each(|name, value| {
        assert!(
            !value.as_bytes().iter().any(|byte| *byte < b' ' && *byte != b'\t'),
            "{name}: {value:?}"
        );
    });
    assert_eq!(patch.path_and_query, "/open/x");
});
