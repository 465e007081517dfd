//! An ordinary HTTP client that gives back everything about a reply.

use std::{net::IpAddr, time::Duration};

use reqwest::Method;
use serde_json::Value;

use super::wire::Reply;

/// A caller at one base URL, perhaps with a credential and an address of its own.
#[derive(Clone, Debug)]
pub struct Client {
    base: String,
    http: reqwest::Client,
    headers: Vec<(String, String)>,
}

impl Client {
    /// A caller from the usual loopback address.
    pub fn at(base: &str) -> Self {
        Self::build(base, None)
    }

    /// A caller from another loopback address, so that what is counted per address is its own.
    pub fn from(base: &str, local: IpAddr) -> Self {
        Self::build(base, Some(local))
    }

    fn build(base: &str, local: Option<IpAddr>) -> Self {
        let http = reqwest::Client::builder()
            .no_proxy()
            .local_address(local)
            .redirect(reqwest::redirect::Policy::none())
            .timeout(Duration::from_secs(60))
            .build()
            .expect("a client");
        Client { base: base.to_owned(), http, headers: Vec::new() }
    }

    pub fn bearer(&self, token: &str) -> Self {
        self.with("Authorization", &format!("Bearer {token}"))
    }

    pub fn key(&self, key: &str) -> Self {
        self.with("X-API-Key", key)
    }

    pub fn with(&self, name: &str, value: &str) -> Self {
        let mut other = self.clone();
        other.headers.push((name.to_owned(), value.to_owned()));
        other
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.call(Method::GET, path, None).await
    }

    pub async fn delete(&self, path: &str) -> Reply {
        self.call(Method::DELETE, path, None).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Reply {
        self.call(Method::POST, path, Some(body)).await
    }

    pub async fn put(&self, path: &str, body: Value) -> Reply {
        self.call(Method::PUT, path, Some(body)).await
    }

    pub async fn patch(&self, path: &str, body: Value) -> Reply {
        self.call(Method::PATCH, path, Some(body)).await
    }

    /// A JSON request.
    pub async fn call(&self, method: Method, path: &str, body: Option<Value>) -> Reply {
        let body = body.map(|value| ("application/json", value.to_string().into_bytes()));
        self.send(method, path, body).await
    }

    /// A request with any body.
    pub async fn send(&self, method: Method, path: &str, body: Option<(&str, Vec<u8>)>) -> Reply {
        let what = format!("{method} {path}");
        self.try_send(method, path, body).await.unwrap_or_else(|e| panic!("{what}: {e:?}"))
    }

    /// The same where the connection may break.
    pub async fn try_send(
        &self,
        method: Method,
        path: &str,
        body: Option<(&str, Vec<u8>)>,
    ) -> Result<Reply, reqwest::Error> {
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        if let Some((kind, bytes)) = body {
            request = request.header("Content-Type", kind).body(bytes);
        }
        let reply = request.send().await?;
        let status = reply.status().as_u16();
        let headers = reply
            .headers()
            .iter()
            .map(|(n, v)| (n.to_string(), String::from_utf8_lossy(v.as_bytes()).into_owned()))
            .collect();
        let body = reply.bytes().await?.to_vec();
        Ok(Reply { status, headers, body, complete: true })
    }
}

impl Reply {
    pub fn try_json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }

    /// The status must be this one; shows the body when it is not.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "body: {}", self.text());
        self
    }

    /// A field of the JSON body as text.
    #[track_caller]
    pub fn str(&self, field: &str) -> String {
        let body = self.json();
        let value = body.get(field).and_then(Value::as_str);
        value.unwrap_or_else(|| panic!("no text {field:?} in {body}")).to_owned()
    }

    /// A field of the JSON body as an integer (never `1.0`, never `"1"`).
    #[track_caller]
    pub fn int(&self, field: &str) -> i64 {
        let body = self.json();
        let value = body.get(field).and_then(Value::as_i64);
        value.unwrap_or_else(|| panic!("no integer {field:?} in {body}"))
    }
}
