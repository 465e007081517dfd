//! `mount.NAME.webhooks`: what may be told to whom, and for how long it is tried.

use std::time::Duration;

use toml::Value as Toml;

use crate::{
    config::{
        section::Section,
        shape::{Fault, Shape},
    },
    identity::settings::WebhookSettings,
};

pub(super) fn read(
    mount: &mut Section<'_>,
    start: Option<WebhookSettings>,
) -> Option<WebhookSettings> {
    // A contract without webhooks has no such table.
    let start = start?;
    let mut section = mount.inner_or_off("webhooks", true)?;
    let above_zero = |span: &Duration| {
        if *span >= Duration::from_secs(1) {
            return Ok(());
        }
        Err(Fault::new("shorter than 1s", "nothing would ever arrive", "write a longer duration"))
    };
    let settings = WebhookSettings {
        environment: section.or("environment", start.environment),
        allow_private: section.or("allow_private", start.allow_private),
        timeout: section.checked("timeout", start.timeout, above_zero),
        keep_trying: section.checked("keep_trying", start.keep_trying, above_zero),
        most: section.or("most", start.most),
        herald: start.herald,
    };
    section.note("environment", settings.environment.write());
    mount.note("webhooks", Toml::Table(section.finish()));
    Some(settings)
}
