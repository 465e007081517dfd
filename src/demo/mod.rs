//! The demo: a whole gateway on loopback, with a toy upstream and accounts whose passwords are published.
//!
//! Hashing, tokens and limits are the real ones. What makes it a demo is marked in the store, so that `serve` refuses it.

mod accounts;
mod companions;
mod contracts;
mod provider;
mod receiver;
mod toy;
mod welcome;

use std::{
    fs,
    io::{ErrorKind, Write},
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

use self::{companions::COMPANIONS, contracts::PLAYED};
use crate::{
    admin::BindError,
    config::{self, Config, Machine},
    edge::EdgeError,
    model::secret::ExposeSecret,
    run::{Purpose, RunError, STORE_FILE, Threads},
    store::{Store, StoreError},
    telemetry::logging::Output,
};

const TEMPLATE: &str = include_str!("../../conf/demo.toml");
/// The effective configuration in the demo's folder.
const CONFIG_FILE: &str = "portcullis.toml";
/// Its first line.
const MADE: &str =
    "# Written by `portcullis demo` at every start; your changes to it would be lost.\n";
/// What to do about a port that is taken.
const ELSEWHERE: &str = "move every port with --port-offset N, or stop what listens there";
/// The highest port there is, before the offset.
const HIGHEST_PORT: u16 = 9999;

/// What can be said to the demo.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Folder to keep; `None`: a temporary one.
    pub dir: Option<PathBuf>,
    /// One line of JSON instead of a welcome.
    pub json: bool,
    /// Added to every port.
    pub port_offset: u16,
    /// Overrides.
    pub sets: Vec<String>,
}

/// Runs the demo until told to stop.
pub fn run(options: Options) -> Result<(), RunError> {
    play(options).map_err(|error| match port_is_taken(&error) {
        true => RunError::Demo(format!("{error}: {ELSEWHERE}")),
        false => error,
    })
}

fn play(options: Options) -> Result<(), RunError> {
    // Before the folder is made: a signal that comes now must not leave it behind.
    let threads = Threads::prepare()?;
    // Removed when this function ends, however it ends.
    let temporary = match options.dir {
        Some(_) => None,
        None => Some(tempfile::Builder::new().prefix("portcullis-demo-").tempdir()?),
    };
    let dir = match (&options.dir, &temporary) {
        (Some(dir), _) => absolute(dir)?,
        (None, Some(temporary)) => temporary.path().to_owned(),
        (None, None) => return Err(RunError::Demo("no folder".into())),
    };
    let config = configure(&dir, &options)?;
    let offset = options.port_offset;
    let waiting = companions::bind(|own| Ok(loopback(port(own, offset)?)))?;

    let mut running = threads.start(config, Vec::new(), Purpose::Demo, Output::Stderr)?;
    let gateway = running.gateway.clone();
    let (beside, seeded) = running.block_on(async {
        let beside = companions::start(waiting, &dir)?;
        let seeded = accounts::seed(&gateway.opened().identity, &gateway.active()).await?;
        Ok::<_, RunError>((beside, seeded))
    })?;
    let facts = welcome::Facts::collect(&gateway, &dir, beside, seeded)?;
    let json = options.json;
    running.on_ready(move || {
        let text = if json { facts.json() } else { facts.text() };
        let mut out = std::io::stdout().lock();
        // Nobody reads: the gateway is there all the same.
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    });
    let served = running.run();
    drop(temporary);
    served
}

/// Writes the effective configuration into the folder and reads it back from there, as a reload will.
fn configure(dir: &Path, options: &Options) -> Result<Config, RunError> {
    let file = dir.join(CONFIG_FILE);
    let wrong = |source| RunError::File { path: file.clone(), source };
    {
        use std::os::unix::fs::DirBuilderExt;
        fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(wrong)?;
    }
    // Before anything is written: a demo that runs there keeps its file.
    let store = dir.join(STORE_FILE);
    if !Store::lock_is_free(&store) {
        return Err(RunError::Store { path: store, source: StoreError::Locked });
    }
    only_our_own(&file)?;
    let secrets = PLAYED.iter().filter_map(|played| played.static_key).chain([provider::SECRET]);
    for (name, text) in secrets {
        write_secret(&dir.join(name), text)?;
    }
    let mut sets = moved(options.port_offset)?;
    for companion in COMPANIONS {
        sets.extend((companion.sets)(loopback(port(companion.port, options.port_offset)?)));
    }
    if !options.json {
        // A person reads the welcome on the same terminal; the log would bury it.
        sets.extend(["log.level=error", "log.access=false"].map(String::from));
    }
    sets.extend(options.sets.iter().cloned());
    let config = config::parse(&file, TEMPLATE, &sets, &Machine)?;
    only_loopback(&config)?;
    fs::write(&file, format!("{MADE}{}", config.effective)).map_err(wrong)?;
    Ok(config::load(&file, &[], &Machine)?)
}

