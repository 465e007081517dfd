-- The whole schema of the five contracts. Conventions, shared with PostgreSQL: ids are text, times are BIGINT
-- milliseconds since 1970 UTC, truth values are integers, digests and ciphertexts are BLOB, lists and maps are JSON text.
-- A column *_key holds the folded form in which a name is compared.

CREATE TABLE meta (
    name  TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
);

-- Accounts and what they may do ----------------------------------------------------------------------------------

CREATE TABLE organisation (
    id         TEXT NOT NULL PRIMARY KEY,
    realm      TEXT NOT NULL,
    name       TEXT NOT NULL,
    slug       TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    UNIQUE (realm, slug)
);

CREATE TABLE account (
    id                  TEXT NOT NULL PRIMARY KEY,
    realm               TEXT NOT NULL,
    number              BIGINT,             -- where a contract shows integer ids
    username            TEXT,
    username_key        TEXT,
    email               TEXT,
    email_key           TEXT,
    password_hash       TEXT,
    password_changed_at BIGINT,
    status              TEXT NOT NULL,
    roles               TEXT NOT NULL,      -- JSON array of names; the realm's policy gives them meaning
    tenant              TEXT,
    full_name           TEXT,
    first_name          TEXT,
    last_name           TEXT,
    email_verified      INTEGER NOT NULL,
    totp_secret         BLOB,               -- encrypted
    totp_enabled_at     BIGINT,
    preferences         TEXT NOT NULL,      -- JSON object
    version             BIGINT NOT NULL,    -- counts changes of password, status, roles
    created_at          BIGINT NOT NULL,
    updated_at          BIGINT NOT NULL,
    last_login_at       BIGINT
);
CREATE UNIQUE INDEX account_username ON account (realm, username_key) WHERE username_key IS NOT NULL;
CREATE UNIQUE INDEX account_email ON account (realm, email_key) WHERE email_key IS NOT NULL;
CREATE UNIQUE INDEX account_number ON account (realm, number) WHERE number IS NOT NULL;
CREATE INDEX account_by_age ON account (created_at, id);

CREATE TABLE membership (
    organisation_id TEXT NOT NULL REFERENCES organisation (id) ON DELETE CASCADE,
    account_id      TEXT NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    role            TEXT NOT NULL,
    created_at      BIGINT NOT NULL,
    PRIMARY KEY (organisation_id, account_id)
);
CREATE INDEX membership_by_account ON membership (account_id);

-- "group" is a word of SQL
CREATE TABLE team (
    id              TEXT NOT NULL PRIMARY KEY,
    organisation_id TEXT NOT NULL REFERENCES organisation (id) ON DELETE CASCADE,
    name            TEXT NOT NULL,
    description     TEXT,
    created_at      BIGINT NOT NULL,
    updated_at      BIGINT NOT NULL
);
CREATE INDEX team_by_organisation ON team (organisation_id);

CREATE TABLE team_member (
    team_id    TEXT NOT NULL REFERENCES team (id) ON DELETE CASCADE,
    account_id TEXT NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    PRIMARY KEY (team_id, account_id)
);
CREATE INDEX team_member_by_account ON team_member (account_id);

CREATE TABLE permission (
    id              TEXT NOT NULL PRIMARY KEY,
    organisation_id TEXT NOT NULL REFERENCES organisation (id) ON DELETE CASCADE,
    resource        TEXT NOT NULL,          -- '*' is any
    action          TEXT NOT NULL,          -- '*' is any
    conditions      TEXT NOT NULL,          -- JSON object; every member must equal the context's
    created_at      BIGINT NOT NULL
);
CREATE INDEX permission_by_organisation ON permission (organisation_id, resource, action);

CREATE TABLE permission_grant (
    id            TEXT NOT NULL PRIMARY KEY,
    permission_id TEXT NOT NULL REFERENCES permission (id) ON DELETE CASCADE,
    account_id    TEXT REFERENCES account (id) ON DELETE CASCADE,
    team_id       TEXT REFERENCES team (id) ON DELETE CASCADE,
    created_at    BIGINT NOT NULL,
    CHECK ((account_id IS NULL) <> (team_id IS NULL))
);
CREATE UNIQUE INDEX permission_grant_account ON permission_grant (account_id, permission_id) WHERE account_id IS NOT NULL;
CREATE UNIQUE INDEX permission_grant_team ON permission_grant (team_id, permission_id) WHERE team_id IS NOT NULL;
CREATE INDEX permission_grant_permission ON permission_grant (permission_id);

