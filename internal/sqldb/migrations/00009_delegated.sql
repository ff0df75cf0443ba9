-- Connections of a person who signed in (kind delegated).

-- +goose Up

-- The app registration through which the person signs in; '' for other kinds.
ALTER TABLE connections ADD COLUMN registration_id text NOT NULL DEFAULT '';
-- Who signed in, by the object id in the tenant; '' while nobody has. The user name
-- is in username, and the app that they signed in to in client_id.
ALTER TABLE connections ADD COLUMN object_id text NOT NULL DEFAULT '';
CREATE INDEX connections_registration ON connections (registration_id, tenant_id);

-- +goose Down
SELECT 1;
