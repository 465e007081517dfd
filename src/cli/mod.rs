//! The command line: what the operator types, and what it answers. No rule lives here: commands go through the operator
//! API, of the running gateway if there is one, else in process on the store.

mod accounts;
mod arguments;
mod audit;
mod check;
mod clients;
mod database;
mod door;
mod explain;
mod jwks;
mod keys;
mod policy_tests;
mod process;
mod request;
mod sessions;
mod show;

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::{CommandFactory, Parser};

use self::arguments::{Arguments, Command, ConfigCommand, ShadowCommand};
use crate::{demo, run};

/// Why a command did not do what it was told, and with which exit code it ends.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// Refused or failed.
    #[error("{0}")]
    Failed(String),
    /// Neither a gateway nor a free store.
    #[error("{0}")]
    Unreachable(String),
    /// What was typed makes no sense together.
    #[error("{0}")]
    Usage(String),
    /// Everything is already told.
    #[error("")]
    Told,
    /// Everything is already told: nobody can say.
    #[error("")]
    Undetermined,
}

impl Failure {
    fn code(&self) -> ExitCode {
        match self {
            Failure::Failed(_) | Failure::Told => ExitCode::from(1),
            Failure::Usage(_) => ExitCode::from(2),
            Failure::Unreachable(_) | Failure::Undetermined => ExitCode::from(3),
        }
    }
}

impl From<run::RunError> for Failure {
    fn from(error: run::RunError) -> Self {
        Failure::Failed(error.to_string())
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        // A reader that went away (`| head`) has what it wanted.
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Failure::Told;
        }
        Failure::Failed(error.to_string())
    }
}

/// The definition of the command line, for its reference and for shell completions.
pub fn command() -> clap::Command {
    Arguments::command()
}

/// Parses the arguments, does the command, and gives the exit code.
pub fn main() -> ExitCode {
    match dispatch(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let text = failure.to_string();
            if !text.is_empty() {
                // Nothing is left to do when even this cannot be told.
                let _ = writeln!(io::stderr(), "portcullis: {text}");
            }
            failure.code()
        }
    }
}

fn dispatch(arguments: Arguments) -> Result<(), Failure> {
    match arguments.command {
        Command::Serve { config } => {
            let sets = config.sets();
            Ok(run::serve(config.config, sets)?)
        }
        Command::Check { config, output } => check::check(&config, output),
        Command::Migrate { check, config } => database::migrate(check, &config),
        Command::Demo { dir, output, port_offset, set } => {
            let options = demo::Options { dir, json: output.is_json(), port_offset, sets: set };
            Ok(demo::run(options)?)
        }
        Command::User { command, at } => accounts::run(command, &at),
        Command::Key { command, at } => keys::run(command, &at),
        Command::Client { command, at } => clients::run(command, &at),
        Command::SigningKey { command, at } => clients::signing_keys(command, &at),
        Command::Session { command, at } => sessions::run(command, &at),
        Command::Token { command, at } => sessions::tokens(command, &at),
        Command::Audit { command, at } => audit::run(command, &at),
        Command::Jwks { command, at } => jwks::run(command, &at),
        Command::Store { command, at } => process::store(command, &at),
        Command::Config { command: ConfigCommand::Show { effective, at } } => {
            process::show_config(effective, &at)
        }
        Command::Explain { request, at, output } => explain::run(&request, &at, output),
        Command::Test { file, config, output } => policy_tests::run(&file, &config, output),
        Command::Shadow { command: ShadowCommand::Report { output }, at } => {
            process::shadow(&at, output)
        }
        Command::Reload { at } => process::reload(&at),
        Command::Status { at, output } => process::status(&at, output),
        Command::Completions { shell } => completions(shell),
    }
}

fn completions(shell: clap_complete::Shell) -> Result<(), Failure> {
    // Into memory first: the generator panics when its reader goes away.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command(), "portcullis", &mut script);
    Ok(io::stdout().write_all(&script)?)
}

#[cfg(test)]
mod tests;
