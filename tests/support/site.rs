//! A site that a test runs as a process of its own, with a real framework: `serve.py` beside this file serves it.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

use super::programs;

/// A running site; gone when dropped.
pub struct Site {
    pub url: String,
    child: Child,
}

impl Site {
    /// Serves the application of a contract's script. `python`: with what the script wants to know in its environment.
    #[track_caller]
    pub fn start(mut python: Command, kind: &str, contract: &str, name: &str) -> Self {
        let serve = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/serve.py");
        python.arg(serve).arg(kind).arg(programs::script(contract, name));
        // It ends with its standard input, whatever becomes of us.
        python.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = python.spawn().expect("python starts");
        let mut told = BufReader::new(child.stdout.take().expect("piped"));
        let mut url = String::new();
        told.read_line(&mut url).expect("its first line");
        assert!(url.starts_with("http://"), "{name} did not start");
        Site { url: url.trim().to_owned(), child }
    }

    pub fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
