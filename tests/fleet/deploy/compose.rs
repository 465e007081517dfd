//! The fleet of `compose.yaml`, as processes on this machine in place of containers: each with the command line, the secrets and the
//! file that Compose says it has, and with PostgreSQL and Redis over TLS.

use std::{
    fs,
    net::SocketAddr,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use serde_json::{Value, json};

use super::{ended_well, file, quiet, tool};
use crate::support::{
    client::Client,
    gateway, ports,
    postgres::{self, Server},
    redis,
    tmws::{self, GOOD_PASSWORD},
    upstream::{Answer, Upstream},
    wait::until_blocking,
};

const EDGES: usize = 2;

#[tokio::test(flavor = "multi_thread")]
async fn the_fleet_that_compose_describes_serves_its_callers() {
    let Some(mut compose) = tool("docker-compose") else { return };
    if !postgres::is_there() || !redis::is_there() {
        return;
    }
    compose.arg("-f").arg(file("compose/compose.yaml"));
    let said = quiet(compose.args(["config", "--format", "json"]));
    let project: Value = serde_json::from_str(&said).expect("JSON");
    let fleet = Machine::start(&project);

    let [first, second] =
        [0, 1].map(|number: usize| Client::at(&format!("http://{}", fleet.edges[number].public)));
    let token = tmws::login(&first, "ada", GOOD_PASSWORD).await.access;
    let key = json!({"name": "compose", "scopes": ["READ"], "expires_days": 1});
    let reply = first.bearer(&token).post("/api/v1/auth/api-keys", key).await;
    assert!(reply.status < 300, "{}: {}", reply.status, reply.text());
    let key = reply.str("api_key");
    for edge in [&first, &second] {
        let reply = edge.bearer(&token).get("/api/v1/tasks/1").await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        let reply = edge.key(&key).get("/api/v1/tasks/1").await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        assert_eq!(edge.get("/api/v1/tasks/1").await.status, 401);
    }
    let encrypted = "SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
                     WHERE usename = 'portcullis'";
    assert_eq!(postgres::ask(&fleet.admin, encrypted), "t");
}

/// A process that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

struct Node {
    public: SocketAddr,
    config: String,
    sets: Vec<String>,
    log: PathBuf,
    _process: Running,
}

/// What containers would be.
struct Machine {
    edges: Vec<Node>,
    _identities: Vec<Node>,
    admin: String,
    _upstream: Upstream,
    _redis: Running,
    _server: Server,
    _folder: tempfile::TempDir,
}

impl Machine {
    fn start(project: &Value) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path();
        let secrets = root.join("made");
        let mut maker = Command::new(file("compose/secrets.sh"));
        ended_well(maker.arg(&secrets).env("ALSO", "localhost"));
        // PostgreSQL runs as somebody else where the tests are root's.
        fs::set_permissions(root, fs::Permissions::from_mode(0o711)).expect("ours");
        fs::set_permissions(&secrets, fs::Permissions::from_mode(0o711)).expect("ours");
        let given = Given { project, made: &secrets, root };

        let server = Server::start();
        let (admin, database) = prepared(&server, &given);
        let redis_port = ports::free_address().port();
        let redis = run_redis(&given, redis_port);
        let upstream = Upstream::counting(|_| Answer::ok());
        let links = [ports::free_address(), ports::free_address()];
        let replace = |text: String| {
            text.replace("@database/", &format!("@localhost:{database}/"))
                .replace("@redis:6379", &format!("@localhost:{redis_port}"))
                .replace("identity-1:9902", &format!("localhost:{}", links[0].port()))
                .replace("identity-2:9902", &format!("localhost:{}", links[1].port()))
                .replace("app:9000", &upstream.address.to_string())
        };
        let start = |service: &str, name: &str, link: SocketAddr| {
            let public = ports::free_address();
            let dir = given.secrets_of(service, name);
            let text = fs::read_to_string(config_of(project, service)).expect("its file");
            let text = replace(text)
                .replace("/run/secrets", &dir.display().to_string())
                .replace("/var/lib/portcullis", &root.join(name).join("data").display().to_string())
                .replace("0.0.0.0:9902", &link.to_string())
                .replace("0.0.0.0:8000", &public.to_string());
            let config = root.join(name).join("fleet.toml");
            fs::write(&config, text).expect("write it");
            let config = config.to_str().expect("UTF-8").to_owned();
            // A container has an address and a name of its own.
            let internal = ports::free_address();
            let sets = [format!("fleet.node={name}"), format!("internal.address={internal}")];
            let sets: Vec<String> =
                sets.into_iter().flat_map(|set| ["--set".to_owned(), set]).collect();
            let log = root.join(name).join("log");
            let command = command_of(project, service);
            let command =
                command.iter().map(|word| word.replace("/etc/portcullis/fleet.toml", &config));
            let out = fs::File::create(&log).expect("a log");
            let process = Command::new(&*gateway::BINARY)
                .args(command)
                .args(&sets)
                .stdin(Stdio::null())
                .stdout(out.try_clone().expect("a handle"))
                .stderr(out)
                .spawn();
            Node { public, config, sets, log, _process: Running(process.expect("it starts")) }
        };
        let identities: Vec<Node> = links
            .iter()
            .zip(["identity-1", "identity-2"])
            .map(|(link, name)| start(name, name, *link))
            .collect();
        let edges: Vec<Node> = (0..EDGES)
            .map(|number| start("edge", &format!("edge-{number}"), ports::free_address()))
            .collect();
        for (service, node) in identities
            .iter()
            .map(|node| ("identity-1", node))
            .chain(edges.iter().map(|node| ("edge", node)))
        {
            is_healthy(project, service, node);
        }
        let add = [
            "user",
            "add",
            "ada",
            "--role",
            "SUPER_ADMIN",
            "--email",
            "ada@example.org",
            "--password-stdin",
        ];
        let add = [&add[..], &["--config", &identities[0].config]].concat();
        let added = gateway::run_with(&format!("{GOOD_PASSWORD}\n"), &add);
        gateway::succeeded(&add, &added);
        Self {
            edges,
            _identities: identities,
            admin,
            _upstream: upstream,
            _redis: redis,
            _server: server,
            _folder: folder,
        }
    }
}

