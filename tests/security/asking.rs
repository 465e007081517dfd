//! Proxies of other people that ask us by forward-auth, as child processes: each set up by the file in `conf/forward-auth`
//! that operators copy, with other addresses. A proxy that the machine does not have is left out with a line that says so;
//! `scripts/fronts.sh` installs Caddy and Envoy, and with `PORTCULLIS_FRONTS=all` a missing one is a failure.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    bench::Bench,
    origins::{Server, path, run, start},
    support::{
        conf::{Conf, Table, quoted},
        ports,
    },
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Nginx,
    Caddy,
    Envoy,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Kind::Nginx => "nginx",
            Kind::Caddy => "caddy",
            Kind::Envoy => "envoy",
        }
    }

    /// Its program, if this machine has it.
    fn program(self) -> Option<PathBuf> {
        let own = file("target/fronts/bin").join(self.name());
        let found = match self {
            Kind::Nginx => {
                let asked = Command::new("sh").args(["-c", "command -v nginx"]).output().ok()?;
                asked.status.success().then(|| PathBuf::from("nginx"))
            }
            Kind::Caddy | Kind::Envoy => own.exists().then_some(own),
        };
        if found.is_none() {
            assert!(!all(), "{} is not here: scripts/fronts.sh", self.name());
            eprintln!("left out: {} is not here; scripts/fronts.sh installs it", self.name());
        }
        found
    }
}

/// Whether every proxy and every case was asked for.
pub fn all() -> bool {
    std::env::var("PORTCULLIS_FRONTS").is_ok_and(|wanted| wanted == "all")
}

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// A gateway that a proxy asks, and that proxy.
pub struct Front {
    pub kind: Kind,
    pub bench: Bench,
    pub server: Server,
}

impl Front {
    /// Both, on fresh ports; `None`: this machine has no such proxy.
    pub fn start(kind: Kind) -> Option<Self> {
        Self::start_with(kind, |conf| conf)
    }

    /// With a gateway that is told more.
    pub fn start_with(kind: Kind, more: impl Fn(Conf) -> Conf) -> Option<Self> {
        let program = kind.program()?;
        let asked = ports::free_address();
        let bench = Bench::start_with(|conf| {
            let conf = more(conf);
            let listener = Table::new("forward_auth", "asked")
                .with("address", quoted(&asked.to_string()))
                .with("style", quoted(kind.name()))
                .with("forwards", r#""as_told""#)
                .with("peers", r#"["127.0.0.1"]"#);
            conf.section("[trust]\nproxies = [\"127.0.0.1\"]").table(listener)
        });
        let places =
            Places { asked, gateway: bench.gateway.address(), application: bench.upstream.address };
        let server = start(
            |folder, own| write(kind, folder, own, &places),
            |folder, _| command(kind, &program, folder),
        );
        Some(Self { kind, bench, server })
    }
}

/// Where the files of `conf/forward-auth` shall point.
struct Places {
    asked: SocketAddr,
    gateway: SocketAddr,
    application: SocketAddr,
}

impl Places {
    /// Puts our addresses for those of the file; each must stand in it.
    fn fill(&self, text: &str, own: SocketAddr, form: impl Fn(u16) -> String) -> String {
        let ports =
            [(8080, own), (8010, self.asked), (8000, self.gateway), (9000, self.application)];
        ports.iter().fold(text.to_owned(), |text, (port, address)| {
            let (from, to) = (form(*port), form(address.port()));
            assert!(text.contains(&from), "{from} in {text}");
            text.replace(&from, &to)
        })
    }
}

fn write(kind: Kind, folder: &Path, own: SocketAddr, places: &Places) {
    let shipped = |name: &str| fs::read_to_string(file("conf/forward-auth").join(name)).unwrap();
    let text = match kind {
        Kind::Nginx => {
            fs::create_dir_all(folder.join("forward-auth")).unwrap();
            fs::write(folder.join("forward-auth/nginx-strip.conf"), shipped("nginx-strip.conf"))
                .unwrap();
            let site = places.fill(&shipped("nginx.conf"), own, |port| format!("127.0.0.1:{port}"));
            format!(
                "daemon off; master_process off; pid {dir}/pid; error_log {dir}/log;
events {{}}
http {{ access_log off; client_max_body_size 20m; client_body_temp_path {dir}/b; proxy_temp_path {dir}/p;
fastcgi_temp_path {dir}/f; uwsgi_temp_path {dir}/u; scgi_temp_path {dir}/s;
{site} }}",
                dir = folder.display()
            )
        }
        Kind::Caddy => {
            let site = places.fill(&shipped("Caddyfile"), own, |port| format!(":{port}"));
            format!("{{\n\tadmin off\n\tauto_https off\n\tpersist_config off\n}}\n{site}")
        }
        Kind::Envoy => {
            places.fill(&shipped("envoy.yaml"), own, |port| format!("port_value: {port} }}"))
        }
    };
    fs::write(folder.join(conf(kind)), text).unwrap();
}

fn command(kind: Kind, program: &Path, folder: &Path) -> Command {
    let program = program.to_str().expect("UTF-8");
    let conf = path(folder, conf(kind));
    match kind {
        Kind::Nginx => run(program, &["-p", &path(folder, ""), "-c", &conf]),
        Kind::Caddy => {
            let mut command = run(program, &["run", "--config", &conf, "--adapter", "caddyfile"]);
            command.env("XDG_DATA_HOME", folder).env("XDG_CONFIG_HOME", folder);
            command
        }
        Kind::Envoy => run(program, &["-c", &conf, "--use-dynamic-base-id", "--concurrency", "2"]),
    }
}

/// Envoy reads a file as what its name says.
fn conf(kind: Kind) -> &'static str {
    if kind == Kind::Envoy { "conf.yaml" } else { "conf" }
}
