//! Several mounts: who stands where, which rules a realm gets, and keys that the operator chose.

use super::*;
use crate::dialects;

const REST: &str = r#"[[upstream]]
name = "app"
backends = ["http://127.0.0.1:9000"]
"#;

fn read_with(text: &str, vars: &[(&str, &str)]) -> Result<Config, String> {
    let vars = vars.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let world = World { vars: vars.collect(), ..World::default() };
    parse(Path::new(FILE), &format!("{text}{REST}"), &[], &world).map_err(|e| e.to_string())
}

fn good(text: &str) -> Config {
    read_with(text, &[]).unwrap()
}

fn mount(name: &str, realm: &str, more: &str) -> String {
    format!("[[mount]]\nname = \"{name}\"\ndialect = \"tmws\"\nrealm = \"{realm}\"\n{more}\n")
}

/// What a mount of this contract cannot do without.
fn essentials(contract: &dialects::Registered) -> &'static str {
    match contract.dialect.oauth() {
        Some(_) => {
            "provider = { client_id = \"me\", client_secret = \"file:hh-client.secret\", \
             redirect_uri = \"https://login.example.org/auth/callback\" }\n"
        }
        None => "",
    }
}

const REALM: &str = "[[realm]]\nname = \"main\"\n";
const LISTENERS: &str = "[[listener]]\nname = \"a\"\naddress = \"127.0.0.1:8000\"\n\
                         [[listener]]\nname = \"b\"\naddress = \"127.0.0.1:8002\"\n";

#[test]
fn mounts_of_one_contract_stand_side_by_side_where_nothing_is_claimed_twice() {
    for (one, two) in [
        ("{ listener = \"a\" }", "{ listener = \"b\" }"),
        ("{ listener = \"a\" }", "{ listener = \"a\", prefixes = [\"/v2\"] }"),
        ("{ listener = \"a\" }", "{ listener = \"a\", hosts = [\"inkpass\"] }"),
        ("{ listener = \"a\", hosts = [\"x\"] }", "{ listener = \"a\", hosts = [\"y\"] }"),
    ] {
        let at = |place: &str| format!("at = [{place}]");
        let text =
            [LISTENERS, REALM, &mount("one", "main", &at(one)), &mount("two", "main", &at(two))];
        let config = good(&text.concat());
        assert_eq!(config.blueprint.mounts.len(), 2);
        // What is in force can be written down and read again.
        let again = parse(Path::new(FILE), &config.effective, &[], &World::default());
        assert_eq!(again.unwrap().effective, config.effective);
    }
}

#[test]
fn two_claims_name_both_mounts_and_their_lines_even_at_one_of_several_places() {
    let one = "at = [{ listener = \"a\" }, { listener = \"b\", hosts = [\"X\"], prefixes = [\"/\", \"/v2\"] }]";
    let two = "at = [{ listener = \"b\", hosts = [\"y\", \"x\"], prefixes = [\"/v2/\"] }]";
    let text = [LISTENERS, REALM, &mount("one", "main", one), &mount("two", "main", two)].concat();
    let said = read_with(&text, &[]).unwrap_err();
    assert!(said.contains("mounts \"one\" (line 9) and \"two\" (line 14) claim"), "{said}");
    assert!(said.contains("/v2/api/v1/auth/login on listener \"b\", host \"x\""), "{said}");
}

#[test]
fn two_mounts_that_publish_keys_at_one_place_are_told_with_both_names() {
    let other = "[[mount]]\nname = \"two\"\ndialect = \"bearer\"\nrealm = \"main\"\nalgorithm = \"ES256\"\n";
    let one = mount("one", "main", "algorithm = \"RS256\"");
    let said = read_with(&[REALM, &one, other].concat(), &[]).unwrap_err();
    assert!(said.contains("mounts \"one\" (line 3) and \"two\" (line 8) claim"), "{said}");
    let path = "would answer GET /.well-known/jwks.json on listener";
    assert!(said.contains(path) && !said.contains("others"), "{said}");
    // One that signs with a shared secret publishes nothing.
    good(&[REALM, &mount("one", "main", "algorithm = \"HS256\""), other].concat());
}

#[test]
fn a_second_default_of_a_place_is_refused() {
    let text = [
        REALM,
        &mount("one", "main", "default = true"),
        &mount("two", "main", "at = [{ prefixes = [\"/v2\"] }]\ndefault = true"),
    ];
    good(&text.concat());
    let text = text.concat().replace("/v2", "/");
    let said = read_with(&text, &[]).unwrap_err();
    assert!(said.contains("\"one\" is the default there already"), "{said}");
}

