-- Delegated permissions among the consents that came or went; accounts by name.

-- +goose Up
ALTER TABLE consent_changes ADD COLUMN kind text NOT NULL DEFAULT 'application'; -- application, delegated, user_consent

-- The accounts of each tenant's snapshot, to be found by name.
CREATE TABLE snapshot_accounts (
    tenant_id  text NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    account_id text NOT NULL,           -- object id in the directory
    upn        text NOT NULL,
    name       text NOT NULL,
    search     text NOT NULL,           -- both in lower case
    PRIMARY KEY (tenant_id, account_id)
);

-- +goose Down
SELECT 1;