/// What the project gives to whom.
struct Given<'a> {
    project: &'a Value,
    made: &'a Path,
    root: &'a Path,
}

impl Given<'_> {
    /// A folder with exactly the secrets that a service has, under the names by which it knows them.
    fn secrets_of(&self, service: &str, name: &str) -> PathBuf {
        let dir = self.root.join(name).join("secrets");
        fs::create_dir_all(&dir).expect("make a folder");
        let home = file("compose/secrets");
        for secret in self.project["services"][service]["secrets"].as_array().expect("secrets") {
            let [source, target] =
                ["source", "target"].map(|key| secret[key].as_str().expect("a name"));
            let path = self.project["secrets"][source]["file"].as_str().expect("a file");
            let inside = Path::new(path).strip_prefix(&home).expect("made by the script");
            fs::copy(self.made.join(inside), dir.join(target)).expect("the script made it");
        }
        dir
    }
}

fn command_of(project: &Value, service: &str) -> Vec<String> {
    let words = project["services"][service]["command"].as_array().expect("a command");
    words.iter().map(|word| word.as_str().expect("a word").to_owned()).collect()
}

/// The file that a service finds as its configuration.
fn config_of(project: &Value, service: &str) -> PathBuf {
    let configs = &project["services"][service]["configs"][0];
    assert_eq!(configs["target"], "/etc/portcullis/fleet.toml");
    let source = configs["source"].as_str().expect("a name");
    project["configs"][source]["file"].as_str().expect("a file").into()
}

/// Asks as Compose asks, until it hears that the node is well.
fn is_healthy(project: &Value, service: &str, node: &Node) {
    let test = project["services"][service]["healthcheck"]["test"].as_array().expect("a test");
    let words: Vec<&str> = test.iter().filter_map(Value::as_str).collect();
    let [kind, program, command, option, _] = words[..] else { panic!("{words:?}") };
    assert_eq!((kind, program, option), ("CMD", "/usr/bin/portcullis", "--config"));
    let log = || fs::read_to_string(&node.log).unwrap_or_default();
    until_blocking("the node is well", || {
        let output = gateway::run(&[command, option, &node.config]);
        let ended = log().contains("portcullis: ");
        assert!(!ended || output.status.success(), "{:?}\n{}", node.sets, log());
        output.status.success().then_some(())
    });
}

/// The database that the service would make, and TLS. The administrator's URL and the port.
fn prepared(server: &Server, given: &Given<'_>) -> (String, u16) {
    let admin = server.database();
    let dir = given.secrets_of("database", "database");
    let environment = &given.project["services"]["database"]["environment"];
    let [user, name] =
        ["POSTGRES_USER", "POSTGRES_DB"].map(|key| environment[key].as_str().expect("a name"));
    let password = fs::read_to_string(dir.join("database.password")).expect("it is made");
    // What the file's command does: PostgreSQL takes a key only if it is its own.
    let owner = postgres::ask(&admin, "SHOW data_directory");
    let key = Path::new(&owner).join("server.key");
    fs::copy(dir.join("database.key"), &key).expect("copy it");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).expect("ours");
    postgres::give_away(&key);
    let certificate = Path::new(&owner).join("server.pem");
    fs::copy(dir.join("database.pem"), &certificate).expect("copy it");
    postgres::give_away(&certificate);
    let hba = format!(
        "hostssl {name} {user} 127.0.0.1/32 scram-sha-256\nhost {name} {user} all reject\nhost all all 127.0.0.1/32 trust\n"
    );
    fs::write(postgres::ask(&admin, "SHOW hba_file"), hba).expect("ours");
    for statement in [
        format!("CREATE ROLE {user} LOGIN PASSWORD '{}'", password.trim()),
        format!("CREATE DATABASE {name} OWNER {user}"),
        format!("ALTER SYSTEM SET ssl_cert_file = '{}'", certificate.display()),
        format!("ALTER SYSTEM SET ssl_key_file = '{}'", key.display()),
        "ALTER SYSTEM SET ssl = on".to_owned(),
        "SELECT pg_reload_conf()".to_owned(),
    ] {
        postgres::ask(&admin, &statement);
    }
    until_blocking("PostgreSQL speaks TLS", || {
        (postgres::ask(&admin, "SHOW ssl") == "on").then_some(())
    });
    let port = postgres::ask(&admin, "SHOW port").parse().expect("a port");
    (admin, port)
}

/// Redis by the service's own command line.
fn run_redis(given: &Given<'_>, port: u16) -> Running {
    let dir = given.secrets_of("redis", "redis");
    let command = command_of(given.project, "redis");
    let mut words = command.iter().map(|word| {
        word.replace("/run/secrets", &dir.display().to_string()).replace("6379", &port.to_string())
    });
    let mut redis = Command::new(words.next().expect("a program"));
    redis.args(words).current_dir(&dir).stdin(Stdio::null()).stdout(Stdio::null());
    Running(redis.spawn().expect("it starts"))
}
