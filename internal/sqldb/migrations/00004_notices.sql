-- Notices: what is told, to whom, how often it was tried; webhooks and what
-- operators want to hear.

-- +goose Up

-- What there is to tell, written in the transaction of the change behind it.
CREATE TABLE notices (
    id         text PRIMARY KEY,
    kind       text NOT NULL,           -- incident.opened, expiry.due, …
    key        text NOT NULL,           -- of a kind and key there is one notice
    tenant_id  text REFERENCES tenants (id) ON DELETE CASCADE, -- NULL for the whole server
    title      text NOT NULL,
    text       text NOT NULL,
    path       text NOT NULL,           -- page of the console, '' for none
    data       text NOT NULL,           -- JSON object, for webhooks
    at         timestamptz NOT NULL,    -- when what is told happened
    created_at timestamptz NOT NULL,
    UNIQUE (kind, key)
);
CREATE INDEX notices_tenant ON notices (tenant_id, id);
CREATE INDEX notices_created ON notices (created_at);

-- One notice to one receiver.
CREATE TABLE notice_deliveries (
    id          text PRIMARY KEY,
    notice_id   text NOT NULL REFERENCES notices (id) ON DELETE CASCADE,
    channel     text NOT NULL,          -- mail, webhook
    operator_id text NOT NULL,          -- mail: whose; '' for an invitation
    webhook_id  text NOT NULL,          -- webhook: which
    name        text NOT NULL,          -- of the receiver
    address     text NOT NULL,          -- e-mail address, or scheme and host
    state       text NOT NULL,          -- waiting, delivered, failed, withheld
    reason      text NOT NULL,          -- why it failed or was withheld
    round       bigint NOT NULL,        -- grows with each replay
    tries       bigint NOT NULL,        -- in this round
    due_at      timestamptz,            -- next attempt; NULL once it has ended
    created_at  timestamptz NOT NULL,
    ended_at    timestamptz
);
CREATE INDEX notice_deliveries_notice ON notice_deliveries (notice_id, id);
CREATE INDEX notice_deliveries_state ON notice_deliveries (state, id);
CREATE INDEX notice_deliveries_webhook ON notice_deliveries (webhook_id, id);
CREATE INDEX notice_deliveries_operator ON notice_deliveries (operator_id, id);

-- An attempt to deliver. The row is there before anything is sent.
CREATE TABLE notice_attempts (
    id          text PRIMARY KEY,
    delivery_id text NOT NULL REFERENCES notice_deliveries (id) ON DELETE CASCADE,
    begun_at    timestamptz NOT NULL,
    took_ms     bigint NOT NULL,
    outcome     text NOT NULL,          -- '' under way, delivered, failed, unknown
    status      bigint NOT NULL,        -- of HTTP or SMTP, 0 for none
    reason      text NOT NULL,
    answer      text NOT NULL           -- its first bytes, escaped
);
CREATE INDEX notice_attempts_delivery ON notice_attempts (delivery_id, id);

-- The one-time link of an invitation, until it is delivered or ends.
CREATE TABLE notice_links (
    delivery_id text PRIMARY KEY REFERENCES notice_deliveries (id) ON DELETE CASCADE,
    link        bytea NOT NULL,         -- sealed
    until       timestamptz NOT NULL
);
CREATE INDEX notice_links_until ON notice_links (until);

-- What an operator wants to hear by mail. Without a row the defaults of their
-- role hold.
CREATE TABLE notice_subscriptions (
    operator_id text PRIMARY KEY REFERENCES operators (id) ON DELETE CASCADE,
    kinds       text NOT NULL,          -- JSON list
    tenants     text NOT NULL,          -- JSON list; empty for all that they may see
    changed_at  timestamptz NOT NULL
);

CREATE TABLE webhooks (
    id            text PRIMARY KEY,
    tenant_id     text REFERENCES tenants (id) ON DELETE CASCADE, -- NULL for the whole server
    name          text NOT NULL,
    url           bytea NOT NULL,       -- sealed: many hold a key
    host          text NOT NULL,        -- scheme and host of it, to be shown
    secret        bytea NOT NULL,       -- sealed
    old_secret    bytea NOT NULL,       -- sealed: signs too while it is replaced; empty for none
    old_until     timestamptz,
    kinds         text NOT NULL,        -- JSON list
    tenants       text NOT NULL,        -- JSON list; empty for all
    enabled       boolean NOT NULL,
    disabled_why  text NOT NULL,        -- '' if a person did it
    failing_since timestamptz,
    delivered_at  timestamptz,
    owner_id      text NOT NULL,        -- the operator who made or last changed it
    created_at    timestamptz NOT NULL,
    version       bigint NOT NULL
);
CREATE INDEX webhooks_page ON webhooks (name, id);
CREATE INDEX webhooks_tenant ON webhooks (tenant_id);

-- +goose Down
SELECT 1;
