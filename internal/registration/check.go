package registration

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/uptrace/bun"

	"gatehouse/internal/audit"
	"gatehouse/internal/jobs"
	"gatehouse/internal/microsoft"
	"gatehouse/internal/sqldb"
	"gatehouse/internal/tenant"
)

// Successes is how many sign-ins in a row the token endpoint has to accept before a
// credential counts as checked: it is many machines, which hear of it one by one.
const Successes = 5

// The waits of a check.
const (
	between = 10 * time.Second // between two sign-ins
	longest = 24 * time.Hour   // for a new credential to become known; then it failed
	// unusual is how long a new credential is unknown at most as a rule: after that
	// the reason says what else it may be.
	unusual = 10 * time.Minute
)

// unknownYet are the refusals of a credential that the token endpoint does not know,
// be it wrong or too new (entra-sign-in §5).
var unknownYet = []string{"AADSTS7000215", "AADSTS700027"}

// CheckRequest is a check to begin.
type CheckRequest struct {
	// TenantID is the tenant in which the app signs in: one that has consented to it,
	// as it needs a service principal there. "" for the one of the last check, or that
	// of a connection whose person signed in through it.
	TenantID string
	Switch   bool // put the credential into use once it passed
	Retire   bool // and retire the one that was in use
}

func findCredential(ctx context.Context, db bun.IDB, id string) (*credentialRow, error) {
	var r credentialRow
	err := db.NewSelect().Model(&r).Where("r.id = ?", id).Scan(ctx)
	if sqldb.Missing(err) {
		return nil, ErrMissing
	}
	if err != nil {
		return nil, fmt.Errorf("reading a credential: %w", err)
	}
	return &r, nil
}

// save writes columns of a credential that was read: [ErrConflict] if it has changed
// since.
func (s *Service) save(ctx context.Context, tx *sqldb.Tx, r *credentialRow, columns ...string) error {
	before := r.Version
	r.Version++
	done, err := tx.NewUpdate().Model(r).Column(append(columns, "version")...).Where("id = ? AND version = ?", r.ID, before).Exec(ctx)
	if err != nil {
		return fmt.Errorf("changing a credential: %w", err)
	}
	if n, err := done.RowsAffected(); err != nil || n == 0 {
		return errors.Join(err, ErrConflict)
	}
	return s.announce(ctx, tx, r.RegistrationID, "credential")
}

// Check begins to try a credential at the token endpoint, as a job: [Successes] times
// in a row.
func (s *Service) Check(ctx context.Context, id, credentialID string, in CheckRequest) (Credential, error) {
	return s.begin(ctx, id, credentialID, in, Successes)
}

func (s *Service) begin(ctx context.Context, id, credentialID string, in CheckRequest, need int) (Credential, error) {
	if err := s.Audit.Allow(ctx, audit.AllTenants, audit.SettingsManage); err != nil {
		return Credential{}, err
	}
	r, err := s.credential(ctx, id, credentialID)
	if err != nil {
		return Credential{}, err
	}
	if r.State == Retired {
		return Credential{}, ErrRetired
	}
	if in.TenantID, err = s.checkTenant(ctx, r, in.TenantID); err != nil {
		return Credential{}, err
	}
	if _, err := s.Tenants.Directory(ctx, in.TenantID); err != nil {
		return Credential{}, err
	}
	now := s.time()
	err = s.change(ctx, id, "registration.check_begun", map[string]any{"credential": credentialID, "tenant": in.TenantID, "switch": in.Switch, "retire": in.Retire}, func(ctx context.Context, tx *sqldb.Tx, _ *row) error {
		r.CheckState, r.CheckTenant, r.CheckSuccesses, r.CheckNeed, r.CheckReason, r.CheckBegunAt, r.CheckAt = CheckRunning, in.TenantID, 0, need, "", &now, nil
		r.ThenSwitch, r.ThenRetire = in.Switch && r.State != Active, in.Switch && in.Retire && r.State != Active
		if err := s.save(ctx, tx, r, checkColumns...); err != nil {
			return err
		}
		_, err := s.check.Add(ctx, tx, checkArgs{r.ID}, jobs.Options{Ahead: true})
		return err
	})
	return r.credential(), err
}

