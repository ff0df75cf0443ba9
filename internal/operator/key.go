package operator

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"gatehouse/internal/audit"
	"gatehouse/internal/fault"
	"gatehouse/internal/secrets"
	"gatehouse/internal/sqldb"
)

// KeyPrefix begins every API key, so that scanners for leaked secrets, and we
// ourselves, know one when they see it.
const KeyPrefix = "ghk_"

// How long API keys live, in days.
const (
	DefaultKeyDays = 90
	MaxKeyDays     = 365
)

const (
	maxKeys       = 50  // of one operator
	maxKeyTenants = 100 // that a key names; the audit log has them all
)

// ErrManyKeys says that no further key may be made.
var ErrManyKeys = errors.New("making an API key: there are 50 already: revoke one first")

// usedAction is what the uses of keys are summed under.
const usedAction = "api_key.used"

// keyRow is a key as it is stored.
type keyRow struct {
	bun.BaseModel `bun:"table:api_keys,alias:k"`

	ID          string `bun:"id,pk"`
	OperatorID  string
	Name        string
	TokenHash   string
	Hint        string
	Permissions string
	CreatedAt   time.Time
	ExpiresAt   time.Time
}

type keyTenant struct {
	bun.BaseModel `bun:"table:api_key_tenants"`

	KeyID    string `bun:"key_id,pk"`
	TenantID string `bun:"tenant_id,pk"`
}

// Key lets a program act for its owner: with no more than the key's permissions,
// in no more than its tenants, and never with more than the owner may just now.
type Key struct {
	ID          string
	OperatorID  string
	Owner       string // name
	Name        string
	Hint        string // its first characters
	Permissions []audit.Permission
	Tenants     []string // audit.AllTenants for all of the owner's
	CreatedAt   time.Time
	ExpiresAt   time.Time
	// UsedAt is the minute of the last use, nil if none is known: sums of uses are
	// written every half minute, and kept as long as retention.audit_uses says.
	UsedAt *time.Time
}

// KeyRequest is what a new key is to be.
type KeyRequest struct {
	Name        string
	Permissions []audit.Permission
	Tenants     []string // audit.AllTenants for all of the owner's, also later ones
	Days        int      // until it expires; DefaultKeyDays if 0
}

// barred are permissions that no key has: with them a key could make others, or
// people, that outlive it, or change who may do anything at all.
var barred = []audit.Permission{audit.Self, audit.OperatorManage, audit.SettingsManage, audit.KeysRotate, audit.AuditErase}

// KeyPermissions are those that a key of the actor's could have, in alphabetical
// order.
func KeyPermissions(ctx context.Context) []audit.Permission {
	var all []audit.Permission
	for p := range audit.Permissions() {
		scope, err := audit.Tenants(ctx, p)
		if err == nil && (scope.All || len(scope.IDs) > 0) && !slices.Contains(barred, p) {
			all = append(all, p)
		}
	}
	slices.Sort(all)
	return all
}

