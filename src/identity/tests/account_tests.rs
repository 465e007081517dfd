//! Accounts, passwords, import.

use crate::identity::{Account, Actor, IdentityError, NewAccount, PasswordPolicy, test_kit::*};

fn new(name: &str) -> NewAccount {
    NewAccount {
        username: Some(name.into()),
        email: Some(format!("{name}@example.org")),
        password: GOOD.into(),
        policy: PasswordPolicy::Enforce,
        full_name: None,
        roles: None,
        tenant: None,
    }
}

async fn create(kit: &Kit, new: NewAccount, by: &Actor) -> Result<Account, IdentityError> {
    kit.identity.create_account(&realm(), new, by).await
}

#[tokio::test]
async fn a_new_account_has_the_default_role_and_is_found_by_any_of_its_names() {
    let kit = Kit::open(|_| ()).await;
    let ada = create(&kit, new("ada"), &Actor::operator()).await.unwrap();
    assert_eq!(ada.roles, ["USER"]);
    for text in [ada.id.as_str(), "ADA", "ada@EXAMPLE.org"] {
        assert_eq!(kit.identity.find_account(&realm(), text).await.unwrap(), ada);
    }
    let gone = kit.identity.find_account(&realm(), "bob").await;
    assert_eq!(gone.unwrap_err(), IdentityError::NotFound);
    assert_eq!(kit.identity.account(&realm(), &ada.id).await.unwrap(), ada);
    let foreign = kit.identity.account(&"elsewhere".into(), &ada.id).await;
    assert_eq!(foreign.unwrap_err(), IdentityError::NotFound, "accounts are per realm");
    assert_eq!(kit.identity.accounts(Some(&realm()), None, 10).await.unwrap(), [ada]);
}

#[tokio::test]
async fn taken_names_are_refused_in_any_case() {
    let kit = Kit::open(|_| ()).await;
    create(&kit, new("ada"), &Actor::operator()).await.unwrap();
    let name = NewAccount { email: None, ..new("ADA") };
    let refused = create(&kit, name, &Actor::operator()).await.unwrap_err();
    assert_eq!(refused, IdentityError::AlreadyExists { field: "username" });
    let address = NewAccount { email: Some("Ada@example.ORG".into()), ..new("eve") };
    let refused = create(&kit, address, &Actor::operator()).await.unwrap_err();
    assert_eq!(refused, IdentityError::AlreadyExists { field: "email" });
}

#[tokio::test]
async fn everything_wrong_with_a_new_account_is_said_at_once() {
    let kit = Kit::open(|_| ()).await;
    let odd = NewAccount {
        username: Some("a b".into()),
        email: Some("nonsense".into()),
        password: "short".into(),
        roles: Some(vec!["KING".into()]),
        ..new("x")
    };
    let Err(IdentityError::Invalid(faults)) = create(&kit, odd, &Actor::operator()).await else {
        panic!("accepted");
    };
    let fields: Vec<_> = faults.iter().map(|fault| fault.field).collect();
    assert_eq!(fields[..3], ["username", "email", "roles"]);
    assert!(fields[3..].iter().all(|field| *field == "password") && fields.len() > 4);
    let weak = NewAccount { password: "MyPassword-12345".into(), ..new("eve") };
    let Err(IdentityError::WeakPassword(faults)) = create(&kit, weak, &Actor::operator()).await
    else {
        panic!("accepted");
    };
    assert_eq!(faults.len(), 1);
    let nobody = NewAccount { username: None, email: None, ..new("x") };
    let refused = create(&kit, nobody, &Actor::operator()).await.unwrap_err();
    assert!(matches!(refused, IdentityError::Invalid(_)));
}

#[tokio::test]
async fn the_operator_may_bypass_the_password_rule_but_not_its_bounds() {
    let kit = Kit::open(|_| ()).await;
    let policy = PasswordPolicy::Bypass;
    let demo = NewAccount { password: "password".into(), policy, ..new("admin") };
    create(&kit, demo, &Actor::operator()).await.unwrap();
    kit.login("admin", "password").await.unwrap();
    for password in ["", &"x".repeat(129)] {
        let odd = NewAccount { password: password.into(), policy, ..new("eve") };
        let refused = create(&kit, odd, &Actor::operator()).await.unwrap_err();
        assert!(matches!(refused, IdentityError::WeakPassword(_)));
    }
}

