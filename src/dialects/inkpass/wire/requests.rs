//! Requests of inkpass, read field by field.

use serde_json::{Map, Value};

use crate::{
    dialects::fields::{Fields, Request},
    identity::{
        self, AccountChanges, Grantee, Login, MemberChange, NewMember, NewMemberKey, NewPermission,
        PermissionChange, Proof, Registration, TeamChange,
    },
    model::SecretString,
};

/// Longest address that is looked at.
const LONGEST_EMAIL: usize = 320;
/// Parts of a name: 2 to 50 characters.
const PERSON: (usize, usize) = (2, 50);
/// Longest text of any other kind; identity holds the tighter bounds.
const LONGEST: usize = 1024;
/// Words for an account that may not log in.
const OFF: [&str; 3] = ["inactive", "suspended", "disabled"];

/// `POST /api/v1/auth/register`.
#[derive(Debug)]
pub struct Register(pub Registration);

impl Request for Register {
    fn read(fields: &mut Fields) -> Option<Self> {
        let email = fields.bounded_text("email", 3, LONGEST_EMAIL);
        let password = fields.secret("password");
        let organisation = fields.optional_text("organization_name", LONGEST);
        let first_name = fields.optional_bounded_text("first_name", PERSON.0, PERSON.1);
        let last_name = fields.optional_bounded_text("last_name", PERSON.0, PERSON.1);
        Some(Self(Registration {
            first_name,
            last_name,
            organisation,
            send_verification: true,
            ..Registration::new(email?, password?)
        }))
    }
}

/// `POST /api/v1/auth/login`. Any two strings: creation rules never apply here.
#[derive(Debug)]
pub struct LogIn(pub Login);

impl Request for LogIn {
    fn read(fields: &mut Fields) -> Option<Self> {
        let name = fields.text("email");
        let password = fields.secret("password");
        let second_factor = fields.optional_secret("two_fa_code");
        Some(Self(Login { second_factor, ..Login::new(name?, password?) }))
    }
}

/// The query of `POST /api/v1/auth/refresh`.
#[derive(Debug)]
pub struct RefreshQuery(pub Option<SecretString>);

impl Request for RefreshQuery {
    fn read(fields: &mut Fields) -> Option<Self> {
        Some(Self(fields.optional_secret("refresh_token")))
    }
}

/// The body of the same, for clients that keep secrets out of addresses.
#[derive(Debug)]
pub struct RefreshBody(pub Option<SecretString>);

impl Request for RefreshBody {
    const MAY_BE_EMPTY: bool = true;

    fn read(fields: &mut Fields) -> Option<Self> {
        Some(Self(fields.optional_secret("refresh_token")))
    }
}

/// The query of `POST /api/v1/auth/check`.
#[derive(Debug)]
pub struct CheckQuery {
    /// On what.
    pub resource: String,
    /// What.
    pub action: String,
}

impl Request for CheckQuery {
    fn read(fields: &mut Fields) -> Option<Self> {
        let (resource, action) = (fields.text("resource"), fields.text("action"));
        Some(Self { resource: resource?, action: action? })
    }
}

/// The body of the same is the context itself.
#[derive(Debug)]
pub struct Context(pub Map<String, Value>);

impl Request for Context {
    const MAY_BE_EMPTY: bool = true;

    fn read(fields: &mut Fields) -> Option<Self> {
        Some(Self(fields.rest()))
    }
}

/// `POST /api/v1/permissions/check`.
#[derive(Debug)]
pub struct AskedPermission(pub CheckQuery);

impl Request for AskedPermission {
    fn read(fields: &mut Fields) -> Option<Self> {
        CheckQuery::read(fields).map(Self)
    }
}

/// `POST /api/v1/auth/verify-email`.
#[derive(Debug)]
pub struct VerifyEmail(pub Proof);

impl Request for VerifyEmail {
    fn read(fields: &mut Fields) -> Option<Self> {
        proof(fields).map(Self)
    }
}

/// `POST /api/v1/auth/resend-verification` and `/forgot-password`.
#[derive(Debug)]
pub struct SendCode {
    /// To whom.
    pub email: String,
}

impl Request for SendCode {
    fn read(fields: &mut Fields) -> Option<Self> {
        Some(Self { email: fields.bounded_text("email", 1, LONGEST_EMAIL)? })
    }
}

/// `POST /api/v1/auth/reset-password`.
#[derive(Debug)]
pub struct ResetPassword {
    /// That the mail was read.
    pub proof: Proof,
    /// The new password.
    pub new: SecretString,
}

impl Request for ResetPassword {
    fn read(fields: &mut Fields) -> Option<Self> {
        let (proof, new) = (proof(fields), fields.secret("new_password"));
        Some(Self { proof: proof?, new: new? })
    }
}

/// `PATCH /api/v1/auth/profile`.
#[derive(Debug)]
pub struct ChangeProfile(pub AccountChanges);

impl Request for ChangeProfile {
    fn read(fields: &mut Fields) -> Option<Self> {
        let first_name = fields.optional_bounded_text("first_name", PERSON.0, PERSON.1);
        let last_name = fields.optional_bounded_text("last_name", PERSON.0, PERSON.1);
        Some(Self(AccountChanges { first_name, last_name, ..AccountChanges::default() }))
    }
}

/// `POST /api/v1/auth/2fa/enable`.
#[derive(Debug)]
pub struct EnableFactor {
    /// The seed as the client holds it.
    pub secret: Option<SecretString>,
    /// A first code of it.
    pub code: SecretString,
}