#[test]
fn each_realm_starts_from_the_contract_of_its_first_mount() {
    for contract in dialects::ALL {
        let name = contract.dialect.name();
        let text = format!(
            "[[realm]]\nname = \"strict\"\n[[realm]]\nname = \"own\"\n\
             [[mount]]\nname = \"m\"\ndialect = \"{name}\"\nrealm = \"own\"\n{}",
            essentials(contract)
        );
        let config = good(&text);
        let rules = |realm: &str| {
            let found =
                config.blueprint.realms.iter().find(|found| found.is.name.as_str() == realm);
            found.unwrap().is.rules.clone()
        };
        assert_eq!(rules("own"), contract.dialect.defaults().realm, "{name}");
        assert_eq!(rules("strict").password.min_length, 15);
    }
    // Two contracts in two realms, and a third one as a guest in the first one's.
    let (first, last) = (dialects::ALL.first().unwrap(), dialects::ALL.last().unwrap());
    let text = format!(
        "{LISTENERS}[[realm]]\nname = \"x\"\n[[realm]]\nname = \"y\"\n\
         [[mount]]\nname = \"one\"\ndialect = \"{}\"\nrealm = \"x\"\nat = [{{ listener = \"a\" }}]\n{}\
         [[mount]]\nname = \"two\"\ndialect = \"{}\"\nrealm = \"y\"\nat = [{{ listener = \"b\" }}]\n{}\
         [[mount]]\nname = \"guest\"\ndialect = \"{}\"\nrealm = \"x\"\nat = [{{ listener = \"b\", prefixes = [\"/g\"] }}]\n{}",
        first.dialect.name(),
        essentials(first),
        last.dialect.name(),
        essentials(last),
        last.dialect.name(),
        essentials(last),
    );
    let config = good(&text);
    let rules: Vec<_> = config.blueprint.realms.iter().map(|found| &found.is.rules).collect();
    assert_eq!(*rules[0], first.dialect.defaults().realm);
    assert_eq!(*rules[1], last.dialect.defaults().realm);
}

fn keyed(keys: &str) -> String {
    let at = "at = [{ prefixes = [\"/two\"] }]";
    [REALM, &mount("one", "main", keys), &mount("two", "main", at)].concat()
}

const LONG: (&str, &str) = ("LONG", "any-text-whatsoever-0123456789-abcdef");
const SHORT: (&str, &str) = ("SHORT", "svc-1");

#[test]
fn a_key_of_the_operators_choice_has_any_form() {
    let config = read_with(
        &keyed(
            "static_key = [{ name = \"ci\", secret = \"env:LONG\", service = \"ci\", roles = [\"SERVICE\"], \
             scopes = [\"read\"], allowed_ips = [\"10.0.0.0/8\"] }, \
             { name = \"old\", secret = \"env:SHORT\", user = \"admin\" }]",
        ),
        &[LONG, SHORT],
    )
    .unwrap();
    let keys = &config.identity().mounts[0].static_keys;
    assert_eq!(
        keys.iter().map(|key| key.id.as_str()).collect::<Vec<_>>(),
        ["static:ci", "static:old"]
    );
    assert!(keys[0].scopes.contains("READ"));
    let told = config.findings().relaxations;
    let short: Vec<_> = told.iter().filter(|found| found.id == "R-STATIC-KEY-SHORT").collect();
    assert_eq!(short.len(), 1);
    assert_eq!(short[0].key, "mount.one.static_key.old.secret");
    assert!(!format!("{:?}{}", config.blueprint, config.effective).contains(SHORT.1));
}

#[test]
fn keys_that_cannot_hold_are_told() {
    let key = |text: &str| keyed(&format!("static_key = [{{ {text} }}]"));
    for (text, told) in [
        (key("name = \"a\", service = \"s\""), "secret: missing key"),
        (key("name = \"a\", secret = \"svc-1\", service = \"s\""), "a secret stands in the configuration"),
        (key("name = \"a\", secret = \"env:BLANK\", service = \"s\""), "the key cannot be sent"),
        (key("name = \"a\", secret = \"env:LONG\""), "neither user nor service"),
        (key("name = \"a\", secret = \"env:LONG\", user = \"u\", service = \"s\""), "both user and service"),
        (key("name = \"a\", secret = \"env:LONG\", user = \"u\", roles = []"), "roles beside user"),
        (key("name = \"a\", secret = \"env:LONG\", service = \"s\", roles = [\"KING\"]"), "unknown role \"KING\""),
        (key("name = \"a\", secret = \"env:LONG\", service = \"s\", scopes = [\"RAED\"]"), "unknown scope \"RAED\""),
        (key("name = \"a:b\", secret = \"env:LONG\", service = \"s\""), "bad name \"a:b\""),
        (key("name = \"a\", secret = \"env:LONG\", service = \"s\", ips = []"), "unknown key \"ips\""),
        (
            keyed(
                "static_key = [{ name = \"a\", secret = \"env:LONG\", service = \"s\" }, \
                 { name = \"b\", secret = \"env:LONG\", service = \"s\" }]",
            ),
            "the same secret as another key",
        ),
        (
            keyed("static_key = [{ name = \"a\", secret = \"env:LONG\", service = \"s\" }]").replace(
                "at = [{ prefixes",
                "static_key = [{ name = \"a\", secret = \"env:LONG\", service = \"s\" }]\nat = [{ prefixes",
            ),
            "static key \"a\" is one of mount \"one\"",
        ),
    ] {
        let said = read_with(&text, &[LONG, SHORT, ("BLANK", "a b")]).unwrap_err();
        assert!(said.contains(told), "{told}\n{said}");
        assert!(!said.contains(LONG.1), "{said}");
    }
}

#[test]
fn every_contract_stands_below_its_prefix_on_one_origin() {
    let config = read(include_str!("../../../conf/one-origin.toml"), &[]).unwrap();
    assert_eq!(config.blueprint.listeners.len(), 1);
    for contract in dialects::ALL {
        let name = contract.dialect.name();
        let mount = config.blueprint.mounts.iter().find(|found| found.is.name.as_str() == name);
        let places =
            &mount.unwrap_or_else(|| panic!("conf/one-origin.toml lacks {name}")).is.places;
        let prefixes: Vec<_> = places.iter().map(|place| &*place.prefix).collect();
        assert_eq!(prefixes, [format!("/{name}")]);
    }
}
