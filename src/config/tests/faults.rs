//! What is wrong, told with its place, reason and fix.

use super::*;

#[test]
fn every_kind_of_fault_is_told_with_its_line_and_the_fix() {
    let no_authn = "[[route]]\nname = \"r\"\nmatch = { path = \"/r\" }\nupstream = \"app\"\n";
    let plain = |authn: &str| {
        format!(
            "[[route]]\nname = \"r\"\nlistener = \"public\"\nmatch = {{ path = \"/r\" }}\nauthn = {authn}\n"
        )
    };
    let cases: Vec<(String, &str)> = vec![
        (
            "[server]\ntreads = 4\n".into(),
            "/etc/p/p.toml:11:1: server.treads: unknown key \"treads\"\n    \
             why: server knows: grace_period, limits, threads, upstream_keepalive_pool, watch\n    \
             fix: write \"threads\", or remove it",
        ),
        (
            "[server.limits]\nheader_count = 1000\n".into(),
            "/etc/p/p.toml:11:16: server.limits.header_count: 1000 is out of range\n    \
             why: it must be 10 to 250\n    \
             fix: write a value in range",
        ),
        (
            "[server.limits]\nbearer_token = \"9KiB\"\n".into(),
            "/etc/p/p.toml:11:16: server.limits.bearer_token: 9KiB is out of range\n    \
             why: it must be 256B to 8KiB\n    \
             fix: write a value in range",
        ),
        (
            "[server.limits]\nhead_timeout = \"2m\"\n".into(),
            "/etc/p/p.toml:11:16: server.limits.head_timeout: 2m is out of range\n    \
             why: it must be 100ms to 1m\n    \
             fix: write a value in range",
        ),
        (
            "[limiter]\nfailures_per_address = []\n".into(),
            "/etc/p/p.toml:11:24: limiter.failures_per_address: an empty list\n    \
             why: it would allow nothing or everything\n    \
             fix: write false",
        ),
        (
            "[trust]\nhops = 1\n".into(),
            "/etc/p/p.toml:11:8: trust.hops: no proxy is listed\n    \
             why: only a listed proxy is believed, however many stand in front of it\n    \
             fix: write proxies = [...] with the network that the last proxy connects from",
        ),
        (
            "[[listener]]\nname = \"public\"\nproxy_protocol = \"required\"\n".into(),
            "/etc/p/p.toml:12:18: listener.public.proxy_protocol: no proxy is listed\n    \
             why: only a listed proxy may send the header, so nobody could connect\n    \
             fix: write [trust] proxies = [...] with the addresses of your proxies",
        ),
        (
            "[[listener]]\nname = \"public\"\nproxy_protocol = \"optional\"\n".into(),
            "/etc/p/p.toml:12:18: listener.public.proxy_protocol: bad proxy_protocol \"optional\"\n    \
             why: a header that may be left out could be left out by anybody\n    \
             fix: write \"off\" or \"required\"",
        ),
        (
            "[server]\nthreads = \"four\"\n".into(),
            "/etc/p/p.toml:11:11: server.threads: expected a whole number such as 10, found a string\n    \
             why: the value has the wrong type\n    \
             fix: write a whole number such as 10",
        ),
        (
            "[server]\ngrace_period = \"soon\"\n".into(),
            "/etc/p/p.toml:11:16: server.grace_period: bad duration \"soon\"\n    \
             why: a duration is a whole number and one of ms, s, m, h, d\n    \
             fix: write a duration such as \"15m\", \"2s\" or \"250ms\"",
        ),
        (
            "[internal]\ntoken = \"file:missing\"\n".into(),
            "/etc/p/p.toml:11:9: internal.token: secret file /etc/p/missing cannot be read: entity not found\n    \
             why: the secret is referenced by this path\n    \
             fix: create the file (mode 0600, owned by the service), or correct the path",
        ),
        (
            "[internal]\ntoken = \"env:NOWHERE\"\n".into(),
            "/etc/p/p.toml:11:9: internal.token: environment variable NOWHERE is not set\n    \
             why: the secret is referenced as env:NOWHERE\n    \
             fix: set NOWHERE for the process, or use file: or cred:",
        ),
        (
            "[internal]\ntoken = \"cred:op\"\n".into(),
            "/etc/p/p.toml:11:9: internal.token: no credential \"op\": CREDENTIALS_DIRECTORY is not set\n    \
             why: cred: names a systemd credential, which only a unit has\n    \
             fix: add LoadCredential=op:PATH to the unit, or use file:",
        ),
        (
            "[internal]\ntoken = \"hunter2hunter2\"\n".into(),
            "/etc/p/p.toml:11:9: internal.token: a secret stands in the configuration itself\n    \
             why: a secret in the configuration ends up in backups, logs and version control\n    \
             fix: put it into a file of mode 0600 and write a reference: \"file:PATH\", \"env:NAME\" or \"cred:NAME\"",
        ),
        (
            "[internal]\naddress = \"localhost\"\n".into(),
            "/etc/p/p.toml:11:11: internal.address: bad address \"localhost\"\n    \
             why: an address is an IP address and a port\n    \
             fix: write an address such as \"127.0.0.1:8000\" or \"[::1]:8000\"",
        ),
        (
            "[[listener]]\nname = \"l\"\naddress = \"127.0.0.1:0\"\n".into(),
            "/etc/p/p.toml:12:11: listener.l.address: port 0\n    \
             why: clients could not know the port the system chooses\n    \
             fix: write a port from 1 to 65535",
        ),
        (
            "[[limit]]\nname = \"l\"\nper = [\"client\"]\nwindows = [\"many\"]\n".into(),
            "/etc/p/p.toml:13:11: limit.l.windows: bad rate \"many\"\n    \
             why: a rate is a number, a slash and a span\n    \
             fix: write a rate such as \"100/min\" or \"1000/h\"",
        ),
        (
            "[[limit]]\nname = \"l\"\nper = [\"client\"]\n".into(),
            "/etc/p/p.toml:10:1: limit.l.windows: missing key\n    \
             why: it has no default\n    \
             fix: add windows = a list in square brackets",
        ),
        (
            route("body_limit = \"1 GB\"\n"),
            "/etc/p/p.toml:15:14: route.r.body_limit: bad size \"1 GB\"\n    \
             why: a size is a whole number and one of B, KiB, MiB, GiB\n    \
             fix: write a size such as \"64KiB\", \"10MiB\" or \"500B\"",
        ),
        (
            "[[mount]]\nname = \"two\"\ndialect = \"tmws\"\nat = [{ hosts = [\"b\"] }]\naccess_token_lifetime = \"25h\"\n".into(),
            "/etc/p/p.toml:14:25: mount.two.access_token_lifetime: longer than 24h\n    \
             why: ended sessions are remembered for a day, and no token may outlive that\n    \
             fix: write \"24h\" or less",
        ),
        (
            no_authn.into(),
            "/etc/p/p.toml:10:1: route.r.authn: a route without authn\n    \
             why: nothing is public by default; a route says which credentials it takes\n    \
             fix: add authn = [\"jwt\", \"api_key\"], or authn = [\"public\"]",
        ),
        (
            format!("{no_authn}authn = [\"public\", \"jwt\"]\n"),
            "/etc/p/p.toml:14:9: route.r.authn: \"public\" beside other kinds\n    \
             why: a public route reads no credential, so the others would never be asked for\n    \
             fix: write authn = [\"public\"], or remove \"public\"",
        ),
        (
            format!("{no_authn}authn = [\"jtw\"]\n"),
            "/etc/p/p.toml:14:9: route.r.authn: unknown credential kind \"jtw\"\n    \
             why: known: jwt, api_key, agent, session, client_cert, public\n    \
             fix: write \"jwt\", or remove it",
        ),
        (
            route("").replace("\"app\"", "\"ap\""),
            "/etc/p/p.toml:13:12: route.r.upstream: unknown upstream \"ap\"\n    \
             why: known: app\n    \
             fix: write \"app\", or add an [[upstream]] of this name",
        ),
        (
            route("mount = \"tmsw\"\n"),
            "/etc/p/p.toml:15:9: route.r.mount: unknown mount \"tmsw\"\n    \
             why: known: tmws\n    \
             fix: write \"tmws\", or add a [[mount]] of this name",
        ),
        (
            route("limits = [\"tmws-generic\"]\n"),
            "/etc/p/p.toml:15:10: route.r.limits: unknown limit \"tmws-generic\"\n    \
             why: known: tmws-general\n    \
             fix: write \"tmws-general\", or add a [[limit]] of this name",
        ),
        (
            plain("[\"public\"]").replace("\"public\"\nm", "\"pulbic\"\nm"),
            "/etc/p/p.toml:12:12: route.r.listener: unknown listener \"pulbic\"\n    \
             why: known: public\n    \
             fix: write \"public\", or add a [[listener]] of this name",
        ),
        (
            plain("[\"jwt\"]"),
            "/etc/p/p.toml:14:9: route.r.authn: credentials on a route without a mount\n    \
             why: tokens and keys belong to a mount, and this route names none\n    \
             fix: add mount = \"…\", or write authn = [\"public\"]",
        ),
        (
            "[[mount]]\nname = \"two\"\ndialect = \"tmvs\"\nat = [{ hosts = [\"b\"] }]\n".into(),
            "/etc/p/p.toml:12:11: mount.two.dialect: unknown dialect \"tmvs\"\n    \
             why: known: CONTRACTS\n    \
             fix: write \"tmws\", or name a contract this program speaks",
        ),
        (
            "[[mount]]\nname = \"two\"\ndialect = \"tmws\"\nrealm = \"mian\"\nat = [{ hosts = [\"b\"] }]\n".into(),
            "/etc/p/p.toml:13:9: mount.two.realm: unknown realm \"mian\"\n    \
             why: known: main\n    \
             fix: write \"main\", or add a [[realm]] of this name",
        ),
        (
            "[[upstream]]\nname = \"app\"\nbackends = [\"http://127.0.0.1:1\"]\n".into(),
            "/etc/p/p.toml:11:8: upstream.app.name: duplicate name \"app\"\n    \
             why: another [[upstream]] has it at line 6\n    \
             fix: give each [[upstream]] a name of its own",
        ),
        (
            route("authz = { scopes = { GET = \"REED\" } }\n"),
            "/etc/p/p.toml:15:28: route.r.authz.scopes: scope that no key or role can hold: unknown scope \"REED\"\n    \
             why: mount \"tmws\" knows: ADMIN, FULL, MEMORY, READ, TASKS, WORKFLOWS, WRITE\n    \
             fix: write \"READ\", or add the scope to the mount's policy",
        ),
        (
            route("authz = { roles = [\"ROOT\"] }\n"),
            "/etc/p/p.toml:15:19: route.r.authz.roles: unknown role \"ROOT\"\n    \
             why: known: SUPER_ADMIN, ADMIN, USER, READONLY, SERVICE\n    \
             fix: add it to the roles of the realm",
        ),
        (
            format!(
                "{}[[limit]]\nname = \"k\"\nper = [\"key\"]\nwindows = [\"1/s\"]\n",
                route("limits = [\"k\"]\n").replace("\"jwt\"", "\"public\"")
            ),
            "/etc/p/p.toml:15:10: route.r.limits: limit \"k\" on a public route\n    \
             why: it counts keys, users or tenants, and a public route knows none\n    \
             fix: use a limit with per = [\"client\"], or let the route take credentials",
        ),
        (
            route("headers = { request = { set = { X-Auth-Roles = \"ADMIN\" } } }\n"),
            "/etc/p/p.toml:15:31: route.r.headers.request.set: header rule for the identity header \"x-auth-roles\"\n    \
             why: identity headers are removed on every route and set once, from the permit\n    \
             fix: remove the rule",
        ),
        (
            "[[mount]]\nname = \"two\"\ndialect = \"tmws\"\nat = [{ hosts = [\"b\"] }]\ncors = { origins = [\"*\"], credentials = true }\n".into(),
            "/etc/p/p.toml:14:41: mount.two.cors.credentials: credentials for any origin\n    \
             why: any web site could act with the visitor's cookies (Fetch standard)\n    \
             fix: list the origins, or write credentials = false",
        ),
        (
            route("").replace("/r/**", "/r/**/x"),
            "/etc/p/p.toml:12:18: route.r.match.path: bad path \"/r/**/x\"\n    \
             why: * stands only as a last segment of two: /**\n    \
             fix: write a path such as \"/a/b\", \"/a/{id}\" or \"/a/**\"",
        ),
        (
            format!("{}{}", route(""), route("").replace("\"r\"", "\"s\"")),
            "/etc/p/p.toml:15:1: route.s: routes \"r\" (line 10) and \"s\" (line 15) are equal\n    \
             why: both match any method /r/** on listener \"public\" and neither is more specific\n    \
             fix: change the path or the methods of one, or remove it",
        ),
        (
            "[[mount]]\nname = \"two\"\ndialect = \"tmws\"\n".into(),
            "/etc/p/p.toml:10:1: mount.two: mounts \"tmws\" (line 2) and \"two\" (line 10) claim the same endpoints\n    \
             why: both would answer POST /api/v1/auth/login on listener \"public\", among others\n    \
             fix: give one of them another listener, host or prefix in its at",
        ),
        (
            "a = \n".into(),
            "/etc/p/p.toml:10:5: not valid TOML: string values must be quoted, expected literal string\n    \
             why: the file cannot be read any further\n    \
             fix: correct the syntax (https://toml.io)",
        ),
    ];
    let contracts: Vec<_> =
        crate::dialects::ALL.iter().map(|contract| contract.dialect.name()).collect();
    let contracts = contracts.join(", ");
    let mut wrong = String::new();
    for (text, expected) in cases {
        // Further contracts change nothing here.
        let expected = expected.replace("CONTRACTS", &contracts);
        let (found, expected) = (report(&text), format!("{expected}\n1 error in {FILE}"));
        if found != expected {
            wrong.push_str(&format!(
                "--- file\n{text}--- found\n{found}\n--- expected\n{expected}\n"
            ));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn all_faults_come_at_once_in_the_order_of_the_file() {
    let text = "vresion = 1\n[[mount]]\nname = \"a b\"\ndialect = \"tmws\"\nlimits = [\"x\"]\n\
                [[upstream]]\nname = \"u\"\nbackends = [\"ftp://h\"]\nretries = -1\n\
                [[route]]\nname = \"r\"\n";
    let found = read(text, &["nope", "route.q.limits=[]"]).unwrap_err();
    let keys: Vec<&str> = found.problems.iter().map(|problem| problem.key.as_str()).collect();
    assert_eq!(
        keys,
        [
            "vresion",
            "mount.a b.name",
            "mount.a b.limits",
            "upstream.u.backends",
            "upstream.u.retries",
            "route.r.authn",
            "route.r.match",
            "nope",
            "route.q.limits",
        ]
    );
}

#[test]
fn two_mounts_never_share_a_secret() {
    let mut world = World::default();
    world.files.insert("/etc/p/one".into(), format!("{}\n", "s".repeat(40)));
    world.vars.insert("TWO".into(), "s".repeat(40));
    let text = "[[mount]]\nname = \"a\"\ndialect = \"tmws\"\nsecret = \"file:one\"\n\
                [[mount]]\nname = \"b\"\ndialect = \"tmws\"\nsecret = \"env:TWO\"\nat = [{ prefixes = [\"/b\"] }]\n";
    let found = parse(Path::new(FILE), text, &[], &world).unwrap_err().to_string();
    assert_eq!(
        found,
        "/etc/p/p.toml:8:10: mount.b.secret: the same secret as mount \"a\" (line 4)\n    \
         why: a token of one mount would verify on the other\n    \
         fix: give each mount its own secret\n1 error in /etc/p/p.toml"
    );
    assert!(!found.contains("sss"));
}

#[test]
fn short_secrets_of_the_process_are_refused_before_it_starts() {
    let mut world = World::default();
    world.files.insert("/etc/p/token".into(), "fifteen-letters\n".into());
    world.files.insert("/etc/p/key".into(), "short-canary\n".into());
    let text = format!(
        "{HEAD}[internal]\ntoken = \"file:token\"\n[secrets]\nmaster_keys = [\"file:key\"]\n"
    );
    let found = parse(Path::new(FILE), &text, &[], &world).unwrap_err().to_string();
    let token = "p.toml:11:9: internal.token: the operator token has fewer than 16 bytes\n    \
                 why: it opens every account and key, and a short one can be guessed\n    \
                 fix: make one: openssl rand -hex 32";
    assert!(found.contains(token), "{found}");
    let key = "secrets.master_keys: the master key file:/etc/p/key has fewer than 16 bytes";
    assert!(found.contains(key), "{found}");
    assert!(!found.contains("fifteen") && !found.contains("canary"), "{found}");
}
