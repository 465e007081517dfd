-- What a provider says about a person stays with the provider's identity: it proves no address of the account.

ALTER TABLE foreign_identity ADD COLUMN profile TEXT NOT NULL DEFAULT '{}'; -- JSON object

-- Looking through the events of one mount, newest first.
CREATE INDEX audit_by_mount ON audit (mount, at, seq);
-- Listing and counting the live sessions of one mount.
CREATE INDEX session_by_mount ON session (mount, created_at);
