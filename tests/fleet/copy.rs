//! A store in a file, copied into a database: every credential of it works there. `PORTCULLIS_COPY_ACCOUNTS=100000` for the
//! full run, in which each of the keys and sessions is used; a thousand without it.

use std::{
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    crowd::{Shown, all_pass},
    masses, scale,
};
use crate::support::{
    client::Client,
    conf::{Conf, closed, quoted},
    fleet::master_key,
    gateway::{BINARY, Gateway, Places, fresh_places, run, said},
    operate, postgres,
    tmws::{self, GOOD_PASSWORD, Tokens, login, refresh, try_login},
    upstream::Upstream,
    wait::until_blocking,
};

/// What a copy may take at most, in KiB, however much it copies. A debug build has twice the code of a release build.
const MEMORY: u64 = 96 * 1024;
/// Logins and refreshes cost a hash or a write each: so many of each are tried.
const TRIED: usize = 10;

/// A store in a file, and a database that it is to be copied into.
struct Removal {
    places: Places,
    file: PathBuf,
    database: String,
    on_file: String,
    on_database: String,
    _upstream: Upstream,
    _folder: TempDir,
}

impl Removal {
    fn new() -> Self {
        let (database, upstream) = (postgres::shared_database(), Upstream::start());
        let folder = tempfile::tempdir().unwrap();
        let places = fresh_places(folder.path());
        let key = format!("file:{}", master_key(&places.dir).display());
        let secrets = format!("[secrets]\nmaster_keys = [{}]", quoted(&key));
        let store = format!("[store]\nurl = {}\ncall_timeout = \"20s\"", quoted(&database));
        let conf = |store: &str| {
            scale::mounts(Conf::new(&places), &places)
                .section(&secrets)
                .section("[limiter]\nfailures_per_address = false")
                .section("[log]\naccess = false")
                .section(store)
                .upstream("main", &[upstream.address])
                .route(closed("app", "/app/**", "main"))
                .text()
        };
        let (on_file, on_database) = (conf(""), conf(&store));
        let file = places.data.join("portcullis.db");
        Self { places, file, database, on_file, on_database, _upstream: upstream, _folder: folder }
    }

    fn arguments(&self) -> [String; 8] {
        let from = format!("sqlite:{}", self.file.display());
        let config = self.places.dir.join("portcullis.toml").display().to_string();
        ["store", "copy", "--from", &from, "--to", &self.database, "--config", &config]
            .map(str::to_owned)
    }

    /// One that was begun.
    fn begin(&self) -> Child {
        let mut command = Command::new(&*BINARY);
        command.args(self.arguments()).stdin(Stdio::null());
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the program starts")
    }

    /// Number of accounts that count in the database.
    fn arrived(&self) -> String {
        postgres::ask(&self.database, "SELECT COUNT(*) FROM account")
    }
}

fn caller(gateway: &Gateway) -> Client {
    Client::from(&gateway.url(), tmws::fresh_address())
}

