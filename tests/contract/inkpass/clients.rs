//! The published client library, oldest and newest, unchanged; and a replica of the manual's client. Each script exits 0
//! when all went as its guide says, and says what went wrong otherwise.

use std::process::Command;

use serde_json::json;

use crate::support::{
    client::Client,
    inkpass::{SERVICE_KEY, World},
    programs,
    site::Site,
};

/// Versions of `inkpass-sdk` on PyPI: the oldest and the newest.
const VERSIONS: [&str; 2] = ["0.1.2", "0.2.0"];

#[test]
fn the_client_of_the_manual_works() {
    let world = World::start("");
    let mut python = programs::any_python();
    python.arg(programs::script("inkpass", "manual.py"));
    programs::play(python.args([&world.gateway.url(), SERVICE_KEY]));
}

#[test]
#[ignore = "needs the packages of scripts/programs.sh"]
fn the_published_library_works_oldest_and_newest() {
    for version in VERSIONS {
        // A gateway each: both register from one address.
        let world = World::start("");
        let mut python = with_library(version);
        python.arg(programs::script("inkpass", "sdk.py"));
        programs::play(python.args([&world.gateway.url(), SERVICE_KEY]));
    }
}

/// Python with one version of the library, which says itself which one it is.
fn with_library(version: &str) -> Command {
    let packages = programs::package(&format!("inkpass/{version}"));
    let metadata = packages.join(format!("inkpass_sdk-{version}.dist-info"));
    assert!(metadata.is_dir(), "{}", metadata.display());
    let mut python = programs::python();
    python.env("PYTHONPATH", packages);
    python
}

#[tokio::test]
#[ignore = "needs the packages of scripts/programs.sh"]
async fn a_fastapi_service_asks_the_library_who_may() {
    let world = World::start("");
    let owner = world.owner().await;
    let [member, granted] = [world.member(&owner).await, world.member(&owner).await];
    owner.grant(&granted, "workflows", "create").await;
    let conditions = json!({"department": "sales"});
    let id = owner.permission("docs", "read", conditions).await;
    let path = format!("/api/v1/permissions/{id}/assign");
    owner.client.post(&path, json!({"user_id": granted.id})).await.expect(200);

    for version in VERSIONS {
        let mut python = with_library(version);
        python.env("INKPASS_URL", world.gateway.url()).env("INKPASS_KEY", SERVICE_KEY);
        let site = Site::start(python, "asgi", "inkpass", "fastapi_service.py");
        let nobody = Client::at(&site.url);
        let [owner, member, known] =
            [&owner, &member, &granted].map(|person| nobody.bearer(&person.access));
        let profile = known.get("/profile").await.expect(200);
        assert_eq!(
            (profile.str("id"), profile.str("email")),
            (granted.id.clone(), granted.email.clone())
        );
        assert_eq!(profile.str("organization_id"), granted.organization);
        for path in ["/profile", "/either", "/of/sales"] {
            nobody.get(path).await.expect(401);
        }
        nobody.bearer("made.up.token").get("/profile").await.expect(401);
        nobody.bearer("made.up.token").get("/either").await.expect(403);
        for (path, allowed) in [
            ("/either", [true, false, true]),
            ("/both", [true, false, false]),
            ("/of/sales", [true, false, true]),
            ("/of/research", [true, false, false]),
        ] {
            for (caller, allowed) in [&owner, &member, &known].into_iter().zip(allowed) {
                caller.get(path).await.expect(if allowed { 200 } else { 403 });
            }
        }
        known.post("/workflows", json!({})).await.expect(200);
        let refused = member.post("/workflows", json!({})).await.expect(403);
        assert_eq!(refused.str("detail"), "Permission denied: workflows:create");
    }
}
