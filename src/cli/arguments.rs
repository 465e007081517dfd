//! What can be typed. Every line of `--help` comes from here.
//!
//! Reason for length: the words of all commands side by side, so that one is named as the other.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::request::ExplainArgs;

/// Where the configuration is looked for.
pub(super) const DEFAULT_CONFIG: &str = "conf/portcullis.toml";

const EXIT_CODES: &str = "Exit codes: 0 done · 1 refused or failed · 2 wrong usage · \
                          3 neither a running gateway nor a free store";

/// An authentication gateway: one binary that guards HTTP APIs and speaks their existing auth contracts.
#[derive(Debug, Parser)]
#[command(name = "portcullis", version, after_help = EXIT_CODES, max_term_width = 100)]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub(super) command: Command,
}

/// One verb.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run the gateway. SIGHUP reloads the configuration, SIGTERM drains and stops.
    Serve {
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Check a configuration: every error at once, then public routes and relaxations. Exit code 1 on errors.
    Check {
        #[command(flatten)]
        config: ConfigArgs,
        #[command(flatten)]
        output: OutputArg,
    },
    /// Bring the tables of a database ([store]) to this version. Safe while nodes of the version before run.
    Migrate {
        /// Only say what there is to do. Exit code 1 if there is something.
        #[arg(long)]
        check: bool,
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Try everything on loopback: gateway, toy upstream, accounts with published passwords. Never for real use.
    Demo {
        /// Folder for the demo's data; kept. Without it a temporary one, removed at exit.
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
        #[command(flatten)]
        output: OutputArg,
        /// Moves every port: 20000 makes 28000 out of 8000, so that several demos can run.
        #[arg(long, value_name = "N", default_value_t = 0)]
        port_offset: u16,
        /// Override a setting, such as mount.tmws.access_token_lifetime=2s. Repeatable.
        #[arg(long, value_name = "KEY=VALUE")]
        set: Vec<String>,
    },
    /// Manage accounts.
    User {
        #[command(subcommand)]
        command: UserCommand,
        #[command(flatten)]
        at: GatewayArgs,
    },
    /// Manage API keys.
    Key {
        #[command(subcommand)]
        command: KeyCommand,
        #[command(flatten)]
        at: GatewayArgs,
    },
    /// Manage service accounts and applications of a mount's standard issuer.
    Client {
        #[command(subcommand)]
        command: ClientCommand,
        #[command(flatten)]
        at: GatewayArgs,
    },
    /// Show and rotate the keys that sign tokens.
    SigningKey {
        #[command(subcommand)]
        command: SigningKeyCommand,
        #[command(flatten)]
        at: GatewayArgs,
    },
    /// See and end login sessions.
    Session {
        #[command(subcommand)]
        command: SessionCommand,
        #[command(flatten)]
        at: GatewayArgs,
    },
    /// See and revoke tokens of agents and of the standard issuer. Those of logins end with their session.
    Token {
        #[command(subcommand)]
        command: TokenCommand,
        #[command(flatten)]
        at: GatewayArgs,
    },
    /// See the audit log, and check that nobody has changed it.
    Audit {
        #[command(subcommand)]
        command: AuditCommand,
        #[command(flatten)]
        at: GatewayArgs,
    },
    /// See the keys of outside issuers that the running gateway has fetched, and fetch them now.
    Jwks {
        #[command(subcommand)]
        command: JwksCommand,
        #[command(flatten)]
        at: GatewayArgs,
    },
    /// Back the store up, also while the gateway runs, and put a backup in its place.
    Store {
        #[command(subcommand)]
        command: StoreCommand,
        #[command(flatten)]
        at: GatewayArgs,
    },
    /// See the configuration.
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// Tell what becomes of a request, stage by stage, and why. Nothing is sent, charged or noted.
    ///
    /// Asks the running gateway if there is one, else the store; with --offline the configuration alone.
    /// Exit codes: 0 permitted · 1 refused · 2 wrong usage · 3 undetermined.
    Explain {
        #[command(flatten)]
        request: Box<ExplainArgs>,
        #[command(flatten)]
        at: GatewayArgs,
        #[command(flatten)]
        output: OutputArg,
    },
    /// Hold a configuration against a file of requests and their expected verdicts. Exit code 1 on a difference.
    Test {
        /// The cases, in TOML.
        file: PathBuf,
        #[command(flatten)]
        config: ConfigArgs,
        #[command(flatten)]
        output: OutputArg,
    },
    /// See what rules in shadow mode would have refused.
    Shadow {
        #[command(subcommand)]
        command: ShadowCommand,
        #[command(flatten)]
        at: GatewayArgs,
    },
    /// Let the running gateway read its configuration again. A file with errors changes nothing.
    Reload {
        #[command(flatten)]
        at: GatewayArgs,
    },
    /// Show the state of the running gateway.
    Status {
        #[command(flatten)]
        at: GatewayArgs,
        #[command(flatten)]
        output: OutputArg,
    },
    /// Print a completion script for a shell.
    Completions {
        /// bash, zsh, fish, elvish or powershell.
        shell: clap_complete::Shell,
    },
}

/// `jwks …`
#[derive(Debug, Subcommand)]
pub(super) enum JwksCommand {
    /// List issuers whose keys are fetched: state, keys, age, and why the last fetch failed.
    List {
        #[command(flatten)]
        output: OutputArg,
    },
    /// Fetch the keys of an issuer now; without a name those of all.
    Refresh {
        /// Name of the [[issuer]].
        name: Option<String>,
    },
}

/// Which configuration.
#[derive(Clone, Debug, Args)]
pub(super) struct ConfigArgs {
    /// The configuration file.
    #[arg(long, value_name = "FILE", default_value = DEFAULT_CONFIG)]
    pub(super) config: PathBuf,
    /// Override a setting, such as mount.tmws.access_token_lifetime=2s. Repeatable.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Which plane runs in this process: all, edge or identity. The same as --set fleet.plane=PLANE.
    #[arg(long, value_name = "PLANE")]
    plane: Option<String>,
}

impl ConfigArgs {
    /// Every override, the plane among them.
    pub(super) fn sets(&self) -> Vec<String> {
        let plane = self.plane.iter().map(|plane| format!("fleet.plane={plane}"));
        self.set.iter().cloned().chain(plane).collect()
    }
}

/// Which gateway.
#[derive(Clone, Debug, Args)]
pub(super) struct GatewayArgs {
    /// The configuration file; it says where the data folder and its socket are.
    #[arg(long, value_name = "FILE", default_value = DEFAULT_CONFIG, global = true)]
    pub(super) config: PathBuf,
    /// Override a setting, as given to `serve`. Repeatable.
    #[arg(long, value_name = "KEY=VALUE", global = true)]
    pub(super) set: Vec<String>,
    /// The operator socket itself, without looking at a configuration.
    #[arg(long, value_name = "PATH", global = true)]
    pub(super) socket: Option<PathBuf>,
}

/// How answers are printed.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct OutputArg {
    /// For people or for programs.
    #[arg(long, value_enum, default_value_t = Output::Text, value_name = "FORMAT")]
    output: Output,
}

