package validation

import (
	"context"
	"errors"
	"fmt"
	"mime"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"gatehouse/internal/connection"
	"gatehouse/internal/microsoft"
	"gatehouse/internal/microsoft/login"
	"gatehouse/internal/pace"
	"gatehouse/internal/sqldb"
)

// The results of a password try.
const (
	tryAccepted   = "accepted"
	tryRefused    = "refused"    // the password, or the account for it
	tryAnswered   = "answered"   // something else was said, which counts against nobody
	tryNotSent    = "not_sent"   // it never left
	tryUnanswered = "unanswered" // it may have arrived
)

type attemptRow struct {
	bun.BaseModel `bun:"table:validation_attempts"`

	ValidationID      string `bun:"validation_id,pk"`
	ConnectionID      string
	CredentialVersion int64
	BegunAt           time.Time
	Result            string
	EndedAt           *time.Time
}

func findAttempt(ctx context.Context, db bun.IDB, run string) (*attemptRow, error) {
	var a attemptRow
	err := db.NewSelect().Model(&a).Where("validation_id = ?", run).Scan(ctx)
	if sqldb.Missing(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading a password try: %w", err)
	}
	return &a, nil
}

var errTwice = errors.New("the password was sent by another replica already, so it is not sent again")

// intend writes down that a password is about to be sent. An error keeps it from
// being sent: the connection is parked, the password replaced, or this run sent
// it already.
func (r *Runs) intend(ctx context.Context, row *runRow, c connection.Opened) error {
	return r.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if err := r.Connections.Claim(ctx, tx, c.ID, c.CredentialVersion); err != nil {
			return err
		}
		a := &attemptRow{ValidationID: row.ID, ConnectionID: c.ID, CredentialVersion: c.CredentialVersion, BegunAt: r.time()}
		done, err := tx.NewInsert().Model(a).On("CONFLICT DO NOTHING").Exec(ctx)
		if err != nil {
			return fmt.Errorf("noting a password try: %w", err)
		}
		if n, err := done.RowsAffected(); err != nil || n == 0 {
			return errors.Join(err, errTwice)
		}
		return nil
	})
}

// answered notes what became of a password, and parks the connection if it must
// not be sent again.
func (r *Runs) answered(ctx context.Context, row *runRow, c connection.Opened, outcome error) error {
	result := classify(outcome)
	return r.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		trusted, err := trusted(ctx, tx, row.ID, c.ID, c.CredentialVersion)
		if err != nil {
			return err
		}
		if _, err := tx.NewRaw("UPDATE validation_attempts SET result = ?, ended_at = ? WHERE validation_id = ?", result, r.time(), row.ID).Exec(ctx); err != nil {
			return fmt.Errorf("noting a password try: %w", err)
		}
		switch {
		case result == tryAccepted:
			return r.Connections.Accepted(ctx, tx, c.ID, c.CredentialVersion)
		case result == tryRefused:
			return r.Connections.Park(ctx, tx, c.ID, c.CredentialVersion, refusedReason(outcome))
		case result == tryUnanswered && !trusted:
			return r.Connections.Park(ctx, tx, c.ID, c.CredentialVersion, "the password was sent and no answer came, so it may have been counted as wrong")
		}
		return nil
	})
}

// trusted reports whether the try before this one, with the same password, was
// accepted. Then one try whose outcome is not known does no harm; two could.
func trusted(ctx context.Context, tx *sqldb.Tx, run, connectionID string, version int64) (bool, error) {
	var results []string
	err := tx.NewSelect().Model((*attemptRow)(nil)).Column("result").Where("connection_id = ? AND credential_version = ? AND validation_id <> ?", connectionID, version, run).
		OrderExpr("begun_at DESC, validation_id DESC").Limit(1).Scan(ctx, &results)
	if err != nil {
		return false, fmt.Errorf("reading password tries: %w", err)
	}
	return len(results) == 1 && results[0] == tryAccepted, nil
}

func refusedReason(err error) string {
	var e *microsoft.Error
	if errors.As(err, &e) && e.Code != "" {
		return "Microsoft refused the password (" + e.Code + ")"
	}
	return "the domain's own sign-in service refused the password"
}

// lose ends a run of which nothing is known. If its password was sent and the
// answer is not known, the connection is parked, so that nobody sends it again
// without thinking.
func (r *Runs) lose(ctx context.Context, id, reason string) error {
	ctx = context.WithoutCancel(ctx)
	return r.end(ctx, id, func(ctx context.Context, tx *sqldb.Tx, row *runRow) error {
		row.State, row.Reason = Lost, reason
		a, err := findAttempt(ctx, tx, id)
		if err != nil || a == nil || a.Result != "" {
			return err
		}
		trusted, err := trusted(ctx, tx, id, a.ConnectionID, a.CredentialVersion)
		if err != nil || trusted {
			return err
		}
		return r.Connections.Park(ctx, tx, a.ConnectionID, a.CredentialVersion, "Gatehouse was stopped while it tried the password, so it may have been counted as wrong; the tenant's sign-in log knows")
	})
}

// codesOfPassword are refusals after which the same password is not sent again:
// they count towards the account's lock, or nothing but another password helps
// (entra-sign-in §4.1).
var codesOfPassword = []string{"AADSTS50126", "AADSTS50053", "AADSTS50034", "AADSTS50056", "AADSTS50055", "AADSTS50144"}

// classify says what became of a password.
func classify(err error) string {
	var e *microsoft.Error
	switch {
	case err == nil:
		return tryAccepted
	case !errors.As(err, &e):
		return tryUnanswered
	case e.Code == login.CodeFederatedRealm, e.Op == login.OpRealm, neverLeft(err):
		return tryNotSent
	case slices.Contains(codesOfPassword, e.Code), soap(e):
		return tryRefused
	case e.Status == 0, e.Code == "" && e.OAuth == "" && e.Status < http.StatusInternalServerError && e.Status != http.StatusTooManyRequests:
		return tryUnanswered
	case strings.HasPrefix(e.Code, "AADSTS80"): // the organisation's own agents said no
		return tryRefused
	}
	return tryAnswered
}

// neverLeft reports that no connection was had, or no leave to use it.
func neverLeft(err error) bool {
	var busy *pace.Busy
	var dial *net.OpError
	var name *net.DNSError
	return errors.As(err, &busy) || errors.Is(err, pace.ErrInChange) || errors.As(err, &dial) && dial.Op == "dial" || errors.As(err, &name)
}

// soap reports a fault of a federation service, which answers a wrong password
// with one.
func soap(e *microsoft.Error) bool {
	kind, _, _ := mime.ParseMediaType(e.ContentType)
	return e.Code == "" && (kind == "application/soap+xml" || kind == "text/xml")
}
