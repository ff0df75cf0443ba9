-- Incidents: failures of connections that have one cause.

-- +goose Up

CREATE TABLE incidents (
    id              text PRIMARY KEY,
    kind            text NOT NULL,      -- policy, rule, app, expiry, account, service, environment, connection
    cause           text NOT NULL,      -- what failures have in common
    -- The cause again while failures may still join; NULL otherwise. One
    -- incident at a time takes those of a cause, whichever replica sees them.
    slot            text UNIQUE,
    tenant_id       text NOT NULL,      -- '' if it may reach across tenants
    subject         text NOT NULL,      -- the policy, app, account or service by name
    state           text NOT NULL,      -- forming (too few yet to be one), open, acknowledged, ended
    since           timestamptz NOT NULL,
    joined_at       timestamptz NOT NULL, -- the last time that a failure joined
    ended_at        timestamptz,
    end_told        boolean NOT NULL,
    stops           bigint NOT NULL,    -- connections that it affects now
    acknowledged_by text NOT NULL,
    acknowledged_at timestamptz,
    search          text NOT NULL,      -- subject and kind in lower case
    version         bigint NOT NULL
);
CREATE INDEX incidents_cause ON incidents (cause, state);
CREATE INDEX incidents_state ON incidents (state, stops);
CREATE INDEX incidents_ended ON incidents (ended_at);

-- The connections that an incident affects, or did. What is said of each stands
-- here, so that nobody reads of tenants that are not theirs.
CREATE TABLE incident_connections (
    incident_id   text NOT NULL REFERENCES incidents (id) ON DELETE CASCADE,
    connection_id text NOT NULL,        -- may be removed
    tenant_id     text NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    name          text NOT NULL,
    since         timestamptz NOT NULL,
    until         timestamptz,          -- NULL while it is affected
    ending        text NOT NULL,        -- works, removed, paused, other (another cause by now), open (not known any more)
    title         text NOT NULL,        -- what stops it
    actor         text NOT NULL,
    help          text NOT NULL,        -- what helps first
    code          text NOT NULL,
    rule          text NOT NULL,        -- JSON, or ''
    PRIMARY KEY (incident_id, connection_id)
);
-- A connection is affected by one incident at a time.
CREATE UNIQUE INDEX incident_connections_now ON incident_connections (connection_id) WHERE until IS NULL;
CREATE INDEX incident_connections_tenant ON incident_connections (tenant_id, until, incident_id);
CREATE INDEX incident_connections_reach ON incident_connections (incident_id, until, tenant_id);

CREATE TABLE incident_comments (
    id          text PRIMARY KEY,
    incident_id text NOT NULL REFERENCES incidents (id) ON DELETE CASCADE,
    at          timestamptz NOT NULL,
    author_id   text NOT NULL,
    author      text NOT NULL,
    text        text NOT NULL
);
CREATE INDEX incident_comments_page ON incident_comments (incident_id, id);

-- The tenants that the author of a comment could see it to be about. Who may not
-- see all of them does not see the comment.
CREATE TABLE incident_comment_tenants (
    comment_id text NOT NULL REFERENCES incident_comments (id) ON DELETE CASCADE,
    tenant_id  text NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    PRIMARY KEY (comment_id, tenant_id)
);

-- Whether the software itself was seen to sign in, after a connection worked again
-- for Gatehouse.
CREATE TABLE connection_proofs (
    connection_id text PRIMARY KEY REFERENCES connections (id) ON DELETE CASCADE,
    tenant_id     text NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    state         text NOT NULL,        -- waiting, seen, unknown
    since         timestamptz NOT NULL, -- when it worked for Gatehouse
    seen_at       timestamptz,
    seen_from     text NOT NULL,        -- address
    seen_app      text NOT NULL,        -- by which app, as the log names it
    reason        text NOT NULL,        -- why nothing is known
    looks         bigint NOT NULL,      -- how often the log was read
    next_at       timestamptz           -- when it is read again; NULL: no more
);
CREATE INDEX connection_proofs_next ON connection_proofs (next_at);

-- What grouped causes on the overview is gone; what is counted there is read from
-- one index.
DROP INDEX connections_causes;
ALTER TABLE connections DROP COLUMN cause;
CREATE INDEX connections_tally ON connections (verdict, parked, tenant_id);

-- +goose Down
SELECT 1;
