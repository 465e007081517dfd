//! What a browser does in a login: keeps cookies, says where a request comes from, and follows redirects when told to.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use reqwest::Method;
use url::Url;

use crate::support::{client::Client, wire::Reply};

/// One browser at one origin. Clones share nothing.
#[derive(Default)]
pub struct Browser {
    base: String,
    jar: Arc<Mutex<BTreeMap<String, String>>>,
}

const PAGE: &str = "text/html,application/xhtml+xml";

impl Browser {
    pub fn at(base: &str) -> Self {
        Browser { base: base.to_owned(), jar: Arc::default() }
    }

    /// Follows a link or an address that was typed.
    pub async fn go(&self, path: &str) -> Reply {
        let fields =
            [("accept", PAGE), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")];
        self.send(Method::GET, path, &fields, None).await
    }

    /// What a script of a page of ours does.
    pub async fn script(&self, method: Method, path: &str) -> Reply {
        self.send(method, path, &[("sec-fetch-site", "same-origin"), ("accept", "*/*")], None).await
    }

    /// A form of a page of ours.
    pub async fn submit(&self, path: &str) -> Reply {
        let fields = [("sec-fetch-site", "same-origin"), ("accept", PAGE)];
        let body = ("application/x-www-form-urlencoded", Vec::new());
        self.send(Method::POST, path, &fields, Some(body)).await
    }

    /// Any request, with the cookies.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        fields: &[(&str, &str)],
        body: Option<(&str, Vec<u8>)>,
    ) -> Reply {
        let mut client = Client::at(&self.base);
        for (name, value) in fields {
            client = client.with(name, value);
        }
        if let Some(cookies) = self.cookies() {
            client = client.with("cookie", &cookies);
        }
        let reply = client.send(method, path, body).await;
        self.keep(&reply);
        reply
    }

    pub fn cookies(&self) -> Option<String> {
        let jar = self.jar.lock().unwrap();
        let all: Vec<String> = jar.iter().map(|(name, value)| format!("{name}={value}")).collect();
        (!all.is_empty()).then(|| all.join("; "))
    }

    /// The cookie whose name begins like this.
    pub fn cookie(&self, start: &str) -> Option<(String, String)> {
        let jar = self.jar.lock().unwrap();
        let found = jar.iter().find(|(name, _)| name.starts_with(start));
        found.map(|(name, value)| (name.clone(), value.clone()))
    }

    pub fn set(&self, name: &str, value: &str) {
        self.jar.lock().unwrap().insert(name.to_owned(), value.to_owned());
    }

    fn keep(&self, reply: &Reply) {
        let mut jar = self.jar.lock().unwrap();
        for field in reply.all("set-cookie") {
            let (pair, flags) = field.split_once(';').unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            assert!(flags.contains("HttpOnly") && flags.contains("Path=/"), "{field}");
            assert!(flags.contains("SameSite=Lax"), "{field}");
            if flags.contains("Max-Age=0;") {
                jar.remove(name);
            } else {
                jar.insert(name.to_owned(), value.to_owned());
            }
        }
    }
}

/// Where a reply sends the browser.
#[track_caller]
pub fn location(reply: &Reply) -> String {
    let status = reply.status;
    let found = reply.header("location");
    found.unwrap_or_else(|| panic!("{status}: no redirect: {}", reply.text())).to_owned()
}

/// A parameter of an address.
#[track_caller]
pub fn parameter(url: &str, name: &str) -> String {
    let found = Url::parse(url).unwrap();
    let found =
        found.query_pairs().find(|(own, _)| own == name).map(|(_, value)| value.into_owned());
    found.unwrap_or_else(|| panic!("no {name} in {url}"))
}