// check holds a request against what its owner may do.
func (r *KeyRequest) check(ctx context.Context) error {
	var f fault.List
	r.Name = strings.TrimSpace(r.Name)
	if r.Name == "" {
		f.Add("name", "is missing", "write which program it is for")
	}
	f.Text("name", r.Name, 100)
	if r.Days == 0 {
		r.Days = DefaultKeyDays
	}
	if r.Days < 1 || r.Days > MaxKeyDays {
		f.Add("days", "is out of bounds", fmt.Sprintf("write 1 to %d", MaxKeyDays))
	}
	slices.Sort(r.Permissions)
	r.Permissions = slices.Compact(r.Permissions)
	slices.Sort(r.Tenants)
	r.Tenants = slices.Compact(r.Tenants)
	if len(r.Permissions) == 0 {
		f.Add("permissions", "are missing", "name what the program needs, and no more")
	}
	switch {
	case len(r.Tenants) == 0:
		f.Add("tenants", "are missing", "name the tenants that the program needs")
	case len(r.Tenants) > 1 && slices.Contains(r.Tenants, audit.AllTenants):
		f.Add("tenants", "are all and some", "take all, or name some")
	case len(r.Tenants) > maxKeyTenants:
		f.Add("tenants", fmt.Sprintf("are more than %d", maxKeyTenants), "take all, or make several keys")
	case slices.ContainsFunc(r.Tenants, func(id string) bool { return len(id) > 64 }):
		f.Add("tenants", "name one that is no id", "take the ids of the list of tenants")
	}
	if f.Err() != nil {
		return fmt.Errorf("making an API key: %w", f)
	}
	for _, p := range r.Permissions {
		if _, known := audit.Least(p); !known {
			f.Add("permissions", fmt.Sprintf("name %.40q, which there is not", p), "see the list in the console")
			continue
		}
		if slices.Contains(barred, p) {
			f.Add("permissions", fmt.Sprintf("name %s, which no key may have", p), "leave it out")
			continue
		}
		for _, t := range r.Tenants {
			// All tenants stand for all of the owner's, whatever they are.
			scope, err := audit.Tenants(ctx, p)
			if err != nil {
				return err
			}
			if t == audit.AllTenants && !scope.All && len(scope.IDs) == 0 || t != audit.AllTenants && !scope.Has(t) {
				f.Add("permissions", fmt.Sprintf("name %s, which you do not have there yourself", p), "leave it out, or ask an administrator for the role")
				break
			}
		}
	}
	if f.Err() != nil {
		return fmt.Errorf("making an API key: %w", f)
	}
	return nil
}

// AddKey makes a key for the operator who acts. The key is given back once and is
// stored nowhere. Only an operator who is signed in makes one: no key does.
func (s *Service) AddKey(ctx context.Context, r KeyRequest) (Key, secrets.Value, error) {
	if err := s.audit.Allow(ctx, audit.AllTenants, audit.Self); err != nil { // which no key has
		return Key{}, secrets.Value{}, err
	}
	a, _ := audit.From(ctx)
	if a.Kind != audit.Operator {
		return Key{}, secrets.Value{}, ErrSession
	}
	if err := r.check(ctx); err != nil {
		return Key{}, secrets.Value{}, err
	}
	now, token := s.time(), secrets.New(KeyPrefix+newToken().Reveal())
	permissions := make([]string, len(r.Permissions))
	for i, p := range r.Permissions {
		permissions[i] = string(p)
	}
	row := keyRow{
		ID: newID(), OperatorID: a.ID, Name: r.Name, TokenHash: hashToken(token), Hint: token.Reveal()[:len(KeyPrefix)+4], Permissions: strings.Join(permissions, " "),
		CreatedAt: now, ExpiresAt: now.Add(time.Duration(r.Days) * 24 * time.Hour),
	}
	tenants := make([]keyTenant, len(r.Tenants))
	for i, id := range r.Tenants {
		tenants[i] = keyTenant{KeyID: row.ID, TenantID: id}
	}
	err := s.alter(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		details := map[string]any{"permissions": permissions, "tenants": r.Tenants, "expires_at": row.ExpiresAt}
		if err := s.audit.Act(ctx, tx, row.entry("api_key.added", audit.Self, details)); err != nil {
			return err
		}
		if err := lockOperator(ctx, tx, a.ID); err != nil {
			return err
		}
		n, err := tx.NewSelect().Model((*keyRow)(nil)).Where("operator_id = ?", a.ID).Count(ctx)
		if err != nil {
			return fmt.Errorf("making an API key: %w", err)
		}
		if n >= maxKeys {
			return ErrManyKeys
		}
		if _, err := tx.NewInsert().Model(&row).Exec(ctx); err != nil {
			return fmt.Errorf("making an API key: %w", err)
		}
		if _, err := tx.NewInsert().Model(&tenants).Exec(ctx); err != nil {
			return fmt.Errorf("making an API key: %w", err)
		}
		return nil
	})
	if err != nil {
		return Key{}, secrets.Value{}, err
	}
	return row.key(r.Tenants), token, nil
}

