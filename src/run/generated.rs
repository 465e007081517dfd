//! Secrets that nobody gave: a master key and an operator token, made once in the data folder, mode 0600.

use std::{
    fs::{self, File, OpenOptions},
    io::{ErrorKind, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use super::{RunError, STORE_FILE};
use crate::{
    config::Boot,
    model::{Random, SecretString, SystemRandom, api_key::hex},
};

const MASTER_KEY_FILE: &str = "master.key";
pub(super) const TOKEN_FILE: &str = "operator.token";
const SECRET_BYTES: usize = 32;

/// The configured master keys, or the one of the data folder, which is made at the first start.
pub(super) fn master_keys(boot: &Boot) -> Result<Vec<SecretString>, RunError> {
    if !boot.master_keys.is_empty() {
        return Ok(boot.master_keys.clone());
    }
    if boot.database.is_some() {
        // One made here would be another one on each node.
        return Err(RunError::MasterKeyNotNamed);
    }
    let path = boot.data_dir.join(MASTER_KEY_FILE);
    let store = boot.data_dir.join(STORE_FILE);
    if !path.exists() && store.exists() {
        // The key is made before the store, so a store without one has lost it.
        return Err(RunError::MasterKeyGone { key: path, store });
    }
    let (key, is_new) = kept_or_made(&boot.data_dir, &path)?;
    if is_new {
        tracing::warn!(
            event = "master_key_made",
            file = %path.display(),
            advice = "back this file up: the store cannot be read without it"
        );
    }
    Ok(vec![key])
}

/// The configured operator token, or the one of the data folder, which is made at the first start.
pub(super) fn operator_token(boot: &Boot) -> Result<SecretString, RunError> {
    if let Some(token) = &boot.internal_token {
        return Ok(token.clone());
    }
    let path = boot.data_dir.join(TOKEN_FILE);
    let (token, is_new) = kept_or_made(&boot.data_dir, &path)?;
    if is_new {
        tracing::info!(event = "operator_token_made", file = %path.display());
    }
    Ok(token)
}

/// Makes the data folder, for the owner only, unless it is there.
pub(super) fn make_folder(folder: &Path) -> Result<(), RunError> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(|source| RunError::File { path: folder.to_owned(), source })
}

fn kept_or_made(folder: &Path, path: &PathBuf) -> Result<(SecretString, bool), RunError> {
    let wrong = |source| RunError::File { path: path.clone(), source };
    match fs::read_to_string(path) {
        Ok(text) if !text.trim().is_empty() => return Ok((SecretString::from(text.trim()), false)),
        // An empty file is what a crash leaves of a secret that protects nothing yet.
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(wrong(error)),
    }
    let mut bytes = [0; SECRET_BYTES];
    SystemRandom.fill(&mut bytes).map_err(|error| wrong(std::io::Error::other(error)))?;
    let text = hex(&bytes);
    // Written whole under another name first: a crash never leaves half a key.
    let part = path.with_extension("part");
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(&part)
        .map_err(wrong)?;
    file.write_all(format!("{text}\n").as_bytes()).map_err(wrong)?;
    file.sync_all().map_err(wrong)?;
    fs::rename(&part, path).map_err(wrong)?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(wrong)?;
    Ok((SecretString::from(text), true))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::{
        config::{self, Machine},
        model::secret::ExposeSecret,
    };

    fn boot(dir: &Path) -> Boot {
        let file = dir.join("p.toml");
        config::parse(&file, include_str!("../../conf/minimal.toml"), &[], &Machine).unwrap().boot()
    }

    #[test]
    fn a_secret_is_made_once_and_for_the_owner_only() {
        let dir = tempfile::tempdir().unwrap();
        let boot = boot(dir.path());
        make_folder(&boot.data_dir).unwrap();
        let first = master_keys(&boot).unwrap();
        let again = master_keys(&boot).unwrap();
        assert_eq!(first[0].expose_secret(), again[0].expose_secret());
        assert_eq!(first[0].expose_secret().len(), 64);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&boot.data_dir.join(MASTER_KEY_FILE)), 0o600);
        assert_eq!(mode(&boot.data_dir), 0o700);
        let token = operator_token(&boot).unwrap();
        assert_ne!(token.expose_secret(), first[0].expose_secret());
    }

    #[test]
    fn a_store_without_its_master_key_is_not_given_a_new_one() {
        let dir = tempfile::tempdir().unwrap();
        let boot = boot(dir.path());
        make_folder(&boot.data_dir).unwrap();
        fs::write(boot.data_dir.join(STORE_FILE), b"a store").unwrap();
        let error = master_keys(&boot).unwrap_err().to_string();
        assert!(error.contains("master.key is missing"), "{error}");
        assert!(!boot.data_dir.join(MASTER_KEY_FILE).exists());
    }

    #[test]
    fn half_a_secret_of_a_crash_is_made_again() {
        let dir = tempfile::tempdir().unwrap();
        let boot = boot(dir.path());
        make_folder(&boot.data_dir).unwrap();
        fs::write(boot.data_dir.join(TOKEN_FILE), b"").unwrap();
        assert_eq!(operator_token(&boot).unwrap().expose_secret().len(), 64);
    }
}