/// Overrides that add the offset to every port that the template itself names.
fn moved(offset: u16) -> Result<Vec<String>, RunError> {
    let wrong = |what: &str| RunError::Demo(format!("the template has no {what}"));
    let whole: toml::Table = TEMPLATE.parse().map_err(|_| wrong("valid form"))?;
    let add = |text: Option<&toml::Value>| {
        let address: Option<SocketAddr> = text.and_then(|text| text.as_str()?.parse().ok());
        let address = address.ok_or_else(|| wrong("address"))?;
        Ok::<_, RunError>(SocketAddr::new(address.ip(), port(address.port(), offset)?))
    };
    let internal = whole.get("internal").and_then(|internal| internal.get("address"));
    let mut sets = vec![format!("internal.address={}", add(internal)?)];
    let listeners = whole.get("listener").and_then(toml::Value::as_array);
    for listener in listeners.ok_or_else(|| wrong("listener"))? {
        let name = listener.get("name").and_then(toml::Value::as_str);
        let name = name.ok_or_else(|| wrong("name of a listener"))?;
        sets.push(format!("listener.{name}.address={}", add(listener.get("address"))?));
    }
    Ok(sets)
}

/// A secret that the configuration refers to. Published as it is, nobody else needs to write it.
fn write_secret(path: &Path, text: &str) -> Result<(), RunError> {
    use std::os::unix::fs::OpenOptionsExt;
    let wrong = |source| RunError::File { path: path.to_owned(), source };
    let mut options = fs::OpenOptions::new();
    let mut file =
        options.write(true).create(true).truncate(true).mode(0o600).open(path).map_err(wrong)?;
    file.write_all(text.as_bytes()).map_err(wrong)
}

/// Somebody's real configuration may have the same name: it is never overwritten.
fn only_our_own(file: &Path) -> Result<(), RunError> {
    match fs::read(file) {
        Ok(there) if !there.starts_with(MADE.as_bytes()) => Err(RunError::Demo(format!(
            "{} was not written by the demo and would be overwritten: name another --dir",
            file.display()
        ))),
        _ => Ok(()),
    }
}

/// Whether something else listens where the gateway wants to.
fn port_is_taken(error: &RunError) -> bool {
    let source = match error {
        RunError::Edge(EdgeError::Bind { source, .. })
        | RunError::Bind(BindError::Tcp { source, .. }) => source,
        _ => return false,
    };
    source.kind() == ErrorKind::AddrInUse
}

/// The passwords are public, so nobody else may reach the demo.
fn only_loopback(config: &Config) -> Result<(), RunError> {
    let boot = config.boot();
    let public = boot.edge.listeners.iter().map(|listener| listener.address);
    for address in public.chain(boot.internal_address) {
        if !address.ip().is_loopback() {
            let why = "its passwords are public, so it listens on loopback only";
            return Err(RunError::Demo(format!("{address}: {why}")));
        }
    }
    Ok(())
}

