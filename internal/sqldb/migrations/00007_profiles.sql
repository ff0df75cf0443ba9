-- Profiles: where SharePoint's hosts are, whose an account is, and conversions.

-- +goose Up

-- What stood in a profile before it was converted to a common one, until the new
-- credential was accepted: JSON, or ''. Its credential, sealed; empty for none.
ALTER TABLE connections ADD COLUMN previous text NOT NULL DEFAULT '';
ALTER TABLE connections ADD COLUMN previous_secret bytea NOT NULL DEFAULT '';
-- What the given admin-centre address said when it was asked: JSON, or ''.
ALTER TABLE connections ADD COLUMN admin_probe text NOT NULL DEFAULT '';

-- A tenant's SharePoint hosts, as they were found last.
CREATE TABLE sharepoint_hosts (
    tenant_id text PRIMARY KEY REFERENCES tenants (id) ON DELETE CASCADE,
    at        timestamptz NOT NULL,
    data      text NOT NULL             -- JSON
);

-- What was found of who uses an account, when somebody looked last.
CREATE TABLE account_looks (
    connection_id text PRIMARY KEY REFERENCES connections (id) ON DELETE CASCADE,
    at            timestamptz NOT NULL,
    data          text NOT NULL         -- JSON
);

-- Guided conversions to an app.
CREATE TABLE conversions (
    id            text PRIMARY KEY,
    connection_id text NOT NULL REFERENCES connections (id) ON DELETE CASCADE,
    tenant_id     text NOT NULL,
    app_id        text REFERENCES connections (id) ON DELETE SET NULL, -- the connection of the app, once it is made
    state         text NOT NULL,        -- open, done, given_up
    data          text NOT NULL,        -- JSON: how far it has come
    created_at    timestamptz NOT NULL,
    ended_at      timestamptz,
    version       bigint NOT NULL
);
CREATE UNIQUE INDEX conversions_open ON conversions (connection_id) WHERE state = 'open';
CREATE INDEX conversions_app ON conversions (app_id);

-- +goose Down
SELECT 1;
