//! A real provider: `oidc-provider` (npm), with its own pages for login and consent, and its own way to tell that somebody has
//! logged out.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdout, Stdio},
    sync::Mutex,
    time::Duration,
};

use reqwest::Method;

use super::{
    browser::{Browser, location},
    provider::SECRET,
    rig::{SESSION, configuration},
};
use crate::support::{
    client::Client,
    gateway::Gateway,
    programs,
    upstream::{Answer, Step, Upstream},
    wire::{self, Reply},
};

/// The running provider; ends with the test.
struct Provider {
    child: Mutex<Child>,
    issuer: String,
    out: Mutex<BufReader<ChildStdout>>,
}

impl Provider {
    /// `None`, and a message: there is no Node on this machine.
    fn start(client_auth: &str) -> Option<Self> {
        let name = "oidc_provider.mjs";
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oidc/clients").join(name);
        // Modules are looked for beside the script.
        let copy = programs::package("node/node_modules").with_file_name(format!("oidc-{name}"));
        std::fs::copy(source, &copy).expect("copy the script");
        let mut command = programs::command("node");
        command.env("CLIENT_SECRET", SECRET).env("CLIENT_AUTH", client_auth).arg(copy);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let Ok(mut child) = command.spawn() else {
            programs::missing("node");
            return None;
        };
        let mut out = BufReader::new(child.stdout.take().expect("piped"));
        let mut issuer = String::new();
        out.read_line(&mut issuer).expect("it says where it listens");
        let issuer = issuer.trim().to_owned();
        assert!(issuer.starts_with("http://127.0.0.1:"), "{issuer:?}");
        Some(Provider { child: Mutex::new(child), issuer, out: Mutex::new(out) })
    }

    /// Tells it who relies on it.
    fn meet(&self, gateway: &str) {
        let mut child = self.child.lock().unwrap();
        writeln!(child.stdin.as_mut().expect("piped"), "{gateway}").expect("it listens");
    }

