//! `[[forward_auth]]`: listeners at which other proxies ask whether they may forward a request.

use std::net::SocketAddr;

use http::{HeaderName, header};
use ipnet::IpNet;
use toml::Value as Toml;

use super::{Context, each, tls};
use crate::{
    config::{section::Section, shape::Fault},
    edge::{ForwardAuth, ListenerSettings, ProxyProtocol},
    pipeline::forward_auth::{FactNames, Forwards, Style},
};

pub(super) fn read(
    top: &mut Section<'_>,
    context: &Context<'_>,
    listeners: &[ListenerSettings],
) -> Vec<ForwardAuth> {
    let taken = |address: SocketAddr| listeners.iter().find(|own| own.address == address);
    let mut own: Vec<(SocketAddr, String)> = Vec::new();
    let found = each(top, "forward_auth", |name, section| {
        if context.names.has("listener", name) {
            let what = format!("the name \"{name}\" is taken");
            let why = "a [[listener]] has it, and figures are told by name";
            section.fault("name", Fault::new(what, why, "choose another name"));
        }
        let address = section.need::<SocketAddr>("address");
        let style = style(section);
        let forwards = forwards(section, style);
        let peers = peers(section);
        let judged_as = judged_as(section, context);
        let tls = tls::of_listener(section, context);
        let names = style.map(|style| names(section, style));
        let address = address?;
        let other = taken(address).map(|known| known.name.to_string());
        let other = other.or_else(|| {
            own.iter().find(|(known, _)| *known == address).map(|(_, name)| name.clone())
        });
        if let Some(other) = other {
            let what = format!("address {address} is taken");
            let why = format!("\"{other}\" has it; two sockets cannot share one");
            section.fault("address", Fault::new(what, why, "choose another port"));
        }
        if address.port() == 0 {
            let why = "the proxy that asks could not know the port the system chooses";
            section.fault("address", Fault::new("port 0", why, "write a port from 1 to 65535"));
        }
        own.push((address, name.to_owned()));
        let listener = ListenerSettings {
            name: name.into(),
            address,
            proxy_protocol: ProxyProtocol::Off,
            tls,
            http2: false,
        };
        Some(ForwardAuth {
            listener,
            judged_as: judged_as?.into(),
            style: style?,
            forwards: forwards?,
            names: names?,
            peers: peers?,
        })
    });
    found.into_iter().map(|front| front.is).collect()
}

fn style(section: &mut Section<'_>) -> Option<Style> {
    const KEY: &str = "style";
    let written = section.need::<String>(KEY)?;
    let style = match written.as_str() {
        "nginx" => Style::Nginx,
        "traefik" => Style::Traefik,
        "caddy" => Style::Caddy,
        "envoy" => Style::Envoy,
        _ => {
            let what = format!("bad style \"{written}\"");
            let why = "each proxy tells the request in fields of its own";
            let fix = "write \"nginx\", \"traefik\", \"caddy\" or \"envoy\"";
            section.fault(KEY, Fault::new(what, why, fix));
            return None;
        }
    };
    Some(style)
}

/// Which path the proxy forwards. What it does is known to the operator only: told wrong, it would be judged as another one.
fn forwards(section: &mut Section<'_>, style: Option<Style>) -> Option<Forwards> {
    const KEY: &str = "forwards";
    let written = section.or(KEY, String::from("as_sent"));
    let why = "a proxy forwards the path that its client sent, or the one that the answer names";
    let (what, fix) = match written.as_str() {
        "as_sent" => return Some(Forwards::AsSent),
        "as_told" if style != Some(Style::Traefik) => return Some(Forwards::AsTold),
        "as_told" => (
            "\"as_told\" in style \"traefik\"".to_owned(),
            "write \"as_sent\": Traefik cannot take a path from an answer",
        ),
        _ => (format!("bad value \"{written}\""), "write \"as_sent\" or \"as_told\""),
    };
    section.fault(KEY, Fault::new(what, why, fix));
    None
}

fn peers(section: &mut Section<'_>) -> Option<Vec<IpNet>> {
    const KEY: &str = "peers";
    let peers = section.need::<Vec<IpNet>>(KEY)?;
    if peers.is_empty() {
        let why = "only a listed proxy may ask, so nobody could";
        let fix = "write peers = [...] with the addresses that your proxies ask from";
        section.fault(KEY, Fault::new("an empty list", why, fix));
    }
    Some(peers)
}

/// The listener whose routes decide; the only one may be left out.
fn judged_as(section: &mut Section<'_>, context: &Context<'_>) -> Option<String> {
    const KEY: &str = "listener";
    let only = context.names.only("listener").map(str::to_owned);
    let name = match only {
        Some(only) => section.or(KEY, only),
        None => section.need::<String>(KEY)?,
    };
    if !context.names.has("listener", &name) {
        let known: Vec<&str> = context.names.of("listener").collect();
        let why = format!("its routes decide, and there are: {}", known.join(", "));
        let what = format!("no listener \"{name}\"");
        section.fault(KEY, Fault::new(what, why, "write the name of a [[listener]]"));
        return None;
    }
    Some(name)
}

/// Other names than the style's own for the fields that tell the request.
fn names(section: &mut Section<'_>, style: Style) -> FactNames {
    let usual = style.names();
    let mut fields = section.inner("fields");
    let own = |fields: &mut Section<'_>, key: &'static str, usual: Option<HeaderName>| match usual {
        Some(usual) => Some(fields.or(key, usual)),
        None => {
            if fields.has(key) {
                let why = "Envoy asks with the method and the path of the request itself";
                fields
                    .fault(key, Fault::new(format!("{key} in style \"envoy\""), why, "remove it"));
            }
            fields.raw(key);
            None
        }
    };
    let names = FactNames {
        method: own(&mut fields, "method", usual.method),
        uri: own(&mut fields, "uri", usual.uri),
        host: fields.or("host", usual.host),
        proto: fields.or("proto", usual.proto),
        client: fields.or("client", usual.client),
        connection: fields.or("connection", usual.connection),
    };
    check_names(&fields, style, &names);
    section.note("fields", Toml::Table(fields.finish()));
    names
}

/// No field tells two things, and none of those that every request has tells one.
fn check_names(fields: &Section<'_>, style: Style, names: &FactNames) {
    let host = (style != Style::Envoy || names.host != header::HOST).then_some(&names.host);
    let all = [
        ("method", names.method.as_ref()),
        ("uri", names.uri.as_ref()),
        ("host", host),
        ("proto", Some(&names.proto)),
        ("client", Some(&names.client)),
        ("connection", Some(&names.connection)),
    ];
    let written: Vec<(&str, &HeaderName)> =
        all.into_iter().filter_map(|(key, name)| Some((key, name?))).collect();
    for (at, (key, name)) in written.iter().enumerate() {
        if !name.as_str().starts_with("x-") {
            let what = format!("bad field \"{name}\"");
            let why = "it must be one that no client has a use for";
            fields.fault(key, Fault::new(what, why, "choose a name that begins with \"x-\""));
        }
        if let Some((other, _)) = written.iter().take(at).find(|(_, own)| own == name) {
            let what = format!("field \"{name}\" stands twice");
            let why = format!("it tells \"{other}\" already");
            fields.fault(key, Fault::new(what, why, "choose another name"));
        }
    }
}
