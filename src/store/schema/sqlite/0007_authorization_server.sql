-- The standard issuer of a mount: its clients, and what was issued to them.

CREATE TABLE oauth_client (
    id            TEXT NOT NULL PRIMARY KEY, -- client_id
    mount         TEXT NOT NULL,
    realm         TEXT NOT NULL,
    name          TEXT NOT NULL,
    secret        BLOB,                      -- digest; null where it proves itself with a key
    spare_secret  BLOB,                      -- digest of the one before, for the overlap of a rotation
    spare_until   BIGINT,
    jwks          TEXT,                      -- JSON: its public keys
    scopes        TEXT NOT NULL,             -- JSON array, as all lists below
    roles         TEXT NOT NULL,
    grants        TEXT NOT NULL,
    resources     TEXT NOT NULL,
    redirect_uris TEXT NOT NULL,
    created_at    BIGINT NOT NULL,
    updated_at    BIGINT NOT NULL,
    expires_at    BIGINT,
    disabled_at   BIGINT
);
CREATE INDEX oauth_client_by_mount ON oauth_client (mount, id);

-- Access tokens, so that they end with their client, and with the token they were made from.
CREATE TABLE oauth_token (
    id         TEXT NOT NULL PRIMARY KEY,    -- jti
    mount      TEXT NOT NULL,
    client_id  TEXT NOT NULL REFERENCES oauth_client (id) ON DELETE CASCADE,
    account_id TEXT REFERENCES account (id) ON DELETE CASCADE,
    session_id TEXT REFERENCES session (id) ON DELETE CASCADE,
    parent     TEXT,                         -- jti
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
    session_id TEXT NOT NULL PRIMARY KEY REFERENCES session (id) ON DELETE CASCADE,
    client_id  TEXT NOT NULL REFERENCES oauth_client (id) ON DELETE CASCADE,
    scopes     TEXT NOT NULL,                -- JSON array
    audiences  TEXT NOT NULL                 -- JSON array
);
CREATE INDEX oauth_session_by_client ON oauth_session (client_id);

-- Signed proofs of clients that were taken: each is good once (RFC 7523 section 3).
CREATE TABLE oauth_assertion (
    client_id  TEXT NOT NULL,
    digest     BLOB NOT NULL,                -- of its jti
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (client_id, digest)
);
CREATE INDEX oauth_assertion_by_end ON oauth_assertion (expires_at);
