//! Accounts.

use axum::{
    Json,
    extract::{DefaultBodyLimit, Path, State},
    http::StatusCode,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    App,
    ask::{Asked, InRealm, Sent, UsersAsked, has_nul, limit, nul},
    views::UserView,
};
use crate::{
    admin::problem::{Fault, Problem},
    identity::{Account, Actor, NewAccount, PasswordPolicy},
    model::{AccountId, Random, RealmName, SecretString, secret::ExposeSecret},
};

/// An import of a hundred thousand accounts is about 30 MiB.
const IMPORT_LIMIT: usize = 64 * 1024 * 1024;
const GENERATED_LENGTH: usize = 28;

/// A new account. Without a password one is made up and told once.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewUser {
    /// May be left out when there is exactly one.
    realm: Option<String>,
    username: Option<String>,
    email: Option<String>,
    password: Option<String>,
    /// Left out: the realm's default role.
    roles: Option<Vec<String>>,
    full_name: Option<String>,
    /// Organisation or namespace.
    tenant: Option<String>,
    /// Take the password even if it does not meet the realm's rule; logged as a warning.
    #[serde(default)]
    bypass_policy: bool,
}

/// An account just made.
#[derive(Serialize, ToSchema)]
pub(super) struct CreatedUser {
    user: UserView,
    /// The password that was made up; told this once.
    #[serde(skip_serializing_if = "Option::is_none")]
    generated_password: Option<String>,
}

/// A part of the accounts.
#[derive(Serialize, ToSchema)]
pub(super) struct Users {
    users: Vec<UserView>,
    /// `after` of the next part; null when this was the last.
    next: Option<String>,
}

/// A new password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewPassword {
    /// Left out: one is made up and told once.
    password: Option<String>,
    /// As for a new account.
    #[serde(default)]
    bypass_policy: bool,
}

/// A password just set.
#[derive(Serialize, ToSchema)]
pub(super) struct PasswordSet {
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    generated_password: Option<String>,
}

/// The roles an account shall have.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewRoles {
    roles: Vec<String>,
}

/// Whom an OpenID provider knows.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LinkedPerson {
    /// `iss` of the provider, character by character.
    issuer: String,
    /// `sub`: what it calls the person.
    sub: String,
}

/// A person of a provider whose logins there are logins here.
#[derive(Serialize, ToSchema)]
pub(super) struct LinkView {
    issuer: String,
    sub: String,
    /// The last login through it, or the moment at which both were joined.
    updated_at: String,
}

/// Whom an account is at which providers.
#[derive(Serialize, ToSchema)]
pub(super) struct Links {
    links: Vec<LinkView>,
}

/// What an import made.
#[derive(Serialize, ToSchema)]
pub(super) struct Imported {
    imported: usize,
}

/// Makes an account.
#[utoipa::path(post, path = "/v1/users", tag = "users", request_body = NewUser,
    responses((status = 201, body = CreatedUser), (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn create(
    State(app): State<App>,
    Sent(new): Sent<NewUser>,
) -> Result<(StatusCode, Json<CreatedUser>), Problem> {
    let realm = app.realm(new.realm.as_deref())?;
    let (password, generated_password) = given_or_made(new.password, &app, &realm)?;
    let new = NewAccount {
        username: new.username,
        email: new.email,
        password,
        policy: policy(new.bypass_policy),
        full_name: new.full_name,
        roles: new.roles,
        tenant: new.tenant,
    };
    let account = app.parts.identity.create_account(&realm, new, &Actor::operator()).await?;
    let created = CreatedUser { user: account.into(), generated_password };
    Ok((StatusCode::CREATED, Json(created)))
}

/// Lists accounts, oldest first.
#[utoipa::path(get, path = "/v1/users", tag = "users", params(UsersAsked),
    responses((status = 200, body = Users), (status = 422, body = Problem)))]
pub(super) async fn list(
    State(app): State<App>,
    Asked(page): Asked<UsersAsked>,
) -> Result<Json<Users>, Problem> {
    let realm = app.realm_filter(page.realm.as_deref())?;
    let after = page.after.as_deref().map(AccountId::from);
    let limit = limit(page.limit)?;
    let users = app.parts.identity.accounts(realm.as_ref(), after.as_ref(), limit).await?;
    let users: Vec<_> = users.into_iter().map(UserView::from).collect();
    Ok(Json(Users { next: super::next(&users, limit, |user| &user.id), users }))
}

/// Disables an account: its sessions end and its keys fall silent at once.
#[utoipa::path(post, path = "/v1/users/{name}/disable", tag = "users", params(InRealm, ("name" = String, Path)),
    responses((status = 200, body = UserView), (status = 404, body = Problem)))]
