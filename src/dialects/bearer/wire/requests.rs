//! Requests of bearer. The login is a form, everything else JSON. Unknown fields are ignored.

use crate::{
    dialects::fields::{Encoding, Fields, Request},
    identity::{Login, Proof, Registration},
    model::SecretString,
};

/// Login: `username` is the e-mail address. `grant_type`, `scope`, `client_id` and `client_secret` are ignored.
pub struct LogIn(pub Login);

impl Request for LogIn {
    const ENCODING: Encoding = Encoding::Form;

    fn read(fields: &mut Fields) -> Option<Self> {
        if fields.optional_text("grant_type", usize::MAX).is_some_and(|kind| !is_password(&kind)) {
            let msg = "String should match pattern '^password$'";
            fields.refuse::<()>("grant_type", "string_pattern_mismatch", msg);
        }
        let (name, password) = (fields.text("username"), fields.secret("password"));
        Some(Self(Login::new(name?, password?)))
    }
}

fn is_password(kind: &str) -> bool {
    kind.is_empty() || kind == "password"
}

/// Registration. The three flags are accepted and ignored.
pub struct Register(pub Registration);

impl Request for Register {
    fn read(fields: &mut Fields) -> Option<Self> {
        flags(fields);
        let (email, password) = (fields.text("email"), fields.secret("password"));
        // The library sends no code by itself; a program asks for it.
        Some(Self(Registration::new(email?, password?)))
    }
}

/// What may change of an account.
pub struct Update {
    /// New address.
    pub email: Option<String>,
    /// New password.
    pub password: Option<SecretString>,
    /// A superuser's alone.
    pub is_active: Option<bool>,
    /// A superuser's alone.
    pub is_superuser: Option<bool>,
    /// A superuser's alone.
    pub is_verified: Option<bool>,
}

impl Request for Update {
    fn read(fields: &mut Fields) -> Option<Self> {
        let [is_active, is_superuser, is_verified] = flags(fields);
        Some(Self {
            email: fields.optional_text("email", usize::MAX),
            password: fields.optional_secret("password"),
            is_active,
            is_superuser,
            is_verified,
        })
    }
}

/// `{email}`: who asks for a code.
pub struct Address(pub String);

impl Request for Address {
    fn read(fields: &mut Fields) -> Option<Self> {
        fields.text("email").map(Self)
    }
}

/// A new password against a code.
pub struct Reset {
    /// The code.
    pub proof: Proof,
    /// The password.
    pub password: SecretString,
}

impl Request for Reset {
    fn read(fields: &mut Fields) -> Option<Self> {
        let (code, password) = (fields.secret("token"), fields.secret("password"));
        Some(Self { proof: Proof { code: code?, email: None }, password: password? })
    }
}

/// Proof of an address.
pub struct Verify(pub Proof);

impl Request for Verify {
    fn read(fields: &mut Fields) -> Option<Self> {
        let code = fields.secret("token")?;
        Some(Self(Proof { code, email: None }))
    }
}

fn flags(fields: &mut Fields) -> [Option<bool>; 3] {
    ["is_active", "is_superuser", "is_verified"].map(|name| fields.optional_bool(name))
}
