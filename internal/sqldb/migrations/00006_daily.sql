-- What many connections need from day to day: schedules, tags, saved filters,
-- and batches, which do something to many of them.

-- +goose Up

ALTER TABLE connections ADD COLUMN schedule text NOT NULL DEFAULT '';        -- '' for the tenant's
ALTER TABLE connections ADD COLUMN next_at timestamptz;                      -- when it is validated by itself; NULL for never
ALTER TABLE connections ADD COLUMN planned boolean NOT NULL DEFAULT false;   -- next_at is of the schedule in force
CREATE INDEX connections_next ON connections (next_at);
CREATE INDEX connections_unplanned ON connections (id) WHERE NOT planned;
CREATE INDEX connections_parked_page ON connections (name, id) WHERE parked;

-- When the reader takes a snapshot by itself; NULL until that is planned.
ALTER TABLE readers ADD COLUMN refresh_at timestamptz;

-- The schedules that others fall back on: of a tenant, and '' for the server's.
CREATE TABLE schedules (
    tenant_id text PRIMARY KEY,
    schedule  text NOT NULL
);

CREATE TABLE connection_tags (
    connection_id text NOT NULL REFERENCES connections (id) ON DELETE CASCADE,
    tag           text NOT NULL,            -- normalised
    PRIMARY KEY (connection_id, tag)
);
CREATE INDEX connection_tags_tag ON connection_tags (tag, connection_id);

-- Filters of the list of connections that somebody keeps.
CREATE TABLE saved_filters (
    id          text PRIMARY KEY,
    operator_id text NOT NULL REFERENCES operators (id) ON DELETE CASCADE,
    tenant_id   text NOT NULL,              -- that the filter names, or ''
    name        text NOT NULL,
    query       text NOT NULL,              -- as in the address of the list
    shared      boolean NOT NULL,           -- others may use it
    created_at  timestamptz NOT NULL,
    UNIQUE (operator_id, name)
);

-- Something that is done to many connections.
CREATE TABLE batches (
    id           text PRIMARY KEY,
    kind         text NOT NULL,             -- validate, tag, …
    words        text NOT NULL,             -- what is done, for people
    request      text NOT NULL,             -- JSON: its particulars
    actor        text NOT NULL,             -- JSON: who asked, with the roles then
    requested_by text NOT NULL,
    tenant_id    text NOT NULL,             -- of all its items; '' if there are several
    state        text NOT NULL,             -- running, done, cancelled
    total        bigint NOT NULL,
    created_at   timestamptz NOT NULL,
    ended_at     timestamptz
);
CREATE INDEX batches_ended ON batches (ended_at);

CREATE TABLE batch_items (
    batch_id  text NOT NULL REFERENCES batches (id) ON DELETE CASCADE,
    seq       bigint NOT NULL,
    tenant_id text NOT NULL,
    object_id text NOT NULL,                -- of the connection; '' for one to be made
    name      text NOT NULL,
    data      text NOT NULL,                -- JSON: what is particular to it, or ''
    outcome   text NOT NULL,                -- '' until it is done
    note      text NOT NULL,                -- why, for people
    PRIMARY KEY (batch_id, seq)
);
CREATE INDEX batch_items_outcome ON batch_items (batch_id, tenant_id, outcome);

-- +goose Down
SELECT 1;
