//! One-time codes as texts: made in the form of the mount, and read back. The store keeps a keyed digest of each, bound to
//! mount, purpose and, where codes are short, account; without the key nobody can search six digits in a stolen store.

use aws_lc_rs::hmac;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::Algorithm;

use super::{
    CodeForm, CodeRule, CodeSettings, IdentityError, MountSettings, signing::SigningKey, tokens,
};
use crate::{
    model::{AccountId, Digest, Random, SecretString, Timestamp, secret::ExposeSecret},
    store::AccountRecord,
};

/// Longest text looked at.
const LONGEST: usize = 2048;
/// How many codes of digits there are.
const DIGITS: u32 = 1_000_000;

/// What a code is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// A new password.
    Reset,
    /// Proof of the address.
    Verify,
}

impl Purpose {
    /// Every one; all of them are void once the address changes.
    pub(super) const NAMES: [&'static str; 2] = ["reset_password", "verify_email"];

    /// Name in the store, and of the mail's template.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Reset => "reset_password",
            Self::Verify => "verify_email",
        }
    }

    /// Name of the limit on asking.
    pub(super) const fn limit(self) -> &'static str {
        match self {
            Self::Reset => "code-reset-password",
            Self::Verify => "code-verify-email",
        }
    }

    /// The rule of a mount.
    pub(super) const fn rule(self, codes: &CodeSettings) -> &CodeRule {
        match self {
            Self::Reset => &codes.reset,
            Self::Verify => &codes.verify,
        }
    }
}

/// Makes and reads codes.
pub(super) struct CodeKey {
    digests: hmac::Key,
    signs: SigningKey,
}

/// A code just made.
pub(super) struct FreshCode {
    /// As it is sent.
    pub(super) text: SecretString,
    /// As it is kept.
    pub(super) digest: Digest,
}

/// A presented code, read as far as it can be without the store.
pub(super) struct ReadCode {
    /// As it would be kept.
    pub(super) digest: Digest,
    /// Whom it names, where it is signed.
    pub(super) names: Option<AccountId>,
}

impl CodeKey {
    /// From 32 random bytes.
    pub(super) fn new(bytes: &[u8]) -> Result<Self, IdentityError> {
        let digests = hmac::Key::new(hmac::HMAC_SHA256, bytes);
        let signs = hmac::sign(&digests, b"signs codes");
        let signs = SigningKey::load("codes".into(), Algorithm::HS256, signs.as_ref())?;
        Ok(Self { digests, signs })
    }

    /// Makes a code for an account.
    pub(super) fn make(
        &self,
        mount: &MountSettings,
        purpose: Purpose,
        account: &AccountRecord,
        now: Timestamp,
        random: &dyn Random,
    ) -> Result<FreshCode, IdentityError> {
        let rule = purpose.rule(&mount.codes);
        let secret = match rule.form {
            CodeForm::Digits => digits(random)?,
            CodeForm::Token | CodeForm::Jwt { .. } => token(random)?,
        };
        let own = (rule.form == CodeForm::Digits).then_some(&account.id);
        let digest = self.digest(mount, purpose, own, &secret);
        let CodeForm::Jwt { audience } = &rule.form else {
            return Ok(FreshCode { text: secret.into(), digest });
        };
        let exp = (now + rule.lifetime).secs();
        let mut claims = tokens::registered(&mount.tokens, account.id.as_str(), &secret, now, exp);
        claims.insert("aud".to_owned(), (**audience).into());
        if let (Purpose::Verify, Some(email)) = (purpose, &account.email) {
            claims.insert("email".to_owned(), email.as_str().into());
        }
        Ok(FreshCode { text: tokens::compact(&self.signs, false, &claims)?, digest })
    }

    /// Reads a presented code. `account` is whose it must be, where codes are short. `None`: it cannot be one.
    pub(super) fn read(
        &self,
        mount: &MountSettings,
        purpose: Purpose,
        account: Option<&AccountId>,
        text: &SecretString,
        now: Timestamp,
    ) -> Option<ReadCode> {
        let plain = text.expose_secret().trim();
        if plain.is_empty() || plain.len() > LONGEST {
            return None;
        }
        match &purpose.rule(&mount.codes).form {
            CodeForm::Token => {
                Some(ReadCode { digest: self.digest(mount, purpose, None, plain), names: None })
            }
            CodeForm::Digits => {
                let digest = self.digest(mount, purpose, Some(account?), plain);
                Some(ReadCode { digest, names: None })
            }
            CodeForm::Jwt { audience } => {
                let keys = vec![self.signs.verification()];
                let profile = tokens::profile(mount, Some(audience.clone()), None, keys);
                let read = profile.verify(plain, now).ok()?;
                let digest = self.digest(mount, purpose, None, read.token?.as_str());
                Some(ReadCode { digest, names: Some(read.subject) })
            }
        }
    }

    fn digest(
        &self,
        mount: &MountSettings,
        purpose: Purpose,
        account: Option<&AccountId>,
        secret: &str,
    ) -> Digest {
        let mut context = hmac::Context::with_key(&self.digests);
        let account = account.map_or("", AccountId::as_str);
        // No part but the last holds a zero byte, so no two inputs run together.
        for part in [mount.name.as_str(), purpose.name(), account, secret] {
            context.update(part.as_bytes());
            context.update(&[0]);
        }
        Digest::of(context.sign().as_ref())
    }
}

fn token(random: &dyn Random) -> Result<String, IdentityError> {
    let mut bytes = [0; 32];
    random.fill(&mut bytes).map_err(|_| IdentityError::Internal)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// Six digits, each of the million as likely as any other.
fn digits(random: &dyn Random) -> Result<String, IdentityError> {
    const FAIR: u32 = u32::MAX - u32::MAX % DIGITS;
    loop {
        let mut bytes = [0; 4];
        random.fill(&mut bytes).map_err(|_| IdentityError::Internal)?;
        let number = u32::from_be_bytes(bytes);
        if number < FAIR {
            return Ok(format!("{:06}", number % DIGITS));
        }
    }
}
