package validation

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"gatehouse/internal/audit"
	"gatehouse/internal/connection"
	"gatehouse/internal/microsoft"
	"gatehouse/internal/microsoft/login"
	"gatehouse/internal/pace"
	"gatehouse/internal/posture"
	"gatehouse/internal/sqldb"
	"gatehouse/internal/tenant"
)

// work is the job of a run. It bears being started a second time, after a crash:
// a run in which a password was sent by then is lost.
func (r *Runs) work(ctx context.Context, args runArgs) error {
	ctx = audit.AsSystem(ctx, "validation")
	row, again, err := r.begin(ctx, args.Run)
	switch {
	case errors.Is(err, ErrMissing):
		return nil // removed with its connection
	case err != nil || row == nil:
		return err
	case again:
		return r.lose(ctx, row.ID, "Gatehouse was stopped after the password was sent and before the answer was noted")
	}
	result, err := r.validate(pace.Interactive(ctx), row)
	if stopped := context.Cause(ctx); stopped != nil {
		return r.interrupted(ctx, row, stopped)
	}
	if err != nil {
		return r.lose(ctx, row.ID, err.Error())
	}
	return r.finish(ctx, row.ID, result)
}

// begin marks a run as running. It is nil if the run has ended already; again
// says that a password was sent for it before.
func (r *Runs) begin(ctx context.Context, id string) (row *runRow, again bool, err error) {
	err = r.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		now := r.time()
		done, err := tx.NewRaw("UPDATE validations SET state = ?, started_at = ? WHERE id = ? AND state IN (?, ?)", Running, now, id, Queued, Running).Exec(ctx)
		if err != nil {
			return fmt.Errorf("beginning a validation: %w", err)
		}
		if n, err := done.RowsAffected(); err != nil || n == 0 {
			return err
		}
		if row, err = r.find(ctx, tx, id); err != nil {
			return err
		}
		attempt, err := findAttempt(ctx, tx, id)
		again = attempt != nil
		return errors.Join(err, r.announce(ctx, tx, row, nil))
	})
	return row, again, err
}

// interrupted ends a run whose job was stopped. Without a password sent it can
// begin anew, as the queue decides.
func (r *Runs) interrupted(ctx context.Context, row *runRow, cause error) error {
	ctx = context.WithoutCancel(ctx)
	attempt, err := findAttempt(ctx, r.DB.Read(), row.ID)
	if err != nil {
		return err
	}
	if attempt == nil {
		return cause
	}
	return r.lose(ctx, row.ID, "it was stopped: "+cause.Error())
}

// validate runs the recipe for a connection. An error says that it could not
// even begin.
func (r *Runs) validate(ctx context.Context, row *runRow) (Result, error) {
	c, err := r.Connections.Open(ctx, row.ConnectionID)
	if err != nil {
		return Result{}, err
	}
	return r.examine(ctx, row, c, nil)
}

// request turns a connection into what to validate.
func (r *Runs) request(ctx context.Context, c connection.Opened, shared *Shared) (Request, error) {
	at, err := r.Tenants.Directory(ctx, c.TenantID)
	if err != nil {
		return Request{}, err
	}
	request := Request{Cloud: r.Cloud, WayToReader: "set up the reader on the tenant's page, or upload a snapshot there, so that the tenant's rules can be read", Tenant: at.DirectoryID, TenantName: c.TenantName, Name: c.Name, Federated: c.Credential == connection.Federated, AppPassword: c.Credential == connection.AppPassword, Username: c.Username, ClientID: c.ClientID, AllowFederation: r.AllowFederation, Elsewhere: !c.HasCredential && c.Kind != connection.Delegated,
		Place: Place{Services: c.Services, Site: c.Site, AdminURL: c.AdminURL, Environment: c.Environment, Company: c.Company, Initial: at.Initial}}
	if c.Kind == connection.Delegated {
		if request.Person, err = r.person(ctx, c); err != nil {
			return Request{}, err
		}
	}
	if c.Kind == connection.ServiceAccount && c.ClientID == "" {
		request.ClientID = GraphCommandLineTools
	}
	switch {
	case request.Elsewhere, request.Person != nil:
	case c.Credential == connection.Certificate:
		certificate, err := login.ReadCertificate([]byte(c.Secret.Reveal()))
		if err != nil {
			return Request{}, err
		}
		request.Certificate = &certificate
	case c.Credential == connection.Secret:
		request.Secret = c.Secret
	default:
		request.Password = c.Secret
	}
	if r.KnownHost != nil {
		if request.Host, request.HostRecent, err = r.KnownHost(ctx, c.TenantID); err != nil {
			return Request{}, err
		}
	}
	reading, err := shared.reads(func() (*tenant.Reading, error) { return r.Tenants.Reading(ctx, c.TenantID) })
	if err != nil {
		return Request{}, err
	}
	if reading != nil {
		request.Reader = &Reader{ClientID: reading.ClientID, Credential: Credential{Certificate: reading.Certificate}}
		return request, nil
	}
	if request.Snapshot, err = r.Tenants.Snapshot(ctx, c.TenantID); errors.Is(err, tenant.ErrNoSnapshot) {
		err = nil
	}
	return request, err
}