fn port(own: u16, offset: u16) -> Result<u16, RunError> {
    own.checked_add(offset).ok_or_else(|| {
        let most = u16::MAX - HIGHEST_PORT;
        RunError::Demo(format!("--port-offset {offset} is too large: at most {most}"))
    })
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

fn absolute(dir: &Path) -> Result<PathBuf, RunError> {
    std::path::absolute(dir).map_err(|source| RunError::File { path: dir.to_owned(), source })
}

/// The operator token as the demo prints it.
fn token_of(config: &Config) -> Result<String, RunError> {
    let boot = config.boot();
    if let Some(token) = boot.internal_token {
        return Ok(token.expose_secret().to_owned());
    }
    let path = boot.data_dir.join("operator.token");
    let text = fs::read_to_string(&path).map_err(|source| RunError::File { path, source })?;
    Ok(text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every secret is there.
    struct Nowhere;

    impl config::Surroundings for Nowhere {
        fn var(&self, _: &str) -> Option<String> {
            None
        }

        fn read(&self, path: &Path) -> std::io::Result<String> {
            Ok(path.display().to_string())
        }
    }

    fn configured(options: &Options) -> Result<Config, String> {
        let dir = tempfile::tempdir().map_err(|error| error.to_string())?;
        configure(dir.path(), options).map_err(|error| error.to_string())
    }

    #[test]
    fn the_offset_moves_every_port() {
        let options = Options { port_offset: 20_000, ..Options::default() };
        let config = configured(&options).unwrap();
        let boot = config.boot();
        let own =
            Config::boot(&config::parse(Path::new("/p.toml"), TEMPLATE, &[], &Nowhere).unwrap());
        for (moved, own) in boot.edge.listeners.iter().zip(&own.edge.listeners) {
            assert_eq!(moved.address.port(), own.address.port() + 20_000);
        }
        assert_eq!(boot.internal_address.unwrap().to_string(), "127.0.0.1:29901");
        assert!(config.effective.contains("http://127.0.0.1:29900"));
        let error = configured(&Options { port_offset: 60_000, ..Options::default() }).unwrap_err();
        assert!(error.contains("at most 55536"), "{error}");
    }

    #[test]
    fn a_file_of_somebody_else_is_not_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join(CONFIG_FILE);
        fs::write(&file, "version = 1\n").unwrap();
        let error = configure(dir.path(), &Options::default()).unwrap_err().to_string();
        assert!(error.contains("another --dir"), "{error}");
        assert_eq!(fs::read_to_string(&file).unwrap(), "version = 1\n");
        // Its own file it may write again.
        fs::remove_file(&file).unwrap();
        configure(dir.path(), &Options::default()).unwrap();
        configure(dir.path(), &Options::default()).unwrap();
    }

    #[test]
    fn every_contract_is_played_and_every_mount_stands_where_its_clients_look() {
        /// Port, hosts and prefixes; the README of the contracts, "Serving model".
        const TABLE: [(&str, u16, &[&str], &[&str]); 7] = [
            ("tmws", 8000, &[], &[""]),
            ("bearer", 8000, &[], &[""]),
            ("hh", 8000, &[], &[""]),
            ("inkpass", 8000, &["inkpass"], &[""]),
            ("inkpass", 8002, &[], &[""]),
            ("archon", 8181, &[], &["", "/v2", "/api/v2"]),
            ("archon", 8000, &["api.archon.ai"], &["", "/v2", "/api/v2"]),
        ];
        let config = configured(&Options::default()).unwrap();
        let listeners = config.boot().edge.listeners;
        let mut found = Vec::new();
        for mount in &config.blueprint.mounts {
            let dialect = mount.is.dialect.dialect.name();
            assert_eq!(mount.is.default, dialect == "tmws");
            assert_eq!(mount.is.realm.as_str(), dialect, "each has a realm of its own");
            assert!(
                PLAYED.iter().any(|played| played.mount == mount.is.name.as_str()),
                "{dialect}"
            );
            for place in &mount.is.places {
                let listener = listeners.iter().find(|found| found.name == place.listener);
                let port = listener.unwrap().address.port();
                let hosts: Vec<_> = place.hosts.iter().map(ToString::to_string).collect();
                found.push((dialect, port, hosts, place.prefix.to_string()));
            }
        }
        let mut wanted = Vec::new();
        for (dialect, port, hosts, prefixes) in TABLE {
            if crate::dialects::find(dialect).is_some() {
                for prefix in prefixes {
                    let hosts = hosts.iter().map(ToString::to_string).collect();
                    wanted.push((dialect, port, hosts, (*prefix).to_owned()));
                }
            }
        }
        found.sort();
        wanted.sort();
        assert_eq!(found, wanted);
    }

    #[test]
    fn nothing_but_loopback_is_accepted() {
        for set in ["listener.public.address=0.0.0.0:8000", "internal.address=192.0.2.1:9901"] {
            let options = Options { sets: vec![set.to_owned()], ..Options::default() };
            assert!(configured(&options).unwrap_err().contains("loopback only"), "{set}");
        }
    }

    #[test]
    fn overrides_are_part_of_the_file_that_is_written() {
        let dir = tempfile::tempdir().unwrap();
        let sets = vec!["mount.tmws.access_token_lifetime=2s".to_owned()];
        let options = Options { sets, ..Options::default() };
        configure(dir.path(), &options).unwrap();
        let written = fs::read_to_string(dir.path().join(CONFIG_FILE)).unwrap();
        assert!(written.contains("access_token_lifetime = \"2s\""));
        assert!(written.contains(&format!("dir = \"{}\"", dir.path().display())));
    }
}
