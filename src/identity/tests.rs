//! Tests of the facade over a real store in a temporary folder, by subject.

mod account_tests;
mod agent_tests;
mod code_tests;
mod edit_tests;
mod issuer_key_tests;
mod key_tests;
mod login_tests;
mod refresh_tests;
mod restart_tests;
mod session_tests;
mod signed_refresh_tests;
