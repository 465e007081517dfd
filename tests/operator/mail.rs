//! Mail: how letters leave, what happens while the server does not take them, and what is wrong with a `[mail]`.

use serde_json::json;

use crate::support::{
    client::Client,
    conf::Conf,
    gateway::{Gateway, Places, run},
    ports,
    smtp::{Manners, Smtp},
    tls::Authority,
    tmws::{fresh_address, fresh_name},
    wait,
};

fn configuration(places: &Places, mail: &str) -> String {
    let more = "[[mount]]\nname = \"users\"\ndialect = \"bearer\"\n\
                at = [{ prefixes = [\"/users\"] }]\nrealm = \"main\"";
    // The realm takes the rules of its first mount, which lets nobody register; here it must.
    Conf::new(places).realm("registration", "true").section(mail).section(more).text()
}

fn plain(server: &Smtp) -> String {
    format!(
        "[mail]\nfrom = \"no-reply@example.org\"\n\
         smtp = {{ host = \"127.0.0.1\", port = {}, security = \"plain\" }}",
        server.address.port()
    )
}

/// Asks for a code for an account of its own; gives the address.
async fn ask(gateway: &Gateway) -> String {
    let client = Client::from(&gateway.url(), fresh_address());
    let email = format!("{}@example.org", fresh_name());
    let body = json!({ "email": email, "password": "Correct-Horse-9-Battery" });
    client.post("/users/auth/register", body).await.expect(201);
    let body = json!({ "email": email });
    client.post("/users/auth/forgot-password", body).await.expect(202);
    email
}

#[tokio::test]
async fn letters_leave_over_starttls_and_tls_with_a_login() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, authority.pem()).unwrap();
    let password = folder.path().join("password");
    std::fs::write(&password, "s3cret-of-the-server\n").unwrap();

    let acceptor = authority.acceptor(&authority.server(&["localhost"]), &[], false);
    let acceptor = std::sync::Arc::new(acceptor);

    for (security, at_once) in [("starttls", false), ("tls", true)] {
        let tls = Some((acceptor.clone(), at_once));
        let server = Smtp::with(Manners { tls, login: true, ..Manners::default() }).await;
        let section = |authorities: &str| {
            format!(
                "[mail]\nfrom = \"no-reply@example.org\"\n\
                 smtp = {{ host = \"localhost\", port = {}, security = \"{security}\", username = \"gateway\", \
                 password = \"file:{}\"{authorities} }}",
                server.address.port(),
                password.display(),
            )
        };
        let trusted = section(&format!(", authorities = \"file:{}\"", ca.display()));
        let gateway = Gateway::start(|places| configuration(places, &trusted));
        let email = ask(&gateway).await;
        let letter = server.letter(0).await;
        assert!(letter.over_tls);
        assert_eq!(letter.to, email);
        assert_eq!(letter.login.as_deref(), Some("\0gateway\0s3cret-of-the-server"));

        // A certificate of nobody we trust: no letter, no password, and it goes on trying.
        let gateway = Gateway::start(|places| configuration(places, &section("")));
        ask(&gateway).await;
        wait::until("a failed try", || async {
            gateway.output().contains("mail_not_sent").then_some(())
        })
        .await;
        assert_eq!(server.letters().len(), 1);
        assert!(!gateway.output().contains("s3cret"));
    }
}

#[tokio::test]
async fn a_letter_that_is_refused_for_now_leaves_later_and_one_refused_for_good_never() {
    let refusals = vec!["451 later", "250 ok", "550 no such mailbox here"];
    let server = Smtp::with(Manners { refusals, ..Manners::default() }).await;
    let gateway = Gateway::start(|places| configuration(places, &plain(&server)));
    let first = ask(&gateway).await;
    assert_eq!(server.letter(0).await.to, first, "at the second try");
    let second = ask(&gateway).await;
    wait::until("a refusal", || async {
        gateway.output().contains("delivery_given_up").then_some(())
    })
    .await;
    assert_eq!((server.tries(), server.letters().len()), (3, 1));
    let output = gateway.output();
    assert!(!output.contains(&first) && !output.contains(&second), "no address in the log");
    assert!(gateway.cli_ok(&["audit", "tail"]).contains("DELIVERY_GIVEN_UP"));
    let figures = gateway.operator().get("/metrics").await.expect(200).text();
    for line in [
        "portcullis_outbox_deliveries_total{kind=\"mail\",result=\"delivered\"} 1",
        "portcullis_outbox_deliveries_total{kind=\"mail\",result=\"later\"} 1",
        "portcullis_outbox_deliveries_total{kind=\"mail\",result=\"given_up\"} 1",
        "portcullis_outbox_waiting{kind=\"mail\"} 0",
    ] {
        assert!(figures.contains(line), "{line}\n{figures}");
    }
}

