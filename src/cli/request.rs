//! A request as an operator writes it, made into the bytes that a client would send.

use std::{
    io::{BufRead, Read},
    path::{Path, PathBuf},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use clap::Args;
use serde_json::{Map, Value, json};
use url::Url;

use super::Failure;
use crate::{
    model::AuthMethod,
    pipeline::explain::{Assumed, Question},
};

/// Longest token or key that is read from a file.
const LONGEST_SECRET: u64 = 64 << 10;

/// Which request.
#[derive(Clone, Debug, Args)]
pub(super) struct ExplainArgs {
    /// Such as GET.
    #[arg(requires = "url", conflicts_with_all = ["raw", "batch", "request_id"])]
    pub(super) method: Option<String>,
    /// Such as https://api.example.org/v1/tasks.
    pub(super) url: Option<String>,
    /// A header field, such as 'Accept: text/html'. Repeatable. Credentials are better read from a file.
    #[arg(long = "header", value_name = "NAME: VALUE")]
    pub(super) headers: Vec<String>,
    /// Send the bearer token in this file; - reads standard input, env:NAME a variable.
    #[arg(long, value_name = "FILE")]
    pub(super) token_file: Option<String>,
    /// Send the API key in this file; - and env:NAME likewise.
    #[arg(long, value_name = "FILE")]
    pub(super) key_file: Option<String>,
    /// A certificate (PEM) that the client shows. Taken for one that an authority of the listener signed.
    #[arg(long, value_name = "FILE")]
    pub(super) certificate: Option<PathBuf>,
    /// Take this caller for proven: by=jwt,user=u-1,roles=USER+ADMIN,scopes=READ. Also username, tenant, capabilities.
    #[arg(long = "as", value_name = "CALLER")]
    pub(super) caller: Option<String>,
    /// Address that connects.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    pub(super) client: std::net::IpAddr,
    /// Listener; without it the one that fits the URL.
    #[arg(long, value_name = "NAME")]
    pub(super) listener: Option<String>,
    /// The name that the TLS connection was opened to; without it the host of an https URL.
    #[arg(long, value_name = "HOST")]
    pub(super) server_name: Option<String>,
    /// A file with the bytes of a whole request head, judged as they are.
    #[arg(long, value_name = "FILE")]
    pub(super) raw: Option<PathBuf>,
    /// A file with one request per line, as JSON for the operator API; one answer per line.
    #[arg(long, value_name = "FILE", conflicts_with = "raw")]
    pub(super) batch: Option<PathBuf>,
    /// A request that was refused: asked from the running gateway, or looked up in --log.
    #[arg(long, value_name = "ID", conflicts_with_all = ["raw", "batch"])]
    pub(super) request_id: Option<String>,
    /// A log of the gateway.
    #[arg(long, value_name = "FILE", requires = "request_id")]
    pub(super) log: Option<PathBuf>,
    /// Ask nobody: only the configuration file is known, and every limit is unused.
    #[arg(long)]
    pub(super) offline: bool,
}

/// Reads method and URL. The target goes out as it was written: what a parser would clean up is what is asked about.
pub(super) fn of_url(
    method: &str,
    text: &str,
    headers: &[(String, String)],
) -> Result<Question, Failure> {
    let url = Url::parse(text).map_err(|error| usage(format!("{text}: {error}")))?;
    let secure = match url.scheme() {
        "http" => false,
        "https" => true,
        other => return Err(usage(format!("{text}: {other} is neither http nor https"))),
    };
    let written = text.split_once("://").map_or("", |(_, rest)| rest);
    let end = written.find(['/', '?', '#']).unwrap_or(written.len());
    let (authority, target) = written.split_at(end);
    let slash = if target.starts_with('/') { "" } else { "/" };
    let mut head = format!("{method} {slash}{target} HTTP/1.1\r\n");
    let named = |name: &str| headers.iter().any(|(own, _)| own.eq_ignore_ascii_case(name));
    if !named("host") {
        head.push_str(&format!("Host: {authority}\r\n"));
    }
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    Ok(Question {
        port: url.port_or_known_default(),
        server_name: url.host_str().filter(|_| secure).map(str::to_owned),
        ..bare(head.into_bytes())
    })
}

/// A head and nothing else.
fn bare(head: Vec<u8>) -> Question {
    let peer = std::net::Ipv4Addr::LOCALHOST.into();
    Question {
        head,
        listener: None,
        port: None,
        server_name: None,
        certificate: None,
        peer,
        assumed: None,
    }
}

/// The first certificate of a PEM file, as DER.
fn certificate(file: &Path) -> Result<Vec<u8>, Failure> {
    let text = std::fs::read_to_string(file).map_err(|error| unread(file, &error))?;
    let (_, rest) = text.split_once("-----BEGIN CERTIFICATE-----").unwrap_or_default();
    let body = rest.split_once("-----END").map_or("", |(body, _)| body);
    let body: String = body.split_whitespace().collect();
    let read = BASE64_STANDARD.decode(body).ok().filter(|der| !der.is_empty());
    read.ok_or_else(|| usage(format!("--certificate: {} is no certificate in PEM", file.display())))
}

/// The question that the arguments ask.
pub(super) fn of_arguments(asked: &ExplainArgs) -> Result<Question, Failure> {
    let mut question = match (&asked.raw, &asked.method, &asked.url) {
        (Some(file), ..) => {
            let head = std::fs::read(file).map_err(|error| unread(file, &error))?;
            bare(head)
        }
        (None, Some(method), Some(url)) => of_url(method, url, &headers(asked)?)?,
        _ => {
            let what = "name a request: METHOD URL, --raw FILE, --batch FILE or --request-id ID";
            return Err(usage(what));
        }
    };
    question.peer = asked.client;
    question.listener.clone_from(&asked.listener);
    if asked.server_name.is_some() {
        question.server_name.clone_from(&asked.server_name);
    }
    question.certificate = asked.certificate.as_deref().map(certificate).transpose()?;
    question.assumed = asked.caller.as_deref().map(caller).transpose()?;
    Ok(question)
}

/// The question as the operator API takes it.
pub(super) fn as_json(question: &Question) -> Value {
    let mut out = Map::new();
    out.insert("head".into(), BASE64_STANDARD.encode(&question.head).into());
    out.insert("client".into(), question.peer.to_string().into());
    let texts = [("listener", &question.listener), ("server_name", &question.server_name)];
    for (key, value) in texts {
        value.iter().for_each(|value| drop(out.insert(key.into(), value.as_str().into())));
    }
    question.port.iter().for_each(|port| drop(out.insert("port".into(), (*port).into())));
    if let Some(der) = &question.certificate {
        out.insert("certificate".into(), BASE64_STANDARD.encode(der).into());
    }
    if let Some(assumed) = &question.assumed {
        let caller = json!({
            "by": assumed.method.as_str(),
            "user": assumed.subject,
            "username": assumed.username,
            "tenant": assumed.tenant,
            "roles": assumed.roles,
            "scopes": assumed.scopes,
            "capabilities": assumed.capabilities,
        });
        out.insert("assumed".into(), caller);
    }
    Value::Object(out)
}

/// `by=jwt,user=u-1,roles=USER+ADMIN`.
pub(super) fn caller(text: &str) -> Result<Assumed, Failure> {
    let mut out = Assumed {
        method: AuthMethod::Jwt,
        subject: "assumed".into(),
        username: None,
        tenant: None,
        roles: Vec::new(),
        scopes: None,
        capabilities: Vec::new(),
    };
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let (key, value) = part.split_once('=').unwrap_or((part, ""));
        let list = || value.split(['+', ' ']).filter(|name| !name.is_empty()).map(str::to_owned);
        match key {
            "by" => out.method = method(value)?,
            "user" => out.subject = value.to_owned(),
            "username" => out.username = Some(value.to_owned()),
            "tenant" => out.tenant = Some(value.to_owned()),
            "roles" => out.roles = list().collect(),
            "scopes" => out.scopes = Some(list().collect()),
            "capabilities" => out.capabilities = list().collect(),
            _ => {
                let known = "by, user, username, tenant, roles, scopes, capabilities";
                return Err(usage(format!("--as: unknown key \"{key}\"; there are {known}")));
            }
        }
    }
    Ok(out)
}

