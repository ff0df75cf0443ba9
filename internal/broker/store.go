package broker

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/uptrace/bun"

	"gatehouse/internal/connection"
	"gatehouse/internal/diagnosis"
	"gatehouse/internal/microsoft"
	"gatehouse/internal/microsoft/login"
	"gatehouse/internal/sqldb"
)

// grantRow is what is known of a connection as a source of tokens.
type grantRow struct {
	bun.BaseModel `bun:"table:grants,alias:g"`

	ConnectionID   string `bun:"connection_id,pk"`
	TenantID       string
	Generation     int64
	RegistrationID string
	ClientID       string
	Cloud          string
	DirectoryID    string
	ObjectID       string
	Username       string
	Flow           string
	KeptBy         string
	Refresh        []byte
	Resource       string
	AuthTime       *time.Time
	AMR            string `bun:"amr"`
	SignedInAt     *time.Time
	SignedOutAt    *time.Time
	FactorLasted   int64
	Turn           int64
	RefreshedAt    *time.Time
	State          string
	Since          time.Time
	Diagnosis      string
	Reason         string
	Failure        string
	Failures       int64
	RetryAt        *time.Time
	Warned         string
	Claimant       string
	ClaimedUntil   *time.Time
	TriedVersion   int64
	Tried          string
}

// fresh is the row of a connection that nothing is known of yet.
func fresh(connectionID, tenantID string, now time.Time) *grantRow {
	return &grantRow{ConnectionID: connectionID, TenantID: tenantID, Generation: 1, Refresh: []byte{}, AMR: "[]", State: Ready, Since: now}
}

type tokenRow struct {
	bun.BaseModel `bun:"table:access_tokens,alias:a"`

	ID           string `bun:"id,pk"`
	ConnectionID string
	Resource     string
	Generation   int64
	Stamp        string
	Token        []byte
	Claims       string
	GotAt        time.Time
	RefreshAt    time.Time
	ExpiresAt    time.Time
}

// standing is a connection, its tenant and its grant as they are now.
type standing struct {
	connected
	grantRow

	read time.Time // by the machine's clock
}

// connected is what of a connection and its tenant counts here.
type connected struct {
	ID                string
	OfTenant          string
	Name              string
	Kind              connection.Kind
	Login             string // user name of the connection
	App               string // client id of the connection
	Registration      string
	Credential        connection.CredentialKind
	Held              bool
	Services          string
	Site              string
	AdminURL          string
	Version           int64
	CredentialVersion int64
	Parked            bool
	ParkedReason      string
	Directory         string
	Paused            bool
	HasRow            bool
}

// stamp changes with everything after which tokens of before are not given out any
// more.
func (st *standing) stamp() string {
	return strconv.FormatInt(st.Version, 36) + "." + strconv.FormatInt(st.CredentialVersion, 36) + "." + strconv.FormatInt(st.Generation, 36)
}

const standingColumns = `c.id, c.tenant_id AS of_tenant, c.name, c.kind, c.username AS login, c.client_id AS app, c.registration_id AS registration, c.credential, length(c.secret) > 0 AS held,
	c.services, c.site, c.admin_url, c.version, c.credential_version, c.parked, c.parked_reason, t.directory_id AS directory, t.paused, g.connection_id IS NOT NULL AS has_row`

// load reads how a connection stands; [connection.ErrMissing].
func (s *Service) load(ctx context.Context, id string) (*standing, error) {
	return find(ctx, s.DB.Read(), id, s.time())
}

func find(ctx context.Context, db bun.IDB, id string, now time.Time) (*standing, error) {
	st := &standing{read: time.Now()}
	err := db.NewSelect().TableExpr("connections AS c").ColumnExpr(standingColumns).
		Join("JOIN tenants AS t ON t.id = c.tenant_id").Join("LEFT JOIN grants AS g ON g.connection_id = c.id").Where("c.id = ?", id).Scan(ctx, &st.connected)
	if sqldb.Missing(err) {
		return nil, connection.ErrMissing
	}
	if err != nil {
		return nil, fmt.Errorf("reading a connection: %w", err)
	}
	if st.HasRow {
		err = db.NewSelect().Model(&st.grantRow).Where("connection_id = ?", id).Scan(ctx)
		if err != nil && !sqldb.Missing(err) {
			return nil, fmt.Errorf("reading a sign-in: %w", err)
		}
		st.HasRow = err == nil
	}
	if !st.HasRow {
		st.grantRow = *fresh(st.ID, st.OfTenant, now)
	}
	return st, nil
}