var checkColumns = []string{"check_state", "check_tenant", "check_successes", "check_need", "check_reason", "check_begun_at", "check_at", "then_switch", "then_retire"}

// checkTenant finds a tenant to check a credential in.
func (s *Service) checkTenant(ctx context.Context, r *credentialRow, wanted string) (string, error) {
	if wanted != "" {
		return wanted, nil
	}
	var found []string
	err := s.DB.Read().NewSelect().TableExpr("registration_credentials AS r").ColumnExpr("r.check_tenant").Join("JOIN tenants AS t ON t.id = r.check_tenant").
		Where("r.registration_id = ? AND r.cloud = ? AND r.client_id = ? AND r.check_state = ?", r.RegistrationID, r.Cloud, r.ClientID, CheckPassed).OrderExpr("r.check_at DESC").Limit(1).Scan(ctx, &found)
	if err == nil && len(found) == 0 {
		err = s.DB.Read().NewSelect().TableExpr("connections AS c").ColumnExpr("c.tenant_id").Join("JOIN tenants AS t ON t.id = c.tenant_id").
			Where("c.registration_id = ? AND c.client_id = ? AND c.object_id <> '' AND NOT t.paused", r.RegistrationID, r.ClientID).OrderExpr("c.id").Limit(1).Scan(ctx, &found)
	}
	if err != nil {
		return "", fmt.Errorf("looking for a tenant to check in: %w", err)
	}
	if len(found) == 0 {
		return "", tenant.Fault("tenant_id", "is missing", "name a tenant that has consented to the app: the token endpoint knows it only there")
	}
	return found[0], nil
}

// run is the job: it tries until it has to wait.
func (s *Service) run(ctx context.Context, args checkArgs) error {
	ctx = audit.AsSystem(ctx, "registration_check")
	wait, ended, err := s.Advance(ctx, args.Credential)
	switch {
	case errors.Is(err, ErrMissing), errors.Is(err, tenant.ErrMissing):
		return jobs.Stop(err)
	case errors.Is(err, ErrConflict):
		return jobs.Later(time.Second, nil)
	case err != nil || ended:
		return err
	}
	return jobs.Later(wait, nil)
}

// Advance tries a credential once if its check is running, and says how long the next
// try has to wait, and whether the check has ended.
func (s *Service) Advance(ctx context.Context, credentialID string) (wait time.Duration, ended bool, err error) {
	r, err := findCredential(ctx, s.DB.Read(), credentialID)
	if err != nil || r.CheckState != CheckRunning {
		return 0, err == nil, err
	}
	at, err := s.Tenants.Directory(ctx, r.CheckTenant)
	if errors.Is(err, tenant.ErrMissing) {
		return 0, true, s.settle(ctx, r, CheckFailed, "the tenant in which it was tried is gone")
	}
	if err != nil {
		return 0, false, err
	}
	err = s.try(ctx, r, at.DirectoryID)
	now := s.time()
	r.CheckAt = &now
	var said *microsoft.Error
	switch {
	case err == nil && r.CheckSuccesses+1 >= r.CheckNeed:
		r.CheckSuccesses++
		return 0, true, s.settle(ctx, r, CheckPassed, "")
	case err == nil:
		return between, false, s.count(ctx, r, r.CheckSuccesses+1, "")
	case !errors.As(err, &said):
		return 0, false, err
	case slices.Contains(unknownYet, said.Code) && now.Sub(r.CheckBegunAt.UTC()) > longest:
		return 0, true, s.settle(ctx, r, CheckFailed, "Microsoft did not accept it for a day: "+err.Error())
	case slices.Contains(unknownYet, said.Code):
		return between, false, s.count(ctx, r, 0, s.notYet(r, now, err))
	case refused(said):
		return 0, true, s.settle(ctx, r, CheckFailed, explain(said, err))
	}
	return max(between, said.RetryAfter), false, s.count(ctx, r, 0, "the token endpoint gave no answer: "+err.Error())
}

