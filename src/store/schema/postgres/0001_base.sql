-- The whole schema. Conventions, shared with SQLite: ids are text, times are BIGINT milliseconds since 1970 UTC, truth
-- values are integers, digests and ciphertexts are BYTEA, lists and maps are JSON text. Texts compare by their bytes
-- (COLLATE "C"), whatever the database was made with. A column *_key holds the folded form in which a name is compared.

CREATE TABLE meta (
    name  TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    value TEXT COLLATE "C" NOT NULL
);

-- Accounts and what they may do ----------------------------------------------------------------------------------

CREATE TABLE organisation (
    id         TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    realm      TEXT COLLATE "C" NOT NULL,
    name       TEXT COLLATE "C" NOT NULL,
    slug       TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    UNIQUE (realm, slug)
);

CREATE TABLE account (
    id                  TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    realm               TEXT COLLATE "C" NOT NULL,
    number              BIGINT, -- where a contract shows integer ids
    username            TEXT COLLATE "C",
    username_key        TEXT COLLATE "C",
    email               TEXT COLLATE "C",
    email_key           TEXT COLLATE "C",
    password_hash       TEXT COLLATE "C",
    password_changed_at BIGINT,
    status              TEXT COLLATE "C" NOT NULL,
    roles               TEXT COLLATE "C" NOT NULL, -- JSON array of names; the realm's policy gives them meaning
    tenant              TEXT COLLATE "C",
    full_name           TEXT COLLATE "C",
    first_name          TEXT COLLATE "C",
    last_name           TEXT COLLATE "C",
    email_verified      BIGINT NOT NULL,
    totp_secret         BYTEA, -- encrypted
    totp_enabled_at     BIGINT,
    totp_last_step      BIGINT, -- the newest time step whose code was taken (RFC 6238 section 5.2)
    preferences         TEXT COLLATE "C" NOT NULL, -- JSON object
    version             BIGINT NOT NULL, -- counts changes of password, status, roles
    created_at          BIGINT NOT NULL,
    updated_at          BIGINT NOT NULL,
    last_login_at       BIGINT
);
CREATE UNIQUE INDEX account_username ON account (realm, username_key) WHERE username_key IS NOT NULL;
CREATE UNIQUE INDEX account_email ON account (realm, email_key) WHERE email_key IS NOT NULL;
CREATE UNIQUE INDEX account_number ON account (realm, number) WHERE number IS NOT NULL;
CREATE INDEX account_by_age ON account (created_at, id);

CREATE TABLE membership (
    organisation_id TEXT COLLATE "C" NOT NULL REFERENCES organisation (id) ON DELETE CASCADE,
    account_id      TEXT COLLATE "C" NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    role            TEXT COLLATE "C" NOT NULL,
    created_at      BIGINT NOT NULL,
    PRIMARY KEY (organisation_id, account_id)
);
CREATE INDEX membership_by_account ON membership (account_id);

-- "group" is a word of SQL
CREATE TABLE team (
    id              TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    organisation_id TEXT COLLATE "C" NOT NULL REFERENCES organisation (id) ON DELETE CASCADE,
    name            TEXT COLLATE "C" NOT NULL,
    description     TEXT COLLATE "C",
    created_at      BIGINT NOT NULL,
    updated_at      BIGINT NOT NULL
);
CREATE INDEX team_by_organisation ON team (organisation_id);

CREATE TABLE team_member (
    team_id    TEXT COLLATE "C" NOT NULL REFERENCES team (id) ON DELETE CASCADE,
    account_id TEXT COLLATE "C" NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    PRIMARY KEY (team_id, account_id)
);
CREATE INDEX team_member_by_account ON team_member (account_id);

CREATE TABLE permission (
    id              TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    organisation_id TEXT COLLATE "C" NOT NULL REFERENCES organisation (id) ON DELETE CASCADE,
    resource        TEXT COLLATE "C" NOT NULL, -- '*' is any
    action          TEXT COLLATE "C" NOT NULL, -- '*' is any
    conditions      TEXT COLLATE "C" NOT NULL, -- JSON object; every member must equal the context's
    created_at      BIGINT NOT NULL
);
CREATE INDEX permission_by_organisation ON permission (organisation_id, resource, action);