func (r *keyRow) entry(action string, p audit.Permission, details map[string]any) audit.Entry {
	return audit.Entry{Permission: p, Action: action, ObjectKind: "api_key", ObjectID: r.ID, ObjectName: r.Name, Details: details}
}

func (r *keyRow) key(tenants []string) Key {
	k := Key{ID: r.ID, OperatorID: r.OperatorID, Name: r.Name, Hint: r.Hint, Tenants: tenants, CreatedAt: r.CreatedAt.UTC(), ExpiresAt: r.ExpiresAt.UTC()}
	for _, p := range strings.Fields(r.Permissions) {
		k.Permissions = append(k.Permissions, audit.Permission(p))
	}
	return k
}

// Keys lists one's own keys, and those that reach a tenant in which one may see
// operators, with these tenants only; the newest first. Expired ones stay in it
// until they are revoked.
func (s *Service) Keys(ctx context.Context) ([]Key, error) {
	a, ok := audit.From(ctx)
	scope, err := audit.Tenants(ctx, audit.OperatorView)
	if err != nil {
		return nil, err
	}
	var rows []keyRow
	q := s.db.Read().NewSelect().Model(&rows).OrderExpr("k.created_at DESC, k.id DESC")
	if !scope.All {
		reached := scope.Filter(s.db.Read().NewSelect().Model((*keyTenant)(nil)).Column("key_id"), "tenant_id")
		own := ""
		if ok && a.Kind == audit.Operator && a.Only == nil {
			own = a.ID
		}
		q.Where("k.operator_id = ? OR k.id IN (?)", own, reached)
	}
	if err := q.Scan(ctx); err != nil {
		return nil, fmt.Errorf("listing API keys: %w", err)
	}
	keys, err := s.complement(ctx, rows)
	for i := range keys {
		if keys[i].OperatorID != a.ID {
			keys[i].Tenants = slices.DeleteFunc(keys[i].Tenants, func(id string) bool { return !scope.Has(id) })
		}
	}
	return keys, err
}

// complement adds tenants, owners and last uses to keys.
func (s *Service) complement(ctx context.Context, rows []keyRow) ([]Key, error) {
	keys := make([]Key, len(rows))
	if len(rows) == 0 {
		return keys, nil
	}
	ids, owners := make([]string, len(rows)), make([]string, len(rows))
	at := map[string]*Key{}
	for i := range rows {
		keys[i] = rows[i].key(nil)
		ids[i], owners[i], at[rows[i].ID] = rows[i].ID, rows[i].OperatorID, &keys[i]
	}
	var tenants []keyTenant
	if err := s.db.Read().NewSelect().Model(&tenants).Where("key_id IN (?)", bun.List(ids)).Order("tenant_id").Scan(ctx); err != nil {
		return nil, fmt.Errorf("listing API keys: %w", err)
	}
	for _, t := range tenants {
		at[t.KeyID].Tenants = append(at[t.KeyID].Tenants, t.TenantID)
	}
	var people []Operator
	if err := s.db.Read().NewSelect().Model(&people).Column("id", "name").Where("id IN (?)", bun.List(owners)).Scan(ctx); err != nil {
		return nil, fmt.Errorf("listing API keys: %w", err)
	}
	for _, o := range people {
		for i := range keys {
			if keys[i].OperatorID == o.ID {
				keys[i].Owner = o.Name
			}
		}
	}
	// One row for each key: the newest is found through the index.
	for i := range keys {
		var last audit.Uses
		err := s.db.Read().NewSelect().Model(&last).Column("minute").Where("object_id = ?", keys[i].ID).Where("action = ?", usedAction).OrderExpr("minute DESC").Limit(1).Scan(ctx)
		if err != nil && !sqldb.Missing(err) {
			return nil, fmt.Errorf("listing API keys: %w", err)
		}
		if err == nil {
			minute := last.Minute.UTC()
			keys[i].UsedAt = &minute
		}
	}
	return keys, nil
}