#[tokio::test]
async fn nobody_gives_away_a_mightier_role_than_the_own_one() {
    let kit = Kit::open(|_| ()).await;
    let admin = kit.user("boss", &["ADMIN"]).await;
    let with = |name: &str, role: &str| NewAccount { roles: Some(vec![role.into()]), ..new(name) };
    create(&kit, with("u1", "USER"), &acting(&admin.id)).await.unwrap();
    create(&kit, with("u2", "admin"), &acting(&admin.id)).await.unwrap();
    let refused = create(&kit, with("u3", "SUPER_ADMIN"), &acting(&admin.id)).await.unwrap_err();
    assert_eq!(refused, IdentityError::Forbidden { action: "create" });
    create(&kit, with("u3", "SUPER_ADMIN"), &Actor::operator()).await.unwrap();
}

// requirement: 32
#[tokio::test]
async fn a_changed_password_ends_all_sessions() {
    let kit = Kit::open(|_| ()).await;
    let ada = kit.user("ada", &["USER"]).await;
    let (one, two) = (kit.login("ada", GOOD).await.unwrap(), kit.login("ada", GOOD).await.unwrap());
    let change = async |current: &str, new: &str| {
        let (current, new) = (current.into(), new.into());
        let (caller, by) = (kit.principal(&one), acting(&ada.id));
        kit.identity.change_password(&caller, &current, &new, &by).await
    };
    let wrong = change("wrong", "N3w-Enough-also").await;
    assert_eq!(wrong, Err(IdentityError::WrongCurrentPassword));
    let weak = change(GOOD, "weak").await;
    assert!(matches!(weak, Err(IdentityError::WeakPassword(_))));
    assert!(!kit.is_revoked(&one));
    change(GOOD, "N3w-Enough-also").await.unwrap();
    assert!(kit.is_revoked(&one) && kit.is_revoked(&two));
    kit.refresh(refresh_of(&one)).await.unwrap_err();
    assert_eq!(kit.login("ada", GOOD).await.unwrap_err(), IdentityError::InvalidCredentials);
    kit.login("ada", "N3w-Enough-also").await.unwrap();
    assert!(kit.events().await.contains(&"PASSWORD_CHANGE".to_owned()));
}

// requirement: 29
#[tokio::test]
async fn guessing_the_current_password_is_throttled_but_locks_nobody_out() {
    let kit = Kit::open(|_| ()).await;
    let ada = kit.user("ada", &["USER"]).await;
    let caller = kit.principal(&kit.login("ada", GOOD).await.unwrap());
    let guess = async || {
        let (current, new) = ("wrong".into(), "N3w-Enough-also".into());
        kit.identity.change_password(&caller, &current, &new, &acting(&ada.id)).await
    };
    for _ in 0..10 {
        assert_eq!(guess().await, Err(IdentityError::WrongCurrentPassword));
    }
    assert!(matches!(guess().await, Err(IdentityError::Throttled(_))));
    kit.login_from("198.51.100.1", "ada", GOOD).await.unwrap();
}

#[tokio::test]
async fn an_import_is_all_or_nothing_and_names_every_refused_line() {
    let kit = Kit::open(|_| ()).await;
    kit.user("ada", &["USER"]).await;
    let hash = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$\
                AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
    let line = |name: &str| format!("{{\"username\":\"{name}\",\"password_hash\":\"{hash}\"}}\n");
    let import = async |text: String| {
        kit.identity.import(&realm(), &text, &Actor::operator()).await.unwrap()
    };

    let report = import(line("u1") + "oops\n" + &line("ADA") + &line("U1")).await;
    let lines: Vec<_> = report.refused.iter().map(|refused| refused.line).collect();
    assert_eq!((report.imported, lines), (0, vec![2, 3, 4]));

    let report = import(line("u1") + &line("ada")).await;
    let lines: Vec<_> = report.refused.iter().map(|refused| refused.line).collect();
    assert_eq!((report.imported, lines), (0, vec![2]));
    assert_eq!(kit.identity.accounts(None, None, 10).await.unwrap().len(), 1, "nothing was made");

    let report = import(line("u1") + &line("u2")).await;
    assert_eq!((report.imported, report.refused.len()), (2, 0));
    assert_eq!(kit.events().await.last().unwrap(), "ACCOUNTS_IMPORTED");
}

#[tokio::test]
async fn an_empty_import_changes_nothing() {
    let kit = Kit::open(|_| ()).await;
    let report = kit.identity.import(&realm(), "\n\n", &Actor::operator()).await.unwrap();
    assert_eq!((report.imported, report.refused.len()), (0, 0));
}
