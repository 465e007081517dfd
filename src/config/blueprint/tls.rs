//! `tls = { … }` of listeners and upstreams, and `[http2]`. Files are read here already: a pair that is none refuses the
//! whole configuration.

use std::path::{Path, PathBuf};

use toml::Value as Toml;

use super::{Context, Declared, MountConfig, process::absolute};
use crate::{
    config::{
        problem::Problems,
        secret::Surroundings,
        section::Section,
        shape::{Fault, Shape, Size},
    },
    edge::{
        ListenerSettings,
        settings::{CertificateFiles, Http2, TlsSettings, TlsVersion, UpstreamTls},
        tls::{Half, Pair, check_authorities, is_server_name},
    },
    model::Plane,
};

/// `tls` of a listener; `None`: plain HTTP.
pub(super) fn of_listener(
    listener: &mut Section<'_>,
    context: &Context<'_>,
) -> Option<TlsSettings> {
    let files = Files::of_edge(context);
    let mut section = listener.inner_or_off("tls", false)?;
    let mut certificates = Vec::new();
    let mut records = Vec::new();
    for mut one in section.list("certificates", "cert") {
        certificates.extend(pair(&mut one, files));
        records.push(Toml::Table(one.finish()));
    }
    if records.is_empty() {
        let why = "a handshake needs a certificate";
        let fix = "add certificates = [{ cert = \"FILE\", key = \"FILE\" }]";
        section.fault("certificates", Fault::new("no certificate", why, fix));
    }
    section.note("certificates", Toml::Array(records));
    let version = word(&mut section, "min_version", ["1.2", "1.3"]);
    let refuse_unknown = word(&mut section, "unknown_name", ["default", "refuse"]) == 1;
    let client_authorities = authorities(&mut section, "client_ca", files);
    let client_required = word(&mut section, "client_cert", ["optional", "required"]) == 1;
    if client_required && client_authorities.is_none() {
        let why = "without client_ca nobody could prove to be anybody";
        let fix = "add client_ca = \"FILE\", or remove client_cert";
        section.fault("client_cert", Fault::new("client_cert without client_ca", why, fix));
    }
    listener.note("tls", Toml::Table(section.finish()));
    Some(TlsSettings {
        certificates,
        min_version: if version == 1 { TlsVersion::Tls13 } else { TlsVersion::Tls12 },
        refuse_unknown,
        client_authorities,
        client_required,
    })
}

/// `tls` of an upstream.
pub(super) fn of_upstream(upstream: &mut Section<'_>, context: &Context<'_>) -> UpstreamTls {
    let mut section = upstream.inner("tls");
    let server_name = section.maybe::<String>("server_name");
    if let Some(name) = server_name.as_ref().filter(|name| !is_server_name(name)) {
        let what = format!("bad server name \"{name}\"");
        let fix = "write the host name or address that the certificate is for";
        section.fault("server_name", Fault::new(what, "it is no name of a server", fix));
    }
    let files = Files::of_edge(context);
    let authorities = authorities(&mut section, "ca", files);
    let client_certificate = if section.has("cert") || section.has("key") {
        pair(&mut section, files)
    } else {
        // Asked for, so that they are known keys.
        section.raw("cert");
        section.raw("key");
        None
    };
    upstream.note("tls", Toml::Table(section.finish()));
    UpstreamTls { server_name, authorities, client_certificate }
}

/// Where files are, and whether anybody looks into them.
#[derive(Clone, Copy)]
pub(super) struct Files<'a> {
    base: &'a Path,
    from: &'a dyn Surroundings,
    opened: bool,
}

impl<'a> Files<'a> {
    /// Files that every node needs. Where secrets are made up nobody shakes hands, and whoever asks may not read the key.
    pub(super) fn new(context: &'a Context<'_>) -> Self {
        Self { base: context.base, from: context.from, opened: !context.from.is_made_up() }
    }

    /// Files that only what clients reach needs: an identity node has no listener for them, and no upstream.
    fn of_edge(context: &'a Context<'_>) -> Self {
        let files = Self::new(context);
        Self { opened: files.opened && context.plane != Plane::Identity, ..files }
    }
}

/// `cert` and `key`, which must belong together.
pub(super) fn pair(section: &mut Section<'_>, files: Files<'_>) -> Option<CertificateFiles> {
    let certificate = file(section, "cert", files, true);
    let key = file(section, "key", files, true);
    let ((certificate, chain), (key, secret)) = (certificate?, key?);
    if files.opened
        && let Err(fault) = Pair::read(chain.as_bytes(), secret.as_bytes())
    {
        let (place, path) = match fault.half {
            Half::Certificate => ("cert", &certificate),
            Half::Key => ("key", &key),
        };
        let what = format!("{}: {}", path.display(), fault.what);
        section.fault(place, Fault::new(what, fault.why, fault.fix));
        return None;
    }
    Some(CertificateFiles { certificate, key })
}

