//! The corpus: one case a line, `what must happen | the request | why`. `corpus/README.md` tells the form.

use std::{fs, path::Path};

/// One line of the corpus.
#[derive(Clone, Debug)]
pub struct Case {
    /// File and line.
    pub place: String,
    /// What must happen.
    pub verdict: Verdict,
    /// What is sent.
    pub request: Request,
    /// Why it must.
    pub why: String,
}

/// The first column.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    /// Statuses that are right; empty for `pass`, which is 200 and one request upstream.
    pub statuses: Vec<u16>,
    /// The connection must be closed.
    pub closes: bool,
    /// Target that the upstream must have read.
    pub path: Option<String>,
    /// Body that the upstream must have read.
    pub body: Option<Vec<u8>>,
    /// Fields, or parts of the head, that the upstream must have read.
    pub has: Vec<String>,
    /// Texts that may stand nowhere in what the upstream read.
    pub lacks: Vec<String>,
}

impl Verdict {
    pub fn passes(&self) -> bool {
        self.statuses.is_empty()
    }

    pub fn parse(text: &str) -> Option<Self> {
        let mut words = text.split_whitespace();
        let mut verdict = Verdict::default();
        match words.next()? {
            "pass" => {}
            "refuse" => (verdict.statuses, verdict.closes) = (vec![400], true),
            list => {
                for status in list.split('/') {
                    verdict.statuses.push(status.parse().ok()?);
                }
            }
        }
        for word in words {
            match word.split_once('=') {
                Some(("path", text)) => verdict.path = Some(text.to_owned()),
                Some(("body", text)) => verdict.body = Some(unescape(text)?),
                Some(("has", text)) => verdict.has.push(text.replace('~', " ")),
                Some(("lacks", text)) => verdict.lacks.push(text.to_owned()),
                None if word == "close" => verdict.closes = true,
                _ => return None,
            }
        }
        Some(verdict)
    }
}

/// The second column.
#[derive(Clone, Debug)]
pub enum Request {
    /// Bytes as they go out, for what only HTTP/1 can say.
    Raw(String),
    /// Method, target, fields and body, for every version of HTTP.
    Parts(Parts),
}

/// A request that is not bound to a version.
#[derive(Clone, Debug, Default)]
pub struct Parts {
    pub method: String,
    pub target: String,
    pub fields: Vec<(String, String)>,
    pub body: String,
}

impl Request {
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(raw) = text.strip_prefix('~') {
            return Some(Request::Raw(raw.to_owned()));
        }
        let (head, body) = text.split_once(" == ").unwrap_or((text, ""));
        let mut pieces = head.split(" ++ ");
        let (method, target) = pieces.next()?.split_once(' ')?;
        let fields = pieces.map(|field| {
            let (name, value) = field.split_once(':')?;
            Some((name.to_owned(), value.strip_prefix(' ').unwrap_or(value).to_owned()))
        });
        let (method, target, body) = (method.to_owned(), target.to_owned(), body.to_owned());
        Some(Request::Parts(Parts { method, target, fields: fields.collect::<Option<_>>()?, body }))
    }

    /// The bytes of it in HTTP/1.1. `fill` replaces the placeholders.
    pub fn bytes(&self, fill: impl Fn(&str) -> String) -> Vec<u8> {
        let text = match self {
            Request::Raw(raw) => raw.clone(),
            Request::Parts(parts) => parts.text(),
        };
        let filled = fill(&repeated(&text));
        unescape(&filled).unwrap_or_else(|| panic!("a bad escape in {filled:?}"))
    }
}

impl Parts {
    fn text(&self) -> String {
        let mut text = format!(r"{} {} HTTP/1.1\r\n", self.method, self.target);
        if !self.fields.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            text.push_str(r"Host: {host}\r\n");
        }
        for (name, value) in &self.fields {
            text.push_str(&format!(r"{name}: {value}\r\n"));
        }
        if !self.body.is_empty() {
            let length = unescape(&self.body).map_or(0, |body| body.len());
            text.push_str(&format!(r"Content-Length: {length}\r\n"));
        }
        text.push_str(r"\r\n");
        text.push_str(&self.body);
        text
    }
}

/// `{x*9000}`: a character so many times.
pub fn repeated(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("*") {
        let count: String = rest[at + 1..].chars().take_while(char::is_ascii_digit).collect();
        let end = at + 1 + count.len();
        let is_one = at >= 2 && rest.as_bytes()[at - 2] == b'{' && rest[end..].starts_with('}');
        if is_one && !count.is_empty() {
            out.push_str(&rest[..at - 2]);
            out.push_str(&rest[at - 1..at].repeat(count.parse().expect("digits")));
            rest = &rest[end + 1..];
        } else {
            out.push_str(&rest[..=at]);
            rest = &rest[at + 1..];
        }
    }
    out + rest
}

/// `\r \n \t \0 \\ \xNN`; everything else stands for itself.
pub fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        out.push(match bytes.next()? {
            b'r' => b'\r',
            b'n' => b'\n',
            b't' => b'\t',
            b'0' => 0,
            b'\\' => b'\\',
            b'x' => {
                let pair = [bytes.next()?, bytes.next()?];
                u8::from_str_radix(std::str::from_utf8(&pair).ok()?, 16).ok()?
            }
            _ => return None,
        });
    }
    Some(out)
}

