-- What the nodes of a fleet hold in memory, and must hear of when another one changes it. Written by triggers, in the
-- transaction of the change itself: no statement can forget it, and what is changed by hand is told as well.

CREATE TABLE change (
    seq     BIGINT NOT NULL PRIMARY KEY,    -- without gaps, in the order of commits
    at      BIGINT NOT NULL,
    kind    TEXT NOT NULL,                  -- token, session, key, account, access, signing_keys
    subject TEXT NOT NULL,
    until   BIGINT
);
CREATE INDEX change_by_age ON change (at);

-- One row. Whoever counts holds its lock until the commit, so that numbers are in the order of commits.
CREATE TABLE change_head (
    one INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    seq BIGINT NOT NULL
);
INSERT INTO change_head (one, seq) VALUES (1, 0);

-- Many are told by their last number only, and so are names too long for a notification: whoever hears that asks.
CREATE FUNCTION tell_changes(what TEXT, subjects TEXT[], untils BIGINT[]) RETURNS VOID LANGUAGE plpgsql AS $$
DECLARE
    many   BIGINT := coalesce(array_length(subjects, 1), 0);
    moment BIGINT := floor(extract(epoch FROM clock_timestamp()) * 1000);
    base   BIGINT;
BEGIN
    IF many = 0 THEN
        RETURN;
    END IF;
    UPDATE change_head SET seq = seq + many RETURNING seq - many INTO base;
    INSERT INTO change (seq, at, kind, subject, until)
        SELECT base + t.n, moment, what, t.subject, t.until
        FROM unnest(subjects, untils) WITH ORDINALITY AS t (subject, until, n);
    IF many > 64 THEN
        PERFORM pg_notify('portcullis_change', (base + many)::TEXT);
        RETURN;
    END IF;
    PERFORM pg_notify('portcullis_change', CASE
        WHEN octet_length(c.subject) > 2000 THEN c.seq::TEXT
        ELSE c.seq || ' ' || c.at || ' ' || coalesce(c.until::TEXT, '-') || ' ' || c.kind || ' ' || c.subject
        END)
        FROM (SELECT * FROM change WHERE seq > base AND seq <= base + many ORDER BY seq) AS c;
END $$;

-- Tokens -------------------------------------------------------------------------------------------------------------

CREATE FUNCTION tell_tokens() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    PERFORM tell_changes('token', array_agg(n.id), array_agg(n.expires_at)) FROM new_rows n;
    RETURN NULL;
END $$;
CREATE TRIGGER told_insert AFTER INSERT ON revoked_token
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION tell_tokens();

-- Sessions -----------------------------------------------------------------------------------------------------------

CREATE FUNCTION tell_sessions() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    PERFORM tell_changes('session', array_agg(n.id), NULL)
        FROM new_rows n JOIN old_rows o ON o.id = n.id
        WHERE o.ended_at IS NULL AND n.ended_at IS NOT NULL;
    RETURN NULL;
END $$;
CREATE TRIGGER told_update AFTER UPDATE ON session
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION tell_sessions();

-- One that goes before its end goes with its account.
CREATE FUNCTION tell_lost_sessions() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    PERFORM tell_changes('session', array_agg(o.id), NULL) FROM old_rows o
        WHERE o.ended_at IS NULL AND o.expires_at > extract(epoch FROM clock_timestamp()) * 1000;
    RETURN NULL;
END $$;
CREATE TRIGGER told_delete AFTER DELETE ON session
    REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION tell_lost_sessions();

-- Keys and accounts. What nobody decides by is left out by name, so that a column to come is told. -----------------------

CREATE FUNCTION tell_keys() RETURNS TRIGGER LANGUAGE plpgsql AS $$
DECLARE
    idle TEXT[] := ARRAY['name', 'description', 'last_used_at', 'usage_count'];
BEGIN
    PERFORM tell_changes('key', array_agg(o.id), NULL)
        FROM old_rows o JOIN new_rows n ON n.id = o.id
        WHERE to_jsonb(o) - idle <> to_jsonb(n) - idle;
    RETURN NULL;
END $$;
CREATE TRIGGER told_update AFTER UPDATE ON api_key
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION tell_keys();

CREATE FUNCTION tell_lost_keys() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    PERFORM tell_changes('key', array_agg(o.id), NULL) FROM old_rows o;
    RETURN NULL;
END $$;
CREATE TRIGGER told_delete AFTER DELETE ON api_key
    REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION tell_lost_keys();

