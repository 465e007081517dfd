//! Codes by time (RFC 6238: SHA-1, six digits, 30 seconds, one step of difference either way) and backup codes. Pure.

use totp_rs::{Builder, Secret, Totp};

use crate::{
    identity::IdentityError,
    model::{AccountId, Digest, Random, SecretString, Timestamp, secret::ExposeSecret},
    store::Factor,
};

/// Bytes of a seed (RFC 4226 section 4 recommends 160 bits).
const SEED: usize = 20;
/// Digits of a code.
const DIGITS: usize = 6;
/// Backup codes of an account.
pub(super) const BACKUP_CODES: usize = 10;
/// Letters and digits of a backup code: five bits each, 80 in all, so that a digest of it cannot be searched for.
const BACKUP_LENGTH: usize = 16;
/// Letters between two dashes.
const BACKUP_GROUP: usize = 4;
/// Crockford's alphabet: no letter looks like a digit.
const ALPHABET: [char; 32] = [
    '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'j',
    'k', 'm', 'n', 'p', 'q', 'r', 's', 't', 'v', 'w', 'x', 'y', 'z',
];

/// A seed that the account's app shares with us.
pub(super) struct Seed([u8; SEED]);

impl Seed {
    /// A new one.
    pub(super) fn fresh(random: &dyn Random) -> Result<Self, IdentityError> {
        let mut bytes = [0; SEED];
        random.fill(&mut bytes).map_err(|_| IdentityError::Internal)?;
        Ok(Self(bytes))
    }

    /// Takes one back from the store.
    pub(super) fn from_slice(bytes: &[u8]) -> Result<Self, IdentityError> {
        bytes.try_into().map(Self).map_err(|_| IdentityError::Internal)
    }

    /// For the store, to be sealed.
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// As people type it into an app.
    pub(super) fn base32(&self) -> SecretString {
        Secret::new_stack(self.0).to_base32().into()
    }

    /// As apps read it from a QR code. A colon would end the label, so it is left out of both names.
    pub(super) fn uri(&self, issuer: &str, name: &str) -> Result<SecretString, IdentityError> {
        let plain = |text: &str| text.replace(':', " ");
        let totp = Builder::new()
            .with_secret(Secret::new_stack(self.0))
            .with_issuer(Some(plain(issuer)))
            .with_account_name(plain(name))
            .build();
        let uri = totp.and_then(|totp| totp.to_url());
        uri.map(SecretString::from).map_err(|_| IdentityError::Internal)
    }

    /// The step whose code this is, if that is a step later than the last one that was taken.
    pub(super) fn step_of(
        &self,
        code: &str,
        now: Timestamp,
        last: Option<i64>,
    ) -> Result<Option<i64>, IdentityError> {
        let now = u64::try_from(now.secs()).unwrap_or(0);
        let step = self.totp()?.check(code, now);
        let step = step.and_then(|step| i64::try_from(step).ok());
        Ok(step.filter(|step| last.is_none_or(|last| *step > last)))
    }

    fn totp(&self) -> Result<Totp, IdentityError> {
        let totp = Builder::new().with_secret(Secret::new_stack(self.0)).build();
        totp.map_err(|_| IdentityError::Internal)
    }

    /// The code of a moment, for tests that play the app.
    #[cfg(test)]
    pub(super) fn code_at(&self, now: Timestamp) -> String {
        let secs = u64::try_from(now.secs()).unwrap();
        self.totp().unwrap().generate(secs).to_string()
    }
}

/// What a presented code could be.
pub(super) enum Presented {
    /// Six digits.
    Code(String),
    /// The digest of a backup code.
    Backup(Factor),
}

/// Reads a code as people type it: blanks and dashes do not count, nor does the case of letters.
pub(super) fn read(account: &AccountId, typed: &SecretString) -> Presented {
    let plain: String = typed
        .expose_secret()
        .chars()
        .filter(|c| !c.is_whitespace() && *c != '-')
        .take(64)
        .map(|c| c.to_ascii_lowercase())
        .collect();
    if plain.len() == DIGITS && plain.bytes().all(|byte| byte.is_ascii_digit()) {
        return Presented::Code(plain);
    }
    Presented::Backup(Factor::Backup(backup_digest(account, &plain)))
}