impl OutputArg {
    pub(super) fn is_json(self) -> bool {
        self.output == Output::Json
    }
}

/// Forms of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    /// Tables and sentences.
    Text,
    /// JSON.
    Json,
}

/// `user …`
#[derive(Debug, Subcommand)]
pub(super) enum UserCommand {
    /// Make an account. Without --password-stdin a password is made up and printed once.
    Add {
        /// Login name.
        username: String,
        /// E-mail address.
        #[arg(long)]
        email: Option<String>,
        /// Role; repeatable. Without any, the realm's default role.
        #[arg(long = "role", value_name = "ROLE")]
        roles: Vec<String>,
        /// Whole name.
        #[arg(long, value_name = "NAME")]
        full_name: Option<String>,
        /// Organisation or namespace.
        #[arg(long)]
        tenant: Option<String>,
        #[command(flatten)]
        password: PasswordArgs,
        #[command(flatten)]
        realm: RealmArg,
        #[command(flatten)]
        output: OutputArg,
    },
    /// List accounts, oldest first.
    List {
        #[command(flatten)]
        realm: RealmArg,
        #[command(flatten)]
        output: OutputArg,
    },
    /// Disable an account: its sessions end and its keys fall silent at once.
    Disable {
        /// Login name, e-mail address or id.
        user: String,
        #[command(flatten)]
        realm: RealmArg,
    },
    /// Enable a disabled account.
    Enable {
        /// Login name, e-mail address or id.
        user: String,
        #[command(flatten)]
        realm: RealmArg,
    },
    /// Switch the second factor off, for somebody who lost the app and all backup codes.
    ResetFactor {
        /// Login name, e-mail address or id.
        user: String,
        #[command(flatten)]
        realm: RealmArg,
    },
    /// Set a new password; ends all sessions and lifts a lock. Without --password-stdin one is made up.
    Passwd {
        /// Login name, e-mail address or id.
        user: String,
        #[command(flatten)]
        password: PasswordArgs,
        #[command(flatten)]
        realm: RealmArg,
        #[command(flatten)]
        output: OutputArg,
    },
    /// Set the roles of an account; ends all its sessions.
    Roles {
        /// Login name, e-mail address or id.
        user: String,
        /// Every role it shall have.
        #[arg(required = true, value_name = "ROLE")]
        roles: Vec<String>,
        #[command(flatten)]
        realm: RealmArg,
    },
    /// List which people of which OpenID providers an account is.
    Links {
        /// Login name, e-mail address or id.
        user: String,
        #[command(flatten)]
        realm: RealmArg,
        #[command(flatten)]
        output: OutputArg,
    },
    /// Join a person of an OpenID provider to an account: its logins there are logins here.
    Link {
        /// Login name, e-mail address or id.
        user: String,
        #[command(flatten)]
        person: PersonArgs,
        #[command(flatten)]
        realm: RealmArg,
    },
    /// Take a person of an OpenID provider off an account; ends the sessions that its logins opened.
    Unlink {
        /// Login name, e-mail address or id.
        user: String,
        #[command(flatten)]
        person: PersonArgs,
        #[command(flatten)]
        realm: RealmArg,
    },
    /// Import accounts with Argon2id or bcrypt hashes: one JSON object per line, all or nothing.
    Import {
        /// The file; - reads standard input.
        file: PathBuf,
        #[command(flatten)]
        realm: RealmArg,
        #[command(flatten)]
        output: OutputArg,
    },
}

