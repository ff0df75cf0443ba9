-- Consent of tenants' administrators to app registrations.

-- +goose Up

-- How the consent of a tenant to a registration stands, as it was last read.
CREATE TABLE consents (
    tenant_id       text NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    registration_id text NOT NULL,
    state           text NOT NULL,      -- unknown, missing, partly, granted, approved_not_read
    reason          text NOT NULL,      -- why it is not known, or not read back
    read_from       text NOT NULL,      -- directory, token, directory and token, or ''
    held            text NOT NULL,      -- JSON: the permissions that were found
    missing         text NOT NULL,      -- JSON: those of the manifest that were not
    problems        text NOT NULL,      -- JSON: service principals, licences and settings in the way
    policy          text NOT NULL,      -- JSON: what users may consent to themselves
    approved        text NOT NULL,      -- JSON: the permissions of the manifest that was last consented to
    version         bigint NOT NULL,    -- of the manifest that was read against
    approved_at     timestamptz,        -- when somebody came back from Microsoft without an error
    granted_at      timestamptz,        -- when it was last read to be whole
    read_at         timestamptz,
    tried_at        timestamptz,
    changes         text NOT NULL,      -- JSON: what came or went by itself, last
    changed_at      timestamptz,
    follow_until    timestamptz,        -- until then it is looked at again every so often
    PRIMARY KEY (tenant_id, registration_id)
);
CREATE INDEX consents_registration ON consents (registration_id, tenant_id);

-- Pages for administrators. The token in the address is kept as its hash alone.
CREATE TABLE consent_requests (
    id              text PRIMARY KEY,
    tenant_id       text NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    registration_id text NOT NULL,
    token_hash      text NOT NULL UNIQUE,
    why             text NOT NULL,
    endpoint        text NOT NULL,      -- v1 or v2
    created_by      text NOT NULL,
    created_at      timestamptz NOT NULL,
    expires_at      timestamptz NOT NULL,
    withdrawn_at    timestamptz,
    opened_at       timestamptz,        -- the last time
    opened          bigint NOT NULL,    -- how often
    answered_at     timestamptz,
    answer          text NOT NULL       -- approved, or why it was not
);
CREATE INDEX consent_requests_tenant ON consent_requests (tenant_id, registration_id, id);

-- Answers of Microsoft that came back, so that none counts twice.
CREATE TABLE consent_answers (
    state_hash text PRIMARY KEY,
    request_id text NOT NULL REFERENCES consent_requests (id) ON DELETE CASCADE,
    at         timestamptz NOT NULL
);
CREATE INDEX consent_answers_at ON consent_answers (at);

-- Customers of a partner whose tenants were consented for through Partner Center.
CREATE TABLE consent_customers (
    tenant_id       text NOT NULL REFERENCES tenants (id) ON DELETE CASCADE, -- the partner's
    registration_id text NOT NULL,
    customer_id     text NOT NULL,      -- the customer's directory id
    name            text NOT NULL,
    state           text NOT NULL,      -- sending, done, failed, removing, removed, unknown
    note            text NOT NULL,
    changed_at      timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, registration_id, customer_id)
);

-- +goose Down
SELECT 1;
