-- Webhooks: who is told of what, and what became of each telling. What happened stands in the audit log, in the same
-- transaction as the change itself; a subscription remembers up to where it has read.

CREATE TABLE webhook (
    id          TEXT NOT NULL PRIMARY KEY,
    realm       TEXT NOT NULL,
    mount       TEXT NOT NULL,
    url         TEXT NOT NULL,
    events      TEXT NOT NULL,          -- JSON array
    secret      BLOB NOT NULL,          -- encrypted
    headers     BLOB NOT NULL,          -- encrypted: JSON object, may hold credentials of the receiver
    active      INTEGER NOT NULL,
    description TEXT,
    retry       TEXT NOT NULL,          -- JSON object
    filters     TEXT NOT NULL,          -- JSON object
    node        TEXT NOT NULL,          -- whose chain of the audit log it reads
    read_to     BIGINT NOT NULL,        -- the last event of that chain it was told of
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL
);
CREATE INDEX webhook_by_mount ON webhook (mount, created_at);

CREATE TABLE webhook_delivery (
    id         TEXT NOT NULL PRIMARY KEY,
    webhook_id TEXT NOT NULL REFERENCES webhook (id) ON DELETE CASCADE,
    position   BIGINT NOT NULL,         -- within the subscription: the order of delivery
    event_id   TEXT NOT NULL,
    event_type TEXT NOT NULL,
    body       TEXT NOT NULL,           -- the very bytes that are signed
    status     TEXT NOT NULL,
    tries      BIGINT NOT NULL,
    attempts   TEXT NOT NULL,           -- JSON array, the newest
    created_at BIGINT NOT NULL,
    next_at    BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    done_at    BIGINT,
    UNIQUE (webhook_id, position)
);
CREATE INDEX webhook_delivery_waiting ON webhook_delivery (webhook_id, position) WHERE done_at IS NULL;
CREATE INDEX webhook_delivery_done ON webhook_delivery (done_at) WHERE done_at IS NOT NULL;
