-- People signing in for delegated connections.

-- +goose Up

-- Personal links: whoever is named opens one and signs in, without an operator.
CREATE TABLE signin_links (
    id            text PRIMARY KEY,
    tenant_id     text NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    connection_id text NOT NULL REFERENCES connections (id) ON DELETE CASCADE,
    token_hash    text NOT NULL UNIQUE, -- SHA-256 of what stands in the address
    person        text NOT NULL,        -- user name of who is to sign in; '' for whoever the connection names
    why           text NOT NULL,
    resource      text NOT NULL,        -- service to sign in for; '' for the connection's first
    claims        text NOT NULL,        -- a claims challenge to answer, or ''
    campaign_id   text NOT NULL,
    asked_kind    text NOT NULL,        -- who made it, as the audit log has it
    asked_id      text NOT NULL,
    asked_by      text NOT NULL,
    created_at    timestamptz NOT NULL,
    until         timestamptz NOT NULL,
    browser_hash  text NOT NULL,        -- the browser that began with it; '' while none has
    state         text NOT NULL,        -- open, started, done, declined, withdrawn
    ended_at      timestamptz
);
CREATE INDEX signin_links_connection ON signin_links (connection_id, id);

-- Sign-ins that were begun.
CREATE TABLE signin_attempts (
    id              text PRIMARY KEY,
    tenant_id       text NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    connection_id   text NOT NULL REFERENCES connections (id) ON DELETE CASCADE,
    link_id         text NOT NULL,      -- '' for an operator's own
    campaign_id     text NOT NULL,
    flow            text NOT NULL,      -- code, device
    state_hash      text UNIQUE,        -- of what comes back with the code; NULL for a device
    browser_hash    text NOT NULL,      -- the browser that has to bring it; '' for a device
    secret          bytea NOT NULL,     -- sealed: verifier and nonce, or the device's code
    registration_id text NOT NULL,
    client_id       text NOT NULL,
    directory_id    text NOT NULL,
    redirect        text NOT NULL,
    resource        text NOT NULL,      -- of authorize and redemption alike
    scopes          text NOT NULL,
    round           bigint NOT NULL,    -- 1, then one more for each challenge that was answered
    actor_kind      text NOT NULL,      -- who began it, as the audit log has it
    actor_id        text NOT NULL,
    actor_name      text NOT NULL,
    device          text NOT NULL,      -- JSON: what the person is shown; '' for a code
    poll_at         timestamptz,        -- of a device: not asked before
    created_at      timestamptz NOT NULL,
    expires_at      timestamptz NOT NULL,
    used_at         timestamptz,
    next_id         text NOT NULL       -- the attempt that went on from it, or ''
);
CREATE INDEX signin_attempts_connection ON signin_attempts (connection_id, id);
CREATE INDEX signin_attempts_expiry ON signin_attempts (expires_at);

-- What became of sign-ins, and sign-outs.
CREATE TABLE sign_ins (
    id             text PRIMARY KEY,
    tenant_id      text NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    connection_id  text NOT NULL REFERENCES connections (id) ON DELETE CASCADE,
    attempt_id     text NOT NULL,
    link_id        text NOT NULL,
    at             timestamptz NOT NULL,
    person         text NOT NULL,       -- user name of who signed in, as far as known
    object_id      text NOT NULL,
    flow           text NOT NULL,       -- code, device; '' for a sign-out
    by_kind        text NOT NULL,
    by_name        text NOT NULL,       -- who began it
    outcome        text NOT NULL,       -- signed_in, refused, failed, declined, signed_out
    reason         text NOT NULL,       -- why not: see package signin
    words          text NOT NULL,       -- the same in a sentence
    code           text NOT NULL,       -- Microsoft's, or ''
    correlation_id text NOT NULL,
    error          text NOT NULL        -- JSON: what Microsoft said, or ''
);
CREATE INDEX sign_ins_connection ON sign_ins (connection_id, id);
CREATE INDEX sign_ins_attempt ON sign_ins (attempt_id);

-- +goose Down
SELECT 1;
