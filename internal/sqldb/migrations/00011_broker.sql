-- Tokens for software: what people's sign-ins earned, and access tokens for all
-- replicas.

-- +goose Up

-- One row for each connection that a token was asked of, or whose person signed in.
CREATE TABLE grants (
    connection_id   text PRIMARY KEY REFERENCES connections (id) ON DELETE CASCADE,
    tenant_id       text NOT NULL,
    generation      bigint NOT NULL,      -- grows when tokens of before must not be given out any more
    -- Of a delegated connection: who signed in, how, and what to go on with.
    registration_id text NOT NULL,
    client_id       text NOT NULL,
    cloud           text NOT NULL,
    directory_id    text NOT NULL,
    object_id       text NOT NULL,
    username        text NOT NULL,
    flow            text NOT NULL,        -- code, device; '' for none
    kept_by         text NOT NULL,        -- who had them sign in
    refresh         bytea NOT NULL,       -- sealed: the refresh token; empty for none
    resource        text NOT NULL,        -- that they signed in for
    auth_time       timestamptz,          -- when the person last proved who they are
    amr             text NOT NULL,        -- JSON: how
    signed_in_at    timestamptz,
    signed_out_at   timestamptz,
    factor_lasted   bigint NOT NULL,      -- days after which a second factor was once too old; 0 for not known
    -- How it goes.
    turn            bigint NOT NULL,      -- grows with each refresh token that is stored
    refreshed_at    timestamptz,          -- when the sign-in service last gave a token
    state           text NOT NULL,        -- ready, needs_sign_in, needs_mfa, needs_consent, parked
    since           timestamptz NOT NULL,
    diagnosis       text NOT NULL,        -- JSON of why not, or ''
    reason          text NOT NULL,        -- what the service said, in a sentence
    failure         text NOT NULL,        -- JSON of the refusal, or ''
    failures        bigint NOT NULL,      -- in a row
    retry_at        timestamptz,          -- nothing is asked of the service before
    warned          text NOT NULL,        -- what was warned of last
    -- Who asks the service just now, and until when nobody else does.
    claimant        text NOT NULL,
    claimed_until   timestamptz,
    -- Of a service account: the password that was sent, and what became of it.
    tried_version   bigint NOT NULL,
    tried           text NOT NULL         -- '', sent, accepted, refused, answered, not_sent, unanswered
);
CREATE INDEX grants_refreshed ON grants (refreshed_at);

-- The access tokens that can still be given out.
CREATE TABLE access_tokens (
    id            text PRIMARY KEY,       -- connection and resource
    connection_id text NOT NULL REFERENCES grants (connection_id) ON DELETE CASCADE,
    resource      text NOT NULL,
    generation    bigint NOT NULL,        -- of the grant
    stamp         text NOT NULL,          -- the connection as it was
    token         bytea NOT NULL,         -- sealed
    claims        text NOT NULL,          -- digest of the challenge that it answers, or ''
    got_at        timestamptz NOT NULL,
    refresh_at    timestamptz NOT NULL,   -- from when on another one is had
    expires_at    timestamptz NOT NULL
);
CREATE INDEX access_tokens_connection ON access_tokens (connection_id);
CREATE INDEX access_tokens_expires ON access_tokens (expires_at);

-- +goose Down
SELECT 1;