/// A few credentials of each kind that were made by the front door.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_credential_works_after_a_copy_into_a_database() {
    if !postgres::is_there() {
        return;
    }
    let removal = Removal::new();
    let gateway = Gateway::start_in(&removal.places, &removal.on_file);
    let names: Vec<String> = (0..6).map(|n| format!("someone-{n}")).collect();
    let mut held = Vec::new();
    for name in &names {
        operate::add_user(&gateway, name, &["USER"]);
        let key = operate::add_key(&gateway, name, &["READ"], json!({"mount": "api"}));
        held.push((name, login(&caller(&gateway), name, GOOD_PASSWORD).await, key));
    }
    let gone = login(&caller(&gateway), &names[0], GOOD_PASSWORD).await;
    caller(&gateway).bearer(&gone.access).post("/api/v1/auth/logout", Value::Null).await;
    let busy = said(&run(&removal.arguments()));
    assert!(busy.contains("stop the gateway") && busy.contains("nothing was copied"), "{busy}");
    gateway.stop();

    let done = run(&removal.arguments());
    assert!(done.status.success(), "{}", said(&done));
    assert!(
        said(&done).contains(&format!("account            {}", names.len())),
        "{}",
        said(&done)
    );
    let again = said(&run(&removal.arguments()));
    assert!(again.contains("is not empty"), "{again}");

    let gateway = Gateway::start_in(&removal.places, &removal.on_database);
    for (name, tokens, key) in &held {
        let client = || caller(&gateway);
        client().bearer(&tokens.access).get("/app/x").await.expect(200);
        client().key(key).get("/app/x").await.expect(200);
        assert_eq!(refresh(&client(), &tokens.refresh).await.status, 200, "{name}");
        assert_eq!(try_login(&client(), name, GOOD_PASSWORD).await.status, 200, "{name}");
    }
    caller(&gateway).bearer(&gone.access).get("/app/x").await.expect(401);
    assert_eq!(refresh(&caller(&gateway), &gone.refresh).await.status, 401, "it was ended");
    gateway.cli_ok(&["audit", "verify"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_of_very_many_is_whole_or_nothing_and_takes_no_more_memory_than_one_of_few() {
    if !postgres::is_there() {
        return;
    }
    let count = std::env::var("PORTCULLIS_COPY_ACCOUNTS").ok().and_then(|text| text.parse().ok());
    let count: usize = count.unwrap_or(1_000);
    let removal = Removal::new();
    let gateway = Gateway::start_in(&removal.places, &removal.on_file);
    operate::add_user(&gateway, "ada", &["USER"]);
    gateway.stop();
    let began = Instant::now();
    let hash = masses::password_of(&removal.file, "ada").await;
    masses::fill_file(&removal.file, &(0..count), &hash).await;
    println!("{count} accounts, keys, sessions and logins, {:.1?} to fill in", began.elapsed());

    interrupted(&removal);
    let began = Instant::now();
    let mut copying = removal.begin();
    let mut most = 0;
    let status = loop {
        most = most.max(resident_kib(copying.id()).unwrap_or(most));
        match copying.try_wait().unwrap() {
            Some(status) => break status,
            None => std::thread::sleep(Duration::from_millis(5)),
        }
    };
    println!("copied in {:.1?}, with {most} KiB at most", began.elapsed());
    assert!(status.success());
    assert!(most <= MEMORY, "{most} KiB");
    assert_eq!(removal.arrived(), (count + 1).to_string());

    let gateway = Gateway::start_in(&removal.places, &removal.on_database);
    for shown in [Shown::Key, Shown::Session] {
        let began = Instant::now();
        all_pass(&gateway, count, 8, move |n| match shown {
            Shown::Key => shown.request(&masses::key(n)),
            Shown::Session => shown.request(&masses::session(n)),
        })
        .await;
        println!("each of {count} used as {shown:?}, {:.1?}", began.elapsed());
    }
    let step = (count / TRIED).max(1);
    for number in (0..count).step_by(step) {
        let reply = refresh(&caller(&gateway), &masses::refresh_token(number)).await;
        assert_eq!(reply.status, 200, "{number}: {}", reply.text());
        let tokens = Tokens::of(&reply);
        caller(&gateway).bearer(&tokens.access).get("/app/x").await.expect(200);
        let name = masses::username(number);
        assert_eq!(try_login(&caller(&gateway), &name, GOOD_PASSWORD).await.status, 200, "{name}");
    }
}

/// Killed in the middle, it has copied nothing, and leaves nothing in the way of the next one.
fn interrupted(removal: &Removal) {
    let mut copying = removal.begin();
    // It works: rows are there that do not count yet.
    until_blocking("it writes", || {
        let written = "SELECT COALESCE(pg_relation_size(to_regclass('account')), 0) > 0";
        (postgres::ask(&removal.database, written) == "t" || copying.try_wait().unwrap().is_some())
            .then_some(())
    });
    assert!(copying.try_wait().unwrap().is_none(), "it is killed before its end");
    copying.kill().unwrap();
    copying.wait().unwrap();
    assert_eq!(removal.arrived(), "0", "nothing of it counts");
}

fn resident_kib(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}