impl Request for EnableFactor {
    fn read(fields: &mut Fields) -> Option<Self> {
        let secret = fields.optional_secret("secret");
        // The original's name; the other endpoints say `code`.
        let code = match fields.optional_secret("verification_code") {
            Some(code) => Some(code),
            None => fields.secret("code"),
        };
        Some(Self { secret, code: code? })
    }
}

/// `POST /api/v1/auth/2fa/verify`, `disable`, `backup-codes`.
#[derive(Debug)]
pub struct FactorCode(pub SecretString);

impl Request for FactorCode {
    fn read(fields: &mut Fields) -> Option<Self> {
        fields.secret("code").map(Self)
    }
}

/// `POST /api/v1/permissions`.
#[derive(Debug)]
pub struct CreatePermission(pub NewPermission);

impl Request for CreatePermission {
    fn read(fields: &mut Fields) -> Option<Self> {
        let (resource, action) = (fields.text("resource"), fields.text("action"));
        let conditions = fields.optional_map("conditions").unwrap_or_default();
        Some(Self(NewPermission { resource: resource?, action: action?, conditions }))
    }
}

/// `PATCH /api/v1/permissions/{id}`.
#[derive(Debug)]
pub struct ChangePermission(pub PermissionChange);

impl Request for ChangePermission {
    fn read(fields: &mut Fields) -> Option<Self> {
        let resource = fields.optional_text("resource", LONGEST);
        let action = fields.optional_text("action", LONGEST);
        let conditions = fields.optional_map("conditions");
        Some(Self(PermissionChange { resource, action, conditions }))
    }
}

/// `POST /api/v1/permissions/{id}/assign` and `/groups`. `None`: neither is named.
#[derive(Debug)]
pub struct Assign(pub Option<Grantee>);

impl Request for Assign {
    fn read(fields: &mut Fields) -> Option<Self> {
        let group = fields.optional_text("group_id", LONGEST);
        let user = fields.optional_text("user_id", LONGEST);
        Some(Self(match (group, user) {
            (Some(group), _) => Some(Grantee::Team(group.into())),
            (None, Some(user)) => Some(Grantee::Account(user.into())),
            (None, None) => None,
        }))
    }
}

/// `POST /api/v1/groups`.
#[derive(Debug)]
pub struct CreateGroup {
    /// Name.
    pub name: String,
    /// Free text.
    pub description: Option<String>,
}

impl Request for CreateGroup {
    fn read(fields: &mut Fields) -> Option<Self> {
        let name = fields.text("name");
        let description = fields.optional_text("description", LONGEST);
        Some(Self { name: name?, description })
    }
}

/// `PATCH /api/v1/groups/{id}`.
#[derive(Debug)]
pub struct ChangeGroup(pub TeamChange);

impl Request for ChangeGroup {
    fn read(fields: &mut Fields) -> Option<Self> {
        let name = fields.optional_text("name", LONGEST);
        let description = fields.optional_text("description", LONGEST);
        Some(Self(TeamChange { name, description }))
    }
}

/// `POST /api/v1/groups/{id}/users`.
#[derive(Debug)]
pub struct JoinGroup {
    /// Who.
    pub user: String,
}

impl Request for JoinGroup {
    fn read(fields: &mut Fields) -> Option<Self> {
        Some(Self { user: fields.text("user_id")? })
    }
}

/// `POST /api/v1/api-keys`.
#[derive(Debug)]
pub struct CreateKey(pub NewMemberKey);

impl Request for CreateKey {
    fn read(fields: &mut Fields) -> Option<Self> {
        let name = fields.text("name");
        let account = fields.optional_text("user_id", LONGEST);
        let scopes = fields.optional_texts("scopes").unwrap_or_default();
        let lifetime = fields.optional_days("expires_in_days");
        Some(Self(NewMemberKey { name: name?, account: account.map(Into::into), scopes, lifetime }))
    }
}

/// `PATCH /api/v1/api-keys/{id}`.
#[derive(Debug)]
pub struct ChangeKey {
    /// All of them, anew.
    pub scopes: Vec<String>,
}

impl Request for ChangeKey {
    fn read(fields: &mut Fields) -> Option<Self> {
        Some(Self { scopes: fields.texts("scopes")? })
    }
}

/// `POST /api/v1/users`.
#[derive(Debug)]
pub struct CreateUser(pub NewMember);

impl Request for CreateUser {
    fn read(fields: &mut Fields) -> Option<Self> {
        let email = fields.bounded_text("email", 3, LONGEST_EMAIL);
        let password = fields.secret("password");
        let first_name = fields.optional_bounded_text("first_name", PERSON.0, PERSON.1);
        let last_name = fields.optional_bounded_text("last_name", PERSON.0, PERSON.1);
        Some(Self(NewMember { email: email?, password: password?, first_name, last_name }))
    }
}

/// `PATCH /api/v1/users/{id}`.
#[derive(Debug)]
pub struct ChangeUser(pub MemberChange);

impl Request for ChangeUser {
    fn read(fields: &mut Fields) -> Option<Self> {
        let email = fields.optional_text("email", LONGEST_EMAIL);
        let enabled = match fields.optional_text("status", LONGEST) {
            None => None,
            Some(word) if word == "active" => Some(true),
            Some(word) if OFF.contains(&&*word) => Some(false),
            Some(_) => fields.refuse("status", "enum", "Input should be 'active' or 'inactive'"),
        };
        Some(Self(MemberChange { email, enabled }))
    }
}

fn proof(fields: &mut Fields) -> Option<identity::Proof> {
    let email = fields.bounded_text("email", 1, LONGEST_EMAIL);
    let code = fields.secret("code");
    Some(identity::Proof { email: Some(email?), code: code? })
}
