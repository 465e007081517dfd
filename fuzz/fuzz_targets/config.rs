//! Any text is refused with places, or becomes a configuration whose effective form says the same.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use portcullis::config;
use portcullis_fuzz::Nothing;

fuzz_target!(|text: &str| {
    let file = Path::new("/etc/portcullis/fuzz.toml");
    match config::parse(file, text, &[], &Nothing) {
        Err(report) => {
            assert!(!report.problems.is_empty(), "refused without a reason");
            assert!(!report.to_string().is_empty());
        }
        Ok(config) => {
            let again = config::parse(file, &config.effective, &[], &Nothing);
            let again = again.unwrap_or_else(|report| panic!("{report}\n{}", config.effective));
            assert_eq!(again.effective, config.effective);
            assert_eq!(again.hash, config.hash);
        }
    }
});