/// A person of an OpenID provider.
#[derive(Clone, Debug, Args)]
pub(super) struct PersonArgs {
    /// iss of the provider, character by character.
    #[arg(long, value_name = "URL")]
    pub(super) issuer: String,
    /// sub: what the provider calls the person.
    #[arg(long)]
    pub(super) sub: String,
}

/// Passwords never stand in arguments: other users of the machine see those.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct PasswordArgs {
    /// Read the password from the first line of standard input.
    #[arg(long)]
    pub(super) password_stdin: bool,
    /// Take it even if it does not meet the realm's rule; logged as a warning.
    #[arg(long, requires = "password_stdin")]
    pub(super) bypass_policy: bool,
}

/// Which realm.
#[derive(Clone, Debug, Args)]
pub(super) struct RealmArg {
    /// The realm; may be left out when there is only one.
    #[arg(long)]
    pub(super) realm: Option<String>,
}

/// Which mount.
#[derive(Clone, Debug, Args)]
pub(super) struct MountArg {
    /// The mount; may be left out when there is only one.
    #[arg(long)]
    pub(super) mount: Option<String>,
}

/// `key …`
#[derive(Debug, Subcommand)]
pub(super) enum KeyCommand {
    /// Make an API key for an account; its text is printed once.
    Create {
        /// Owner: login name, e-mail address or id.
        #[arg(long, value_name = "USER")]
        owner: String,
        /// A name to know it by.
        name: String,
        /// Scope; repeatable. Must be within what the owner's roles hold.
        #[arg(long = "scope", value_name = "SCOPE", required = true)]
        scopes: Vec<String>,
        /// Days until it ends by itself; without it never.
        #[arg(long, value_name = "DAYS")]
        expires_days: Option<u32>,
        /// Address or network it may be used from; repeatable. Without any, from anywhere.
        #[arg(long = "allow-ip", value_name = "NET")]
        allow_ips: Vec<String>,
        /// Requests per hour; without it unlimited.
        #[arg(long, value_name = "N")]
        rate_limit_per_hour: Option<u32>,
        /// Free text.
        #[arg(long, value_name = "TEXT")]
        description: Option<String>,
        #[command(flatten)]
        mount: MountArg,
        #[command(flatten)]
        output: OutputArg,
    },
    /// List keys, revoked ones included.
    List {
        #[command(flatten)]
        mount: MountArg,
        #[command(flatten)]
        output: OutputArg,
    },
    /// Revoke a key; holds for the next request.
    Revoke {
        /// The key's id, the part before the dot.
        id: String,
        #[command(flatten)]
        mount: MountArg,
    },
    /// Make a key's successor; the old one stays valid for the overlap.
    Rotate {
        /// The key's id, the part before the dot.
        id: String,
        /// Seconds the old key stays valid, at most a week.
        #[arg(long, value_name = "SECONDS", default_value_t = 0)]
        overlap: u32,
        #[command(flatten)]
        mount: MountArg,
        #[command(flatten)]
        output: OutputArg,
    },
}

