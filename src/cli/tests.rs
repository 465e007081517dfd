//! The shape of the command line.

use clap::{CommandFactory, Parser};

use super::arguments::{Arguments, Command};

#[test]
fn the_definition_is_sound_and_every_argument_is_explained() {
    let mut whole = Arguments::command();
    whole.build();
    whole.clone().debug_assert();
    let mut open = vec![whole];
    while let Some(command) = open.pop() {
        assert!(command.get_about().is_some(), "{} says nothing", command.get_name());
        for argument in command.get_arguments() {
            let id = argument.get_id();
            assert!(argument.get_help().is_some(), "{} {id} says nothing", command.get_name());
        }
        open.extend(command.get_subcommands().cloned());
    }
}

#[test]
fn no_command_takes_a_password_as_an_argument() {
    let mut open = vec![Arguments::command()];
    while let Some(command) = open.pop() {
        for argument in command.get_arguments() {
            let id = argument.get_id().as_str();
            let takes_value = argument.get_action().takes_values();
            assert!(!(id.contains("password") && takes_value), "{id}");
        }
        open.extend(command.get_subcommands().cloned());
    }
}

#[test]
fn defaults_are_those_of_the_documentation() {
    let parsed = Arguments::parse_from(["portcullis", "serve"]);
    let Command::Serve { config } = parsed.command else { panic!() };
    assert_eq!(config.config.to_str(), Some("conf/portcullis.toml"));
    let parsed =
        Arguments::parse_from(["portcullis", "demo", "--port-offset", "20000", "--output", "json"]);
    let Command::Demo { port_offset, output, dir, .. } = parsed.command else { panic!() };
    assert_eq!((port_offset, output.is_json(), dir), (20000, true, None));
}

#[test]
fn settings_stand_before_or_behind_the_verb() {
    for line in [
        ["portcullis", "user", "--config", "x", "list"],
        ["portcullis", "user", "list", "--config", "x"],
    ] {
        let parsed = Arguments::try_parse_from(line).unwrap();
        let Command::User { at, .. } = parsed.command else { panic!() };
        assert_eq!(at.config.to_str(), Some("x"));
    }
}
