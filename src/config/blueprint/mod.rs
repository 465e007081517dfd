//! The typed configuration: every section of the file, read, defaulted and checked against the others.
//!
//! Reading goes on after a fault, so that one run finds them all; a configuration with faults is never handed out.

mod client_limits;
mod forward_auth;
mod issuer;
mod listener;
mod mail;
mod mount;
mod names;
mod plane;
mod policy;
mod process;
mod realm;
mod redis_place;
mod route;
mod store;
mod tls;
mod trust;
mod upstream;

use std::{path::Path, sync::Arc};

use toml::{Table as Record, Value as Toml};

use self::names::Names;
pub use self::{
    issuer::{IssuerConfig, IssuerKeys, STRICT_TYPE},
    mount::MountConfig,
    mount::provider::OAuthConfig,
    mount::{PLAIN, StaticKeyConfig},
    process::{IDENTITY_SOCKET, Internal, OPERATOR_SOCKET, Process},
    realm::RealmConfig,
    route::{At, RouteConfig, counts_callers},
    store::{StoreConfig, database_url},
};
use super::{
    document::Table,
    problem::{Place, Problems},
    secret::Surroundings,
    section::Section,
};
use crate::{
    edge::{ForwardAuth, ListenerSettings, UpstreamSettings, settings::Http2},
    model::Plane,
    pipeline::Limit,
};

/// Something declared in the file, and where.
#[derive(Clone, Debug)]
pub struct Declared<T> {
    /// Path in `--set` spelling: `route.tasks`.
    pub path: String,
    /// Where its table begins.
    pub place: Place,
    /// What it is.
    pub is: T,
}

/// The whole file, typed.
#[derive(Debug)]
pub struct Blueprint {
    /// What is not about requests: data folder, internal listener, log, threads.
    pub process: Process,
    /// The database that holds what must last; `None`: the file in the data folder.
    pub store: Option<StoreConfig>,
    /// This node's name among others.
    pub node: String,
    /// Which planes run in this process.
    pub plane: Plane,
    /// How the planes speak with each other where they are apart.
    pub link: Option<crate::link::Settings>,
    /// How mail leaves; `None`: it does not.
    pub mail: Option<crate::mail::Settings>,
    /// What the nodes of a fleet share; `None`: this is the only one, or shares nothing.
    pub redis: Option<crate::fleet::Settings>,
    /// What HTTP/2 connections may do.
    pub http2: Http2,
    /// Public listeners.
    pub listeners: Vec<ListenerSettings>,
    /// Listeners at which other proxies ask.
    pub forward_auth: Vec<ForwardAuth>,
    /// Realms.
    pub realms: Vec<Declared<RealmConfig>>,
    /// Issuers outside.
    pub issuers: Vec<Declared<Arc<IssuerConfig>>>,
    /// Mounts.
    pub mounts: Vec<Declared<MountConfig>>,
    /// Upstreams.
    pub upstreams: Vec<UpstreamSettings>,
    /// Limits, the contracts' own included.
    pub limits: Vec<Limit>,
    /// Routes.
    pub routes: Vec<Declared<RouteConfig>>,
    /// Everything in force, defaults included, secrets as references.
    pub effective: Record,
}

/// What all readers share.
pub(super) struct Context<'a> {
    /// Folder of the file; relative paths start here.
    pub(super) base: &'a Path,
    /// Where secrets come from.
    pub(super) from: &'a dyn Surroundings,
    /// Names declared anywhere in the file.
    pub(super) names: Names,
    /// Which plane this process is.
    pub(super) plane: Plane,
    /// Faults.
    pub(super) problems: &'a Problems,
}

/// Reads the whole tree.
pub fn read(root: &Table, base: &Path, from: &dyn Surroundings, problems: &Problems) -> Blueprint {
    let (names, plane) = (Names::scan(root, problems), plane::scan(root));
    let context = Context { base, from, names, plane, problems };
    let mut top = Section::new(Some(root), "", Place::START, problems);
    version(&mut top);

    let process = process::read(&mut top, &context);
    let store::Read { store, node, plane_written } = store::read(&mut top, &context);
    let link = plane::read(&mut top, &context, plane_written.as_ref());
    let mail = mail::read(&mut top, &context);
    let redis = redis_place::read(&mut top, &context);
    let http2 = tls::http2(&mut top);
    let listeners = listener::read(&mut top, &context, &process);
    let forward_auth = forward_auth::read(&mut top, &context, &listeners);
    let realms = realm::read(&mut top, &context);
    let limits = listener::read_limits(&mut top, &context);
    let issuers = issuer::read(&mut top, &context);
    let mounts = mount::read(&mut top, &context, &realms, &issuers);
    tls::check_client_certs(&mounts, &listeners, problems);
    let upstreams = upstream::read(&mut top, &context);
    let routes = route::read(&mut top, &context, &process, &realms, &mounts, &limits);
    let effective = top.finish();
    Blueprint {
        process,
        store,
        node,
        plane: context.plane,
        link,
        mail,
        redis,
        http2,
        listeners,
        forward_auth,
        realms,
        issuers,
        mounts,
        upstreams,
        limits,
        routes,
        effective,
    }
}

/// The one version there is.
const VERSION: usize = 1;

/// Left out, it is the only one there is.
fn version(top: &mut Section<'_>) {
    top.checked("version", VERSION, |version| {
        if *version == VERSION {
            return Ok(());
        }
        let what = format!("unknown version {version}");
        Err(super::shape::Fault::new(what, "this program reads version 1", "write version = 1"))
    });
}

/// Reads a list of named tables: each entry goes through `one`; what it recorded becomes the effective list.
fn each<'a, T>(
    top: &mut Section<'a>,
    key: &'static str,
    mut one: impl FnMut(&str, &mut Section<'a>) -> Option<T>,
) -> Vec<Declared<T>> {
    let mut out = Vec::new();
    let mut records = Vec::new();
    for mut section in top.list(key, "name") {
        let Some(name) = section.need::<String>("name") else {
            // Still read, so that its other faults are told in the same run.
            let _ = one("", &mut section);
            section.finish();
            continue;
        };
        let found = one(&name, &mut section);
        let (path, place) = (section.path.clone(), section.place.clone());
        records.push(Toml::Table(section.finish()));
        if let Some(is) = found {
            out.push(Declared { path, place, is });
        }
    }
    top.note(key, Toml::Array(records));
    out
}