pub(super) async fn disable(
    State(app): State<App>,
    Path(name): Path<String>,
    Asked(query): Asked<InRealm>,
) -> Result<Json<UserView>, Problem> {
    set_enabled(&app, &name, &query, false).await
}

/// Enables an account again.
#[utoipa::path(post, path = "/v1/users/{name}/enable", tag = "users", params(InRealm, ("name" = String, Path)),
    responses((status = 200, body = UserView), (status = 404, body = Problem)))]
pub(super) async fn enable(
    State(app): State<App>,
    Path(name): Path<String>,
    Asked(query): Asked<InRealm>,
) -> Result<Json<UserView>, Problem> {
    set_enabled(&app, &name, &query, true).await
}

/// Switches the second factor of an account off, for somebody who lost the app and all backup codes.
#[utoipa::path(post, path = "/v1/users/{name}/reset-factor", tag = "users", params(InRealm, ("name" = String, Path)),
    responses((status = 200, body = UserView), (status = 404, body = Problem)))]
pub(super) async fn reset_factor(
    State(app): State<App>,
    Path(name): Path<String>,
    Asked(query): Asked<InRealm>,
) -> Result<Json<UserView>, Problem> {
    let (realm, account) = find(&app, &name, &query).await?;
    let by = Actor::operator();
    let account = app.parts.identity.reset_factor(&realm, &account.id, &by).await?;
    Ok(Json(account.into()))
}

/// Sets a password, ends all sessions of the account and lifts a lock.
#[utoipa::path(post, path = "/v1/users/{name}/password", tag = "users", params(InRealm, ("name" = String, Path)),
    request_body = NewPassword,
    responses((status = 200, body = PasswordSet), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn set_password(
    State(app): State<App>,
    Path(name): Path<String>,
    Asked(query): Asked<InRealm>,
    Sent(new): Sent<NewPassword>,
) -> Result<Json<PasswordSet>, Problem> {
    let (realm, account) = find(&app, &name, &query).await?;
    let (password, generated_password) = given_or_made(new.password, &app, &realm)?;
    let policy = policy(new.bypass_policy);
    let by = Actor::operator();
    app.parts.identity.set_password(&realm, &account.id, &password, policy, &by).await?;
    let message = format!("password of {name} set, sessions ended");
    Ok(Json(PasswordSet { message, generated_password }))
}

/// Sets the roles of an account and ends its sessions.
#[utoipa::path(post, path = "/v1/users/{name}/roles", tag = "users", params(InRealm, ("name" = String, Path)),
    request_body = NewRoles,
    responses((status = 200, body = UserView), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn set_roles(
    State(app): State<App>,
    Path(name): Path<String>,
    Asked(query): Asked<InRealm>,
    Sent(new): Sent<NewRoles>,
) -> Result<Json<UserView>, Problem> {
    let (realm, account) = find(&app, &name, &query).await?;
    let by = Actor::operator();
    let account = app.parts.identity.set_roles(&realm, &account.id, new.roles, &by).await?;
    Ok(Json(account.into()))
}

/// Lists which people of which OpenID providers an account is.
#[utoipa::path(get, path = "/v1/users/{name}/links", tag = "users", params(InRealm, ("name" = String, Path)),
    responses((status = 200, body = Links), (status = 404, body = Problem)))]
pub(super) async fn links(
    State(app): State<App>,
    Path(name): Path<String>,
    Asked(query): Asked<InRealm>,
) -> Result<Json<Links>, Problem> {
    let (_, account) = find(&app, &name, &query).await?;
    linked(&app, &account).await
}

