use std::path::PathBuf;

use super::*;

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// A self-signed pair for these names, in the files of this name.
    fn pair(&self, file: &str, names: &[&str]) -> CertificateFiles {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let made = rcgen::generate_simple_self_signed(names).unwrap();
        let files = self.files(file);
        fs::write(&files.certificate, made.cert.pem()).unwrap();
        fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
        files
    }

    fn files(&self, file: &str) -> CertificateFiles {
        let path = |end: &str| -> PathBuf { self.0.path().join(format!("{file}.{end}")) };
        CertificateFiles { certificate: path("pem"), key: path("key") }
    }
}

fn of(files: &[CertificateFiles], refuse: bool) -> Arc<Certificates> {
    Certificates::read("public".into(), files, refuse).unwrap()
}

fn leaf(found: Option<Arc<CertifiedKey>>) -> Option<Vec<u8>> {
    found.map(|key| key.cert[0].to_vec())
}

#[test]
fn a_certificate_is_chosen_by_name_and_the_first_is_the_default() {
    let folder = Folder::new();
    let files = [folder.pair("a", &["a.example"]), folder.pair("b", &["b.example", "*.b.example"])];
    let all = of(&files, false);
    let [a, b] = ["a.example", "b.example"].map(|name| leaf(all.choose(Some(name))));
    assert_ne!(a, b);
    for (name, expected) in [
        (Some("A.Example"), &a),
        (Some("x.b.example"), &b),
        (Some("x.y.b.example"), &a),
        (Some("other.example"), &a),
        (None, &a),
    ] {
        assert_eq!(leaf(all.choose(name)), *expected, "{name:?}");
    }
    let strict = of(&files, true);
    assert!(strict.choose(Some("other.example")).is_none());
    assert_eq!(leaf(strict.choose(Some("b.example"))), b);
    assert_eq!(leaf(strict.choose(None)), a, "who asks for no name is not refused for one");
}

#[test]
fn a_bad_pair_is_refused_and_the_old_one_serves_on() {
    let folder = Folder::new();
    let files = folder.pair("a", &["a.example"]);
    let all = of(std::slice::from_ref(&files), false);
    let (metrics, now) = (Metrics::new().unwrap(), Timestamp::from_secs(0));
    let before = leaf(all.choose(None));
    let other = folder.pair("other", &["a.example"]);
    fs::copy(&other.key, &files.key).unwrap();
    for _ in 0..3 {
        // Told at the second look, and only once.
        all.refresh(&metrics, now);
    }
    assert_eq!(leaf(all.choose(None)), before, "the key is not that of the certificate");
    fs::write(&files.certificate, "no certificate").unwrap();
    all.refresh(&metrics, now);
    assert_eq!(leaf(all.choose(None)), before);
    fs::remove_file(&files.certificate).unwrap();
    all.refresh(&metrics, now);
    assert_eq!(leaf(all.choose(None)), before);
    fs::copy(&other.certificate, &files.certificate).unwrap();
    all.refresh(&metrics, now);
    assert_ne!(leaf(all.choose(None)), before, "now both belong together");
    let shown = metrics.render();
    assert!(
        shown.contains("portcullis_certificate_reloads_total{listener=\"public\",result=\"ok\"} 1")
    );
    assert!(
        shown.contains(
            "portcullis_certificate_reloads_total{listener=\"public\",result=\"error\"} 1"
        ),
        "{shown}"
    );
}