/// Those who sign certificates, from a file that may be left out.
pub(super) fn authorities(
    section: &mut Section<'_>,
    key: &'static str,
    files: Files<'_>,
) -> Option<PathBuf> {
    let (path, pem) = file(section, key, files, false)?;
    if files.opened
        && let Err(why) = check_authorities(pem.as_bytes())
    {
        let what = format!("{}: no authorities can be read", path.display());
        let fix = "write the certificates of those who sign, as PEM";
        section.fault(key, Fault::new(what, why, fix));
        return None;
    }
    Some(path)
}

/// A file named by a key, and what stands in it.
fn file(
    section: &mut Section<'_>,
    key: &'static str,
    files: Files<'_>,
    needed: bool,
) -> Option<(PathBuf, String)> {
    let written: PathBuf = if needed { section.need(key)? } else { section.maybe(key)? };
    let path = absolute(&files.base.join(written));
    section.note(key, path.write());
    let text = if files.opened { files.from.read(&path) } else { Ok(String::new()) };
    match text {
        Ok(text) => Some((path, text)),
        Err(error) => {
            let what = format!("{} cannot be read: {error}", path.display());
            let why = "it is needed before the first connection";
            let fix = "create the file, readable for the service, or correct the path";
            section.fault(key, Fault::new(what, why, fix));
            None
        }
    }
}

/// Which of some words a key says; the first is the default.
pub(super) fn word(
    section: &mut Section<'_>,
    key: &'static str,
    words: [&'static str; 2],
) -> usize {
    let [first, _] = words;
    let found = section.or(key, first.to_owned());
    words.iter().position(|word| *word == found).unwrap_or_else(|| {
        let (place, path) = (section.place_of(key), section.key(key));
        section.problems.unknown(&place, path, key, &found, words, "remove the key");
        0
    })
}

/// A mount that knows certificates must be reached over a listener that asks for them.
pub(super) fn check_client_certs(
    mounts: &[Declared<MountConfig>],
    listeners: &[ListenerSettings],
    problems: &Problems,
) {
    let asks = |name: &str| {
        let tls = listeners.iter().find(|own| *own.name == *name).and_then(|own| own.tls.as_ref());
        tls.is_some_and(|tls| tls.client_authorities.is_some())
    };
    for mount in mounts.iter().filter(|mount| !mount.is.client_certs.is_empty()) {
        if !mount.is.places.iter().any(|place| asks(&place.listener)) {
            let what = "no listener of the mount asks for certificates";
            let why = "without client_ca nobody can prove to be one of these clients";
            let fix = "add tls = { client_ca = \"FILE\", … } to a listener of the mount";
            problems.say(&mount.place, format!("{}.client_cert", mount.path), what, why, fix);
        }
    }
}

/// `[http2]`.
pub(super) fn http2(top: &mut Section<'_>) -> Http2 {
    let d = Http2::default();
    let mut section = top.inner("http2");
    let count = |from: u32, to: u32| {
        move |count: &u32| match *count {
            count if (from..=to).contains(&count) => Ok(()),
            count => Err(out_of_range(count, &format!("between {from} and {to}"))),
        }
    };
    let size = |from: u64, to: u64| {
        move |size: &Size| match *size {
            Size(bytes) if (from..=to).contains(&bytes) => Ok(()),
            Size(bytes) => Err(out_of_range(
                format!("{bytes} bytes"),
                &format!("between {} and {} bytes", from, to),
            )),
        }
    };
    let bytes = |size: Size| u32::try_from(size.0).unwrap_or(u32::MAX);
    let of = |bytes: u32| Size(u64::from(bytes));
    const MAX_WINDOW: u64 = 64 << 20;
    let http2 = Http2 {
        streams: section.checked("streams", d.streams, count(1, 1000)),
        header_list: bytes(section.checked(
            "header_list",
            of(d.header_list),
            size(4 << 10, 64 << 10),
        )),
        stream_window: bytes(section.checked(
            "stream_window",
            of(d.stream_window),
            size(65_535, MAX_WINDOW),
        )),
        connection_window: bytes(section.checked(
            "connection_window",
            of(d.connection_window),
            size(65_535, MAX_WINDOW),
        )),
        resets: section.checked("resets", d.resets, count(10, 100_000)),
        control_frames: section.checked("control_frames", d.control_frames, count(100, 1_000_000)),
    };
    top.note("http2", Toml::Table(section.finish()));
    http2
}

fn out_of_range(found: impl std::fmt::Display, range: &str) -> Fault {
    let what = format!("{found} is out of range");
    Fault::new(what, format!("it must be {range}"), "write a value in range")
}