/// `client …`
#[derive(Debug, Subcommand)]
pub(super) enum ClientCommand {
    /// Make a client; its secret is printed once.
    Create {
        /// A name to know it by.
        name: String,
        /// What it may do; repeatable: client_credentials, authorization_code, refresh_token, token_exchange, introspection.
        #[arg(long = "grant", value_name = "GRANT", required = true)]
        grants: Vec<String>,
        /// Scope it may have; repeatable.
        #[arg(long = "scope", value_name = "SCOPE")]
        scopes: Vec<String>,
        /// Role it has where it acts for itself; repeatable.
        #[arg(long = "role", value_name = "ROLE")]
        roles: Vec<String>,
        /// Resource beside the mount's own that it may have tokens for; repeatable.
        #[arg(long = "resource", value_name = "URI")]
        resources: Vec<String>,
        /// Where browsers may be sent back to, compared exactly; repeatable.
        #[arg(long = "redirect-uri", value_name = "URI")]
        redirect_uris: Vec<String>,
        /// File with its public keys as a JWK set: it then signs (private_key_jwt) and has no secret.
        #[arg(long, value_name = "FILE")]
        jwks: Option<PathBuf>,
        /// Days until it ends by itself; without it never.
        #[arg(long, value_name = "DAYS")]
        expires_days: Option<u32>,
        #[command(flatten)]
        mount: MountArg,
        #[command(flatten)]
        output: OutputArg,
    },
    /// List clients, disabled ones included.
    List {
        #[command(flatten)]
        mount: MountArg,
        #[command(flatten)]
        output: OutputArg,
    },
    /// Give a client another secret, printed once; its tokens go on.
    RotateSecret {
        /// The client_id.
        id: String,
        /// Seconds the old secret stays good, at most a week.
        #[arg(long, value_name = "SECONDS", default_value_t = 0)]
        overlap: u32,
        #[command(flatten)]
        mount: MountArg,
        #[command(flatten)]
        output: OutputArg,
    },
    /// Disable a client: its tokens and logins end at the next request.
    Disable {
        /// The client_id.
        id: String,
        #[command(flatten)]
        mount: MountArg,
    },
    /// Let a disabled client come back; what ended stays ended.
    Enable {
        /// The client_id.
        id: String,
        #[command(flatten)]
        mount: MountArg,
    },
    /// Take a client away: its tokens and logins end at the next request.
    Remove {
        /// The client_id.
        id: String,
        #[command(flatten)]
        mount: MountArg,
    },
}