// errNoSignIns says that this server does not keep people's sign-ins.
var errNoSignIns = errors.New("this server keeps no sign-ins")

// person is who signed in for a delegated connection.
func (r *Runs) person(ctx context.Context, c connection.Opened) (*Person, error) {
	p := &Person{ObjectID: c.ObjectID, Token: func(ctx context.Context, resource, claims string) (login.Token, error) {
		if r.Token == nil {
			return login.Token{}, errNoSignIns
		}
		return r.Token(ctx, c.ID, resource, claims)
	}}
	if r.Needs == nil {
		return p, nil
	}
	var err error
	p.Needs, err = r.Needs(ctx, c.RegistrationID)
	return p, err
}

// progress keeps and announces a probe that has ended. Not being able to is no
// reason to end the validation: the result holds the probes again.
func (r *Runs) progress(ctx context.Context, row *runRow, p Probe) {
	if row.quiet {
		return
	}
	var probes []Probe
	_ = json.Unmarshal([]byte(row.Probes), &probes) // empty at first
	encoded, err := json.Marshal(append(probes, p))
	if err != nil {
		return
	}
	row.Probes = string(encoded)
	_ = r.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if _, err := tx.NewRaw("UPDATE validations SET probes = ? WHERE id = ? AND state = ?", row.Probes, row.ID, Running).Exec(ctx); err != nil {
			return err
		}
		return r.announce(ctx, tx, row, &p)
	})
}

// finish keeps the result, also of a run that was thought lost meanwhile.
func (r *Runs) finish(ctx context.Context, id string, result Result) error {
	encoded, err := json.Marshal(result)
	if err != nil {
		return fmt.Errorf("encoding the result: %w", err)
	}
	outcome := ""
	if result.Outcome != nil {
		text, err := json.Marshal(result.Outcome)
		if err != nil {
			return fmt.Errorf("encoding the rules: %w", err)
		}
		outcome = string(text)
	}
	return r.end(ctx, id, func(ctx context.Context, tx *sqldb.Tx, row *runRow) error {
		tx.OnCommit(func() { r.log(ctx, row, result) })
		row.State, row.Result, row.Outcome, row.Reason = Done, string(encoded), outcome, ""
		settled := connection.Settled{Verdict: string(result.Verdict), Sentence: sentence(result), Rule: result.Rule, Warnings: warnings(result), At: *row.EndedAt, Found: found(result)}
		return r.Connections.Settle(ctx, tx, row.ConnectionID, settled)
	})
}

// found says what a result says beyond its verdict, and which service said so.
func found(result Result) connection.Found {
	out := connection.Found{Diagnosis: result.Diagnosis}
	for _, p := range result.Probes {
		if result.Diagnosis == nil || p.Diagnosis == nil || p.Diagnosis.Category != result.Diagnosis.Category || p.Diagnosis.Title != result.Diagnosis.Title {
			continue
		}
		out.Service = microsoft.ServiceLogin
		if p.Name == ProbeService || p.Name == ProbePermissions {
			out.Service = ServiceGraph
			if name, ok := p.Evidence["service"].(string); ok {
				out.Service = name
			}
		}
		break
	}
	return out
}

