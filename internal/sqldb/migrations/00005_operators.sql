-- Operators who sign in through a directory, and keys for programs.

-- +goose Up

-- How a session was begun: local (password and second factor) or sso.
ALTER TABLE sessions ADD COLUMN method text NOT NULL DEFAULT 'local';

-- Whether the account may sign in with its password where only some may.
ALTER TABLE operators ADD COLUMN break_glass boolean NOT NULL DEFAULT FALSE;

-- Who an operator is in a directory: a tenant's id and an object id at Entra,
-- issuer and subject elsewhere.
CREATE TABLE operator_identities (
    id           text PRIMARY KEY,
    operator_id  text NOT NULL REFERENCES operators (id),
    directory    text NOT NULL,
    subject      text NOT NULL,
    username     text NOT NULL,         -- for people to read; identifies nobody
    created_at   timestamptz NOT NULL,
    confirmed_at timestamptz NOT NULL,  -- the last sign-in through the directory
    UNIQUE (directory, subject)
);
CREATE INDEX operator_identities_operator ON operator_identities (operator_id);

-- What people and groups of a directory may do, per tenant; '' for all tenants.
CREATE TABLE directory_assignments (
    id         text PRIMARY KEY,
    directory  text NOT NULL,
    kind       text NOT NULL,           -- person, group
    object_id  text NOT NULL,           -- lower case at Entra
    name       text NOT NULL,           -- for people to read
    tenant_id  text NOT NULL,
    role       text NOT NULL,
    created_at timestamptz NOT NULL,
    UNIQUE (directory, kind, object_id, tenant_id)
);

-- Which of them met an operator at the last sign-in. Their roles count until
-- some time after it.
CREATE TABLE operator_assignments (
    operator_id   text NOT NULL REFERENCES operators (id),
    assignment_id text NOT NULL REFERENCES directory_assignments (id) ON DELETE CASCADE,
    confirmed_at  timestamptz NOT NULL,
    PRIMARY KEY (operator_id, assignment_id)
);
CREATE INDEX operator_assignments_assignment ON operator_assignments (assignment_id);

-- Sign-ins through a directory that were begun.
CREATE TABLE sso_flows (
    id          text PRIMARY KEY,
    token_hash  text NOT NULL UNIQUE,   -- SHA-256 of the cookie's value
    operator_id text NOT NULL,          -- who links their directory account, '' for a sign-in
    flow        bytea NOT NULL,         -- sealed: state, nonce, verifier
    next        text NOT NULL,          -- path to go to afterwards
    created_at  timestamptz NOT NULL,
    used_at     timestamptz
);
CREATE INDEX sso_flows_created ON sso_flows (created_at);

-- Keys for programs. The key itself is shown once and not kept.
CREATE TABLE api_keys (
    id          text PRIMARY KEY,
    operator_id text NOT NULL REFERENCES operators (id),
    name        text NOT NULL,
    token_hash  text NOT NULL UNIQUE,   -- SHA-256
    hint        text NOT NULL,          -- its first characters, to recognise it by
    permissions text NOT NULL,          -- with spaces between
    created_at  timestamptz NOT NULL,
    expires_at  timestamptz NOT NULL
);
CREATE INDEX api_keys_operator ON api_keys (operator_id);

-- The tenants that a key reaches; '' for all of its owner's.
CREATE TABLE api_key_tenants (
    key_id    text NOT NULL REFERENCES api_keys (id) ON DELETE CASCADE,
    tenant_id text NOT NULL,
    PRIMARY KEY (key_id, tenant_id)
);
CREATE INDEX api_key_tenants_tenant ON api_key_tenants (tenant_id);

-- When something was used last.
CREATE INDEX audit_uses_object ON audit_uses (object_id, minute);

-- +goose Down
SELECT 1;