#[tokio::test]
async fn a_letter_survives_a_kill_while_the_server_is_down() {
    let address = ports::free_address();
    let section = format!(
        "[mail]\nfrom = \"no-reply@example.org\"\n\
         smtp = {{ host = \"127.0.0.1\", port = {}, security = \"plain\" }}",
        address.port()
    );
    let gateway = Gateway::start(|places| configuration(places, &section));
    let email = ask(&gateway).await;
    gateway.kill();
    let server = Smtp::at(address, Manners::default()).await;
    let text = std::fs::read_to_string(&gateway.config).unwrap();
    let again = Gateway::start_in(&gateway.places, &text);
    assert_eq!(server.letter(0).await.to, email);
    assert!(again.ended().is_none());
}

#[tokio::test]
async fn without_a_server_letters_become_files_or_wait() {
    let folder = tempfile::tempdir().unwrap();
    let section = format!("[mail]\nfrom = \"no-reply@example.org\"\nfolder = {:?}", folder.path());
    let gateway = Gateway::start(|places| configuration(places, &section));
    let email = ask(&gateway).await;
    let text = wait::until("a file", || async {
        let mut files = std::fs::read_dir(folder.path()).unwrap().flatten();
        let letter = files.find(|file| file.path().extension().is_some_and(|it| it == "eml"))?;
        std::fs::read_to_string(letter.path()).ok()
    })
    .await;
    assert!(text.contains(&email));

    let gateway = Gateway::start(|places| configuration(places, ""));
    ask(&gateway).await;
    wait::until("a warning", || async {
        gateway.output().contains("mail_not_configured").then_some(())
    })
    .await;
}

#[test]
fn what_is_wrong_with_a_mail_section_is_said_before_it_is_used() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("verify_email.txt"), "Subject: x\n\n{{ cod }}").unwrap();
    let templates = format!("templates = {:?}", folder.path());
    let smtp = "smtp = { host = \"mail.example.org\" }";
    for (lines, told) in [
        ("folder = \"m\"".to_owned(), "missing key"),
        ("from = \"a@b.org\"".to_owned(), "smtp"),
        (format!("from = \"nobody\"\n{smtp}"), "no sender"),
        (format!("from = \"a@b.org\"\nfolder = \"m\"\n{smtp}"), "both folder and smtp"),
        (
            "from = \"a@b.org\"\nsmtp = { host = \"m.org\", security = \"plain\" }".into(),
            "plain to another host",
        ),
        (
            "from = \"a@b.org\"\nsmtp = { host = \"m.org\", security = \"ssl\" }".into(),
            "unknown security",
        ),
        (
            "from = \"a@b.org\"\nsmtp = { host = \"m.org\", username = \"x\" }".into(),
            "half a login",
        ),
        (format!("from = \"a@b.org\"\n{smtp}\n{templates}"), "verify_email.txt"),
        (format!("from = \"a@b.org\"\n{smtp}\ncopy = true"), "unknown key"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("p.toml");
        let mount = "[[mount]]\nname = \"api\"\ndialect = \"tmws\"\n";
        std::fs::write(&file, format!("[mail]\n{lines}\n{mount}")).unwrap();
        let output = run(&["check", "--config", file.to_str().unwrap()]);
        let said = format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        assert!(!output.status.success() && said.contains(told), "{lines}: {said}");
    }
}
