//! `[mail]`: how letters leave, and what they say. Without it codes that people ask for wait, and run out.

use std::{net::IpAddr, path::Path, time::Duration};

use toml::Value as Toml;

use super::{Context, process};
use crate::{
    config::{section::Section, shape::Fault},
    mail::{self, Mailer, Route, Security, Settings, Smtp, Templates},
};

/// Reads the section; `None`: there is none, or it has faults.
pub(super) fn read(top: &mut Section<'_>, context: &Context<'_>) -> Option<Settings> {
    if !top.has("mail") {
        return None;
    }
    let mut section = top.inner("mail");
    let from = section.need::<String>("from");
    let route = route(&mut section, context);
    let templates = templates(&mut section, context);
    let settings = match (from, route, templates) {
        (Some(from), Some(route), Some(templates)) => Some(Settings { from, route, templates }),
        _ => None,
    };
    if let Some(Err(why)) = settings.as_ref().map(Mailer::new) {
        let key = if why.contains("sender") { "from" } else { "smtp" };
        let fix = "write from = \"Name <name@example.org>\" and a server that can be spoken to";
        section.fault(key, Fault::new(why, "no mail could leave", fix));
    }
    top.note("mail", Toml::Table(section.finish()));
    settings
}

fn route(section: &mut Section<'_>, context: &Context<'_>) -> Option<Route> {
    let folder = section.maybe::<std::path::PathBuf>("folder");
    match (folder, section.has("smtp")) {
        (Some(_), true) => {
            let why = "a letter goes to a server or into a folder";
            section.fault("folder", Fault::new("both folder and smtp", why, "keep one of them"));
            None
        }
        (Some(folder), false) => {
            let folder = process::absolute(&context.base.join(folder));
            section.note("folder", Toml::String(folder.display().to_string()));
            Some(Route::Folder(folder))
        }
        (None, true) => smtp(section, context).map(Route::Smtp),
        (None, false) => {
            section.missing("smtp", "{ host = \"smtp.example.org\" }");
            None
        }
    }
}

fn smtp(section: &mut Section<'_>, context: &Context<'_>) -> Option<Smtp> {
    let mut inner = section.inner("smtp");
    let host = inner.need::<String>("host");
    let security = security(&mut inner, host.as_deref());
    let port = match security {
        Security::Tls => 465_u32,
        Security::Starttls => 587,
        Security::Plain => 25,
    };
    let port = inner.checked("port", port, |port| {
        let fits = (1..=65_535).contains(port);
        let fault = || Fault::new("out of range", "it is no port", "write a number up to 65535");
        if fits { Ok(()) } else { Err(fault()) }
    });
    let username = inner.maybe::<String>("username");
    let password = process::secret_of_identity(&mut inner, "password", context);
    let login = match (username, password) {
        (Some(name), Some(password)) => Some((name, password)),
        (None, None) => None,
        _ => {
            // A password whose reference does not work has its own fault.
            if !(inner.has("username") && inner.has("password")) {
                let why = "a mail server asks for both or for none";
                let fix = "write username and password, or neither";
                inner.fault("username", Fault::new("half a login", why, fix));
            }
            None
        }
    };
    let authorities = process::secret(&mut inner, "authorities", context);
    let timeout = inner.checked("timeout", Duration::from_secs(30), |span| {
        if (Duration::from_secs(1)..=Duration::from_secs(60)).contains(span) {
            return Ok(());
        }
        Err(Fault::new("out of range", "a try takes at most a minute", "write \"1s\" to \"60s\""))
    });
    section.note("smtp", Toml::Table(inner.finish()));
    Some(Smtp {
        host: host?,
        port: u16::try_from(port).ok()?,
        security,
        login,
        authorities: authorities
            .map(|pem| crate::model::secret::ExposeSecret::expose_secret(&pem).to_owned()),
        timeout,
    })
}

const SECURITIES: [(&str, Security); 3] =
    [("starttls", Security::Starttls), ("tls", Security::Tls), ("plain", Security::Plain)];

fn security(inner: &mut Section<'_>, host: Option<&str>) -> Security {
    let name = inner.or("security", "starttls".to_owned());
    let Some((_, found)) = SECURITIES.iter().find(|(known, _)| *known == name) else {
        inner.problems.unknown(
            &inner.place_of("security"),
            inner.key("security"),
            "security",
            &name,
            SECURITIES.iter().map(|(name, _)| *name),
            "name one of these",
        );
        return Security::Starttls;
    };
    let local = |host: &str| {
        host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    };
    if *found == Security::Plain && !host.is_some_and(local) {
        let why = "codes and the password could be read on the way";
        let fix = "write \"starttls\" or \"tls\"; plain is for a server on loopback";
        inner.fault("security", Fault::new("plain to another host", why, fix));
    }
    *found
}

fn templates(section: &mut Section<'_>, context: &Context<'_>) -> Option<Templates> {
    let folder = section.maybe::<std::path::PathBuf>("templates");
    let folder = folder.map(|folder| process::absolute(&context.base.join(folder)));
    if let Some(folder) = &folder {
        section.note("templates", Toml::String(folder.display().to_string()));
    }
    let mounts: Vec<String> = context.names.of("mount").map(str::to_owned).collect();
    let read = |file: &Path| match &folder {
        Some(folder) => context.from.read(&folder.join(file)),
        None => Err(std::io::ErrorKind::NotFound.into()),
    };
    match mail::Templates::load(&mounts, read) {
        Ok(templates) => Some(templates),
        Err(fault) => {
            let why = "somebody would wait for this letter";
            let fix = "correct the template, or remove it: the product has its own";
            section.fault("templates", Fault::new(fault.to_string(), why, fix));
            None
        }
    }
}