/// `signing-key …`
#[derive(Debug, Subcommand)]
pub(super) enum SigningKeyCommand {
    /// List the keys that verify, and which of them sign.
    List {
        #[command(flatten)]
        mount: MountArg,
        #[command(flatten)]
        output: OutputArg,
    },
    /// Make a new key. The old one verifies until its last token has expired: nobody is logged out.
    Rotate {
        /// The key of the contract's own login instead of the standard issuer's.
        #[arg(long)]
        login: bool,
        #[command(flatten)]
        mount: MountArg,
        #[command(flatten)]
        output: OutputArg,
    },
}

/// `session …`
#[derive(Debug, Subcommand)]
pub(super) enum SessionCommand {
    /// List live sessions.
    List {
        /// Only of this user: login name, e-mail address or id.
        #[arg(long)]
        user: Option<String>,
        #[command(flatten)]
        realm: RealmArg,
        #[command(flatten)]
        output: OutputArg,
    },
    /// End a session and everything issued in it; holds for the next request.
    End {
        /// The session's id.
        id: String,
    },
}

/// `token …`
#[derive(Debug, Subcommand)]
pub(super) enum TokenCommand {
    /// List live tokens.
    List {
        /// Only on behalf of this user: login name, e-mail address or id.
        #[arg(long)]
        user: Option<String>,
        #[command(flatten)]
        realm: RealmArg,
        #[command(flatten)]
        output: OutputArg,
    },
    /// Revoke a token and all that were made from it; holds for the next request, and ends what runs under it.
    Revoke {
        /// The token's id, its jti.
        id: String,
    },
}

/// `audit …`
#[derive(Debug, Subcommand)]
pub(super) enum AuditCommand {
    /// Show the newest events, the very newest last.
    Tail {
        /// How many, at most 1000.
        #[arg(long, value_name = "N", default_value_t = 20)]
        limit: u32,
        #[command(flatten)]
        output: OutputArg,
    },
    /// Write the audit log as JSON lines, oldest first, each with its hash.
    Export {
        /// From this moment on: 2026-01-31T12:00:00Z, or a day in UTC.
        #[arg(long, value_name = "TIME")]
        since: Option<String>,
        /// Up to, but not including, this moment.
        #[arg(long, value_name = "TIME")]
        until: Option<String>,
        /// Behind this place in the chain: the last `seq` of an earlier export.
        #[arg(long, value_name = "SEQ", default_value_t = 0)]
        after: u64,
        /// Only the chain of this node. Without it those of all nodes, one after the other.
        #[arg(long, value_name = "NAME")]
        node: Option<String>,
    },
    /// Check the chain of the audit log: exit code 1 if an event was changed or is missing.
    Verify {
        #[command(flatten)]
        output: OutputArg,
    },
}

/// `store …`
#[derive(Debug, Subcommand)]
pub(super) enum StoreCommand {
    /// Copy the store to a new file, as of one moment. The master key is not in it.
    Backup {
        /// A file that does not exist yet.
        file: PathBuf,
    },
    /// Copy a store in a file into an empty database, all of it or nothing, and hold it against the file. No gateway may
    /// run on either.
    Copy {
        /// The file: sqlite:PATH. Without it, the one in the data folder.
        #[arg(long, value_name = "ADDRESS")]
        from: Option<String>,
        /// The database: postgres://USER@HOST/DATABASE. Without it, the one of [store].
        #[arg(long, value_name = "ADDRESS")]
        to: Option<String>,
        /// Where the password for --to is: "file:PATH", "env:NAME" or "cred:NAME". Without it, the one of [store].
        #[arg(long, value_name = "REFERENCE")]
        credential: Option<String>,
    },
    /// Put a backup in the place of the store. The gateway must not be running.
    Restore {
        /// A file made by `store backup`.
        file: PathBuf,
    },
}

/// `shadow …`
#[derive(Debug, Subcommand)]
pub(super) enum ShadowCommand {
    /// List every such rule with what it would have refused since the gateway started.
    Report {
        #[command(flatten)]
        output: OutputArg,
    },
}

/// `config …`
#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Print the configuration file, or with --effective everything in force.
    Show {
        /// Every key with its value, defaults included, secrets as references. Of the running gateway if there is one.
        #[arg(long)]
        effective: bool,
        #[command(flatten)]
        at: GatewayArgs,
    },
}
