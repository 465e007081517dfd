//! Configuration files for tests, in the words of the file. One place to change when a word changes.

use std::{fmt::Write, net::SocketAddr, path::Path};

use super::gateway::Places;

/// Token of the operator in every test; long enough to be one.
pub const OPERATOR_TOKEN: &str = "operator-token-of-the-tests-0123456789abcdef";

/// One `[[route]]` or other named table.
#[derive(Clone, Debug)]
pub struct Table {
    kind: &'static str,
    lines: Vec<(String, String)>,
}

impl Table {
    pub fn new(kind: &'static str, name: &str) -> Self {
        Table { kind, lines: vec![("name".into(), quoted(name))] }
    }

    /// Adds or replaces a key; the value is TOML.
    pub fn with(mut self, key: &str, value: impl Into<String>) -> Self {
        self.lines.retain(|(known, _)| known != key);
        self.lines.push((key.to_owned(), value.into()));
        self
    }

    pub fn name(&self) -> &str {
        self.lines.first().map_or("", |(_, name)| name.trim_matches('"'))
    }

    pub fn without(mut self, key: &str) -> Self {
        self.lines.retain(|(known, _)| known != key);
        self
    }
}

/// A public route, relative to the mount.
pub fn open(name: &str, path: &str, upstream: &str) -> Table {
    Table::new("route", name)
        .with("mount", quoted("api"))
        .with("match", format!("{{ path = {} }}", quoted(path)))
        .with("authn", r#"["public"]"#)
        .with("upstream", quoted(upstream))
}

/// A route that takes tokens and keys and lets anyone through who has one.
pub fn closed(name: &str, path: &str, upstream: &str) -> Table {
    open(name, path, upstream)
        .with("authn", r#"["jwt", "api_key"]"#)
        .with("authz", quoted("authenticated"))
}

/// The tasks of the contract, judged by its policy table.
pub fn tasks(upstream: &str) -> Table {
    open("tasks", "/api/v1/tasks/**", upstream).with("authn", r#"["jwt", "api_key"]"#)
}

/// A whole file.
#[derive(Clone, Debug)]
pub struct Conf {
    data: String,
    server: Vec<String>,
    extra: Vec<String>,
    internal: Vec<String>,
    realm: Table,
    mount: Table,
    general: Option<String>,
    tables: Vec<Table>,
}

impl Conf {
    /// One listener, one realm, one tmws mount called `api`; the general limit out of the way.
    pub fn new(places: &Places) -> Self {
        let token = places.dir.join("operator.token");
        std::fs::write(&token, OPERATOR_TOKEN).expect("write the token");
        let listener =
            Table::new("listener", "public").with("address", quoted(&places.public.to_string()));
        Conf {
            data: format!("[data]\ndir = {}\n", path(&places.data)),
            server: vec!["grace_period = \"3s\"".into()],
            // Tests side by side would fill the queue; it has a test of its own.
            extra: vec!["[hashing]\nqueue = 1000".into()],
            internal: vec![
                format!("address = {}", quoted(&places.operator.to_string())),
                format!("token = {}", quoted(&format!("file:{}", token.display()))),
            ],
            realm: Table::new("realm", "main"),
            mount: Table::new("mount", "api").with("dialect", quoted("tmws")),
            general: Some(r#"["1000000/s"]"#.into()),
            tables: vec![listener],
        }
    }

    /// A line of `[server]`; replaces one with the same key.
    pub fn server(mut self, line: &str) -> Self {
        let key = line.split('=').next().unwrap_or_default().trim().to_owned();
        self.server.retain(|known| !known.starts_with(&key));
        self.server.push(line.into());
        self
    }

    /// The hash queue as it is without a word in the file.
    pub fn usual_hashing(mut self) -> Self {
        self.extra.retain(|text| !text.starts_with("[hashing]"));
        self
    }

    /// Text of a table that stands once, such as `[trust]`.
    pub fn section(mut self, text: &str) -> Self {
        self.extra.push(text.into());
        self
    }

    /// A key of the mount.
    pub fn mount(mut self, key: &str, value: &str) -> Self {
        self.mount = self.mount.with(key, value);
        self
    }

    /// A key of the realm.
    pub fn realm(mut self, key: &str, value: &str) -> Self {
        self.realm = self.realm.with(key, value);
        self
    }

    /// Windows of the contract's general limit; `None`: as the contract has it.
    pub fn general(mut self, windows: Option<&str>) -> Self {
        self.general = windows.map(str::to_owned);
        self
    }

    /// A key of the listener.
    pub fn listener(mut self, key: &str, value: impl Into<String>) -> Self {
        let listener = self.tables.remove(0).with(key, value);
        self.tables.insert(0, listener);
        self
    }

    pub fn table(mut self, table: Table) -> Self {
        self.tables.push(table);
        self
    }

    pub fn route(self, route: Table) -> Self {
        self.table(route)
    }

    pub fn upstream(self, name: &str, backends: &[SocketAddr]) -> Self {
        self.table(upstream(name, backends))
    }

    pub fn limit(self, name: &str, per: &str, windows: &str) -> Self {
        self.table(Table::new("limit", name).with("per", per).with("windows", windows))
    }

    pub fn text(&self) -> String {
        let mut text = String::from("version = 1\n");
        text.push_str(&self.data);
        let _ = write!(text, "[server]\n{}\n", self.server.join("\n"));
        let _ = write!(text, "[internal]\n{}\n", self.internal.join("\n"));
        for section in &self.extra {
            let _ = writeln!(text, "{section}");
        }
        if let Some(windows) = &self.general {
            let general = Table::new("limit", "tmws-general").with("windows", windows.clone());
            put(&mut text, &general);
        }
        for table in [&self.realm, &self.mount].into_iter().chain(&self.tables) {
            put(&mut text, table);
        }
        text
    }
}

/// An upstream with its backends.
pub fn upstream(name: &str, backends: &[SocketAddr]) -> Table {
    let list: Vec<String> =
        backends.iter().map(|address| quoted(&format!("http://{address}"))).collect();
    Table::new("upstream", name).with("backends", format!("[{}]", list.join(", ")))
}

fn put(text: &mut String, table: &Table) {
    let _ = writeln!(text, "[[{}]]", table.kind);
    for (key, value) in &table.lines {
        let _ = writeln!(text, "{key} = {value}");
    }
}

pub fn quoted(text: &str) -> String {
    format!("{text:?}")
}

fn path(path: &Path) -> String {
    quoted(path.to_str().expect("a UTF-8 path"))
}
