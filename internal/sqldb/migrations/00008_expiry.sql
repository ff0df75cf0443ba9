-- What ends, when it was told, who subscribed to it, and certificates being rotated.

-- +goose Up

-- How the forecast of each tenant was read last.
CREATE TABLE expiry_tenants (
    tenant_id text PRIMARY KEY REFERENCES tenants (id) ON DELETE CASCADE,
    read_at   timestamptz,              -- when it last succeeded
    tried_at  timestamptz NOT NULL,
    reason    text NOT NULL,            -- why the last try failed; '' if it did not
    unread    text NOT NULL,            -- JSON: parts that could not be read, with the reason
    grants    text NOT NULL             -- JSON: application permissions of each app, as last read
);

-- Credentials that were read in a tenant. What is stored here itself (a reader's
-- certificate, a connection's) is not repeated.
CREATE TABLE expiry_items (
    id            text PRIMARY KEY,     -- derived from what it is: the same in each reading
    tenant_id     text NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    kind          text NOT NULL,        -- secret, certificate, saml_key, password
    holder        text NOT NULL,        -- application, service_principal, user
    object_id     text NOT NULL,        -- of the holder in the directory
    client_id     text NOT NULL,        -- of an app; '' for an account
    username      text NOT NULL,        -- of an account; '' for an app
    name          text NOT NULL,        -- of app or account
    label         text NOT NULL,        -- of the credential itself
    credential_id text NOT NULL,        -- key id; '' for a password
    thumbprint    text NOT NULL,        -- SHA-1, of a certificate
    active        boolean NOT NULL,     -- of a SAML key: it signs at present
    state         text NOT NULL,        -- dated, never, unknown
    reason        text NOT NULL,        -- why never or unknown
    starts_at     timestamptz,
    not_after     timestamptz,
    used_at       timestamptz,          -- last sign-in with it, where Microsoft tells
    seen_at       timestamptz NOT NULL
);
CREATE INDEX expiry_items_end ON expiry_items (not_after, id);
CREATE INDEX expiry_items_tenant ON expiry_items (tenant_id, client_id);
CREATE INDEX expiry_items_thumbprint ON expiry_items (tenant_id, thumbprint);

-- What was told of what ends: each level once.
CREATE TABLE expiry_told (
    item_id   text NOT NULL,
    not_after timestamptz NOT NULL,
    level     text NOT NULL,            -- 90, 30, 7, past
    tenant_id text NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    told_at   timestamptz NOT NULL,
    PRIMARY KEY (item_id, not_after, level)
);

-- Application permissions that came or went between two readings.
CREATE TABLE consent_changes (
    id         text PRIMARY KEY,
    tenant_id  text NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    client_id  text NOT NULL,
    name       text NOT NULL,
    resource   text NOT NULL,
    permission text NOT NULL,
    change     text NOT NULL,           -- added, removed
    since      timestamptz NOT NULL,    -- the reading before
    seen_at    timestamptz NOT NULL
);
CREATE INDEX consent_changes_tenant ON consent_changes (tenant_id, id);

-- Secret addresses of calendars.
CREATE TABLE calendar_feeds (
    id          text PRIMARY KEY,
    operator_id text NOT NULL REFERENCES operators (id) ON DELETE CASCADE,
    token_hash  text NOT NULL UNIQUE,   -- SHA-256 of what stands in the address
    name        text NOT NULL,
    created_at  timestamptz NOT NULL,
    used_at     timestamptz
);
CREATE INDEX calendar_feeds_operator ON calendar_feeds (operator_id);

-- Certificates being replaced by the app itself. The two keys are sealed; '' once
-- they are forgotten.
CREATE TABLE rotations (
    id              text PRIMARY KEY,
    tenant_id       text NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    connection_id   text REFERENCES connections (id) ON DELETE CASCADE, -- NULL: the tenant's reader
    client_id       text NOT NULL,
    state           text NOT NULL,      -- planned, adding, proving, switched, removing, withdrawing, done, undone, guided
    directory_id    text NOT NULL,      -- of the tenant in which the object with the key lies; '' until it was read
    holder          text NOT NULL,      -- application, service_principal, or '' until it was read
    object_id       text NOT NULL,
    old_thumbprint  text NOT NULL,
    old_key_id      text NOT NULL,
    old_certificate text NOT NULL,      -- PEM, without the key
    old_key         bytea NOT NULL,
    old_not_after   timestamptz NOT NULL,
    new_thumbprint  text NOT NULL,
    new_key_id      text NOT NULL,      -- as Microsoft named it when it was added
    new_certificate text NOT NULL,
    new_key         bytea NOT NULL,
    new_not_after   timestamptz NOT NULL,
    others          text NOT NULL,      -- JSON: the app's other credentials, which are left alone
    successes       bigint NOT NULL,    -- sign-ins with the new one in a row
    sent_at         timestamptz,        -- the call that is under way was about to be sent
    reason          text NOT NULL,
    undoes          text NOT NULL,      -- the rotation that this one takes back, or ''
    started_by      text NOT NULL,
    created_at      timestamptz NOT NULL,
    changed_at      timestamptz NOT NULL,
    ended_at        timestamptz
);
-- One at a time.
CREATE UNIQUE INDEX rotations_open ON rotations (tenant_id, coalesce(connection_id, '')) WHERE ended_at IS NULL;
CREATE INDEX rotations_page ON rotations (tenant_id, id);

-- +goose Down
SELECT 1;