// Found gives what the last validation of a connection found out, for features
// that have authorised on it; nil if there was none.
func (r *Runs) Found(ctx context.Context, connectionID string) (*connection.Found, error) {
	var row runRow
	err := r.DB.Read().NewSelect().Model(&row).Where("connection_id = ? AND result <> ''", connectionID).OrderExpr("id DESC").Limit(1).Scan(ctx)
	if sqldb.Missing(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading a validation: %w", err)
	}
	run, err := row.run()
	if err != nil {
		return nil, err
	}
	out := found(*run.Result)
	return &out, nil
}

// end closes a run that is not done in one transaction.
func (r *Runs) end(ctx context.Context, id string, do func(context.Context, *sqldb.Tx, *runRow) error) error {
	return r.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		row, err := r.find(ctx, tx, id)
		if errors.Is(err, ErrMissing) {
			return nil // removed with its connection
		}
		if err != nil || row.State == Done {
			return err
		}
		now := r.time()
		row.EndedAt = &now
		if err := do(ctx, tx, row); err != nil {
			return err
		}
		if _, err := tx.NewUpdate().Model(row).Column("state", "result", "outcome", "reason", "ended_at").WherePK().Exec(ctx); err != nil {
			return fmt.Errorf("ending a validation: %w", err)
		}
		if err := r.announce(ctx, tx, row, nil); err != nil {
			return err
		}
		return r.Live.Publish(ctx, tx, "tenant/"+row.TenantID, row.TenantID, map[string]string{"tenant": row.TenantID, "connection": row.ConnectionID, "changed": "validated"})
	})
}

// log tells how a validation ended, with what Microsoft calls the first answer
// that says no.
func (r *Runs) log(ctx context.Context, row *runRow, result Result) {
	about := []any{"validation", row.ID, "connection", row.ConnectionID, "tenant", row.TenantID, "verdict", string(result.Verdict)}
	if result.Rule != nil {
		about = append(about, "rule", result.Rule.Kind)
	}
	for _, p := range result.Probes {
		if id, ok := p.Evidence["correlation_id"].(string); ok && id != "" && (p.State != Passed) {
			about = append(about, slog.Group("microsoft", "probe", p.Name, "status", p.Evidence["status"], "code", p.Evidence["code"], "correlation_id", id, "request_id", p.Evidence["request_id"]))
			break
		}
	}
	r.Log.InfoContext(ctx, "validated", about...)
}

// sentence tells a result in one line.
func sentence(result Result) string {
	if result.Diagnosis != nil {
		return result.Diagnosis.Title
	}
	if result.Verdict == Works {
		return "It works."
	}
	for _, p := range result.Probes { // what keeps the verdict open comes first
		if result.Verdict == Unknown && p.Name == ProbeService && p.State == NotKnown && p.Reason != nil {
			return *p.Reason
		}
	}
	for _, state := range []State{Warning, Skipped, NotKnown} {
		for _, p := range result.Probes {
			if p.State == state && p.Reason != nil {
				return *p.Reason
			}
		}
	}
	return ""
}

// warnings are the reasons of all probes with a warning.
func warnings(result Result) []string {
	out := []string{}
	for _, p := range result.Probes {
		if p.State == Warning && p.Reason != nil {
			out = append(out, strings.ToUpper((*p.Reason)[:1])+(*p.Reason)[1:])
		}
	}
	return out
}

// Rules gives which rules of the tenant see a connection's identity, by the last
// validation that knew; nil if none did.
func (r *Runs) Rules(ctx context.Context, connectionID string) (*posture.Outcome, error) {
	c, err := r.Connections.Get(ctx, connectionID)
	if err != nil {
		return nil, err
	}
	var row runRow
	err = r.DB.Read().NewSelect().Model(&row).Where("connection_id = ? AND outcome <> ''", c.ID).OrderExpr("id DESC").Limit(1).Scan(ctx)
	if sqldb.Missing(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading a validation: %w", err)
	}
	run, err := row.run()
	return run.Outcome, err
}
