-- App registrations through which people sign in: they belong to no tenant.

-- +goose Up

CREATE TABLE registrations (
    id               text PRIMARY KEY,
    name             text NOT NULL UNIQUE,
    kind             text NOT NULL,     -- confidential, public
    purpose          text NOT NULL,
    redirects        text NOT NULL,     -- JSON: further redirect addresses, each with a note
    publisher        text NOT NULL,     -- verified, unverified, unknown
    publisher_name   text NOT NULL,     -- of a verified one
    publisher_source text NOT NULL,     -- directory, entered; '' while unknown
    publisher_at     timestamptz,
    seen             text NOT NULL,     -- JSON: what a tenant's directory showed of it last
    search           text NOT NULL,     -- lower case: name, client ids
    created_by       text NOT NULL,
    created_at       timestamptz NOT NULL,
    version          bigint NOT NULL
);

-- The client id in each cloud, and those that it had before: people who signed in to
-- a former one go on with it until they sign in again.
CREATE TABLE registration_clients (
    registration_id text NOT NULL REFERENCES registrations (id) ON DELETE CASCADE,
    cloud           text NOT NULL,
    client_id       text NOT NULL,
    since           timestamptz NOT NULL,
    until           timestamptz,        -- NULL: it is the present one
    PRIMARY KEY (cloud, client_id)
);
CREATE UNIQUE INDEX registration_clients_present ON registration_clients (registration_id, cloud) WHERE until IS NULL;

-- Credentials of a client id in a cloud. The secret is sealed; '' once it is retired.
CREATE TABLE registration_credentials (
    id              text PRIMARY KEY,
    registration_id text NOT NULL REFERENCES registrations (id) ON DELETE CASCADE,
    cloud           text NOT NULL,
    client_id       text NOT NULL,
    kind            text NOT NULL,      -- secret, certificate
    origin          text NOT NULL,      -- pasted, uploaded, made (here)
    label           text NOT NULL,
    state           text NOT NULL,      -- new, checked, active, retired
    secret          bytea NOT NULL,
    certificate     text NOT NULL,      -- PEM, without the key
    thumbprint      text NOT NULL,      -- SHA-1, of a certificate
    key_id          text NOT NULL,      -- as Microsoft shows it, where somebody said; ''
    not_after       timestamptz,        -- NULL: not known
    used_at         timestamptz,        -- when it was handed out last, to the minute
    active_at       timestamptz,        -- when it was put into use
    replaced_at     timestamptz,        -- when another one was put in its place
    retired_at      timestamptz,
    check_state     text NOT NULL,      -- '' (never), running, passed, failed
    check_tenant    text NOT NULL,      -- in which it is, or was, tried
    check_successes bigint NOT NULL,    -- in a row
    check_need      bigint NOT NULL,
    check_reason    text NOT NULL,
    check_begun_at  timestamptz,
    check_at        timestamptz,        -- the last try
    then_switch     boolean NOT NULL,   -- put it into use once it passed
    then_retire     boolean NOT NULL,   -- and retire the one that was in use
    added_by        text NOT NULL,
    added_at        timestamptz NOT NULL,
    version         bigint NOT NULL
);
CREATE INDEX registration_credentials_of ON registration_credentials (registration_id, added_at);
CREATE INDEX registration_credentials_running ON registration_credentials (id) WHERE check_state = 'running';
CREATE UNIQUE INDEX registration_credentials_active ON registration_credentials (registration_id, cloud, client_id) WHERE state = 'active';

-- What an app registration asks for, version by version.
CREATE TABLE registration_manifests (
    registration_id text NOT NULL REFERENCES registrations (id) ON DELETE CASCADE,
    version         bigint NOT NULL,
    permissions     text NOT NULL,      -- JSON
    reason          text NOT NULL,      -- why it was changed
    made_by         text NOT NULL,
    made_at         timestamptz NOT NULL,
    PRIMARY KEY (registration_id, version)
);

-- What was told of the ends of these credentials: each level once.
CREATE TABLE registration_told (
    credential_id text NOT NULL REFERENCES registration_credentials (id) ON DELETE CASCADE,
    not_after     timestamptz NOT NULL,
    level         text NOT NULL,        -- 90, 30, 7, past
    told_at       timestamptz NOT NULL,
    PRIMARY KEY (credential_id, not_after, level)
);

-- +goose Down
SELECT 1;
