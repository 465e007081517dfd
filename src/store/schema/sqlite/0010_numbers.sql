-- What must take no longer however much of it there is.

-- Sessions that live at a mount, by the realm in which they were opened: those of another realm are looked for at each
-- start, and there are hardly ever any.
CREATE INDEX session_live ON session (mount, realm) WHERE ended_at IS NULL;
-- Keys of one mount, page by page.
CREATE INDEX api_key_by_mount ON api_key (mount, id);
