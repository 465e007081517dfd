//! `check`: every error at once, then public routes and relaxations.

use serde_json::json;

use super::{
    Failure,
    arguments::{ConfigArgs, OutputArg},
    show,
};
use crate::config::{self, Config, Machine};

pub(super) fn check(at: &ConfigArgs, output: OutputArg) -> Result<(), Failure> {
    match config::load(&at.config, &at.sets(), &Machine) {
        Ok(config) if output.is_json() => {
            let findings = config.findings();
            show::json(&json!({
                "ok": true,
                "file": at.config,
                "config_hash": config.hash,
                "errors": [],
                "public_routes": findings.public_routes,
                "relaxations": findings.relaxations,
            }))
        }
        Ok(config) => told(&config),
        Err(report) if output.is_json() => {
            show::json(&json!({ "ok": false, "file": at.config, "errors": report }))?;
            Err(Failure::Told)
        }
        Err(report) => Err(Failure::Failed(format!("the configuration is refused\n{report}"))),
    }
}

fn told(config: &Config) -> Result<(), Failure> {
    let findings = config.findings();
    show::line(&format!("{}: no errors", config.file.display()))?;
    show::line(&format!(
        "\npublic routes ({}): anyone may call these",
        findings.public_routes.len()
    ))?;
    for route in &findings.public_routes {
        show::line(&format!("    {}  at {}", route.route, route.at.join("; ")))?;
    }
    let count = findings.relaxations.len();
    show::line(&format!("\nrelaxations ({count}): settings weaker than the strict value"))?;
    for found in &findings.relaxations {
        show::line(&format!(
            "    {} {}: {} (strict: {})",
            found.id, found.key, found.what, found.strict
        ))?;
    }
    Ok(())
}