-- Sessions and tokens --------------------------------------------------------------------------------------------

CREATE TABLE session (
    id           TEXT NOT NULL PRIMARY KEY, -- a public handle
    secret       BLOB,                      -- digest, where the session id on the wire is itself a secret
    realm        TEXT NOT NULL,
    mount        TEXT NOT NULL,
    account_id   TEXT NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    created_at   BIGINT NOT NULL,
    last_seen_at BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL,
    ended_at     BIGINT,
    ip           TEXT,
    user_agent   TEXT,
    device       TEXT                       -- JSON as the client sent it
);
CREATE UNIQUE INDEX session_secret ON session (secret) WHERE secret IS NOT NULL;
CREATE INDEX session_by_account ON session (account_id, created_at);
CREATE INDEX session_by_age ON session (created_at, id);
CREATE INDEX session_ended ON session (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX session_by_end ON session (expires_at);

CREATE TABLE refresh_family (
    id         TEXT NOT NULL PRIMARY KEY,
    session_id TEXT NOT NULL REFERENCES session (id) ON DELETE CASCADE,
    reusable   INTEGER NOT NULL,
    generation BIGINT NOT NULL,             -- of the one unspent token
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    ended_at   BIGINT
);
CREATE INDEX refresh_family_by_session ON refresh_family (session_id);

CREATE TABLE refresh_token (
    id         TEXT NOT NULL PRIMARY KEY,
    family_id  TEXT NOT NULL REFERENCES refresh_family (id) ON DELETE CASCADE,
    generation BIGINT NOT NULL,
    digest     BLOB NOT NULL,
    issued_at  BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    spent_at   BIGINT,
    UNIQUE (family_id, generation)
);
CREATE INDEX refresh_token_by_end ON refresh_token (expires_at);

CREATE TABLE revoked_token (
    id         TEXT NOT NULL PRIMARY KEY,   -- jti
    expires_at BIGINT NOT NULL
);
CREATE INDEX revoked_token_by_end ON revoked_token (expires_at);

CREATE TABLE login_failure (
    realm        TEXT NOT NULL,
    name         BLOB NOT NULL,             -- digest of the folded login name
    count        BIGINT NOT NULL,
    locked_until BIGINT,
    updated_at   BIGINT NOT NULL,
    PRIMARY KEY (realm, name)
);
CREATE INDEX login_failure_by_age ON login_failure (realm, updated_at);

CREATE TABLE one_time_code (
    realm      TEXT NOT NULL,
    purpose    TEXT NOT NULL,
    digest     BLOB NOT NULL,
    account_id TEXT REFERENCES account (id) ON DELETE CASCADE,
    payload    TEXT NOT NULL,               -- JSON
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (realm, purpose, digest)
);
CREATE INDEX one_time_code_by_account ON one_time_code (account_id, purpose);
CREATE INDEX one_time_code_by_end ON one_time_code (expires_at);

-- Keys -----------------------------------------------------------------------------------------------------------

CREATE TABLE api_key (
    id                  TEXT NOT NULL PRIMARY KEY,
    mount               TEXT NOT NULL,
    realm               TEXT NOT NULL,
    owner_id            TEXT REFERENCES account (id) ON DELETE CASCADE,
    organisation_id     TEXT REFERENCES organisation (id) ON DELETE CASCADE, -- owner of a key that is nobody's own
    name                TEXT NOT NULL,
    description         TEXT,
    hint                TEXT NOT NULL,
    digest              BLOB NOT NULL,
    scopes              TEXT NOT NULL,      -- JSON array
    allowed_ips         TEXT NOT NULL,      -- JSON array
    rate_limit_per_hour BIGINT,
    created_at          BIGINT NOT NULL,
    expires_at          BIGINT,
    revoked_at          BIGINT,
    replaced_by         TEXT,
    last_used_at        BIGINT,
    usage_count         BIGINT NOT NULL
);
CREATE INDEX api_key_by_owner ON api_key (owner_id, mount);
CREATE INDEX api_key_by_digest ON api_key (mount, digest);

CREATE TABLE signing_key (
    mount       TEXT NOT NULL,
    kid         TEXT NOT NULL,
    algorithm   TEXT NOT NULL,
    private_key BLOB NOT NULL,              -- encrypted
    public_key  BLOB NOT NULL,
    created_at  BIGINT NOT NULL,
    retired_at  BIGINT,
    expires_at  BIGINT,
    PRIMARY KEY (mount, kid)
);
CREATE UNIQUE INDEX signing_key_active ON signing_key (mount, algorithm) WHERE retired_at IS NULL;

CREATE TABLE named_secret (
    name       TEXT NOT NULL PRIMARY KEY,
    ciphertext BLOB NOT NULL,
    created_at BIGINT NOT NULL
);

-- Agents, foreign identities, allow list -------------------------------------------------------------------------

CREATE TABLE agent_token (
    id           TEXT NOT NULL PRIMARY KEY, -- jti
    account_id   TEXT NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    session_id   TEXT REFERENCES session (id) ON DELETE CASCADE,
    mount        TEXT NOT NULL,
    agent_type   TEXT NOT NULL,
    capabilities TEXT NOT NULL,             -- JSON array
    restrictions TEXT NOT NULL,             -- JSON object
    task_context TEXT NOT NULL,             -- JSON object
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL,
    ended_at     BIGINT
);
CREATE INDEX agent_token_by_account ON agent_token (account_id);
CREATE INDEX agent_token_by_session ON agent_token (session_id);
CREATE INDEX agent_token_by_end ON agent_token (expires_at);

CREATE TABLE foreign_identity (
    realm         TEXT NOT NULL,
    provider      TEXT NOT NULL,
    subject       TEXT NOT NULL,
    account_id    TEXT NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    access_token  BLOB,                     -- encrypted
    refresh_token BLOB,                     -- encrypted
    expires_at    BIGINT,
    generation    BIGINT NOT NULL,          -- compare-and-set of a refresh at the provider
    updated_at    BIGINT NOT NULL,
    PRIMARY KEY (realm, provider, subject)
);
CREATE INDEX foreign_identity_by_account ON foreign_identity (account_id);

CREATE TABLE allow_entry (
    realm      TEXT NOT NULL,
    provider   TEXT NOT NULL,
    subject    TEXT NOT NULL,
    number     BIGINT NOT NULL,
    comment    TEXT,
    active     INTEGER NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (realm, provider, subject),
    UNIQUE (realm, number)
);

-- What leaves the house ------------------------------------------------------------------------------------------

CREATE TABLE outbox (
    id         TEXT NOT NULL PRIMARY KEY,
    realm      TEXT NOT NULL,
    kind       TEXT NOT NULL,               -- mail, later webhook
    payload    BLOB NOT NULL,               -- encrypted: it may carry a code
    created_at BIGINT NOT NULL,
    next_at    BIGINT NOT NULL,
    attempts   BIGINT NOT NULL,
    done_at    BIGINT
);
CREATE INDEX outbox_due ON outbox (next_at) WHERE done_at IS NULL;

-- The audit log: one hash chain per node -------------------------------------------------------------------------

CREATE TABLE audit (
    node       TEXT NOT NULL,
    seq        BIGINT NOT NULL,
    at         BIGINT NOT NULL,
    event      TEXT NOT NULL,
    realm      TEXT,
    mount      TEXT,
    account_id TEXT,
    ip         TEXT,
    user_agent TEXT,
    request_id TEXT,
    details    TEXT NOT NULL,               -- JSON object
    prev_hash  BLOB NOT NULL,
    hash       BLOB NOT NULL,
    PRIMARY KEY (node, seq)
);
CREATE INDEX audit_by_age ON audit (at);
CREATE INDEX audit_by_realm ON audit (realm, at);

CREATE TABLE audit_head (
    node      TEXT NOT NULL PRIMARY KEY,
    seq       BIGINT NOT NULL,              -- of the newest record
    hash      BLOB NOT NULL,
    base_seq  BIGINT NOT NULL,              -- of the last record that retention removed
    base_hash BLOB NOT NULL
);
