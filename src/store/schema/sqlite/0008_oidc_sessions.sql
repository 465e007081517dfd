-- Sessions for whose person an OpenID provider has vouched, by what it calls both: it says so when either logs out there.

CREATE TABLE oidc_session (
    session_id TEXT NOT NULL PRIMARY KEY REFERENCES session (id) ON DELETE CASCADE,
    mount      TEXT NOT NULL,
    issuer     TEXT NOT NULL,
    subject    TEXT NOT NULL,
    sid        TEXT                          -- of the session there, where it has told one
);
CREATE INDEX oidc_session_by_subject ON oidc_session (mount, issuer, subject);
CREATE INDEX oidc_session_by_sid ON oidc_session (mount, issuer, sid) WHERE sid IS NOT NULL;