CREATE FUNCTION tell_accounts() RETURNS TRIGGER LANGUAGE plpgsql AS $$
DECLARE
    idle TEXT[] := ARRAY['full_name', 'first_name', 'last_name', 'preferences', 'email_verified', 'password_hash',
        'totp_secret', 'totp_enabled_at', 'totp_last_step', 'updated_at', 'last_login_at'];
BEGIN
    PERFORM tell_changes('account', array_agg(o.id), NULL)
        FROM old_rows o JOIN new_rows n ON n.id = o.id
        WHERE to_jsonb(o) - idle <> to_jsonb(n) - idle;
    RETURN NULL;
END $$;
CREATE TRIGGER told_update AFTER UPDATE ON account
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION tell_accounts();

CREATE FUNCTION tell_lost_accounts() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    PERFORM tell_changes('account', array_agg(o.id), NULL) FROM old_rows o;
    RETURN NULL;
END $$;
CREATE TRIGGER told_delete AFTER DELETE ON account
    REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION tell_lost_accounts();

-- What members of an organisation may do -----------------------------------------------------------------------------

CREATE FUNCTION tell_access() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    PERFORM tell_changes('access', array_agg(DISTINCT t.organisation_id), NULL) FROM touched t;
    RETURN NULL;
END $$;
CREATE TRIGGER told_insert AFTER INSERT ON membership
    REFERENCING NEW TABLE AS touched FOR EACH STATEMENT EXECUTE FUNCTION tell_access();
CREATE TRIGGER told_update AFTER UPDATE ON membership
    REFERENCING NEW TABLE AS touched FOR EACH STATEMENT EXECUTE FUNCTION tell_access();
CREATE TRIGGER told_delete AFTER DELETE ON membership
    REFERENCING OLD TABLE AS touched FOR EACH STATEMENT EXECUTE FUNCTION tell_access();
CREATE TRIGGER told_delete AFTER DELETE ON team
    REFERENCING OLD TABLE AS touched FOR EACH STATEMENT EXECUTE FUNCTION tell_access();
CREATE TRIGGER told_update AFTER UPDATE ON permission
    REFERENCING NEW TABLE AS touched FOR EACH STATEMENT EXECUTE FUNCTION tell_access();
CREATE TRIGGER told_delete AFTER DELETE ON permission
    REFERENCING OLD TABLE AS touched FOR EACH STATEMENT EXECUTE FUNCTION tell_access();

-- Those whose team or permission went as well are told with that.
CREATE FUNCTION tell_team_access() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    PERFORM tell_changes('access', array_agg(DISTINCT g.organisation_id), NULL)
        FROM touched t JOIN team g ON g.id = t.team_id;
    RETURN NULL;
END $$;
CREATE TRIGGER told_insert AFTER INSERT ON team_member
    REFERENCING NEW TABLE AS touched FOR EACH STATEMENT EXECUTE FUNCTION tell_team_access();
CREATE TRIGGER told_delete AFTER DELETE ON team_member
    REFERENCING OLD TABLE AS touched FOR EACH STATEMENT EXECUTE FUNCTION tell_team_access();

CREATE FUNCTION tell_granted_access() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    PERFORM tell_changes('access', array_agg(DISTINCT p.organisation_id), NULL)
        FROM touched t JOIN permission p ON p.id = t.permission_id;
    RETURN NULL;
END $$;
CREATE TRIGGER told_insert AFTER INSERT ON permission_grant
    REFERENCING NEW TABLE AS touched FOR EACH STATEMENT EXECUTE FUNCTION tell_granted_access();
CREATE TRIGGER told_delete AFTER DELETE ON permission_grant
    REFERENCING OLD TABLE AS touched FOR EACH STATEMENT EXECUTE FUNCTION tell_granted_access();

-- Signing keys -------------------------------------------------------------------------------------------------------

CREATE FUNCTION tell_signing_keys() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    PERFORM tell_changes('signing_keys', array_agg(DISTINCT t.mount), NULL) FROM touched t;
    RETURN NULL;
END $$;
CREATE TRIGGER told_insert AFTER INSERT ON signing_key
    REFERENCING NEW TABLE AS touched FOR EACH STATEMENT EXECUTE FUNCTION tell_signing_keys();
CREATE TRIGGER told_update AFTER UPDATE ON signing_key
    REFERENCING NEW TABLE AS touched FOR EACH STATEMENT EXECUTE FUNCTION tell_signing_keys();