/// New backup codes: as they are shown once, and as they are kept.
pub(super) fn backup_codes(
    account: &AccountId,
    random: &dyn Random,
) -> Result<(Vec<SecretString>, Vec<Digest>), IdentityError> {
    let (mut shown, mut kept) = (Vec::new(), Vec::new());
    for _ in 0..BACKUP_CODES {
        let mut bytes = [0; BACKUP_LENGTH];
        random.fill(&mut bytes).map_err(|_| IdentityError::Internal)?;
        let letter = |byte: &u8| ALPHABET.get(usize::from(*byte) % ALPHABET.len()).copied();
        let plain: String = bytes.iter().filter_map(letter).collect();
        kept.push(backup_digest(account, &plain));
        let mut text = String::new();
        for (at, c) in plain.chars().enumerate() {
            if at > 0 && at % BACKUP_GROUP == 0 {
                text.push('-');
            }
            text.push(c);
        }
        shown.push(text.into());
    }
    Ok((shown, kept))
}

/// The account is part of it, so that one account's code is nothing to another.
fn backup_digest(account: &AccountId, plain: &str) -> Digest {
    Digest::of(format!("backup code of {account}: {plain}").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::SystemRandom;

    const SEED_OF_THE_RFC: &[u8] = b"12345678901234567890";

    #[test]
    fn codes_are_those_of_the_rfc() {
        // RFC 6238 appendix B, the last six digits of each.
        let seed = Seed::from_slice(SEED_OF_THE_RFC).unwrap();
        for (secs, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
        ] {
            let now = Timestamp::from_secs(secs);
            assert_eq!(seed.code_at(now), code);
            assert_eq!(seed.step_of(code, now, None), Ok(Some(secs / 30)));
        }
    }

    #[test]
    fn a_code_is_good_for_three_steps_and_never_again_once_it_was_taken() {
        let seed = Seed::fresh(&SystemRandom).unwrap();
        let at = |secs: i64| Timestamp::from_secs(3_000_000_000 + secs);
        let code = seed.code_at(at(0));
        let step = 100_000_000;
        for secs in [-30, 0, 29, 30, 59] {
            assert_eq!(seed.step_of(&code, at(secs), None), Ok(Some(step)), "{secs}");
        }
        for secs in [-31, 60] {
            assert_eq!(seed.step_of(&code, at(secs), None), Ok(None), "{secs}");
        }
        assert_eq!(seed.step_of(&code, at(0), Some(step - 1)), Ok(Some(step)));
        assert_eq!(seed.step_of(&code, at(0), Some(step)), Ok(None), "taken");
        assert_eq!(seed.step_of(&code, at(0), Some(step + 1)), Ok(None), "a later one was taken");
        for odd in ["", "12345", "1234567", "+12345", "12345a", "１２３４５６"] {
            assert_eq!(seed.step_of(odd, at(0), None), Ok(None), "{odd}");
        }
    }

    #[test]
    fn an_app_finds_seed_and_names_in_the_uri() {
        let seed = Seed::from_slice(SEED_OF_THE_RFC).unwrap();
        let uri = seed.uri("Acme: Inc", "ada@example.org").unwrap();
        assert_eq!(
            uri.expose_secret(),
            "otpauth://totp/Acme%20%20Inc:ada%40example.org?\
             secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Acme%20%20Inc"
        );
        assert_eq!(seed.base32().expose_secret(), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        assert!(Seed::from_slice(b"short").is_err());
    }

    #[test]
    fn backup_codes_are_read_back_however_they_are_typed_and_belong_to_one_account() {
        let (ada, bob) = ("ada".into(), "bob".into());
        let (shown, kept) = backup_codes(&ada, &SystemRandom).unwrap();
        assert_eq!((shown.len(), kept.len()), (BACKUP_CODES, BACKUP_CODES));
        let text = shown[0].expose_secret();
        assert_eq!(text.len(), 19, "{text}");
        let spaced = text.replace('-', " ").to_uppercase();
        for typed in [text, &spaced] {
            let Presented::Backup(factor) = read(&ada, &typed.into()) else { panic!("{typed}") };
            assert_eq!(factor, Factor::Backup(kept[0]));
            let Presented::Backup(other) = read(&bob, &typed.into()) else { panic!("{typed}") };
            assert_ne!(other, factor);
        }
        let Presented::Code(code) = read(&ada, &"123 456".into()) else { panic!() };
        assert_eq!(code, "123456");
    }
}
