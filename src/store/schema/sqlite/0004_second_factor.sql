-- The newest time step whose code was taken: no code of it or before is taken again (RFC 6238 section 5.2).
ALTER TABLE account ADD COLUMN totp_last_step BIGINT;