// RevokeKey ends a key at once: one's own, or another's with the management of
// operators in all tenants.
func (s *Service) RevokeKey(ctx context.Context, id string) error {
	return s.alter(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		var row keyRow
		err := tx.NewSelect().Model(&row).Where("id = ?", id).Scan(ctx)
		if sqldb.Missing(err) {
			return ErrMissing
		}
		if err != nil {
			return fmt.Errorf("revoking an API key: %w", err)
		}
		if err := s.audit.Act(ctx, tx, row.entry("api_key.revoked", may(ctx, row.OperatorID), map[string]any{"owner": row.OperatorID})); err != nil {
			return err
		}
		return met(ErrMissing)(tx.NewDelete().Model(&row).WherePK().Exec(ctx))
	})
}

// IsKey reports whether a bearer token is an API key.
func IsKey(token secrets.Value) bool { return strings.HasPrefix(token.Reveal(), KeyPrefix) }

// AuthenticateKey finds the key of a token. The context that is given back carries
// its owner as the actor, with the roles of this moment in the key's tenants and
// nothing but the key's permissions. A key that is not good any more is
// [ErrSession].
func (s *Service) AuthenticateKey(ctx context.Context, token secrets.Value, visit Visit) (context.Context, Key, error) {
	at, hash := s.time(), sha256.Sum256([]byte(token.Reveal()))
	known, ok, epoch := s.keys.find(hash, at)
	if ok {
		if !at.Before(known.key.ExpiresAt) {
			return ctx, Key{}, ErrSession
		}
		known.actor.Address = visit.Address
		ctx = audit.With(ctx, known.actor)
		s.audit.Count(ctx, usedAction, known.key.ID, audit.AllTenants)
		return ctx, known.key, nil
	}
	var row keyRow
	err := s.db.Read().NewSelect().Model(&row).Where("token_hash = ?", hex.EncodeToString(hash[:])).Scan(ctx)
	if sqldb.Missing(err) {
		return ctx, Key{}, ErrSession
	}
	if err != nil {
		return ctx, Key{}, fmt.Errorf("reading an API key: %w", err)
	}
	if !s.time().Before(row.ExpiresAt) {
		return ctx, Key{}, ErrSession
	}
	o, err := s.find(ctx, s.db.Read(), "id", row.OperatorID)
	if errors.Is(err, ErrMissing) || err == nil && o.DisabledAt != nil {
		return ctx, Key{}, ErrSession
	}
	if err != nil {
		return ctx, Key{}, err
	}
	var tenants []string
	if err := s.db.Read().NewSelect().Model((*keyTenant)(nil)).Column("tenant_id").Where("key_id = ?", row.ID).Scan(ctx, &tenants); err != nil {
		return ctx, Key{}, fmt.Errorf("reading an API key: %w", err)
	}
	k := row.key(tenants)
	a := o.actor(visit.Address)
	a.Name, a.Only, a.Roles = fmt.Sprintf("%s (API key %s)", o.Name, row.Name), k.Permissions, k.roles(o.Roles)
	s.keys.keep(hash, rememberedKey{k, a, at}, epoch)
	ctx = audit.With(ctx, a)
	s.audit.Count(ctx, usedAction, row.ID, audit.AllTenants)
	return ctx, k, nil
}

// roles are the owner's in the key's tenants.
func (k Key) roles(owner map[string]audit.Role) map[string]audit.Role {
	if slices.Contains(k.Tenants, audit.AllTenants) {
		return owner
	}
	of, out := audit.Actor{Roles: owner}, map[string]audit.Role{}
	for _, t := range k.Tenants {
		if role := of.Role(t); role > 0 {
			out[t] = role
		}
	}
	return out
}
