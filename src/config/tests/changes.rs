//! Overrides and reloads.

use super::*;

#[test]
fn overrides_reach_named_entries_and_make_limits() {
    let sets = [
        "mount.tmws.access_token_lifetime=2s",
        "limit.tmws-general.windows=[\"1000/min\"]",
        "limit.new.per=[\"client\"]",
        "limit.new.windows=5/s",
        "realm.main.lockout.failures=3",
        "route.api.limits=[]",
        "upstream.app.backends=[\"http://10.0.0.1:1\"]",
        "mount.tmws.cors.origins=[\"https://a.example\"]",
        "data.dir=/srv/x",
        "listener.public.address=127.0.0.1:1234",
        "log.level=debug",
    ];
    let config = read(MINIMAL, &sets).unwrap();
    let b = &config.blueprint;
    let mount = &b.mounts.first().unwrap().is;
    assert_eq!(mount.tokens.access_lifetime.as_secs(), 2);
    assert_eq!(mount.cors.origins, [std::sync::Arc::<str>::from("https://a.example")]);
    let general = b.limits.iter().find(|limit| &*limit.name == "tmws-general").unwrap();
    assert_eq!(general.windows.first().unwrap().limit, 1000);
    assert_eq!(general.per, [crate::pipeline::Per::Credential]);
    let made = b.limits.iter().find(|limit| &*limit.name == "new").unwrap();
    assert_eq!(made.windows.first().unwrap().limit, 5, "one value stands for a list of one");
    assert_eq!(b.realms.first().unwrap().is.rules.lockout.unwrap().failures, 3);
    assert!(b.routes.first().unwrap().is.limits.is_empty());
    assert_eq!(b.process.data_dir, Path::new("/srv/x"));
    assert_eq!(b.listeners.first().unwrap().address.port(), 1234);
    assert_eq!(b.process.log.level, "debug");
}

#[test]
fn faults_of_overrides_name_the_override() {
    for (set, expected) in [
        ("mount.tmsw.realm=x", "--set mount.tmsw.realm: mount.tmsw.realm: unknown mount \"tmsw\""),
        ("mount.tmws.relam=x", "--set mount.tmws.relam: mount.tmws.relam: unknown key \"relam\""),
        ("log.level=5", "--set log.level: log.level: expected a string, found an integer"),
        ("route=1", "--set route: route: [[route]] is no single value"),
        ("log", "--set log: log: there is no = in it"),
        ("log..level=x", "--set log..level: log..level: an empty part in the key"),
    ] {
        let found = read(MINIMAL, &[set]).unwrap_err().to_string();
        assert_eq!(found.lines().next(), Some(expected));
    }
    let typed = ["internal.token=hunter2hunter2", "internal.tokn=hunter2hunter2"];
    let found = read(MINIMAL, &typed).unwrap_err();
    let as_json = serde_json::to_string(&found).unwrap();
    assert!(!found.to_string().contains("hunter2") && !as_json.contains("hunter2"), "{found}");
}

#[test]
fn a_reload_of_boot_only_keys_is_refused_whole() {
    let mut world = World::default();
    world.files.insert(FILE.into(), MINIMAL.into());
    let active = load(Path::new(FILE), &[], &world).unwrap();

    let grown = format!("{MINIMAL}[server]\nthreads = 77\n[log]\nlevel = \"debug\"\n");
    world.files.insert(FILE.into(), grown);
    let found = reload::reload(&active, &[], &world).unwrap_err().to_string();
    assert!(
        found.starts_with(
            "/etc/p/p.toml:13:1: server.threads: changed, but fixed until a restart\n"
        ),
        "{found}"
    );
    assert!(found.contains("fix: restart to use 77, or take the change back"), "{found}");

    world.files.insert(FILE.into(), format!("{MINIMAL}[server.limits]\nheader_count = 50\n"));
    let found = reload::reload(&active, &[], &world).unwrap_err().to_string();
    assert!(found.contains("server.limits: changed, but fixed until a restart"), "{found}");

    world.files.insert(FILE.into(), format!("{MINIMAL}[log]\nlevel = \"debug\"\n"));
    let next = reload::reload(&active, &[], &world).unwrap();
    assert_eq!(next.blueprint.process.log.level, "debug");
    assert_ne!(next.hash, active.hash);
}

#[test]
fn a_reload_refuses_another_secret_behind_the_same_boot_only_reference() {
    let text = format!(
        "{MINIMAL}[internal]\ntoken = \"file:token\"\n[secrets]\nmaster_keys = [\"file:key\"]\n"
    );
    let mut world = World::default();
    world.files.insert(FILE.into(), text);
    world.files.insert("/etc/p/token".into(), "the token of the operator\n".into());
    world.files.insert("/etc/p/key".into(), "the master key of the store\n".into());
    let active = load(Path::new(FILE), &[], &world).unwrap();
    reload::reload(&active, &[], &world).unwrap();

    world.files.insert("/etc/p/token".into(), "another token of the operator\n".into());
    world.files.insert("/etc/p/key".into(), "another master key of the store\n".into());
    let found = reload::reload(&active, &[], &world).unwrap_err().to_string();
    for key in ["internal.token", "secrets.master_keys"] {
        let what = format!("{key}: the secret behind it changed, but is fixed until a restart");
        assert!(found.contains(&what), "{found}");
    }
    assert!(!found.contains("another token") && !found.contains("another master"), "{found}");
}
