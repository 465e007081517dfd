//! The witness of a question: writes down each stage, and what it looked at.

use std::sync::Arc;

use super::question::Door;
use crate::{
    edge::{
        ctx::{Admitted, Trail},
        witness::{Seen, Stage, Witness},
    },
    model::{Confirmation, Principal},
    pipeline::{
        Authn, Authz, Charge, Credential, Limit, Mount, Outcome, RequestView, Snapshot, Target,
        Toll,
        carrier::Scheme,
        explain::{Assumed, Explanation, Sent, StageReport},
        jwt::Presented,
        route::Found,
    },
};

pub(super) struct Walker<'a> {
    assumed: Option<&'a Assumed>,
    snapshot: &'a Snapshot,
    stages: Vec<StageReport>,
    /// Method and path, until a rule was asked about them.
    asked: Option<(http::Method, String)>,
    authz: Option<(Authz, Arc<Mount>)>,
    token: bool,
}

impl<'a> Walker<'a> {
    pub(super) fn new(assumed: Option<&'a Assumed>, snapshot: &'a Snapshot) -> Self {
        Self { assumed, snapshot, stages: Vec::new(), asked: None, authz: None, token: false }
    }

    /// The walk ended before it began.
    pub(super) fn unread(&mut self, why: &str) {
        self.enters(Stage::View);
        self.note(why.to_owned());
    }

    pub(super) fn came_to(&mut self, door: Door<'_>) {
        let listener = door.listener();
        let tls = if listener.tls.is_some() { "TLS" } else { "plain HTTP" };
        self.enters(Stage::View);
        self.note(format!("listener {} ({tls})", listener.name));
        if let Door::Front(front) = door {
            self.note(format!(
                "a question of {:?} about a request, judged as at listener {}",
                front.style, front.judged_as
            ));
        }
    }

    /// Whether the end hangs on signing keys.
    pub(super) fn needs_keys(&self) -> bool {
        self.token && self.assumed.is_none()
    }

    pub(super) fn told(self, trail: &Trail) -> Explanation {
        Explanation {
            outcome: Outcome::Permitted.as_str(),
            status: None,
            reason: "ok",
            mount: trail.mount.as_ref().map(|mount| mount.name.to_string()).unwrap_or_default(),
            route: trail.route.as_ref().map(|own| own.route.name.to_string()).unwrap_or_default(),
            rule: None,
            missing: None,
            meaning: None,
            needed: None,
            upstream: None,
            would_refuse: trail
                .shadowed
                .iter()
                .map(|hit| format!("{} ({})", hit.rule, hit.reason))
                .collect(),
            stages: self.stages,
        }
    }

    fn note(&mut self, text: String) {
        if let Some(last) = self.stages.last_mut() {
            last.saw.push(text);
        }
    }

    fn view(&mut self, view: &RequestView<'_>) {
        self.note(format!("{} {} at host {}", view.method, view.path.as_str(), view.host));
        self.note(format!("client {}", view.client.address));
        if self.snapshot.trusted_proxies.is_empty() {
            self.note("no proxy is believed".to_owned());
        }
    }

    fn route(&mut self, found: &Found<'_>, asked: Option<(http::Method, String)>) {
        let route = found.route;
        self.note(format!("route {} ({})", route.name, route.template));
        self.note(format!("mount {}, contract {}", route.mount.name, route.mount.dialect));
        self.note(match &route.target {
            Target::Upstream(name) => format!("upstream {name}"),
            Target::Identity => "answered by the gateway itself".to_owned(),
        });
        self.authz = Some((route.authz.clone(), Arc::clone(&route.mount)));
        self.asked = asked.map(|(method, path)| {
            (method, path.get(found.prefix_len..).unwrap_or_default().to_owned())
        });
        let limits =
            |all: &[Arc<Limit>]| all.iter().map(|own| own.name.to_string()).collect::<Vec<_>>();
        let names = [limits(&route.early_limits), limits(&route.late_limits)].concat();
        if names.is_empty() {
            self.note("no limits".to_owned());
        }
        let kinds = match &route.authn {
            Authn::Public => "public: no credential is read".to_owned(),
            Authn::Required(kinds) => {
                let kinds: Vec<_> = kinds.iter().map(|kind| kind.as_str()).collect();
                format!("asks for {}", kinds.join(" or "))
            }
        };
        self.note(kinds);
    }