/// A kind of proof by its name.
pub(super) fn method(name: &str) -> Result<AuthMethod, Failure> {
    let found = AuthMethod::ALL.into_iter().find(|method| method.as_str() == name);
    found.ok_or_else(|| {
        let known = AuthMethod::ALL.map(AuthMethod::as_str).join(", ");
        usage(format!("unknown kind of credential \"{name}\"; there are {known}"))
    })
}

fn headers(asked: &ExplainArgs) -> Result<Vec<(String, String)>, Failure> {
    let mut out = Vec::new();
    for line in &asked.headers {
        let Some((name, value)) = line.split_once(':') else {
            return Err(usage(format!("--header {line}: write 'NAME: VALUE'")));
        };
        out.push((name.to_owned(), value.trim().to_owned()));
    }
    if let Some(source) = &asked.token_file {
        out.push(("Authorization".into(), format!("Bearer {}", secret(source)?)));
    }
    if let Some(source) = &asked.key_file {
        out.push(("X-API-Key".into(), secret(source)?));
    }
    Ok(out)
}

/// A secret never stands in arguments: other users of the machine see those.
fn secret(source: &str) -> Result<String, Failure> {
    if let Some(name) = source.strip_prefix("env:") {
        return std::env::var(name).map_err(|_| usage(format!("the variable {name} is not set")));
    }
    let mut text = String::new();
    if source == "-" {
        std::io::stdin().lock().take(LONGEST_SECRET).read_line(&mut text)?;
    } else {
        let path = Path::new(source);
        let file = std::fs::File::open(path).map_err(|error| unread(path, &error))?;
        file.take(LONGEST_SECRET)
            .read_to_string(&mut text)
            .map_err(|error| unread(path, &error))?;
    }
    Ok(text.trim().to_owned())
}

