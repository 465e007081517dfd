//! Bodies of inkpass, pure: requests as they are read, replies and refusals as they are written. No HTTP server types.

mod refusals;
mod replies;
mod requests;

pub use refusals::{Refusal, Shape, at_code, at_factor, at_registration, denied};
pub use replies::{
    BackupCodes, Checked, FactorSetup, Grants, Group, KeyFacts, KeyItem, KeyMade, KeyScopes,
    KeyUsage, Me, Member, MemberItem, OrganizationItem, OrganizationWhole, PermissionItem,
    PermittedAnswer, Profile, Registered, Tokens,
};
pub use requests::{
    AskedPermission, Assign, ChangeGroup, ChangeKey, ChangePermission, ChangeProfile, ChangeUser,
    CheckQuery, Context, CreateGroup, CreateKey, CreatePermission, CreateUser, EnableFactor,
    FactorCode, JoinGroup, LogIn, RefreshBody, RefreshQuery, Register, ResetPassword, SendCode,
    VerifyEmail,
};
