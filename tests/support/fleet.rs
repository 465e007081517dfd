//! The same tests with PostgreSQL below: `PORTCULLIS_TEST_STORE=postgres` gives every gateway a database of its own on one
//! shared server in place of its file.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{conf::quoted, gateway::Places, postgres};

const MASTER_KEY: &str = "a-master-key-of-the-tests-0123456789abcdef";

/// Whether gateways are to have databases.
pub fn is_wanted() -> bool {
    std::env::var("PORTCULLIS_TEST_STORE").is_ok_and(|wanted| wanted == "postgres")
        && postgres::is_there()
}

/// A configuration with a database instead of the file, where that is wanted and the file says nothing about it.
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
    let url = postgres::shared_database();
    fs::create_dir_all(dir).expect("make the folder");
    fs::write(note, &url).expect("note the database");
    url
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
