//! Organisations are walls: through no endpoint is a foreign organisation's object seen or changed. Walks every endpoint
//! of the contract, so a new one must say here what it is asked about.

use portcullis::dialects::{self, Exposure};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::inkpass::{Person, World, shared};

/// What an organisation has.
struct Things {
    owner: Person,
    member: Person,
    group: String,
    permission: String,
    key: String,
}

async fn things(world: &World) -> Things {
    let owner = world.owner().await;
    let member = world.member(&owner).await;
    let group = owner.group(&format!("group-of-{}", owner.id)).await;
    let permission = owner.grant(&member, &format!("secret-of-{}", owner.id), "read").await;
    let path = format!("/api/v1/groups/{group}/members/{}", member.id);
    owner.client.call(Method::POST, &path, None).await.expect(200);
    let key = owner.key(&["docs:read"]).await["id"].as_str().unwrap().to_owned();
    Things { owner, member, group, permission, key }
}

/// Everything an owner sees of the own organisation, without times of use.
async fn seen(things: &Things) -> Value {
    let mut all = Vec::new();
    for path in [
        "/api/v1/permissions".to_owned(),
        "/api/v1/groups".to_owned(),
        "/api/v1/api-keys".to_owned(),
        "/api/v1/users".to_owned(),
        "/api/v1/organizations".to_owned(),
        format!("/api/v1/users/{}/permissions", things.member.id),
    ] {
        all.push(things.owner.client.get(&path).await.expect(200).json());
    }
    Value::Array(all)
}

/// Requests about `theirs` that fit an endpoint; a list: several ways to try it.
fn requests(endpoint: &str, theirs: &Things, ours: &Things) -> Vec<(String, Value)> {
    let (their, our) = (&theirs.member.id, &ours.member.id);
    let at = |id: &str| endpoint.replacen("{id}", id, 1);
    match endpoint {
        "/api/v1/permissions/{id}" => {
            vec![(at(&theirs.permission), json!({"resource": "x", "action": "y"}))]
        }
        "/api/v1/permissions/{id}/assign" | "/api/v1/permissions/{id}/groups" => vec![
            (at(&theirs.permission), json!({"user_id": our})),
            (at(&theirs.permission), json!({"group_id": ours.group})),
            (at(&ours.permission), json!({"user_id": their})),
            (at(&ours.permission), json!({"group_id": theirs.group})),
        ],
        "/api/v1/groups/{id}" => vec![(at(&theirs.group), json!({"name": "x"}))],
        "/api/v1/groups/{id}/members/{user_id}" => {
            [(&theirs.group, our), (&theirs.group, their), (&ours.group, their)]
                .into_iter()
                .map(|(group, user)| (at(group).replace("{user_id}", user), json!({})))
                .collect()
        }
        "/api/v1/groups/{id}/users" => vec![
            (at(&theirs.group), json!({"user_id": our})),
            (at(&ours.group), json!({"user_id": their})),
        ],
        "/api/v1/api-keys" => vec![(at(""), json!({"name": "k", "user_id": their}))],
        "/api/v1/api-keys/{id}" => vec![(at(&theirs.key), json!({"scopes": []}))],
        "/api/v1/api-keys/{id}/usage" => vec![(at(&theirs.key), json!({}))],
        "/api/v1/users/{id}" => [their, &theirs.owner.id]
            .into_iter()
            .map(|id| (at(id), json!({"status": "inactive", "email": "x@example.org"})))
            .collect(),
        "/api/v1/users/{id}/permissions" => vec![(at(their), json!({}))],
        "/api/v1/organizations/{id}" | "/api/v1/organizations/{id}/members" => {
            vec![(at(&theirs.owner.organization), json!({}))]
        }
        // These take no id: whatever they answer is about the caller's own organisation.
        "/api/v1/auth/me" | "/api/v1/auth/check" | "/api/v1/auth/profile" => {
            vec![(format!("{endpoint}?resource=a&action=b"), json!({}))]
        }
        "/api/v1/permissions" | "/api/v1/groups" | "/api/v1/users" | "/api/v1/organizations" => {
            vec![(endpoint.to_owned(), json!({}))]
        }
        "/api/v1/permissions/check" => {
            let resource = format!("secret-of-{}", theirs.owner.id);
            vec![(endpoint.to_owned(), json!({"resource": resource, "action": "read"}))]
        }
        // About the caller alone, or ending its own session.
        "/api/v1/auth/logout" | "/api/v1/auth/api-key/validate" => Vec::new(),
        factor if factor.starts_with("/api/v1/auth/2fa/") => Vec::new(),
        other => panic!("{other}: say here how it is tried from another organisation"),
    }
}

#[tokio::test]
async fn a_foreign_object_is_neither_seen_nor_changed_through_any_endpoint() {
    let world = shared();
    let (ours, theirs) = (things(world).await, things(world).await);
    let before = seen(&theirs).await;
    let secrets = [
        &theirs.owner.id,
        &theirs.owner.email,
        &theirs.owner.organization,
        &theirs.member.id,
        &theirs.member.email,
        &theirs.group,
        &theirs.permission,
        &theirs.key,
    ];
    let mut tried = 0;
    for endpoint in dialects::find("inkpass").unwrap().dialect.endpoints() {
        if !matches!(endpoint.exposure, Exposure::Protected { .. }) {
            continue;
        }
        let method: Method = endpoint.method.parse().unwrap();
        for (path, body) in requests(endpoint.path, &theirs, &ours) {
            let named = path.contains("{")
                || path.split('/').any(|part| secrets.iter().any(|s| *s == part));
            let body = (method != Method::GET && method != Method::DELETE).then_some(body);
            let aims = named
                || body.as_ref().is_some_and(|body| {
                    secrets.iter().any(|secret| body.to_string().contains(secret.as_str()))
                });
            let reply = ours.owner.client.call(method.clone(), &path, body).await;
            let what = format!("{method} {path}: {} {}", reply.status, reply.text());
            if aims && endpoint.path != "/api/v1/permissions/check" {
                assert!(matches!(reply.status, 403 | 404), "{what}");
            }
            // That one repeats the question, which was ours.
            let repeats = endpoint.path == "/api/v1/permissions/check";
            let text = if repeats { String::new() } else { reply.text() };
            for secret in secrets {
                assert!(!text.contains(secret.as_str()), "{secret} is told by {what}");
            }
            tried += 1;
        }
    }
    assert!(tried > 30, "{tried}");
    assert_eq!(seen(&theirs).await, before, "nothing of theirs was changed");
    theirs.member.client.get("/api/v1/auth/me").await.expect(200);
    let secret = format!("secret-of-{}", theirs.owner.id);
    assert!(theirs.member.may(&secret, "read", json!({})).await);
    assert!(!ours.member.may(&secret, "read", json!({})).await);
}
