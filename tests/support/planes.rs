//! The planes apart: certificates of nodes, and files for nodes of both planes.
//!
//! `PORTCULLIS_TEST_PLANES=1` (with `PORTCULLIS_TEST_STORE=postgres`) puts an edge node in front of every gateway that is
//! started with a file: the same tests must pass, for clients must not notice.

use std::{net::SocketAddr, path::Path};

use super::{
    conf::quoted,
    fleet,
    gateway::{Places, Start, serve},
    ports,
    tls::{Authority, Pair},
};

/// Whether every gateway is to be two.
pub fn is_wanted() -> bool {
    std::env::var("PORTCULLIS_TEST_PLANES").is_ok_and(|wanted| wanted == "1") && fleet::is_wanted()
}

/// Starts a gateway as the environment wants it.
pub fn serve_as_wanted(places: Places, text: &str) -> Start {
    if !is_wanted() || text.contains("[store]") || text.contains("[link]") {
        return serve(places, text, None);
    }
    let authority = Authority::new();
    let pair = authority.node(&["127.0.0.1"]);
    let address = ports::free_address();
    let link = link(&places.dir, &authority, &pair, address, &[address], "");
    let identity = match serve(places.clone(), &format!("{text}\n{link}"), Some("identity")) {
        Start::Up(identity) => identity,
        taken @ Start::PortTaken => return taken,
    };
    let front = places.dir.join("edge");
    std::fs::create_dir_all(&front).expect("make a folder");
    // Relative paths of the file go on meaning the same.
    for entry in std::fs::read_dir(&places.dir).expect("our folder") {
        let (path, name) = entry.map(|entry| (entry.path(), entry.file_name())).expect("an entry");
        if path.is_file() && name != "portcullis.toml" {
            std::fs::copy(&path, front.join(name)).expect("copy");
        }
    }
    let own =
        Places { data: front.join("data"), dir: front, operator: ports::free_address(), ..places };
    let data = |places: &Places| quoted(places.data.to_str().expect("UTF-8"));
    let text = text
        .replace(&data(&identity.places), &data(&own))
        .replace(&identity.places.operator.to_string(), &own.operator.to_string());
    match serve(own, &format!("{text}\n{link}"), Some("edge")) {
        Start::Up(front) => Start::Up(Box::new(identity.behind(*front))),
        taken @ Start::PortTaken => taken,
    }
}

/// `[link]` of a node with this certificate.
pub fn link(
    dir: &Path,
    authority: &Authority,
    pair: &Pair,
    listen: SocketAddr,
    identity: &[SocketAddr],
    more: &str,
) -> String {
    std::fs::create_dir_all(dir).expect("make the folder");
    let ca = authority.write(dir, "link-ca.pem");
    let (cert, key) = pair.write(dir, "link");
    let [ca, cert, key] = [ca, cert, key].map(|path| quoted(path.to_str().expect("UTF-8")));
    let identity: Vec<String> = identity.iter().map(|node| quoted(&node.to_string())).collect();
    format!(
        "[link]\nlisten = {}\nidentity = [{}]\ncert = {cert}\nkey = {key}\nca = {ca}\n{more}\n",
        quoted(&listen.to_string()),
        identity.join(", ")
    )
}