pub(super) fn unread(file: &Path, error: &std::io::Error) -> Failure {
    Failure::Failed(format!("{}: {error}", file.display()))
}

pub(super) fn usage(why: impl Into<String>) -> Failure {
    Failure::Usage(why.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(method: &str, url: &str) -> String {
        String::from_utf8(of_url(method, url, &[]).unwrap().head).unwrap()
    }

    #[test]
    fn a_target_goes_out_as_it_was_written() {
        for (url, line, host) in [
            ("http://a.example", "GET / HTTP/1.1", "a.example"),
            ("http://a.example:81/x/../y%2Fz?q=1", "GET /x/../y%2Fz?q=1 HTTP/1.1", "a.example:81"),
            ("https://a.example?q", "GET /?q HTTP/1.1", "a.example"),
            ("http://a/b#c", "GET /b#c HTTP/1.1", "a"),
        ] {
            assert_eq!(head("GET", url), format!("{line}\r\nHost: {host}\r\n\r\n"), "{url}");
        }
        let https = of_url("GET", "https://a.example/", &[]).unwrap();
        assert_eq!((https.port, https.server_name.as_deref()), (Some(443), Some("a.example")));
        assert!(matches!(of_url("GET", "ftp://a/", &[]), Err(Failure::Usage(_))));
    }

    #[test]
    fn a_caller_is_written_in_one_word() {
        let read = caller("by=api_key,user=u-1,roles=USER+ADMIN,scopes=READ").unwrap();
        assert_eq!((read.method, read.subject.as_str()), (AuthMethod::ApiKey, "u-1"));
        assert_eq!((read.roles.len(), read.scopes), (2, Some(vec!["READ".to_owned()])));
        assert_eq!(caller("scopes=").unwrap().scopes, Some(Vec::new()));
        assert!(matches!(caller("rolez=USER"), Err(Failure::Usage(_))));
        assert!(matches!(caller("by=magic"), Err(Failure::Usage(_))));
    }
}