    /// What it says next of a logout.
    fn says(&self) -> String {
        let mut out = self.out.lock().unwrap();
        loop {
            let mut line = String::new();
            assert!(out.read_line(&mut line).expect("a line") > 0, "it has ended");
            if let Some(said) = line.trim().strip_prefix("logout: ") {
                return said.to_owned();
            }
        }
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        let mut child = self.child.lock().unwrap();
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// The same browser at the provider: its cookies, its forms.
struct Visitor {
    base: String,
    jar: BTreeMap<String, String>,
}

impl Visitor {
    async fn send(&mut self, method: Method, url: &str, form: Option<String>) -> Reply {
        let path = url.strip_prefix(&self.base).unwrap_or(url).to_owned();
        let cookies: Vec<_> =
            self.jar.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let client =
            Client::at(&self.base).with("accept", "text/html").with("cookie", &cookies.join("; "));
        let form = form.map(|form| ("application/x-www-form-urlencoded", form.into_bytes()));
        let reply = client.send(method, &path, form).await;
        for field in reply.all("set-cookie") {
            let (pair, flags) = field.split_once(';').unwrap_or((field, ""));
            let (name, value) = pair.split_once('=').expect("a pair");
            if flags.contains("1970") || value.is_empty() {
                self.jar.remove(name);
            } else {
                self.jar.insert(name.to_owned(), value.to_owned());
            }
        }
        reply
    }

    /// Logs in and agrees, page after page; gives the address at which the gateway is to take the browser back.
    async fn agree(&mut self, sent: &str, who: &str) -> String {
        let mut reply = self.send(Method::GET, sent, None).await;
        for _ in 0..12 {
            if matches!(reply.status, 302 | 303) {
                let next = location(&reply);
                if next.contains("/oidc/callback?") {
                    return next;
                }
                reply = self.send(Method::GET, &next, None).await;
                continue;
            }
            let page = reply.expect(200).text();
            let mut form = hidden(&page);
            if form.iter().any(|(_, value)| value == "login") {
                form.extend([("login".into(), who.into()), ("password".into(), "x".into())]);
            }
            let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
            reply = self.send(Method::POST, &action(&page), Some(body)).await;
        }
        panic!("the provider never sent the browser back")
    }

    /// Logs out at the provider.
    async fn leave(&mut self, url: &str) {
        let page = self.send(Method::GET, url, None).await.expect(200).text();
        let mut form = hidden(&page);
        form.push(("logout".into(), "yes".into()));
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let reply = self.send(Method::POST, &action(&page), Some(body)).await;
        assert!(matches!(reply.status, 200 | 302 | 303), "{}: {}", reply.status, reply.text());
    }
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let start = format!("{name}=\"");
    let rest = &tag[tag.find(&start)? + start.len()..];
    Some(rest[..rest.find('"')?].to_owned())
}

fn action(page: &str) -> String {
    let form = &page[page.find("<form").expect("a form")..];
    attribute(form, "action").expect("an address")
}

fn hidden(page: &str) -> Vec<(String, String)> {
    let inputs =
        page.split("<input").skip(1).map(|rest| rest.split('>').next().unwrap_or_default());
    let hidden = inputs.filter(|tag| tag.contains("type=\"hidden\""));
    hidden.filter_map(|tag| Some((attribute(tag, "name")?, attribute(tag, "value")?))).collect()
}

struct Whole {
    gateway: Gateway,
    provider: Provider,
    _upstream: Upstream,
}

impl Whole {
    fn start(client_auth: &str) -> Option<Self> {
        let provider = Provider::start(client_auth)?;
        let upstream = Upstream::with(|request| {
            if request.target().contains("/events/") {
                let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
                            Transfer-Encoding: chunked\r\n\r\n6\r\ndata:1\r\n";
                let wait = Step::Wait(Duration::from_secs(3600));
                return Answer::steps(vec![Step::Send(head.into()), wait]);
            }
            Answer::ok()
        });
        let gateway = Gateway::start(|places| {
            provider.meet(&format!("http://{}", places.public));
            let more = r#"accounts = "create", scopes = ["openid", "email"]"#;
            configuration(places, &upstream, &provider.issuer, more).text()
        });
        Some(Whole { gateway, provider, _upstream: upstream })
    }

    async fn log_in(&self, who: &str) -> (Browser, Visitor) {
        let browser = Browser::at(&self.gateway.url());
        let mut visitor = Visitor { base: self.provider.issuer.clone(), jar: BTreeMap::new() };
        let sent = location(&browser.go("/oidc/login?return_to=/data/x").await.expect(303));
        let back = visitor.agree(&sent, who).await;
        let back = back.strip_prefix(&self.gateway.url()).expect("our callback").to_owned();
        // It says who it is (RFC 9207), which its metadata promise.
        assert!(back.contains("iss="), "{back}");
        let reply = browser.go(&back).await.expect(303);
        assert_eq!(location(&reply), "/data/x");
        browser.go("/data/x").await.expect(200);
        (browser, visitor)
    }
}

// requirement: 34
#[tokio::test]
#[ignore = "needs the packages of scripts/programs.sh"]
async fn a_person_of_oidc_provider_logs_in_and_out_here_and_there() {
    let Some(whole) = Whole::start("client_secret_basic") else { return };
    let (browser, mut visitor) = whole.log_in("ada").await;
    let who = browser.script(Method::GET, "/oidc/session").await.expect(200).json();
    assert_eq!(who["username"], "oidc:ada");
    assert_eq!(who["email"], "ada@corp.example");

    // Out here, then there, from the address that the gateway sends the browser to.
    let next = location(&browser.submit("/oidc/logout").await.expect(303));
    browser.go("/data/x").await.expect(401);
    visitor.leave(&next).await;
    assert_eq!(whole.provider.says(), "told");
}

// requirement: 34
#[tokio::test]
#[ignore = "needs the packages of scripts/programs.sh"]
async fn a_logout_at_oidc_provider_ends_the_session_and_what_is_open_under_it() {
    let Some(whole) = Whole::start("client_secret_basic") else { return };
    let (browser, mut visitor) = whole.log_in("ada").await;
    let (other, _) = whole.log_in("bob").await;
    let mut events = wire::connect(whole.gateway.address()).await;
    let (host, cookies) = (whole.gateway.address(), browser.cookies().unwrap());
    events
        .send(format!("GET /events/e HTTP/1.1\r\nHost: {host}\r\nCookie: {cookies}\r\n\r\n"))
        .await;
    assert_eq!(events.chunk_after_head().await, b"data:1");

    visitor.leave(&format!("{}/session/end", whole.provider.issuer)).await;
    assert_eq!(whole.provider.says(), "told");
    browser.go("/data/x").await.expect(401);
    let cut = tokio::time::timeout(Duration::from_secs(5), events.chunk()).await;
    assert_eq!(cut.expect("it ends"), None);
    other.go("/data/x").await.expect(200);
    assert!(other.cookie(SESSION).is_some());
}

#[tokio::test]
#[ignore = "needs the packages of scripts/programs.sh"]
async fn a_provider_that_wants_the_secret_in_the_body_gets_it_there() {
    let Some(whole) = Whole::start("client_secret_post") else { return };
    whole.log_in("ada").await;
}