CREATE TABLE permission_grant (
    id            TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    permission_id TEXT COLLATE "C" NOT NULL REFERENCES permission (id) ON DELETE CASCADE,
    account_id    TEXT COLLATE "C" REFERENCES account (id) ON DELETE CASCADE,
    team_id       TEXT COLLATE "C" REFERENCES team (id) ON DELETE CASCADE,
    created_at    BIGINT NOT NULL,
    CHECK ((account_id IS NULL) <> (team_id IS NULL))
);
CREATE UNIQUE INDEX permission_grant_account ON permission_grant (account_id, permission_id) WHERE account_id IS NOT NULL;
CREATE UNIQUE INDEX permission_grant_team ON permission_grant (team_id, permission_id) WHERE team_id IS NOT NULL;
CREATE INDEX permission_grant_permission ON permission_grant (permission_id);

-- Sessions and tokens --------------------------------------------------------------------------------------------

CREATE TABLE session (
    id           TEXT COLLATE "C" NOT NULL PRIMARY KEY, -- a public handle
    secret       BYTEA, -- digest, where the session id on the wire is itself a secret
    realm        TEXT COLLATE "C" NOT NULL,
    mount        TEXT COLLATE "C" NOT NULL,
    account_id   TEXT COLLATE "C" NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    created_at   BIGINT NOT NULL,
    last_seen_at BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL,
    ended_at     BIGINT,
    ip           TEXT COLLATE "C",
    user_agent   TEXT COLLATE "C",
    device       TEXT COLLATE "C" -- JSON as the client sent it
);
CREATE UNIQUE INDEX session_secret ON session (secret) WHERE secret IS NOT NULL;
CREATE INDEX session_by_account ON session (account_id, created_at);
CREATE INDEX session_by_age ON session (created_at, id);
CREATE INDEX session_ended ON session (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX session_by_end ON session (expires_at);
CREATE INDEX session_by_mount ON session (mount, created_at);

CREATE TABLE refresh_family (
    id         TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    session_id TEXT COLLATE "C" NOT NULL REFERENCES session (id) ON DELETE CASCADE,
    reusable   BIGINT NOT NULL,
    generation BIGINT NOT NULL, -- of the one unspent token
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    ended_at   BIGINT
);
CREATE INDEX refresh_family_by_session ON refresh_family (session_id);

CREATE TABLE refresh_token (
    id         TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    family_id  TEXT COLLATE "C" NOT NULL REFERENCES refresh_family (id) ON DELETE CASCADE,
    generation BIGINT NOT NULL,
    digest     BYTEA NOT NULL,
    issued_at  BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    spent_at   BIGINT,
    UNIQUE (family_id, generation)
);
CREATE INDEX refresh_token_by_end ON refresh_token (expires_at);

CREATE TABLE revoked_token (
    id         TEXT COLLATE "C" NOT NULL PRIMARY KEY, -- jti
    expires_at BIGINT NOT NULL
);
CREATE INDEX revoked_token_by_end ON revoked_token (expires_at);

CREATE TABLE login_failure (
    realm        TEXT COLLATE "C" NOT NULL,
    name         BYTEA NOT NULL, -- digest of the folded login name
    count        BIGINT NOT NULL,
    locked_until BIGINT,
    updated_at   BIGINT NOT NULL,
    PRIMARY KEY (realm, name)
);
CREATE INDEX login_failure_by_age ON login_failure (realm, updated_at);

CREATE TABLE one_time_code (
    realm      TEXT COLLATE "C" NOT NULL,
    purpose    TEXT COLLATE "C" NOT NULL,
    digest     BYTEA NOT NULL,
    account_id TEXT COLLATE "C" REFERENCES account (id) ON DELETE CASCADE,
    payload    TEXT COLLATE "C" NOT NULL, -- JSON
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    attempts   BIGINT NOT NULL DEFAULT 0, -- wrong tries: a code that was guessed at too often is void
    PRIMARY KEY (realm, purpose, digest)
);
CREATE INDEX one_time_code_by_account ON one_time_code (account_id, purpose);
CREATE INDEX one_time_code_by_end ON one_time_code (expires_at);

-- Keys -----------------------------------------------------------------------------------------------------------

CREATE TABLE api_key (
    id                  TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    mount               TEXT COLLATE "C" NOT NULL,
    realm               TEXT COLLATE "C" NOT NULL,
    owner_id            TEXT COLLATE "C" REFERENCES account (id) ON DELETE CASCADE,
    organisation_id     TEXT COLLATE "C" REFERENCES organisation (id) ON DELETE CASCADE, -- owner of a key that is nobody's own
    name                TEXT COLLATE "C" NOT NULL,
    description         TEXT COLLATE "C",
    hint                TEXT COLLATE "C" NOT NULL,
    digest              BYTEA NOT NULL,
    scopes              TEXT COLLATE "C" NOT NULL, -- JSON array
    allowed_ips         TEXT COLLATE "C" NOT NULL, -- JSON array
    rate_limit_per_hour BIGINT,
    created_at          BIGINT NOT NULL,
    expires_at          BIGINT,
    revoked_at          BIGINT,
    replaced_by         TEXT COLLATE "C",
    last_used_at        BIGINT,
    usage_count         BIGINT NOT NULL
);
CREATE INDEX api_key_by_owner ON api_key (owner_id, mount);
CREATE INDEX api_key_by_digest ON api_key (mount, digest);
CREATE INDEX api_key_by_organisation ON api_key (organisation_id);

CREATE TABLE signing_key (
    mount       TEXT COLLATE "C" NOT NULL,
    kid         TEXT COLLATE "C" NOT NULL,
    algorithm   TEXT COLLATE "C" NOT NULL,
    private_key BYTEA NOT NULL, -- encrypted
    public_key  BYTEA NOT NULL,
    created_at  BIGINT NOT NULL,
    retired_at  BIGINT,
    expires_at  BIGINT,
    PRIMARY KEY (mount, kid)
);
CREATE UNIQUE INDEX signing_key_active ON signing_key (mount, algorithm) WHERE retired_at IS NULL;

CREATE TABLE named_secret (
    name       TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    ciphertext BYTEA NOT NULL,
    created_at BIGINT NOT NULL
);

-- Agents, foreign identities, allow list -------------------------------------------------------------------------

CREATE TABLE agent_token (
    id           TEXT COLLATE "C" NOT NULL PRIMARY KEY, -- jti
    account_id   TEXT COLLATE "C" NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    session_id   TEXT COLLATE "C" REFERENCES session (id) ON DELETE CASCADE,
    mount        TEXT COLLATE "C" NOT NULL,
    agent_type   TEXT COLLATE "C" NOT NULL,
    capabilities TEXT COLLATE "C" NOT NULL, -- JSON array
    restrictions TEXT COLLATE "C" NOT NULL, -- JSON object
    task_context TEXT COLLATE "C" NOT NULL, -- JSON object
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL,
    ended_at     BIGINT
);
CREATE INDEX agent_token_by_account ON agent_token (account_id);
CREATE INDEX agent_token_by_session ON agent_token (session_id);
CREATE INDEX agent_token_by_end ON agent_token (expires_at);

CREATE TABLE foreign_identity (
    realm         TEXT COLLATE "C" NOT NULL,
    provider      TEXT COLLATE "C" NOT NULL,
    subject       TEXT COLLATE "C" NOT NULL,
    account_id    TEXT COLLATE "C" NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    access_token  BYTEA, -- encrypted
    refresh_token BYTEA, -- encrypted
    expires_at    BIGINT,
    generation    BIGINT NOT NULL, -- compare-and-set of a refresh at the provider
    updated_at    BIGINT NOT NULL,
    profile       TEXT COLLATE "C" NOT NULL DEFAULT '{}', -- JSON object; proves no address of the account
    PRIMARY KEY (realm, provider, subject)
);
CREATE INDEX foreign_identity_by_account ON foreign_identity (account_id);

CREATE TABLE allow_entry (
    realm      TEXT COLLATE "C" NOT NULL,
    provider   TEXT COLLATE "C" NOT NULL,
    subject    TEXT COLLATE "C" NOT NULL,
    number     BIGINT NOT NULL,
    comment    TEXT COLLATE "C",
    active     BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (realm, provider, subject),
    UNIQUE (realm, number)
);

-- What leaves the house ------------------------------------------------------------------------------------------

CREATE TABLE outbox (
    id           TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    position     BIGINT NOT NULL, -- the order in which parcels were put in
    realm        TEXT COLLATE "C" NOT NULL,
    mount        TEXT COLLATE "C" NOT NULL,
    kind         TEXT COLLATE "C" NOT NULL, -- mail, webhook
    lane         TEXT COLLATE "C", -- parcels of one lane leave one after another
    payload      BYTEA NOT NULL, -- encrypted: it may carry a code
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL, -- no use after that
    next_at      BIGINT NOT NULL,
    attempts     BIGINT NOT NULL,
    leased_until BIGINT,
    leased_by    TEXT COLLATE "C", -- node
    done_at      BIGINT,
    delivered    BIGINT -- null while it waits, 0: given up
);
CREATE UNIQUE INDEX outbox_position ON outbox (position);
CREATE INDEX outbox_due ON outbox (kind, next_at) WHERE done_at IS NULL;
CREATE INDEX outbox_lane ON outbox (lane, position) WHERE done_at IS NULL AND lane IS NOT NULL;
CREATE INDEX outbox_done ON outbox (done_at) WHERE done_at IS NOT NULL;

-- The audit log: one hash chain per node -------------------------------------------------------------------------

CREATE TABLE audit (
    node       TEXT COLLATE "C" NOT NULL,
    seq        BIGINT NOT NULL,
    at         BIGINT NOT NULL,
    event      TEXT COLLATE "C" NOT NULL,
    realm      TEXT COLLATE "C",
    mount      TEXT COLLATE "C",
    account_id TEXT COLLATE "C",
    ip         TEXT COLLATE "C",
    user_agent TEXT COLLATE "C",
    request_id TEXT COLLATE "C",
    details    TEXT COLLATE "C" NOT NULL, -- JSON object
    prev_hash  BYTEA NOT NULL,
    hash       BYTEA NOT NULL,
    PRIMARY KEY (node, seq)
);
CREATE INDEX audit_by_age ON audit (at);
CREATE INDEX audit_by_realm ON audit (realm, at);
CREATE INDEX audit_by_mount ON audit (mount, at, seq);

CREATE TABLE audit_head (
    node      TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    seq       BIGINT NOT NULL, -- of the newest record
    hash      BYTEA NOT NULL,
    base_seq  BIGINT NOT NULL, -- of the last record that retention removed
    base_hash BYTEA NOT NULL
);

-- Webhooks, clients of the standard issuer, sessions of OpenID providers --------------------------------------------

-- Webhooks: who is told of what, and what became of each telling. What happened stands in the audit log, in the same
-- transaction as the change itself; a subscription remembers up to where it has read.

CREATE TABLE webhook (
    id          TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    realm       TEXT COLLATE "C" NOT NULL,
    mount       TEXT COLLATE "C" NOT NULL,
    url         TEXT COLLATE "C" NOT NULL,
    events      TEXT COLLATE "C" NOT NULL, -- JSON array
    secret      BYTEA NOT NULL, -- encrypted
    headers     BYTEA NOT NULL, -- encrypted: JSON object, may hold credentials of the receiver
    active      BIGINT NOT NULL,
    description TEXT COLLATE "C",
    retry       TEXT COLLATE "C" NOT NULL, -- JSON object
    filters     TEXT COLLATE "C" NOT NULL, -- JSON object
    node        TEXT COLLATE "C" NOT NULL, -- whose chain of the audit log it reads
    read_to     BIGINT NOT NULL, -- the last event of that chain it was told of
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL
);
CREATE INDEX webhook_by_mount ON webhook (mount, created_at);

CREATE TABLE webhook_delivery (
    id         TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    webhook_id TEXT COLLATE "C" NOT NULL REFERENCES webhook (id) ON DELETE CASCADE,
    position   BIGINT NOT NULL, -- within the subscription: the order of delivery
    event_id   TEXT COLLATE "C" NOT NULL,
    event_type TEXT COLLATE "C" NOT NULL,
    body       TEXT COLLATE "C" NOT NULL, -- the very bytes that are signed
    status     TEXT COLLATE "C" NOT NULL,
    tries      BIGINT NOT NULL,
    attempts   TEXT COLLATE "C" NOT NULL, -- JSON array, the newest
    created_at BIGINT NOT NULL,
    next_at    BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    done_at    BIGINT,
    UNIQUE (webhook_id, position)
);
CREATE INDEX webhook_delivery_waiting ON webhook_delivery (webhook_id, position) WHERE done_at IS NULL;
CREATE INDEX webhook_delivery_done ON webhook_delivery (done_at) WHERE done_at IS NOT NULL;

-- The standard issuer of a mount: its clients, and what was issued to them.

CREATE TABLE oauth_client (
    id            TEXT COLLATE "C" NOT NULL PRIMARY KEY, -- client_id
    mount         TEXT COLLATE "C" NOT NULL,
    realm         TEXT COLLATE "C" NOT NULL,
    name          TEXT COLLATE "C" NOT NULL,
    secret        BYTEA, -- digest; null where it proves itself with a key
    spare_secret  BYTEA, -- digest of the one before, for the overlap of a rotation
    spare_until   BIGINT,
    jwks          TEXT COLLATE "C", -- JSON: its public keys
    scopes        TEXT COLLATE "C" NOT NULL, -- JSON array, as all lists below
    roles         TEXT COLLATE "C" NOT NULL,
    grants        TEXT COLLATE "C" NOT NULL,
    resources     TEXT COLLATE "C" NOT NULL,
    redirect_uris TEXT COLLATE "C" NOT NULL,
    created_at    BIGINT NOT NULL,
    updated_at    BIGINT NOT NULL,
    expires_at    BIGINT,
    disabled_at   BIGINT
);
CREATE INDEX oauth_client_by_mount ON oauth_client (mount, id);

-- Access tokens, so that they end with their client, and with the token they were made from.
CREATE TABLE oauth_token (
    id         TEXT COLLATE "C" NOT NULL PRIMARY KEY, -- jti
    mount      TEXT COLLATE "C" NOT NULL,
    client_id  TEXT COLLATE "C" NOT NULL REFERENCES oauth_client (id) ON DELETE CASCADE,
    account_id TEXT COLLATE "C" REFERENCES account (id) ON DELETE CASCADE,
    session_id TEXT COLLATE "C" REFERENCES session (id) ON DELETE CASCADE,
    parent     TEXT COLLATE "C", -- jti
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    ended_at   BIGINT
);
CREATE INDEX oauth_token_by_client ON oauth_token (client_id, expires_at);
CREATE INDEX oauth_token_by_session ON oauth_token (session_id);
CREATE INDEX oauth_token_by_account ON oauth_token (account_id);
CREATE INDEX oauth_token_by_parent ON oauth_token (parent) WHERE parent IS NOT NULL;
CREATE INDEX oauth_token_by_end ON oauth_token (expires_at);

-- Sessions that a person opened for a client, and what the client was given in them.
CREATE TABLE oauth_session (
    session_id TEXT COLLATE "C" NOT NULL PRIMARY KEY REFERENCES session (id) ON DELETE CASCADE,
    client_id  TEXT COLLATE "C" NOT NULL REFERENCES oauth_client (id) ON DELETE CASCADE,
    scopes     TEXT COLLATE "C" NOT NULL, -- JSON array
    audiences  TEXT COLLATE "C" NOT NULL -- JSON array
);
CREATE INDEX oauth_session_by_client ON oauth_session (client_id);

-- Signed proofs of clients that were taken: each is good once (RFC 7523 section 3).
CREATE TABLE oauth_assertion (
    client_id  TEXT COLLATE "C" NOT NULL,
    digest     BYTEA NOT NULL, -- of its jti
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (client_id, digest)
);
CREATE INDEX oauth_assertion_by_end ON oauth_assertion (expires_at);

-- Sessions for whose person an OpenID provider has vouched, by what it calls both: it says so when either logs out there.

CREATE TABLE oidc_session (
    session_id TEXT COLLATE "C" NOT NULL PRIMARY KEY REFERENCES session (id) ON DELETE CASCADE,
    mount      TEXT COLLATE "C" NOT NULL,
    issuer     TEXT COLLATE "C" NOT NULL,
    subject    TEXT COLLATE "C" NOT NULL,
    sid        TEXT COLLATE "C" -- of the session there, where it has told one
);
CREATE INDEX oidc_session_by_subject ON oidc_session (mount, issuer, subject);
CREATE INDEX oidc_session_by_sid ON oidc_session (mount, issuer, sid) WHERE sid IS NOT NULL;

-- Where a subscription stands in the chains of other nodes than the one at which it was made (`webhook.node`).
CREATE TABLE webhook_place (
    webhook_id TEXT COLLATE "C" NOT NULL REFERENCES webhook (id) ON DELETE CASCADE,
    node       TEXT COLLATE "C" NOT NULL,
    read_to    BIGINT NOT NULL,
    PRIMARY KEY (webhook_id, node)
);

-- The fleet ------------------------------------------------------------------------------------------------------

-- Nodes that have ever written here, by the name that their configuration gives them.
CREATE TABLE node (
    name       TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    version    TEXT COLLATE "C" NOT NULL,
    started_at BIGINT NOT NULL,
    seen_at    BIGINT NOT NULL
);

-- Work that one node does for all, and who has it for how long.
CREATE TABLE lease (
    name  TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    node  TEXT COLLATE "C" NOT NULL,
    until BIGINT NOT NULL
);
