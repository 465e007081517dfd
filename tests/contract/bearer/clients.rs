//! The guide's client patterns, run against the gateway, and curl as the library's documentation has it.

use std::{path::Path, process::Command};

use super::bench::{Bench, PASSWORD};

#[track_caller]
fn play(bench: &Bench, program: &str, name: &str, email: &str) {
    let file =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/contract/bearer/clients").join(name);
    let arguments = [file.to_str().unwrap(), &bench.gateway.url(), email, PASSWORD];
    match Command::new(program).args(arguments).output() {
        Ok(output) => assert!(
            output.status.success(),
            "{}\n{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        ),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            eprintln!("{program} is not installed; {name} was not played");
        }
        Err(error) => panic!("{program}: {error}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_proactive_client_works() {
    let bench = Bench::start().await;
    let email = bench.someone().await;
    play(&bench, "python3", "pattern_1.py", &email);
    // One login and the sums; trap 1: no login before every request.
    let logins = bench.gateway.log();
    let count = logins.iter().filter(|line| line["path"] == "/auth/jwt/login").count();
    assert_eq!(count, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_reactive_client_works() {
    let bench = Bench::start().await;
    let email = bench.someone().await;
    play(&bench, "python3", "pattern_2.py", &email);
}

#[tokio::test(flavor = "multi_thread")]
async fn curl_works_as_documented() {
    let bench = Bench::start().await;
    let email = bench.someone().await;
    play(&bench, "bash", "curl.sh", &email);
}