/// Every line of the files with this ending, cut into its columns.
pub fn lines(ending: &str, columns: usize) -> Vec<(String, Vec<String>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/security/corpus");
    let mut files: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut out = Vec::new();
    for path in files.iter().filter(|path| path.extension().is_some_and(|own| own == ending)) {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        for (number, line) in fs::read_to_string(path).unwrap().lines().enumerate() {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let place = format!("{name}:{}", number + 1);
            let cells: Vec<String> = line.split(" | ").map(|cell| cell.trim().to_owned()).collect();
            assert_eq!(cells.len(), columns, "{place}: {line}");
            out.push((place, cells));
        }
    }
    out
}

/// Every request of the corpus.
pub fn all() -> Vec<Case> {
    lines("cases", 3)
        .into_iter()
        .map(|(place, cells)| Case {
            verdict: Verdict::parse(&cells[0]).unwrap_or_else(|| panic!("{place}: {}", cells[0])),
            request: Request::parse(&cells[1]).unwrap_or_else(|| panic!("{place}: {}", cells[1])),
            why: cells[2].clone(),
            place,
        })
        .collect()
}

#[test]
fn the_corpus_is_large_and_every_case_says_why() {
    let cases = all();
    let claims = lines("claims", 4);
    assert!(cases.len() + claims.len() >= 600, "{} and {}", cases.len(), claims.len());
    assert!(cases.iter().all(|case| case.why.len() > 2));
    assert!(cases.iter().any(|case| case.verdict.passes()), "what is right must pass");
    let requests: std::collections::BTreeSet<String> =
        cases.iter().map(|case| format!("{:?}", case.request)).collect();
    assert_eq!(requests.len(), cases.len(), "a case stands twice");
}

#[test]
fn cases_are_read_as_their_form_says() {
    let bytes = |text: &str| {
        let request = Request::parse(text).unwrap();
        String::from_utf8(request.bytes(|text| text.replace("{host}", "h"))).unwrap()
    };
    assert_eq!(bytes("GET /a"), "GET /a HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(
        bytes(r"PUT /a ++ Host: x ++ A:  b == c\x7c"),
        "PUT /a HTTP/1.1\r\nHost: x\r\nA:  b\r\nContent-Length: 2\r\n\r\nc|"
    );
    assert_eq!(bytes(r"~a{b*3}c*2\n"), "abbbc*2\n");
}

/// What every gateway of this kind must be tried with, as it stands in the corpus.
const KINDS: [(&str, &[&str]); 26] = [
    (
        "trusted names in Connection",
        &["Connection: close, X-Auth-Subject", "Connection: close, X-Forwarded-For"],
    ),
    ("identity with underscores", &["X_Auth_Subject: forged", "x_auth_roles: forged"]),
    ("identity in another case", &["X-AUTH-SUBJECT: forged", "x-auth-subject: forged"]),
    ("identity with blanks and NUL", &["X-Auth-Subject : forged", r"X-Auth-Subject\0: forged"]),
    ("identity twice", &["X-Auth-Subject: forged ++ X-Auth-Subject: forged"]),
    ("identity in trailers", &[r"0\r\nX-Auth-Subject: forged", "^^ x-auth-subject: forged"]),
    (
        "the family of X-Forwarded",
        &[
            "X-Forwarded-Uri: ",
            "X-Forwarded-Prefix: ",
            "X-Forwarded-Host: ",
            "X-Forwarded-Method: ",
            "X-Forwarded-For: ",
            "Forwarded: ",
        ],
    ),
    ("another URL or method", &["X-Original-URL: ", "X-Rewrite-URL: ", "X-HTTP-Method-Override: "]),
    ("slashes and dots", &["//closed", "/./", "/../"]),
    ("escaped dots and separators", &["%2e%2e", "%2f", "%5c"]),
    ("parameters of segments", &[";x"]),
    ("escaped control bytes", &["%00", "%0a"]),
    ("escapes of escapes, overlong UTF-8", &["%252e", "%c0%ae"]),
    ("a fragment", &["{m}#"]),
    ("dot, slash and blank at the end", &["/open/{m}/.", "/open/{m}/", "/open/{m}%20"]),
    ("the absolute form with another host", &["GET http://other.example/"]),
    (
        "host missing, twice, with a user, with a comma",
        &[
            r"GET /open/{m} HTTP/1.1\r\n\r\n",
            r"Host: {host}\r\nHost: {host}",
            "Host: user@",
            "Host: {host},",
        ],
    ),
    (
        "an upgrade with a request behind it",
        &[
            r"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\nGET ",
        ],
    ),
    ("GET with a body", &[r"GET /open/{m} HTTP/1.1\r\nHost: {host}\r\nContent-Length: "]),
    ("other versions", &["HTTP/0.9", "HTTP/1.0", "HTTP/9.9", "HTTP/2.0"]),
    ("Authorization twice", &["Authorization: Bearer {token} ++ Authorization: "]),
    (
        "Bearer in other spellings",
        &["Authorization: bearer {token}", "Authorization: BEARER {token}"],
    ),
    ("tokens elsewhere", &["?access_token=", "Cookie: access_token=", "== access_token="]),
    ("audiences", &[r#""aud":["other"]"#, r#""aud":7"#, r#""aud":null"#]),
    ("ends", &[r#""exp":"NOW+3600""#, r#""exp":1e999"#, r#""exp":-1"#, r#""exp":NOW+3600.5"#]),
    ("members twice", &[r#""alg":"HS256","alg""#, "exp twice"]),
];

// requirement: 17, 18, 19, 20, 21
#[test]
fn every_kind_of_bypass_is_in_the_corpus() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/security/corpus");
    let mut text = String::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|own| own != "md" && own != "differs") {
            text.push_str(&fs::read_to_string(path).unwrap());
        }
    }
    for (kind, samples) in KINDS {
        for sample in samples {
            assert!(text.contains(sample), "{kind}: {sample}");
        }
    }
}
