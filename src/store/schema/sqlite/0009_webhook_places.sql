-- Where a subscription stands in the chains of other nodes than the one at which it was made (`webhook.node`). There are
-- such in a database that nodes share, and after a store has moved from one node to another.

CREATE TABLE webhook_place (
    webhook_id TEXT NOT NULL REFERENCES webhook (id) ON DELETE CASCADE,
    node       TEXT NOT NULL,
    read_to    BIGINT NOT NULL,
    PRIMARY KEY (webhook_id, node)
);