// notYet says why a credential is waited for.
func (s *Service) notYet(r *credentialRow, now time.Time, err error) string {
	if now.Sub(r.CheckBegunAt.UTC()) <= unusual {
		return "not known yet: " + err.Error()
	}
	if r.Kind == CertificateCredential {
		return "not known yet, longer than usual: see that this certificate was uploaded to the app registration: " + err.Error()
	}
	return "not known yet, longer than usual: see that the value of the secret was pasted, not its id, and that it is this registration's: " + err.Error()
}

// refused reports whether an answer is a no that stays one.
func refused(e *microsoft.Error) bool {
	return e.Status >= 400 && e.Status < 500 && e.Status != http.StatusTooManyRequests && e.Status != http.StatusRequestTimeout && e.RetryAfter == 0
}

// explain says what a refusal means for a check, and the way out.
func explain(said *microsoft.Error, err error) string {
	switch said.Code {
	case "AADSTS700016":
		return "the app has no service principal in this tenant: choose one that has consented to it (" + err.Error() + ")"
	case "AADSTS7000222":
		return "the secret has ended: make a new one (" + err.Error() + ")"
	case "AADSTS7000112":
		return "the app is switched off in this tenant (" + err.Error() + ")"
	}
	return err.Error()
}

// try signs the app in once, for itself.
func (s *Service) try(ctx context.Context, r *credentialRow, directoryID string) error {
	app, err := s.open(ctx, r.ClientID, *r)
	if err != nil {
		return err
	}
	scopes := []string{s.Cloud.GraphResource + "/.default"}
	if app.Certificate != nil {
		_, err = s.login.Certificate(ctx, directoryID, r.ClientID, *app.Certificate, scopes)
	} else {
		_, err = s.login.Secret(ctx, directoryID, r.ClientID, app.Secret, scopes)
	}
	return err
}

// count notes sign-ins in a row.
func (s *Service) count(ctx context.Context, r *credentialRow, successes int, reason string) error {
	r.CheckSuccesses, r.CheckReason = successes, reason
	return s.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		return s.save(ctx, tx, r, "check_successes", "check_reason", "check_at")
	})
}

// settle ends a check, and does what was to follow it.
func (s *Service) settle(ctx context.Context, r *credentialRow, state, reason string) error {
	details := map[string]any{"credential": r.ID, "result": state, "reason": reason}
	return s.change(ctx, r.RegistrationID, "registration.check_ended", details, func(ctx context.Context, tx *sqldb.Tx, g *row) error {
		now := *r
		now.CheckState, now.CheckReason = state, reason
		if state == CheckPassed && now.State == Added {
			now.State = Checked
		}
		if err := s.save(ctx, tx, &now, "state", "check_state", "check_reason", "check_successes", "check_at"); err != nil {
			return err
		}
		if state == CheckPassed && now.ThenSwitch {
			return s.put(ctx, tx, g, &now, now.ThenRetire)
		}
		return nil
	})
}

// resume adds the job of each check that is running: one whose job gave up goes on.
func (s *Service) resume(ctx context.Context) error {
	var ids []string
	if err := s.DB.Read().NewSelect().Model((*credentialRow)(nil)).Column("id").Where("r.check_state = ?", CheckRunning).Scan(ctx, &ids); err != nil {
		return fmt.Errorf("looking for checks: %w", err)
	}
	if len(ids) == 0 {
		return nil
	}
	return s.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		for _, id := range ids {
			if _, err := s.check.Add(ctx, tx, checkArgs{id}, jobs.Options{}); err != nil {
				return err
			}
		}
		return nil
	})
}
