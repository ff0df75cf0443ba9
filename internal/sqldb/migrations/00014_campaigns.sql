-- Re-authentication campaigns: everybody consents and signs in again.

-- +goose Up

CREATE TABLE campaigns (
    id                text PRIMARY KEY,
    name              text NOT NULL,
    reason            text NOT NULL,     -- client_id, manifest, credential, revocation, by_hand
    registration_id   text NOT NULL,     -- no reference: a campaign outlives the registration as a record
    registration_name text NOT NULL,
    old_value         text NOT NULL,     -- client id, version or thumbprint before; '' if unknown
    new_value         text NOT NULL,     -- and after
    client_id         text NOT NULL,     -- of the app that everybody is to sign in to; '' if unknown
    state             text NOT NULL,     -- draft, running, paused, done, ended
    started_by        text NOT NULL,
    note              text NOT NULL,     -- a sentence of one's own in the mails
    sign_in_url       text NOT NULL,     -- where people of apps that keep their own tokens sign in
    remind            boolean NOT NULL,  -- reminders go out by themselves
    mail_usernames    boolean NOT NULL,  -- user names serve as addresses where none is known
    remind_days       text NOT NULL,     -- JSON: days after the start
    remind_before     text NOT NULL,     -- JSON: days before the deadline
    zone              text NOT NULL,     -- IANA time zone
    deadline          timestamptz,
    told              bigint NOT NULL,   -- 0, 50, 90 or 100: per cent that were told
    since             timestamptz NOT NULL, -- sign-ins from then on count
    created_at        timestamptz NOT NULL,
    started_at        timestamptz,
    ended_at          timestamptz,
    version           bigint NOT NULL
);
CREATE INDEX campaigns_state ON campaigns (state, registration_id);

-- The tenants of a campaign with what its people's states come to, which each change
-- of a person counts anew for the one tenant.
CREATE TABLE campaign_tenants (
    campaign_id   text NOT NULL REFERENCES campaigns (id) ON DELETE CASCADE,
    tenant_id     text NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    added         boolean NOT NULL,      -- by hand: it stays without people
    consent       text NOT NULL,         -- unknown, missing, asked, granted, granted_not_read, not_needed
    consent_why   text NOT NULL,         -- why it is unknown
    consent_at    timestamptz,           -- when it was last looked for
    asked_at      timestamptz,           -- when a consent link was made
    people        bigint NOT NULL,
    pending       bigint NOT NULL,
    reminded      bigint NOT NULL,
    done          bigint NOT NULL,
    failed        bigint NOT NULL,
    on_old        bigint NOT NULL,       -- seen on the old app last
    worst         bigint NOT NULL,       -- the higher, the more it needs somebody
    PRIMARY KEY (campaign_id, tenant_id)
);
CREATE INDEX campaign_tenants_tenant ON campaign_tenants (tenant_id, campaign_id);
CREATE INDEX campaign_tenants_worst ON campaign_tenants (campaign_id, worst, tenant_id);

-- Those who are to sign in: one row for each connection, and for each person of an
-- app that keeps its own tokens.
CREATE TABLE campaign_people (
    campaign_id   text NOT NULL,
    id            text NOT NULL,         -- of the connection, if there is one
    tenant_id     text NOT NULL,
    connection_id text NOT NULL,         -- '': the app keeps its own tokens
    person_key    text NOT NULL,         -- what nobody else in the tenant has: user name or object id in lower case, or the connection
    username      text NOT NULL,
    object_id     text NOT NULL,
    name          text NOT NULL,
    email         text NOT NULL,
    client_id     text NOT NULL,         -- of the app that they are signed in to, as last seen
    state         text NOT NULL,         -- pending, reminded, done, failed
    reason        text NOT NULL,         -- diagnosis of what failed
    changed_at    timestamptz NOT NULL,  -- of the state
    joined_at     timestamptz NOT NULL,
    reminded_at   timestamptz,           -- last
    reminders     bigint NOT NULL,
    remind_at     timestamptz,           -- when the next one is due
    mail_reason   text NOT NULL,         -- why the last one was not sent
    search        text NOT NULL,
    PRIMARY KEY (campaign_id, id),
    FOREIGN KEY (campaign_id, tenant_id) REFERENCES campaign_tenants (campaign_id, tenant_id) ON DELETE CASCADE
);
CREATE UNIQUE INDEX campaign_people_key ON campaign_people (campaign_id, tenant_id, person_key);
-- With what lists filter by, so that looking for a text reads the index alone.
CREATE INDEX campaign_people_page ON campaign_people (campaign_id, username, id, tenant_id, search);
CREATE INDEX campaign_people_tenant ON campaign_people (campaign_id, tenant_id, state, username, id);
CREATE INDEX campaign_people_state ON campaign_people (campaign_id, state, username, id);
CREATE INDEX campaign_people_connection ON campaign_people (connection_id);
CREATE INDEX campaign_people_due ON campaign_people (remind_at, campaign_id);

-- +goose Down
SELECT 1;