    fn charges(&mut self, charges: &[Charge<'_>], toll: Option<&Toll>) {
        for charge in charges {
            let windows = charge.windows.iter();
            let windows: Vec<_> =
                windows.map(|own| format!("{} in {} s", own.limit, own.per.as_secs())).collect();
            self.note(format!("limit {}: {}", charge.key.limit, windows.join(", ")));
        }
        if let Some(toll) = toll {
            let left = match toll.retry_after {
                Some(wait) => format!("used up for {} s", wait.as_secs().max(1)),
                None => format!("{} left", toll.remaining),
            };
            self.note(format!("the tightest is {}: {left}", toll.name));
        }
    }

    fn principal(&mut self, who: Option<&Principal>) {
        let Some(who) = who else {
            self.note("nobody in particular".to_owned());
            return;
        };
        self.note(format!("{} by {}", who.subject, who.method.as_str()));
        let roles: Vec<&str> = who.roles.iter().map(|role| &**role).collect();
        self.note(format!("roles: {}", or_none(&roles.join(", "))));
        if let Some(scopes) = &who.scopes {
            self.note(format!("scopes: {}", or_none(&scopes.names().join(" "))));
        }
        if let Some(agent) = &who.agent {
            self.note(format!("capabilities: {}", or_none(&agent.capabilities.join(" "))));
        }
    }

    /// Whether keys from the store judge a token, or a secret that was shared: what others have is in the configuration, or
    /// with the issuer.
    fn is_of_store(&self, token: &str) -> bool {
        let Some((_, mount)) = &self.authz else { return true };
        let presented = Presented::read(token);
        let issuer = presented.as_ref().and_then(Presented::issuer);
        issuer.is_none_or(|issuer| mount.issuer(issuer).is_none_or(|own| !own.is_open()))
    }

    /// What the stage is about to ask.
    fn rules(&mut self) {
        let Some((authz, mount)) = self.authz.take() else { return };
        let Some((method, path)) = self.asked.take() else { return };
        match &authz {
            Authz::Authenticated => self.note("asks for nothing more".to_owned()),
            Authz::Policy => {
                let action = mount.policy.action(&method, &path);
                let resource = mount.policy.resource(&path);
                self.note(format!(
                    "policy of {}: action {}, resource {}",
                    mount.name,
                    action.map_or("none", |action| action),
                    resource.map_or("none", |resource| &*resource.resource),
                ));
            }
            Authz::Rule(_) => self.note("the route's own rule".to_owned()),
        }
    }
}

impl Witness for Walker<'_> {
    const SERVES: bool = false;

    fn enters(&mut self, stage: Stage) {
        // The connection is told before the head is judged.
        if stage == Stage::View && !self.stages.is_empty() {
            return;
        }
        self.stages.push(StageReport { stage: stage.as_str(), verdict: "passed", saw: Vec::new() });
        if stage == Stage::Authorization {
            self.rules();
        }
    }

    fn sees(&mut self, seen: Seen<'_, '_>) {
        match seen {
            Seen::View(view) => {
                self.asked = Some((view.method.clone(), view.path.as_str().to_owned()));
                self.view(view);
            }
            Seen::Route(found) => {
                let asked = self.asked.take();
                self.route(found, asked);
            }
            Seen::Charges(charges, toll) => self.charges(charges, toll),
            Seen::Credential(found) => {
                self.token = match found {
                    Some(Credential::Jwt(text, _)) => self.is_of_store(text),
                    _ => false,
                };
                self.note(match found {
                    None => "none is read".to_owned(),
                    Some(Credential::Jwt(_, Scheme::Bearer)) => "a bearer token".to_owned(),
                    Some(Credential::Jwt(_, Scheme::Dpop)) => {
                        "a token that is bound to a key (DPoP)".to_owned()
                    }
                    Some(Credential::ApiKey(key)) => format!("API key {}", key.id),
                    Some(Credential::Session(_)) => "a session".to_owned(),
                    Some(Credential::Certificate(_)) => "a certificate".to_owned(),
                });
            }
            Seen::Evidence(whence) => self.note(whence.to_owned()),
            Seen::Proof(bound) => self.note(proof(bound)),
            Seen::Principal(who) => self.principal(who),
            Seen::Patch(patch) => self.note(format!("{} fields set", patch.count())),
        }
    }

    fn assumed(&self, mount: &Mount) -> Option<Arc<Principal>> {
        self.assumed.map(|assumed| Arc::new(assumed.at(mount)))
    }
}

/// What would go upstream.
pub(super) fn sent(admitted: &Admitted) -> Sent {
    let route = &admitted.route.route;
    let mut set = Vec::with_capacity(admitted.patch.count());
    admitted.patch.each(|name, value| {
        set.push((name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
    });
    Sent {
        to: match &route.target {
            Target::Upstream(name) => name.to_string(),
            Target::Identity => "identity".to_owned(),
        },
        path: admitted.patch.path_and_query.clone(),
        set,
        removed: admitted.patch.remove.iter().map(ToString::to_string).collect(),
    }
}

/// What was held against the token. A question cannot know whether its proof was used before.
fn proof(bound: Option<&Confirmation>) -> String {
    let key = bound
        .and_then(|bound| bound.key)
        .map(|_| "a signature with the key (RFC 9449), taken for unused");
    let certificate =
        bound.and_then(|bound| bound.certificate).map(|_| "the certificate (RFC 8705)");
    let both: Vec<_> = key.into_iter().chain(certificate).collect();
    if both.is_empty() { "nothing to prove".to_owned() } else { both.join(" and ") }
}

fn or_none(text: &str) -> &str {
    if text.is_empty() { "none" } else { text }
}