/// Joins a person of an OpenID provider to an account: from then on its logins there are logins here.
#[utoipa::path(post, path = "/v1/users/{name}/link", tag = "users", params(InRealm, ("name" = String, Path)),
    request_body = LinkedPerson,
    responses((status = 200, body = Links), (status = 404, body = Problem), (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn link(
    State(app): State<App>,
    Path(name): Path<String>,
    Asked(query): Asked<InRealm>,
    Sent(person): Sent<LinkedPerson>,
) -> Result<Json<Links>, Problem> {
    let (realm, account) = find(&app, &name, &query).await?;
    let (who, by) = ((&*person.issuer, &*person.sub), Actor::operator());
    app.parts.identity.link_account(&realm, &account.id, who, &by).await?;
    linked(&app, &account).await
}

/// Takes a person of an OpenID provider off an account, and ends the sessions that its logins opened.
#[utoipa::path(post, path = "/v1/users/{name}/unlink", tag = "users", params(InRealm, ("name" = String, Path)),
    request_body = LinkedPerson,
    responses((status = 200, body = Links), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn unlink(
    State(app): State<App>,
    Path(name): Path<String>,
    Asked(query): Asked<InRealm>,
    Sent(person): Sent<LinkedPerson>,
) -> Result<Json<Links>, Problem> {
    let (realm, account) = find(&app, &name, &query).await?;
    let (who, by) = ((&*person.issuer, &*person.sub), Actor::operator());
    app.parts.identity.unlink_account(&realm, &account.id, who, &by).await?;
    linked(&app, &account).await
}

async fn linked(app: &App, account: &Account) -> Result<Json<Links>, Problem> {
    let links = app.parts.identity.links(&account.id).await?;
    let view = |link: crate::identity::Link| LinkView {
        issuer: link.issuer,
        sub: link.subject,
        updated_at: link.updated_at.iso(),
    };
    Ok(Json(Links { links: links.into_iter().map(view).collect() }))
}

/// Imports accounts with their hashes, one JSON object per line: all or nothing, every refused line is told.
#[utoipa::path(post, path = "/v1/users/import", tag = "users", params(InRealm),
    request_body(content = String, content_type = "application/x-ndjson"),
    responses((status = 200, body = Imported), (status = 422, body = Problem)))]
pub(super) async fn import(
    State(app): State<App>,
    Asked(query): Asked<InRealm>,
    lines: Result<String, axum::extract::rejection::StringRejection>,
) -> Result<Json<Imported>, Problem> {
    let lines = lines.map_err(|error| Problem::new(error.status(), "body", error.body_text()))?;
    if has_nul(lines.as_bytes()) {
        return Err(nul());
    }
    let realm = app.realm(query.realm.as_deref())?;
    let report = app.parts.identity.import(&realm, &lines, &Actor::operator()).await?;
    if report.refused.is_empty() {
        return Ok(Json(Imported { imported: report.imported }));
    }
    let faults = report.refused.into_iter().map(|line| Fault {
        field: format!("line {}", line.line),
        code: "refused".to_owned(),
        message: line.why,
    });
    Err(Problem::invalid("nothing was imported: some lines are refused", faults.collect()))
}

/// Lets imports be as large as they are.
pub(super) fn import_limit() -> DefaultBodyLimit {
    DefaultBodyLimit::max(IMPORT_LIMIT)
}

async fn set_enabled(
    app: &App,
    name: &str,
    query: &InRealm,
    enabled: bool,
) -> Result<Json<UserView>, Problem> {
    let (realm, account) = find(app, name, query).await?;
    let by = Actor::operator();
    let account = app.parts.identity.set_enabled(&realm, &account.id, enabled, &by).await?;
    Ok(Json(account.into()))
}

async fn find(app: &App, name: &str, query: &InRealm) -> Result<(RealmName, Account), Problem> {
    let realm = app.realm(query.realm.as_deref())?;
    let account = app.account(&realm, name).await?;
    Ok((realm, account))
}

const fn policy(bypass: bool) -> PasswordPolicy {
    if bypass { PasswordPolicy::Bypass } else { PasswordPolicy::Enforce }
}

/// The given password, or a new one together with the text to tell.
fn given_or_made(
    given: Option<String>,
    app: &App,
    realm: &RealmName,
) -> Result<(SecretString, Option<String>), Problem> {
    if let Some(given) = given {
        return Ok((given.into(), None));
    }
    let made = make_password(app.parts.random.as_ref(), app.parts.identity.symbol_for(realm)?)?;
    let told = made.expose_secret().to_owned();
    Ok((made, Some(told)))
}

/// About 160 random bits, then one of each kind of character that realm rules ask for.
fn make_password(random: &dyn Random, symbol: char) -> Result<SecretString, Problem> {
    // 32 letters and digits that are not taken for one another: five bits each, no bias. The few vowels among them
    // spell none of the words the contracts forbid.
    const ALPHABET: &[u8; 32] = b"23456789BCDFGHJKLMNPQRSTVWXZbcdf";
    let mut bytes = [0; GENERATED_LENGTH + 4];
    random.fill(&mut bytes).map_err(|_| {
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "random", "no random bytes to be had")
    })?;
    let mut text: String = bytes
        .iter()
        .filter_map(|byte| ALPHABET.get(usize::from(byte % 32)).copied())
        .map(char::from)
        .collect();
    text.push(symbol);
    text.push_str("Kx7");
    Ok(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::SystemRandom;

    #[test]
    fn a_made_up_password_has_every_kind_of_character_and_is_never_the_same() {
        let one = make_password(&SystemRandom, '-').unwrap();
        let two = make_password(&SystemRandom, '-').unwrap();
        assert_ne!(one.expose_secret(), two.expose_secret());
        let text = one.expose_secret();
        assert!(text.len() >= 32);
        for kind in [char::is_uppercase, char::is_lowercase] {
            assert!(text.chars().any(kind));
        }
        assert!(text.contains('-') && text.contains('7'));
    }
}
