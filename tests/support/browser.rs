//! A real Chromium without a window, spoken to over two pipes in the DevTools protocol. Calls block: a test has one page.

use std::{
    collections::VecDeque,
    fs::File,
    io::{BufReader, Read, Write},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::mpsc,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::wait::PATIENCE;

/// One browser with one page; gone when dropped.
pub struct Browser {
    child: Child,
    commands: File,
    replies: mpsc::Receiver<Value>,
    events: VecDeque<Value>,
    session: Option<String>,
    next: u64,
    _profile: TempDir,
}

impl Browser {
    /// Starts it. `None`, and a message: there is none on this machine.
    pub fn start() -> Option<Self> {
        let Some(program) = program() else {
            super::programs::missing("chromium");
            return None;
        };
        let profile = tempfile::tempdir().expect("a folder");
        let [commands, replies] = ["commands", "replies"].map(|name| profile.path().join(name));
        for pipe in [&commands, &replies] {
            assert!(Command::new("mkfifo").arg(pipe).status().expect("mkfifo").success());
        }
        // The protocol is spoken on the descriptors 3 and 4.
        let child = Command::new("sh")
            .args(["-c", "c=$1; r=$2; shift 2; exec \"$@\" 3<\"$c\" 4>\"$r\"", "sh"])
            .args([&commands, &replies, &program])
            .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe"])
            .args(["--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking"])
            .arg(format!("--user-data-dir={}", profile.path().join("profile").display()))
            .arg("about:blank")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromium starts");
        // In the order in which the shell opens them.
        let commands = File::options().write(true).open(commands).expect("the pipe");
        let replies = listen(File::open(replies).expect("the pipe"));
        let (events, session) = (VecDeque::new(), None);
        let mut own =
            Browser { child, commands, replies, events, session, next: 0, _profile: profile };
        let target = own.call("Target.createTarget", json!({"url": "about:blank"}));
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let attached = own.call("Target.attachToTarget", attach);
        own.session = attached["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log", "Network", "Audits"] {
            own.call(&format!("{domain}.enable"), json!({}));
        }
        own.call("Emulation.setFocusEmulationEnabled", json!({"enabled": true}));
        Some(own)
    }

    /// `Accept-Language` of everything from now on.
    pub fn language(&mut self, field: &str) {
        let headers = json!({"headers": {"Accept-Language": field}});
        self.call("Network.setExtraHTTPHeaders", headers);
    }

    /// Goes there, redirects and all; gives the address where it ended.
    pub fn open(&mut self, url: &str) -> String {
        self.events.clear();
        let went = self.call("Page.navigate", json!({"url": url}));
        assert!(went["errorText"].is_null(), "{url}: {went}");
        self.until("the page is loaded", |event| event["method"] == "Page.loadEventFired");
        self.value("location.href").as_str().expect("an address").to_owned()
    }

    /// What an expression gives; a promise is waited for.
    pub fn value(&mut self, expression: &str) -> Value {
        let what = json!({
            "expression": expression, "awaitPromise": true, "returnByValue": true, "userGesture": true,
        });
        let mut done = self.call("Runtime.evaluate", what);
        assert!(done["exceptionDetails"].is_null(), "{expression}: {done}");
        done["result"]["value"].take()
    }

    /// Presses the middle of an element as a mouse does.
    pub fn click(&mut self, id: &str) {
        let middle = format!(
            "(() => {{ const r = document.getElementById('{id}').getBoundingClientRect(); \
             return [r.x + r.width / 2, r.y + r.height / 2]; }})()"
        );
        let at = self.value(&middle);
        for kind in ["mousePressed", "mouseReleased"] {
            let event = json!({
                "type": kind, "x": at[0], "y": at[1], "button": "left", "clickCount": 1,
            });
            self.call("Input.dispatchMouseEvent", event);
        }
    }

    /// Asks until an expression gives this.
    pub fn wait_for(&mut self, expression: &str, wanted: &str) {
        let end = Instant::now() + PATIENCE;
        loop {
            let value = self.value(expression);
            if value == wanted {
                return;
            }
            assert!(Instant::now() < end, "{expression} stays {value}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn allow_clipboard(&mut self, origin: &str) {
        let session = self.session.take();
        let permissions = ["clipboardReadWrite", "clipboardSanitizedWrite"];
        self.call(
            "Browser.grantPermissions",
            json!({"origin": origin, "permissions": permissions}),
        );
        self.session = session;
    }

    /// What the page did against its content security policy, and what failed in its scripts, since it was opened.
    pub fn violations(&mut self) -> Vec<String> {
        // Everything said so far stands before this answer.
        self.value("1");
        let bad = |event: &&Value| match event["method"].as_str() {
            Some("Runtime.exceptionThrown") => true,
            Some("Log.entryAdded") => event["params"]["entry"]["source"] == "security",
            Some("Audits.issueAdded") => {
                event["params"]["issue"]["code"] == "ContentSecurityPolicyIssue"
            }
            _ => false,
        };
        self.events.iter().filter(bad).map(Value::to_string).collect()
    }

    fn call(&mut self, method: &str, params: Value) -> Value {
        self.next += 1;
        let id = self.next;
        let mut command = json!({"id": id, "method": method, "params": params});
        if let Some(session) = &self.session {
            command["sessionId"] = session.as_str().into();
        }
        let mut bytes = command.to_string().into_bytes();
        bytes.push(0);
        self.commands.write_all(&bytes).expect("chromium listens");
        let mut reply = self.until(method, |message| message["id"] == id);
        assert!(reply["error"].is_null(), "{method}: {reply}");
        reply["result"].take()
    }

    /// The next message that fits; events before it are kept.
    fn until(&mut self, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        if let Some(at) = self.events.iter().position(&fits) {
            return self.events.remove(at).expect("found");
        }
        let end = Instant::now() + PATIENCE;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let message = self.replies.recv_timeout(left);
            let message = message.unwrap_or_else(|_| panic!("waited in vain: {what}"));
            if fits(&message) {
                return message;
            }
            self.events.push_back(message);
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn program() -> Option<PathBuf> {
    let paths = std::env::var_os("PATH")?;
    std::env::split_paths(&paths)
        .flat_map(|folder| {
            ["chromium", "chromium-browser", "google-chrome"].map(|name| folder.join(name))
        })
        .find(|path| path.is_file())
}

/// Messages as they come, each ended by a zero byte.
fn listen(pipe: File) -> mpsc::Receiver<Value> {
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        let mut message = Vec::new();
        for byte in BufReader::new(pipe).bytes().map_while(Result::ok) {
            if byte != 0 {
                message.push(byte);
                continue;
            }
            if let Ok(value) = serde_json::from_slice(&message)
                && tell.send(value).is_err()
            {
                return;
            }
            message.clear();
        }
    });
    told
}
