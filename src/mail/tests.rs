//! Letters: what they say, where they go. The conversation with a server is played in `tests/operator`.

use std::{io, path::Path};

use serde_json::{Map, Value, json};

use super::*;

fn nothing(_: &Path) -> io::Result<String> {
    Err(io::ErrorKind::NotFound.into())
}

fn values(name: Value) -> Map<String, Value> {
    let values = json!({
        "code": "s3cret-code", "email": "ada@example.org", "name": name, "minutes": 60,
    });
    values.as_object().unwrap().clone()
}

fn letter(to: &str) -> Letter {
    let template = "reset_password".to_owned();
    Letter { template, to: to.to_owned(), with: values("Ada".into()) }
}

#[test]
fn the_products_own_letters_say_code_and_time() {
    let templates = Templates::load(&["api".into()], nothing).unwrap();
    for (name, _) in templates::ALL {
        let text = templates.render("api", name, &values("Ada".into())).unwrap();
        assert!(text.body.contains("s3cret-code") && text.body.contains("60 minutes"));
        let mut day = values("Ada".into());
        day.insert("minutes".to_owned(), json!(1440));
        let text = templates.render("api", name, &day).unwrap();
        assert!(text.body.contains("good for 24 hours and"), "{}", text.body);
        assert!(text.body.starts_with("Hello Ada,\n"), "{}", text.body);
        assert!(!text.subject.is_empty() && !text.subject.contains('\n'));
        let unnamed = templates.render("api", name, &values(Value::Null)).unwrap();
        assert!(unnamed.body.starts_with("Hello,\n"));
    }
    assert!(templates.render("api", "unknown", &values(Value::Null)).is_err());
}

#[test]
fn the_operators_letters_stand_before_the_products_and_a_mounts_before_all() {
    let own = |file: &Path| match file.to_str().unwrap() {
        "reset_password.txt" => Ok("Subject: For all\n\n{{ code }}".to_owned()),
        "api/reset_password.txt" => {
            Ok("Subject: {{ name }}!\r\n\r\nhttps://x.example/?t={{ code | urlencode }}".to_owned())
        }
        _ => nothing(file),
    };
    let templates = Templates::load(&["api".into(), "other".into()], own).unwrap();
    let text = templates.render("api", "reset_password", &values("A\nBcc: x".into())).unwrap();
    assert_eq!(text.subject, "A Bcc: x!", "one line whatever the name is");
    assert_eq!(text.body, "https://x.example/?t=s3cret-code\n");
    let text = templates.render("other", "reset_password", &values("Ada".into())).unwrap();
    assert_eq!(text.subject, "For all");
}

#[test]
fn letters_with_slips_are_refused_when_they_are_loaded() {
    for (text, why) in [
        ("Hello\n\n{{ code }}", "first line"),
        ("Subject: a\nb\n{{ code }}", "second line"),
        ("Subject: a\n\n{{ code", "syntax error"),
        ("Subject: a\n\n{{ cod }}", "undefined"),
        ("Subject: a\n\nno code at all", "{{ code }}"),
    ] {
        let own = |file: &Path| match file.to_str().unwrap() {
            "verify_email.txt" => Ok(text.to_owned()),
            _ => nothing(file),
        };
        let fault = Templates::load(&[], own).unwrap_err().to_string();
        assert!(fault.starts_with("verify_email.txt: ") && fault.contains(why), "{fault}");
    }
    let denied = |_: &Path| Err(io::ErrorKind::PermissionDenied.into());
    assert!(Templates::load(&[], denied).is_err());
}

#[tokio::test]
async fn a_letter_becomes_a_file_whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings {
        from: "Portcullis <no-reply@example.org>".into(),
        route: Route::Folder(folder.path().join("mails")),
        templates: Templates::load(&[], nothing).unwrap(),
    };
    let mailer = Mailer::new(&settings).unwrap();
    mailer.send("api", "id-1", &letter("ada@example.org")).await.unwrap();
    mailer.send("api", "id-1", &letter("ada@example.org")).await.unwrap();
    let files: Vec<_> = std::fs::read_dir(folder.path().join("mails")).unwrap().collect();
    assert_eq!(files.len(), 1, "a second try replaces the first");
    let text = std::fs::read_to_string(files[0].as_ref().unwrap().path()).unwrap();
    for part in [
        "To: ada@example.org\r\n",
        "From: Portcullis <no-reply@example.org>\r\n",
        "Message-ID: <id-1@example.org>\r\n",
        // Without it a strict reader takes the encoded text as it stands.
        "MIME-Version: 1.0\r\n",
        "s3cret-code",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    let odd = mailer.send("api", "id-2", &letter("no address\r\nBcc: x@example.org")).await;
    assert!(matches!(odd, Err(MailError::Never(why)) if !why.contains("Bcc")));
    let gone = Settings { route: Route::Folder("/dev/null/mails".into()), ..settings };
    let trouble = Mailer::new(&gone).unwrap().send("api", "id-3", &letter("a@example.org")).await;
    assert!(matches!(trouble, Err(MailError::Later(_))));
}

#[test]
fn a_sender_that_is_none_is_refused_and_letters_do_not_show_their_values() {
    let settings = Settings {
        from: "nobody".into(),
        route: Route::Folder("mails".into()),
        templates: Templates::load(&[], nothing).unwrap(),
    };
    assert!(Mailer::new(&settings).is_err_and(|why| why.contains("sender")));
    assert!(!format!("{:?}", letter("ada@example.org")).contains("s3cret"));
}
