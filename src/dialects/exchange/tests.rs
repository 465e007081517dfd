//! Bodies of every encoding through a router, and replies of every kind, without any contract of the product.

use axum::{Router, http::StatusCode, middleware, routing::post};
use serde_json::{Value, json};
use tower::ServiceExt;

use super::*;
use crate::{
    dialects::{fields::Fields, refusal::to_json},
    identity::IdentityError,
    model::ClientFacts,
};

/// The smallest shape there can be.
#[derive(Clone, Debug, PartialEq)]
struct Tiny;

impl ErrorShape for Tiny {
    fn of_deny(deny: &Deny) -> Refusal<Self> {
        Refusal::denied(deny, "denied")
    }

    fn of_identity(error: &IdentityError) -> Refusal<Self> {
        Refusal::plain(StatusCode::CONFLICT, error.reason())
    }

    fn invalid(details: Vec<Detail>) -> Refusal<Self> {
        let refusal = Refusal::plain(StatusCode::UNPROCESSABLE_ENTITY, "validation");
        Refusal { details: Some(details.into()), ..refusal }
    }

    fn body(refusal: &Refusal<Self>, facts: &ReplyFacts<'_>) -> Vec<u8> {
        to_json(&json!({ "text": refusal.text, "details": refusal.details, "path": facts.path }))
    }
}

#[derive(Debug)]
struct Login(String, String);

impl fields::Request for Login {
    const ENCODING: Encoding = Encoding::Form;

    fn read(fields: &mut Fields) -> Option<Self> {
        let name = fields.text("username");
        let password = fields.text("password");
        Some(Self(name?, password?))
    }
}

async fn login(Sent(Login(name, password)): Sent<Login>) -> Answer {
    let cookie = HeaderValue::from_static("b=2");
    Answer::ok(&json!([name, password]))
        .with(header::SET_COOKIE, "a=1")
        .adding(header::SET_COOKIE, cookie)
}

async fn refuse() -> Result<Answer, Refusal<Tiny>> {
    Err(IdentityError::NotFound.into())
}

async fn ask(path: &str, kind: &str, body: &[u8]) -> (StatusCode, HeaderMap, Value) {
    let router = Router::new()
        .route("/login", post(login))
        .route("/refuse", post(refuse))
        .route("/null", post(|| async { Answer::null(StatusCode::ACCEPTED) }))
        .route("/nothing", post(|| async { Answer::no_content() }))
        .fallback(no_route)
        .method_not_allowed_fallback(wrong_method)
        .layer(middleware::from_fn(write::<Tiny>));
    let mut request = axum::http::Request::post(path).body(Body::from(body.to_vec())).unwrap();
    if !kind.is_empty() {
        request.headers_mut().insert(header::CONTENT_TYPE, kind.parse().unwrap());
    }
    request.extensions_mut().insert(HopContext {
        mount: "m".into(),
        client: ClientFacts {
            address: "192.0.2.1".parse().unwrap(),
            request_id: "req_1".into(),
            user_agent: None,
        },
        principal: None,
        joined: Vec::new(),
        offered: None,
    });
    let (parts, body) = router.oneshot(request).await.unwrap().into_parts();
    let bytes = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    (parts.status, parts.headers, serde_json::from_slice(&bytes).unwrap_or(json!("no JSON")))
}

const FORM: &str = "application/x-www-form-urlencoded";

#[tokio::test]
async fn both_encodings_of_a_form_are_read_as_browsers_write_them() {
    let urlencoded = ask("/login", FORM, b"username=admin%40example.com&password=a+b%2B&x=1").await;
    assert_eq!(
        (urlencoded.0, urlencoded.2),
        (StatusCode::OK, json!(["admin@example.com", "a b+"]))
    );
    let multipart = "--X\r\nContent-Disposition: form-data; name=\"username\"\r\n\r\na+b\r\n--X\r\n\
                     Content-Disposition: form-data; name=\"password\"\r\n\r\np\u{e4}\r\n--X--\r\n";
    let kind = "multipart/form-data; boundary=X";
    let multipart = ask("/login", kind, multipart.as_bytes()).await;
    assert_eq!((multipart.0, multipart.2), (StatusCode::OK, json!(["a+b", "p\u{e4}"])));
    let cookies: Vec<_> = urlencoded.1.get_all(header::SET_COOKIE).iter().collect();
    assert_eq!(cookies, ["a=1", "b=2"]);
}

#[tokio::test]
async fn what_is_no_form_lacks_its_fields() {
    for (kind, body) in [("application/json", "{\"username\":\"a\"}"), ("", ""), (FORM, "")] {
        let (status, _, body) = ask("/login", kind, body.as_bytes()).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{kind}");
        assert_eq!(body["details"][1]["loc"], json!(["body", "password"]), "{kind}");
    }
    let (status, ..) = ask("/login", FORM, b"username=a&password=%ff").await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    for body in ["", "--X\r\n", "--X\r\nContent-Disposition: form-data; name=\"username\"\r\n\r\na"]
    {
        let (status, ..) = ask("/login", "multipart/form-data; boundary=X", body.as_bytes()).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body:?}");
    }
    let long = format!("username=a&password={}", "x".repeat(70_000));
    assert_eq!(ask("/login", FORM, long.as_bytes()).await.0, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn refusals_and_odd_successes_have_their_shape() {
    let (status, headers, body) = ask("/refuse", "", b"").await;
    assert_eq!((status, &body["path"]), (StatusCode::CONFLICT, &json!("/refuse")));
    let verdict: HopVerdict =
        hop::decode(headers[VERDICT_HEADER].to_str().unwrap()).unwrap_or_default();
    assert_eq!(verdict.reason.as_deref(), Some("not_found"));
    assert_eq!(ask("/none", "", b"").await.0, StatusCode::NOT_FOUND);
    let (status, _, body) = ask("/null", "", b"").await;
    assert_eq!((status, body), (StatusCode::ACCEPTED, Value::Null));
    let (status, headers, _) = ask("/nothing", "", b"").await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    assert!(headers.get(header::CONTENT_TYPE).is_none());
    assert!(Answer::redirect(StatusCode::FOUND, "a\nb").is_none());
}
