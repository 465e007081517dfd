use super::*;
use crate::pipeline::fixture::{self, Request};

const MINUTE: Window = Window { limit: 100, per: Duration::from_secs(60) };

fn limit(name: &str, per: &[Per]) -> Arc<Limit> {
    Arc::new(Limit {
        name: name.into(),
        per: per.to_vec(),
        windows: vec![MINUTE],
        shadow: false,
        across: crate::pipeline::quota::Across::default(),
    })
}

const ADDRESS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7));

fn parts(per: Per, who: Option<&Principal>) -> String {
    let route = fixture::route("tasks");
    let limits = [limit("l", &[per])];
    let charges = charges(&limits, &route.name, who, ADDRESS);
    format!("{:?}", charges[0].key.parts[0])
}

#[test]
fn each_part_counts_whom_it_names_and_absence_is_a_bucket_of_its_own() {
    let token = fixture::principal(&[], None);
    let mut key = fixture::principal(&[], Some(&[]));
    key.key = Some("k1".into());
    key.tenant = Some("lab".into());
    let subject = token.subject.as_str();
    for (per, nobody, by_token, by_key) in [
        (
            Per::Client,
            "Client(192.0.2.7)".into(),
            "Client(192.0.2.7)".into(),
            "Client(192.0.2.7)".into(),
        ),
        (
            Per::Route,
            "Route(\"tasks\")".into(),
            "Route(\"tasks\")".into(),
            "Route(\"tasks\")".into(),
        ),
        (Per::Key, "Absent(Key)".into(), "Absent(Key)".into(), "Key(\"k1\")".to_owned()),
        (
            Per::User,
            "Absent(User)".into(),
            format!("User(\"main\", \"{subject}\")"),
            format!("User(\"main\", \"{subject}\")"),
        ),
        (Per::Tenant, "Absent(Tenant)".into(), "Absent(Tenant)".into(), "Tenant(\"lab\")".into()),
        (
            Per::Credential,
            "Client(192.0.2.7)".to_owned(),
            format!("User(\"main\", \"{subject}\")"),
            "Key(\"k1\")".into(),
        ),
    ] {
        assert_eq!(parts(per, None), nobody);
        assert_eq!(parts(per, Some(&token)), by_token);
        assert_eq!(parts(per, Some(&key)), by_key);
    }
}

#[test]
fn early_limits_are_charged_before_and_late_ones_after_the_caller_is_known() {
    let mut route = fixture::route("tasks");
    route.early_limits = vec![limit("early", &[Per::Client, Per::Route])];
    route.late_limits = vec![limit("late", &[Per::User])];
    let request = Request::get("/");
    let view = request.view();
    let early = early_charges(&route, &view);
    let names: Vec<&str> = early.iter().map(|charge| charge.key.limit).collect();
    assert_eq!((names, early[0].key.parts.len()), (vec!["early"], 2));
    drop(early);

    let mut who = fixture::principal(&[], Some(&[]));
    who.key = Some("k1".into());
    who.rate_limit_per_hour = Some(5);
    let own = own_window(Some(&who));
    let client = view.client.address;
    let late = late_charges(&route, Some(&who), client, own.as_ref());
    let names: Vec<&str> = late.iter().map(|charge| charge.key.limit).collect();
    assert_eq!(names, ["late", KEY_HOUR]);
    assert_eq!(*late[1].key.parts, [KeyPart::Key("k1")]);
    assert_eq!(late[1].windows, [Window { limit: 5, per: Duration::from_secs(3600) }]);
    assert_eq!(late_charges(&route, Some(&who), client, None).len(), 1);
}

#[test]
fn a_caller_without_a_limit_of_its_own_has_no_window() {
    let mut who = fixture::principal(&[], None);
    assert_eq!(own_window(None), None);
    assert_eq!(own_window(Some(&who)), None);
    who.rate_limit_per_hour = Some(0);
    assert_eq!(own_window(Some(&who)), None);
}

#[test]
fn addresses_are_folded_for_counting() {
    for (given, wanted) in [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
    ] {
        let folded = counted_address(given.parse().unwrap());
        assert_eq!(folded, wanted.parse::<IpAddr>().unwrap());
    }
}

#[test]
fn the_shown_toll_is_the_one_with_the_fewest_left_then_the_later_reset() {
    let toll = |name: &str, remaining, reset| Toll {
        name: name.into(),
        window: MINUTE,
        remaining,
        reset_after: Duration::from_secs(reset),
        retry_after: None,
    };
    let shown = |one: Toll, two: Toll| one.tighter(two).name.to_string();
    assert_eq!(shown(toll("a", 1, 5), toll("b", 2, 50)), "a");
    assert_eq!(shown(toll("a", 2, 5), toll("b", 1, 50)), "b");
    assert_eq!(shown(toll("a", 1, 5), toll("b", 1, 50)), "b");
    assert_eq!(shown(toll("a", 1, 5), toll("b", 1, 5)), "a");
}
