//! Browser logins through an OpenID provider.

use super::*;
use crate::pipeline::SessionCarrier;

/// A file with one, in which these lines stand in place of those with the same key.
fn with(lines: &str, more: &str) -> Result<Config, Report> {
    let key = |line: &str| line.split(" = ").next().unwrap_or_default().to_owned();
    let ours = "issuer = \"https://login.corp.example\"\nclient_id = \"rp\"\n\
                client_secret = \"file:hh-client.secret\"\nredirect_uri = \"https://a.example/oidc/callback\"";
    let said: Vec<String> = lines.lines().map(key).collect();
    let kept: Vec<&str> = ours.lines().filter(|line| !said.contains(&key(line))).collect();
    let kept = kept.join("\n");
    read(&format!("{HEAD}[mount.oidc_login]\n{kept}\n{lines}\n{more}\n"), &[])
}

#[test]
fn a_short_one_lets_in_who_is_joined_already_and_has_strict_limits() {
    let config = with("", "").unwrap();
    let login = config.blueprint.mounts[0].is.oidc_login.as_ref().unwrap();
    let own = &login.settings;
    assert_eq!((own.idle.as_secs(), own.lifetime.as_secs()), (1800, 43_200));
    assert!(own.create.is_none() && !own.join_by_email);
    assert_eq!((&*own.scopes, &*own.after_logout), ("openid", "/"));
    assert_eq!(&*own.cookie, "__Host-portcullis-session-tmws");
    let carrier = SessionCarrier::Own {
        cookie: "__Host-portcullis-session-tmws".into(),
        origin: "https://a.example".into(),
    };
    assert_eq!(login.carrier(), carrier);
    let url = login.fetching.at.url().as_str();
    assert_eq!(url, "https://login.corp.example/.well-known/openid-configuration");
    assert_eq!(read(&config.effective, &[]).unwrap().effective, config.effective);
    // On this machine without TLS browsers take no such prefix.
    let local = with("redirect_uri = \"http://127.0.0.1:8000/oidc/callback\"", "").unwrap();
    let local = local.blueprint.mounts[0].is.oidc_login.clone().unwrap().settings;
    assert_eq!((&*local.cookie, local.secure()), ("portcullis-session-tmws", false));
}

#[test]
fn what_cannot_be_meant_is_told() {
    for (lines, place, what) in [
        ("issuer = \"http://login.corp.example\"", "issuer", "cannot be asked"),
        (
            "redirect_uri = \"https://a.example/x\"",
            "redirect_uri",
            "is not where the mount answers",
        ),
        ("redirect_uri = \"http://a.example/oidc/callback\"", "redirect_uri", "bad address"),
        ("redirect_uri = \"https://a.example/oidc/callback?x=y\"", "redirect_uri", "is not where"),
        ("scopes = [\"email\"]", "scopes", "bad scopes"),
        ("scopes = [\"openid\", \"a b\"]", "scopes", "bad scopes"),
        ("accounts = \"all\"", "accounts", "unknown word"),
        ("roles = [\"USER\"]", "roles", "roles without accounts"),
        ("accounts = \"create\"\nroles = [\"EMPEROR\"]", "roles", "unknown role"),
        ("idle = \"1s\"", "idle", "out of range"),
        ("idle = \"2h\"\nlifetime = \"1h\"", "idle", "idle is longer than lifetime"),
        ("lifetime = \"365d\"", "lifetime", "out of range"),
        ("after_logout = \"//evil.example\"", "after_logout", "bad path"),
        ("after_logout = \"https://evil.example\"", "after_logout", "bad path"),
        ("algorithms = [\"HS256\"]", "algorithms", "a shared secret beside public keys"),
        ("algorithms = [\"none\"]", "algorithms", "unknown algorithm"),
        ("client_secrets = \"x\"", "client_secrets", "unknown key"),
    ] {
        let report = with(lines, "").unwrap_err();
        let key = format!("mount.tmws.oidc_login.{place}");
        let found = |problem: &crate::config::problem::Problem| {
            problem.key == key && problem.what.contains(what)
        };
        assert!(report.problems.iter().any(found), "{lines}: {report}");
    }
}

#[test]
fn a_route_sends_people_to_a_login_only_where_there_is_one_and_takes_its_sessions() {
    let route = |authn: &str| {
        format!(
            "[[route]]\nname = \"r\"\n\
             mount = \"tmws\"\nmatch = {{ path = \"/x\" }}\nupstream = \"app\"\nauthn = [\"{authn}\"]\nlogin = true"
        )
    };
    let config = with("", &route("session")).unwrap();
    let login = config.blueprint.routes[0].is.login.clone();
    assert_eq!(login.as_deref(), Some("https://a.example/oidc/login"));
    let report = with("", &route("jwt")).unwrap_err();
    assert!(report.to_string().contains("login without session"), "{report}");
    let report = read(&format!("{HEAD}{}", route("jwt")), &[]).unwrap_err();
    assert!(report.to_string().contains("login without a login of the mount"), "{report}");
}

#[test]
fn a_mount_after_which_no_cookie_can_be_called_has_no_login() {
    let text = "[mount.oidc_login]\nissuer = \"https://login.corp.example\"\nclient_id = \"rp\"\n\
                client_secret = \"file:hh-client.secret\"\n\
                redirect_uri = \"https://a.example/oidc/callback\"";
    let head = HEAD.replace("name = \"tmws\"", "name = \"my api\"");
    let report = read(&format!("{head}{text}\n"), &[]).unwrap_err();
    assert!(report.to_string().contains("no cookie can be called \"my api\""), "{report}");
}
