//! Independent clients against us (Done when 2): `openid-client`, `oauth4webapi` and `jose` on Node, Authlib and PyJWT's
//! `PyJWKClient` on Python.

use std::{path::Path, process::Command};

use crate::{
    bench::{Bench, Made},
    bound,
    support::{operate, programs, tmws::GOOD_PASSWORD},
};

/// What every program is told.
fn told(command: &mut Command, bench: &Bench, client: &Made, service: &Made, login: &str) {
    command.env("ISSUER", bench.issuer());
    command.env("CLIENT_ID", &client.id).env("CLIENT_SECRET", &client.secret);
    command.env("SERVICE_ID", &service.id).env("SERVICE_SECRET", &service.secret);
    command.env("LOGIN", login).env("REDIRECT_URI", "https://app.example/cb");
    command.env("NAME", operate::ADMIN).env("PASSWORD", GOOD_PASSWORD);
}

fn script(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oauth/clients").join(name)
}

/// A client that may do everything, and a service that may ask.
fn pair(bench: &Bench) -> (Made, Made) {
    let client = bench.client(&[
        "--grant",
        "client_credentials",
        "--grant",
        "token_exchange",
        "--grant",
        "authorization_code",
        "--grant",
        "refresh_token",
        "--redirect-uri",
        "https://app.example/cb",
        "--scope",
        "READ",
        "--scope",
        "WRITE",
        "--role",
        "SERVICE",
    ]);
    (client, bench.client(&["--grant", "introspection"]))
}

async fn play_node(name: &str) {
    play_node_at(&Bench::start(), name).await;
}

async fn play_node_at(bench: &Bench, name: &str) {
    let (client, service) = pair(bench);
    let copy = programs::package("node/node_modules").with_file_name(format!("oauth-{name}"));
    std::fs::copy(script(name), &copy).unwrap();
    let mut command = programs::command("node");
    command.arg(copy);
    told(&mut command, bench, &client, &service, &bench.login().await);
    programs::play(&mut command);
}

#[tokio::test]
#[ignore = "needs the packages of scripts/programs.sh"]
async fn oauth4webapi_is_given_bound_tokens_and_uses_them() {
    play_node_at(&bound::bench(true), "dpop.mjs").await;
}

#[tokio::test]
#[ignore = "needs the packages of scripts/programs.sh"]
async fn openid_client_completes_everything_against_us() {
    play_node("openid_client.mjs").await;
}

#[tokio::test]
#[ignore = "needs the packages of scripts/programs.sh"]
async fn oauth4webapi_and_jose_complete_everything_against_us() {
    play_node("oauth4webapi.mjs").await;
}

#[tokio::test]
#[ignore = "needs the packages of scripts/programs.sh"]
async fn authlib_and_pyjwt_complete_everything_against_us() {
    let bench = Bench::start();
    let (client, service) = pair(&bench);
    let mut command = programs::python();
    command.arg(script("authlib_.py"));
    told(&mut command, &bench, &client, &service, &bench.login().await);
    programs::play(&mut command);
}