// services are those of the connection.
func (st *standing) services() []string {
	var list []string
	_ = json.Unmarshal([]byte(st.Services), &list) // it was written by this house
	return list
}

func (st *standing) diagnosis() *diagnosis.Diagnosis {
	if st.Diagnosis == "" {
		return nil
	}
	var d diagnosis.Diagnosis
	if json.Unmarshal([]byte(st.Diagnosis), &d) != nil {
		return nil // of another release
	}
	return &d
}

// said is a refusal as it is kept: all but the raw answer, and what the connection
// was like.
type said struct {
	Stamp, Service, Op, Code, OAuth, Suberror, Message, Claims, CorrelationID, RequestID, Timestamp string
	Status                                                                                          int
}

// failed gives the refusal that was kept last; false if there is none.
func (st *standing) failed() (f said, ok bool) {
	return f, st.Failure != "" && json.Unmarshal([]byte(st.Failure), &f) == nil
}

// mended reports whether the connection was changed since a refusal, so that another
// credential or client may do better.
func (st *standing) mended() bool {
	f, ok := st.failed()
	return ok && f.Stamp != "" && f.Stamp != st.stamp()
}

func (st *standing) failure() *microsoft.Error {
	f, ok := st.failed()
	if !ok {
		return nil
	}
	return &microsoft.Error{
		Service: f.Service, Op: f.Op, Status: f.Status, Code: f.Code, OAuth: f.OAuth, Suberror: f.Suberror, Message: f.Message, Claims: f.Claims,
		CorrelationID: f.CorrelationID, RequestID: f.RequestID, Timestamp: f.Timestamp,
	}
}

// tokenID is the key of a cached token, to which it is sealed.
func tokenID(connectionID string, t target) string {
	id := connectionID + " " + t.resource
	if t.cae {
		id += " cp1"
	}
	return id
}

// digest stands for a claims challenge.
func digest(challenge string) string {
	if challenge == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(challenge))
	return hex.EncodeToString(sum[:12])
}

// stored gives the token that the replicas share; nil if there is none that counts.
func (s *Service) stored(ctx context.Context, st *standing, t target) (*kept, error) {
	var r tokenRow
	err := s.DB.Read().NewSelect().Model(&r).Where("id = ?", tokenID(st.ID, t)).Scan(ctx)
	if sqldb.Missing(err) || err == nil && r.Stamp != st.stamp() {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading a kept token: %w", err)
	}
	value, err := s.Keys.Open(ctx, "access_tokens", r.ID, "token", r.Token)
	if err != nil {
		return nil, err
	}
	k := &kept{
		token: login.Token{Access: value, Expires: r.ExpiresAt.UTC(), Claims: login.ReadClaims(value)}, target: t, claims: r.Claims,
		gotAt: r.GotAt.UTC(), refreshAt: r.RefreshAt.UTC(), checked: st.read,
	}
	// While the service is left alone there is nothing to be had before its time.
	if st.RetryAt != nil && st.RetryAt.After(k.refreshAt) {
		k.refreshAt = st.RetryAt.UTC()
	}
	return k, nil
}

// keepToken stores a token for the other replicas, in the transaction that stores
// what came with it.
func (s *Service) keepToken(ctx context.Context, tx *sqldb.Tx, st *standing, k *kept) error {
	id := tokenID(st.ID, k.target)
	sealed, err := s.Keys.Seal(ctx, tx, "access_tokens", id, "token", k.token.Access)
	if err != nil {
		return err
	}
	r := &tokenRow{
		ID: id, ConnectionID: st.ID, Resource: k.resource, Generation: st.Generation, Stamp: st.stamp(), Token: sealed, Claims: k.claims,
		GotAt: k.gotAt.UTC(), RefreshAt: k.refreshAt.UTC(), ExpiresAt: k.token.Expires.UTC(),
	}
	_, err = tx.NewInsert().Model(r).On("CONFLICT (id) DO UPDATE").
		Set("generation = EXCLUDED.generation, stamp = EXCLUDED.stamp, token = EXCLUDED.token, claims = EXCLUDED.claims, got_at = EXCLUDED.got_at, refresh_at = EXCLUDED.refresh_at, expires_at = EXCLUDED.expires_at").Exec(ctx)
	if err != nil {
		return fmt.Errorf("keeping a token: %w", err)
	}
	return nil
}

// change runs a transaction, once more if the keys were rotated meanwhile.
func (s *Service) change(ctx context.Context, do func(ctx context.Context, tx *sqldb.Tx) error) error {
	err := s.DB.Change(ctx, do)
	if rotated(err) {
		err = s.DB.Change(ctx, do)
	}
	return err
}
