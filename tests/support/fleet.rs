//! The same tests as in a fleet: `PORTCULLIS_TEST_STORE=fleet` gives every gateway a database of its own on one shared
//! PostgreSQL in place of its file, and a place of its own in one shared Redis.

use std::{
    fs,
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

use super::{
    conf::quoted,
    gateway::{BINARY, Places, run, said},
    postgres, redis,
};

const MASTER_KEY: &str = "a-master-key-of-the-tests-0123456789abcdef";

/// Whether gateways are to have databases and Redis.
pub fn is_wanted() -> bool {
    std::env::var("PORTCULLIS_TEST_STORE").is_ok_and(|wanted| wanted == "fleet")
        && postgres::is_there()
        && redis::is_there()
}

/// A configuration with a database instead of the file, and with Redis, where that is wanted and the file says nothing
/// about it.
pub fn with_database(dir: &Path, text: &str) -> String {
    if !is_wanted() || text.contains("[store]") {
        return text.to_owned();
    }
    let mut whole =
        format!("{text}\n[store]\nurl = {}\ncall_timeout = \"10s\"\n", quoted(&database(dir)));
    if !text.contains("[secrets]") {
        let key = format!("file:{}", master_key(dir).display());
        whole.push_str(&format!("[secrets]\nmaster_keys = [{}]\n", quoted(&key)));
    }
    if !text.contains("[redis]") {
        let (url, prefix) = (redis::shared_url(), prefix(dir));
        whole.push_str(&format!(
            "[redis]\nurl = {}\nprefix = {}\ntimeout = \"500ms\"\n",
            quoted(&url),
            quoted(&prefix)
        ));
    }
    whole
}

/// The same for the demo, which writes its own configuration.
pub fn overrides(dir: &Path) -> Vec<String> {
    if !is_wanted() {
        return Vec::new();
    }
    let key = format!("file:{}", master_key(dir).display());
    [
        format!("store.url={}", database(dir)),
        "store.call_timeout=10s".to_owned(),
        format!("secrets.master_keys=[{}]", quoted(&key)),
        format!("redis.url={}", redis::shared_url()),
        format!("redis.prefix={}", prefix(dir)),
        "redis.timeout=500ms".to_owned(),
    ]
    .into_iter()
    .flat_map(|set| ["--set".to_owned(), set])
    .collect()
}

/// The database of a folder: the same one as long as the folder is there.
pub fn database(dir: &Path) -> String {
    let note = dir.join("database.url");
    if let Ok(url) = fs::read_to_string(&note) {
        return url;
    }
    fs::create_dir_all(dir).expect("make the folder");
    let url = postgres::shared_database_filled(&version(), |url| migrate(dir, url));
    fs::write(note, &url).expect("note the database");
    url
}

/// Gives a database the tables of the program under test.
fn migrate(dir: &Path, url: &str) {
    let file = dir.join("migrate.toml");
    let key = format!("file:{}", master_key(dir).display());
    let text = format!(
        "version = 1\n[data]\ndir = {}\n[store]\nurl = {}\n[secrets]\nmaster_keys = [{}]\n",
        quoted(&dir.join("none").display().to_string()),
        quoted(url),
        quoted(&key)
    );
    fs::write(&file, text).expect("write the configuration");
    let done = run(&["migrate", "--config", file.to_str().expect("UTF-8")]);
    assert!(done.status.success(), "{}", said(&done));
}

/// Tells one build of the program from another.
fn version() -> String {
    let meta = fs::metadata(&*BINARY).expect("it was built");
    let built = meta.modified().expect("the time").duration_since(UNIX_EPOCH).expect("after 1970");
    format!("{}_{}", meta.len(), built.as_nanos())
}

/// Where the gateway of a folder has its things in Redis.
fn prefix(dir: &Path) -> String {
    let database = database(dir);
    let name = database.rsplit('/').next().unwrap_or_default();
    let made = fs::metadata(dir.join("database.url")).and_then(|meta| meta.modified());
    let made = made.expect("it was noted").duration_since(UNIX_EPOCH).expect("after 1970");
    format!("{name}-{}:", made.as_millis())
}

/// A file with a master key, for all nodes on one database.
pub fn master_key(dir: &Path) -> PathBuf {
    let path = dir.join("test-master.key");
    fs::create_dir_all(dir).expect("make the folder");
    fs::write(&path, MASTER_KEY).expect("write the key");
    path
}

/// The bytes of everything that a gateway's store holds: its files, or every value of its database.
pub fn everything_stored(places: &Places) -> Vec<u8> {
    if is_wanted() {
        return everything_in(&database(&places.dir));
    }
    let files = fs::read_dir(&places.data).expect("the data folder");
    let files = files.map(|entry| entry.expect("an entry").path()).filter(|path| path.is_file());
    files.flat_map(|path| fs::read(path).expect("a file of ours")).collect()
}

fn everything_in(url: &str) -> Vec<u8> {
    let tables = "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()";
    let mut all = Vec::new();
    for table in postgres::ask(url, tables).lines() {
        let text = postgres::ask(url, &format!("SELECT * FROM {table}"));
        // Bytes are shown in hexadecimal.
        for part in text.split("\\x").skip(1) {
            let hex: Vec<u8> = part.bytes().take_while(u8::is_ascii_hexdigit).collect();
            all.extend(
                hex.chunks_exact(2).filter_map(|pair| {
                    u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()
                }),
            );
        }
        all.extend(text.into_bytes());
    }
    all
}
