-- Delegated permissions among the consents that came or went.

-- +goose Up
ALTER TABLE consent_changes ADD COLUMN kind text NOT NULL DEFAULT 'application'; -- application, delegated, user_consent

-- +goose Down
SELECT 1;
