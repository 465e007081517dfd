-- Short codes are guessed at: wrong tries are counted, and a code that was guessed at too often is void.
ALTER TABLE one_time_code ADD COLUMN attempts BIGINT NOT NULL DEFAULT 0;

-- Nothing was ever written into the table of the base.
DROP TABLE outbox;

CREATE TABLE outbox (
    id           TEXT NOT NULL PRIMARY KEY,
    position     BIGINT NOT NULL,         -- the order in which parcels were put in
    realm        TEXT NOT NULL,
    mount        TEXT NOT NULL,
    kind         TEXT NOT NULL,           -- mail, webhook
    lane         TEXT,                    -- parcels of one lane leave one after another
    payload      BLOB NOT NULL,           -- encrypted: it may carry a code
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL,         -- no use after that
    next_at      BIGINT NOT NULL,
    attempts     BIGINT NOT NULL,
    leased_until BIGINT,
    leased_by    TEXT,                    -- node
    done_at      BIGINT,
    delivered    INTEGER                  -- null while it waits, 0: given up
);
CREATE UNIQUE INDEX outbox_position ON outbox (position);
CREATE INDEX outbox_due ON outbox (kind, next_at) WHERE done_at IS NULL;
CREATE INDEX outbox_lane ON outbox (lane, position) WHERE done_at IS NULL AND lane IS NOT NULL;
CREATE INDEX outbox_done ON outbox (done_at) WHERE done_at IS NOT NULL;
