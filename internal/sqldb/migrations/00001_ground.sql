-- The ground: what every feature stands on. Identifiers are text (UUID version
-- 7), times are UTC with microseconds, documents are JSON.

-- +goose Up

-- Facts about this installation, by name.
CREATE TABLE instance (
    name  text PRIMARY KEY,
    value text NOT NULL
);

-- The data keys, wrapped by the master key, which is never in here. One row.
CREATE TABLE keyset (
    id         bigint PRIMARY KEY,
    version    bigint NOT NULL,         -- grows with each change of the keys
    state      text NOT NULL,           -- steady; rotating: distributed, promoted
    progress   text NOT NULL,           -- how far sealing again has come: JSON, or ''
    wrapped    bytea NOT NULL,
    ids        text NOT NULL,           -- of the keys in it, each between commas
    master     text NOT NULL,           -- which master key wrapped it
    changed_at timestamptz NOT NULL
);

-- Secrets of this installation itself, sealed, by name.
CREATE TABLE sealed (
    name  text PRIMARY KEY,
    value bytea NOT NULL
);

CREATE TABLE operators (
    id              text PRIMARY KEY,
    email           text NOT NULL UNIQUE, -- lower case
    name            text NOT NULL,
    password_hash   text NOT NULL,        -- argon2id in PHC form, '' for none
    created_at      timestamptz NOT NULL,
    disabled_at     timestamptz,
    failures        bigint NOT NULL,      -- wrong passwords or codes in a row
    locked_until    timestamptz
);

-- Second factors.
CREATE TABLE operator_factors (
    id          text PRIMARY KEY,
    operator_id text NOT NULL REFERENCES operators (id),
    kind        text NOT NULL,          -- passkey, totp
    name        text NOT NULL,
    credential  bytea NOT NULL,         -- sealed: a passkey's record, or the secret of the codes
    handle      text NOT NULL,          -- passkey: credential id; totp: ''
    last_step   bigint NOT NULL,        -- totp: the last time step that was used
    created_at  timestamptz NOT NULL,
    used_at     timestamptz
);
CREATE INDEX operator_factors_operator ON operator_factors (operator_id);
CREATE INDEX operator_factors_handle ON operator_factors (handle);

-- What an operator may do, per tenant; '' stands for all tenants.
CREATE TABLE operator_roles (
    operator_id text NOT NULL REFERENCES operators (id),
    tenant_id   text NOT NULL,
    role        text NOT NULL,          -- viewer, technician, engineer, administrator
    PRIMARY KEY (operator_id, tenant_id)
);

CREATE TABLE sessions (
    id          text PRIMARY KEY,       -- shown in lists; not the cookie
    token_hash  text NOT NULL UNIQUE,   -- SHA-256 of the cookie's value
    operator_id text NOT NULL REFERENCES operators (id),
    stage       text NOT NULL,          -- password (second factor missing), enrol (none yet), signed_in
    created_at  timestamptz NOT NULL,
    seen_at     timestamptz NOT NULL,
    expires_at  timestamptz NOT NULL,
    address     text NOT NULL,
    user_agent  text NOT NULL,
    ceremony    bytea NOT NULL          -- sealed: what a second factor being used or enrolled must answer
);
CREATE INDEX sessions_operator ON sessions (operator_id);
CREATE INDEX sessions_expiry ON sessions (expires_at);

-- One-time links: first set-up, and a new operator's.
CREATE TABLE setup_links (
    token_hash  text PRIMARY KEY,
    operator_id text NOT NULL,          -- '' for the first set-up
    created_at  timestamptz NOT NULL,
    expires_at  timestamptz NOT NULL,
    used_at     timestamptz
);

-- The audit log: append-only, each entry carries the hash of the one before.
-- Names and details are hashed through salted digests, so that they can be
-- erased without breaking the chain.
CREATE TABLE audit (
    seq           bigint PRIMARY KEY,
    at            timestamptz NOT NULL,
    actor_kind    text NOT NULL,        -- operator, system, link, visitor
    actor_id      text NOT NULL,
    actor_name    text NOT NULL,
    address       text NOT NULL,
    actor_salt    text NOT NULL,        -- '' once name and address are erased
    actor_digest  text NOT NULL,        -- over salt, name and address
    action        text NOT NULL,
    object_kind   text NOT NULL,
    object_id     text NOT NULL,
    object_name   text NOT NULL,
    details       text NOT NULL,        -- JSON object
    object_salt   text NOT NULL,        -- '' once name and details are erased
    object_digest text NOT NULL,        -- over salt, name and details
    tenant_id     text NOT NULL,        -- '' for what belongs to no tenant
    outcome       text NOT NULL,        -- done, refused, failed
    hash          text NOT NULL         -- over the hash before and the fields that are never erased
);
CREATE INDEX audit_tenant ON audit (tenant_id, seq);
CREATE INDEX audit_actor ON audit (actor_id, seq);
CREATE INDEX audit_object ON audit (object_id, seq);

-- Signed statements that the log reached an entry with a hash.
CREATE TABLE audit_checkpoints (
    seq       bigint PRIMARY KEY,
    hash      text NOT NULL,
    at        timestamptz NOT NULL,
    key       text NOT NULL,            -- the public key, base64
    signature text NOT NULL             -- Ed25519, base64
);

-- The end of the chain. One row: changing it makes writers wait for each other.
CREATE TABLE audit_head (
    id   bigint PRIMARY KEY,
    seq  bigint NOT NULL,
    hash text NOT NULL
);
INSERT INTO audit_head (id, seq, hash) VALUES (1, 0, '');

-- Uses too frequent for an entry each, summed per minute.
CREATE TABLE audit_uses (
    minute      timestamptz NOT NULL,
    actor_id    text NOT NULL,
    action      text NOT NULL,
    object_id   text NOT NULL,
    tenant_id   text NOT NULL,
    uses        bigint NOT NULL,
    PRIMARY KEY (minute, actor_id, action, object_id, tenant_id)
);

-- Who holds what alone, over all replicas.
CREATE TABLE leases (
    name       text PRIMARY KEY,
    holder     text NOT NULL,           -- replica id
    epoch      bigint NOT NULL,         -- grows with each new holder
    expires_at timestamptz NOT NULL
);

-- When the next call of a paced scope may be made, over all replicas.
-- Microseconds since 1970, as they are calculated with.
CREATE TABLE pace (
    scope      text PRIMARY KEY,
    next_us    bigint NOT NULL,         -- the next free slot
    blocked_us bigint NOT NULL          -- no call before: a service asked for this
);

-- What changed, for pages that are open: kept for minutes.
CREATE TABLE live_events (
    id        text PRIMARY KEY,
    at        timestamptz NOT NULL,
    topic     text NOT NULL,
    tenant_id text NOT NULL,
    data      text NOT NULL             -- JSON
);
CREATE INDEX live_events_at ON live_events (at);

-- Answers of requests that carried an idempotency key.
CREATE TABLE idempotency (
    actor_id     text NOT NULL,
    key          text NOT NULL,
    request_hash text NOT NULL,
    status       bigint NOT NULL,       -- 0 while the request is running
    answer       bytea NOT NULL,
    created_at   timestamptz NOT NULL,
    PRIMARY KEY (actor_id, key)
);

-- +goose Down
SELECT 1;
