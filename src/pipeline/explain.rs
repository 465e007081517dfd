//! A question about a request, and the answer: each stage of admission with what it looked at and what it said. Data only;
//! the walk is the one every request takes (`edge/admit.rs`).

use std::{net::IpAddr, sync::Arc};

use serde::Serialize;

use super::{Deny, Outcome};
use crate::model::{Agent, AuthMethod, Principal, ScopeSet};

/// A request as somebody might send it.
#[derive(Clone)]
pub struct Question {
    /// Its head as the bytes of HTTP/1.1, the empty line included.
    pub head: Vec<u8>,
    /// Name of the listener; `None`: the one that fits port and scheme, else the first.
    pub listener: Option<String>,
    /// Port of its URL.
    pub port: Option<u16>,
    /// The name that the TLS connection was opened to; `None`: plain HTTP.
    pub server_name: Option<String>,
    /// The certificate that the client shows (DER), taken for proven where the listener asks for one.
    pub certificate: Option<Vec<u8>>,
    /// Who connects.
    pub peer: IpAddr,
    /// Who is taken for the caller, whatever the request carries.
    pub assumed: Option<Assumed>,
}

/// A caller who is taken for proven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assumed {
    /// How.
    pub method: AuthMethod,
    /// Account id.
    pub subject: String,
    /// Login name.
    pub username: Option<String>,
    /// Organisation or namespace.
    pub tenant: Option<String>,
    /// Roles.
    pub roles: Vec<String>,
    /// Scopes of the credential; `None`: it narrows nothing.
    pub scopes: Option<Vec<String>>,
    /// What an agent was granted.
    pub capabilities: Vec<String>,
}

impl Assumed {
    /// The caller at a mount.
    pub fn at(&self, mount: &super::Mount) -> Principal {
        let text = |text: &String| Arc::<str>::from(text.as_str());
        let agent = || Agent {
            kind: "assumed".into(),
            capabilities: self.capabilities.iter().map(text).collect(),
        };
        Principal {
            subject: self.subject.as_str().into(),
            username: self.username.as_ref().map(text),
            email: None,
            realm: mount.realm.clone().unwrap_or_else(|| mount.name.as_str().into()),
            mount: mount.name.clone(),
            tenant: self.tenant.as_ref().map(text),
            method: self.method,
            roles: self.roles.iter().map(text).collect(),
            // As keys of the mount are read: where its table names no scopes, their case counts.
            scopes: self.scopes.as_ref().map(|own| match mount.policy.scopes.is_empty() {
                true => ScopeSet::exact(own),
                false => ScopeSet::new(own),
            }),
            session: None,
            token: None,
            key: None,
            agent: (self.method == AuthMethod::Agent).then(|| Arc::new(agent())),
            allowed_ips: Vec::new(),
            rate_limit_per_hour: None,
            expires_at: None,
            issuer: None,
            bound: None,
        }
    }
}

/// A request that was refused a while ago. Named as the fields of an access line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Past {
    /// When it ended.
    pub timestamp: String,
    /// `req_…`.
    pub request_id: String,
    /// Method.
    pub method: String,
    /// Host, as it was read.
    pub host: String,
    /// Path without its query, as the log shows it.
    pub path: String,
    /// Listener it came to.
    pub listener: String,
    /// Client address, after trusted proxies.
    pub client: IpAddr,
    /// Status sent.
    pub status: u16,
    /// `refused` or `undetermined`.
    pub outcome: &'static str,
    /// Reason code.
    pub reason: &'static str,
    /// The rule that refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// What the caller lacked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missing: Option<String>,
    /// Mount.
    pub mount: String,
    /// Route.
    pub route: String,
    /// Account id of a proven caller.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// How the caller was proven.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth: Option<&'static str>,
}

/// What becomes of the request, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// `permitted`, `refused` or `undetermined`.
    pub outcome: &'static str,
    /// Status of the gateway's own answer; none where the upstream answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// `ok`, or the reason code.
    pub reason: &'static str,
    /// Mount whose contract answers.
    pub mount: String,
    /// Route; empty where none was found.
    pub route: String,
    /// The rule that refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// What the caller lacked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missing: Option<String>,
    /// What the reason means.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub meaning: Option<String>,
    /// What would be needed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub needed: Option<String>,
    /// What goes upstream; none where nothing does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream: Option<Sent>,
    /// What would refuse it, were it enforced: the rules in shadow mode.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub would_refuse: Vec<String>,
    /// The stages, in order, up to where the way ended.
    pub stages: Vec<StageReport>,
}

/// One stage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StageReport {
    /// `view`, `route`, `early_limits`, ….
    pub stage: &'static str,
    /// `passed`, `refused`, `undetermined`.
    pub verdict: &'static str,
    /// What it looked at.
    pub saw: Vec<String>,
}

/// What the upstream would see.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Sent {
    /// Name of the upstream.
    pub to: String,
    /// Path and query.
    pub path: String,
    /// Fields that the gateway sets.
    pub set: Vec<(String, String)>,
    /// Fields that it removes.
    pub removed: Vec<String>,
}

impl Explanation {
    /// Writes a refusal down.
    pub fn refuse(&mut self, deny: &Deny) {
        self.outcome = deny.outcome().as_str();
        self.status = Some(deny.status().as_u16());
        self.reason = deny.reason();
        self.rule = deny.rule().map(std::borrow::Cow::into_owned);
        self.missing = deny.missing();
        let (meaning, needed) = deny.explained();
        self.meaning = Some(meaning.to_owned());
        self.needed = Some(match &self.missing {
            Some(missing) => format!("The caller needs {missing}. {needed}"),
            None => needed.to_owned(),
        });
        if let Some(last) = self.stages.last_mut() {
            last.verdict = match deny.outcome() {
                Outcome::Permitted => "passed",
                Outcome::Refused => "refused",
                Outcome::Undetermined => "undetermined",
            };
        }
    }

    /// The connection is closed before a request is read.
    pub fn closed(&mut self, why: &str, needed: &str) {
        self.outcome = Outcome::Refused.as_str();
        self.reason = "connection_closed";
        self.meaning = Some(why.to_owned());
        self.needed = Some(needed.to_owned());
        if let Some(last) = self.stages.last_mut() {
            last.verdict = "refused";
        }
    }

    /// What nothing here can tell, and why.
    pub fn undetermined(&mut self, why: &str, needed: &str) {
        self.outcome = Outcome::Undetermined.as_str();
        self.status = None;
        self.reason = "undetermined";
        self.meaning = Some(why.to_owned());
        self.needed = Some(needed.to_owned());
        if let Some(last) = self.stages.last_mut() {
            last.verdict = "undetermined";
        }
    }
}
