//! Letters as files: whole or not there at all.

use std::path::Path;

use super::MailError;

/// Writes a letter as `ID.eml`. A second try replaces the first.
pub(super) async fn write(folder: &Path, id: &str, bytes: &[u8]) -> Result<(), MailError> {
    let trouble =
        |error: std::io::Error| MailError::Later(format!("mail folder: {}", error.kind()));
    tokio::fs::create_dir_all(folder).await.map_err(trouble)?;
    let (unfinished, path) = (folder.join(format!(".{id}.part")), folder.join(format!("{id}.eml")));
    tokio::fs::write(&unfinished, bytes).await.map_err(trouble)?;
    tokio::fs::rename(&unfinished, &path).await.map_err(trouble)
}
