//! Import of accounts with password hashes: all or nothing, every refused line named.

use super::{
    Actor, EventKind, Identity, IdentityError, ImportReport, RefusedLine, audit,
    import_lines::{Imported, read},
};
use crate::{
    model::{RealmName, Timestamp},
    store::{AccountRecord, AccountStatus, AuditRecord, Inserted},
};

impl Identity {
    /// Imports accounts with Argon2id or bcrypt hashes: all or nothing; every refused line is reported.
    pub async fn import(
        &self,
        realm: &RealmName,
        lines: &str,
        by: &Actor,
    ) -> Result<ImportReport, IdentityError> {
        let rules = self.inner.state().rules(realm)?;
        let now = self.now();
        let (good, mut refused) = read(&rules, lines);
        if !refused.is_empty() {
            refused.extend(self.taken(realm, &good).await?);
            return Ok(report(refused));
        }
        let mut records = Vec::with_capacity(good.len());
        for new in &good {
            records.push(self.imported_account(realm, new, now)?);
        }
        let told = AuditRecord {
            realm: Some(realm.clone()),
            details: serde_json::json!({ "accounts": records.len() }),
            ..audit::event(EventKind::AccountsImported, by, now)
        };
        match self.inner.store.insert_accounts(&records, &[told]).await? {
            Inserted::All => Ok(ImportReport { imported: records.len(), refused: Vec::new() }),
            Inserted::None(taken) => {
                let line = |(index, field): (usize, &'static str)| RefusedLine {
                    line: good.get(index).map_or(0, |new| new.line),
                    why: exists(field),
                };
                Ok(report(taken.into_iter().map(line).collect()))
            }
        }
    }

    /// Good lines of a file that is refused anyway whose names are taken: told in the same answer.
    async fn taken(
        &self,
        realm: &RealmName,
        good: &[Imported],
    ) -> Result<Vec<RefusedLine>, IdentityError> {
        let mut taken = Vec::new();
        for new in good {
            for (field, name) in [("username", &new.username), ("email", &new.email)] {
                let Some(name) = name else { continue };
                if self.inner.store.account_by_login(realm, name).await?.is_some() {
                    taken.push(RefusedLine { line: new.line, why: exists(field) });
                }
            }
        }
        Ok(taken)
    }

    fn imported_account(
        &self,
        realm: &RealmName,
        new: &Imported,
        now: Timestamp,
    ) -> Result<AccountRecord, IdentityError> {
        let status = if new.enabled { AccountStatus::Active } else { AccountStatus::Disabled };
        Ok(AccountRecord {
            username: new.username.clone(),
            email: new.email.clone(),
            password_hash: Some(new.password_hash.as_str().into()),
            status,
            roles: new.roles.clone(),
            tenant: new.tenant.clone(),
            full_name: new.full_name.clone(),
            ..AccountRecord::new(self.inner.uuid()?.into(), realm.clone(), now)
        })
    }
}

fn report(mut refused: Vec<RefusedLine>) -> ImportReport {
    refused.sort_by_key(|refused| refused.line);
    ImportReport { imported: 0, refused }
}

fn exists(field: &str) -> String {
    format!("an account with this {field} exists already")
}
