-- Tenants, their readers and snapshots, connections and validations.

-- +goose Up

CREATE TABLE tenants (
    id           text PRIMARY KEY,
    directory_id text NOT NULL UNIQUE,  -- the GUID that Entra gave it, lower case
    name         text NOT NULL,
    domain       text NOT NULL,         -- the one it was added by, or its initial one; '' while none is known
    cloud        text NOT NULL,
    realm        text NOT NULL,         -- managed, federated, unknown
    paused       boolean NOT NULL,
    search       text NOT NULL,         -- name, domain and id in lower case
    created_at   timestamptz NOT NULL,
    version      bigint NOT NULL
);
CREATE INDEX tenants_page ON tenants (name, id);

-- The domains that a reader or snapshot names.
CREATE TABLE tenant_domains (
    tenant_id text NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    domain    text NOT NULL,            -- lower case
    PRIMARY KEY (tenant_id, domain)
);

-- What was consented to, apart from each other. A switch without a row is off.
CREATE TABLE tenant_switches (
    tenant_id    text NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    name         text NOT NULL,         -- diagnose, connect, verify, repair
    state        text NOT NULL,         -- off, pending, on, broken
    consented_by text NOT NULL,
    consented_at timestamptz,
    reason       text NOT NULL,
    PRIMARY KEY (tenant_id, name)
);

CREATE TABLE readers (
    tenant_id    text PRIMARY KEY REFERENCES tenants (id) ON DELETE CASCADE,
    client_id    text NOT NULL,
    principal_id text NOT NULL,         -- '' until it was seen in the tenant
    certificate  text NOT NULL,         -- PEM, without the key
    private_key  bytea NOT NULL,        -- sealed: PEM
    thumbprint   text NOT NULL,         -- SHA-1, as portals show it
    not_after    timestamptz NOT NULL,
    checked_at   timestamptz,
    state        text NOT NULL,         -- unchecked, works, broken
    reason       text NOT NULL
);

-- The last snapshot of each tenant's rules.
CREATE TABLE snapshots (
    tenant_id text PRIMARY KEY REFERENCES tenants (id) ON DELETE CASCADE,
    taken_at  timestamptz NOT NULL,
    source    text NOT NULL,            -- reader, upload
    data      text NOT NULL             -- JSON
);

CREATE TABLE connections (
    id                   text PRIMARY KEY,
    tenant_id            text NOT NULL REFERENCES tenants (id),
    name                 text NOT NULL,
    description          text NOT NULL,
    kind                 text NOT NULL,    -- service_account, app
    mfa                  boolean NOT NULL, -- what the profile says, not what the tenant does
    username             text NOT NULL,
    client_id            text NOT NULL,
    credential           text NOT NULL,    -- password, app_password, secret, certificate, federated
    secret               bytea NOT NULL,   -- sealed: password, secret or private key; empty for none
    certificate          text NOT NULL,    -- PEM, without the key
    thumbprint           text NOT NULL,
    credential_not_after timestamptz,
    credential_version   bigint NOT NULL,  -- grows with each new credential
    services             text NOT NULL,    -- JSON
    site                 text NOT NULL,
    admin_url            text NOT NULL,
    environment          text NOT NULL,
    company              text NOT NULL,
    consumer             text NOT NULL,    -- JSON: the software that uses it
    search               text NOT NULL,    -- name, user name and client id in lower case
    verdict              text NOT NULL,    -- of the last validation; '' for none
    sentence             text NOT NULL,
    rule                 text NOT NULL,    -- JSON, or ''
    warnings             text NOT NULL,    -- JSON
    validated_at         timestamptz,
    parked               boolean NOT NULL, -- its password is tried no more
    parked_reason        text NOT NULL,
    created_at           timestamptz NOT NULL,
    version              bigint NOT NULL,
    -- How well it is off, the worst the highest; what stops it: the rule, or, where
    -- none is known or it is parked, itself.
    standing             smallint GENERATED ALWAYS AS (CASE WHEN parked OR verdict IN ('blocked', 'failed') THEN 5
        WHEN verdict = 'works_with_warnings' THEN 4 WHEN verdict = 'works' THEN 1 WHEN verdict = '' THEN 2 ELSE 3 END) STORED,
    cause                text GENERATED ALWAYS AS (CASE WHEN parked OR rule = '' THEN id ELSE rule END) STORED,
    UNIQUE (tenant_id, name)
);
-- With search, so that looking for a text reads the index alone.
CREATE INDEX connections_page ON connections (name, id, search);
CREATE INDEX connections_tenant_page ON connections (tenant_id, name, id);
CREATE INDEX connections_verdict_page ON connections (verdict, name, id);
-- What the overview sums up, so that it reads indexes alone.
CREATE INDEX connections_causes ON connections (standing, tenant_id, cause, validated_at, id);
CREATE INDEX connections_worst ON connections (tenant_id, standing);
CREATE INDEX connections_ends ON connections (credential_not_after);

CREATE TABLE validations (
    id            text PRIMARY KEY,
    connection_id text NOT NULL REFERENCES connections (id) ON DELETE CASCADE,
    tenant_id     text NOT NULL,
    state         text NOT NULL,        -- queued, running, done, unknown
    job_id        bigint NOT NULL,
    requested_by  text NOT NULL,
    created_at    timestamptz NOT NULL,
    started_at    timestamptz,
    ended_at      timestamptz,
    probes        text NOT NULL,        -- JSON
    result        text NOT NULL,        -- JSON, or ''
    reason        text NOT NULL,        -- why nothing is known
    outcome       text NOT NULL         -- JSON, or '': what the rules mean for the sign-in
);
CREATE INDEX validations_page ON validations (connection_id, id);
CREATE INDEX validations_ended ON validations (ended_at);
-- A connection is validated once at a time, whoever asks, on whichever replica.
CREATE UNIQUE INDEX validations_open ON validations (connection_id) WHERE state IN ('queued', 'running');

-- Password tries. The row is there before the password is sent; one without
-- result was never answered, as far as is known, and is not repeated.
CREATE TABLE validation_attempts (
    validation_id      text PRIMARY KEY REFERENCES validations (id) ON DELETE CASCADE,
    connection_id      text NOT NULL,
    credential_version bigint NOT NULL,
    begun_at           timestamptz NOT NULL,
    result             text NOT NULL,   -- '', accepted, refused, answered, not_sent, unanswered
    ended_at           timestamptz
);
CREATE INDEX validation_attempts_connection ON validation_attempts (connection_id);

-- +goose Down
SELECT 1;
