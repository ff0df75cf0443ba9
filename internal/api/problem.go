package api

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"gatehouse/client"
	"gatehouse/internal/audit"
	"gatehouse/internal/backup"
	"gatehouse/internal/batch"
	"gatehouse/internal/campaign"
	"gatehouse/internal/connection"
	"gatehouse/internal/consent"
	"gatehouse/internal/conversion"
	"gatehouse/internal/datasource"
	"gatehouse/internal/diagnosis"
	"gatehouse/internal/expiry"
	"gatehouse/internal/fault"
	"gatehouse/internal/incident"
	"gatehouse/internal/jobs"
	"gatehouse/internal/microsoft"
	"gatehouse/internal/notify"
	"gatehouse/internal/operator"
	"gatehouse/internal/pace"
	"gatehouse/internal/registration"
	"gatehouse/internal/rotation"
	"gatehouse/internal/secrets"
	"gatehouse/internal/signin"
	"gatehouse/internal/tenant"
	"gatehouse/internal/validation"
)

// titles are the kinds of problems in words.
var titles = map[string]string{
	client.ProblemBadRequest: "The request cannot be read", client.ProblemInvalid: "The request is not valid",
	client.ProblemNotSignedIn: "Nobody is signed in", client.ProblemSignIn: "The sign-in was refused", client.ProblemStale: "The sign-in is too long ago",
	client.ProblemRefused: "The permission is missing", client.ProblemNotFound: "Not found", client.ProblemMethod: "The method is not allowed",
	client.ProblemConflict: "It does not fit what is there", client.ProblemRepeated: "The idempotency key was used before",
	client.ProblemMisdirected: "The server has another address", client.ProblemLimited: "Too many requests",
	client.ProblemInternal: "Something went wrong in the server", client.ProblemMicrosoft: "Microsoft said no", client.ProblemBusy: "Not now",
	client.ProblemNoToken: "The connection gives no token",
}

func problem(status int, kind, detail string) *client.Problem {
	return &client.Problem{Type: kind, Title: titles[kind], Status: status, Detail: detail}
}

// known are the errors that features tell apart.
var known = []struct {
	err    error
	status int
	kind   string
}{
	{operator.ErrSignIn, http.StatusUnauthorized, client.ProblemSignIn},
	{operator.ErrFactor, http.StatusUnauthorized, client.ProblemSignIn},
	{operator.ErrNoFactor, http.StatusUnauthorized, client.ProblemSignIn},
	{operator.ErrLink, http.StatusUnauthorized, client.ProblemSignIn},
	{operator.ErrSession, http.StatusUnauthorized, client.ProblemNotSignedIn},
	{operator.ErrStale, http.StatusForbidden, client.ProblemStale},
	{operator.ErrLastAdministrator, http.StatusConflict, client.ProblemConflict},
	{operator.ErrStillThere, http.StatusConflict, client.ProblemConflict},
	{operator.ErrTaken, http.StatusConflict, client.ProblemConflict},
	{operator.ErrNotLocal, http.StatusForbidden, client.ProblemRefused},
	{operator.ErrLimited, http.StatusForbidden, client.ProblemRefused},
	{operator.ErrAssigned, http.StatusConflict, client.ProblemConflict},
	{operator.ErrManyKeys, http.StatusConflict, client.ProblemConflict},
	{operator.ErrManyFactors, http.StatusConflict, client.ProblemConflict},
	{operator.ErrMissing, http.StatusNotFound, client.ProblemNotFound},
	{tenant.ErrMissing, http.StatusNotFound, client.ProblemNotFound},
	{tenant.ErrTaken, http.StatusConflict, client.ProblemConflict},
	{tenant.ErrNoReader, http.StatusConflict, client.ProblemConflict},
	{tenant.ErrNoSnapshot, http.StatusConflict, client.ProblemConflict},
	{tenant.ErrPaused, http.StatusConflict, client.ProblemConflict},
	{datasource.ErrPassword, http.StatusConflict, client.ProblemConflict},
	{datasource.ErrElsewhere, http.StatusConflict, client.ProblemConflict},
	{datasource.ErrNobody, http.StatusConflict, client.ProblemConflict},
	{datasource.ErrService, http.StatusConflict, client.ProblemConflict},
	{datasource.ErrSite, http.StatusConflict, client.ProblemConflict},
	{datasource.ErrCloud, http.StatusConflict, client.ProblemConflict},
	{datasource.ErrApps, http.StatusConflict, client.ProblemConflict},
	{connection.ErrTaken, http.StatusConflict, client.ProblemConflict},
	{connection.ErrConflict, http.StatusConflict, client.ProblemConflict},
	{connection.ErrNoCertificate, http.StatusConflict, client.ProblemConflict},
	{connection.ErrReplaced, http.StatusConflict, client.ProblemConflict},
	{connection.ErrMissing, http.StatusNotFound, client.ProblemNotFound},
	{connection.ErrCommon, http.StatusConflict, client.ProblemConflict},
	{connection.ErrNoUndo, http.StatusConflict, client.ProblemConflict},
	{connection.ErrConverting, http.StatusConflict, client.ProblemConflict},
	{conversion.ErrMissing, http.StatusNotFound, client.ProblemNotFound},
	{conversion.ErrNone, http.StatusConflict, client.ProblemConflict},
	{conversion.ErrNoAccount, http.StatusConflict, client.ProblemConflict},
	{conversion.ErrEnded, http.StatusConflict, client.ProblemConflict},
	{conversion.ErrOrder, http.StatusConflict, client.ProblemConflict},
	{conversion.ErrHanded, http.StatusConflict, client.ProblemConflict},
	{conversion.ErrNothing, http.StatusConflict, client.ProblemConflict},
	{validation.ErrNoAccount, http.StatusConflict, client.ProblemConflict},
	{incident.ErrMissing, http.StatusNotFound, client.ProblemNotFound},
	{incident.ErrEnded, http.StatusConflict, client.ProblemConflict},
	{expiry.ErrMissing, http.StatusNotFound, client.ProblemNotFound},
	{expiry.ErrMany, http.StatusConflict, client.ProblemConflict},
	{consent.ErrMissing, http.StatusNotFound, client.ProblemNotFound},
	{consent.ErrNoManifest, http.StatusConflict, client.ProblemConflict},
	{consent.ErrNoPartner, http.StatusConflict, client.ProblemConflict},
	{rotation.ErrMissing, http.StatusNotFound, client.ProblemNotFound},
	{rotation.ErrOpen, http.StatusConflict, client.ProblemConflict},
	{rotation.ErrTooLate, http.StatusConflict, client.ProblemConflict},
	{rotation.ErrChanged, http.StatusConflict, client.ProblemConflict},
	{registration.ErrMissing, http.StatusNotFound, client.ProblemNotFound},
	{registration.ErrTaken, http.StatusConflict, client.ProblemConflict},
	{registration.ErrConflict, http.StatusConflict, client.ProblemConflict},
	{registration.ErrUsed, http.StatusConflict, client.ProblemConflict},
	{registration.ErrUnchecked, http.StatusConflict, client.ProblemConflict},
	{registration.ErrInUse, http.StatusConflict, client.ProblemConflict},
	{registration.ErrRetired, http.StatusConflict, client.ProblemConflict},
	{registration.ErrNoUndo, http.StatusConflict, client.ProblemConflict},
	{registration.ErrNoCredential, http.StatusConflict, client.ProblemConflict},
	{registration.ErrNoClient, http.StatusConflict, client.ProblemConflict},
	{validation.ErrMissing, http.StatusNotFound, client.ProblemNotFound},
	{notify.ErrMissing, http.StatusNotFound, client.ProblemNotFound},
	{notify.ErrConflict, http.StatusConflict, client.ProblemConflict},
	{notify.ErrNoMail, http.StatusConflict, client.ProblemConflict},
	{notify.ErrOff, http.StatusConflict, client.ProblemConflict},
	{notify.ErrOnce, http.StatusConflict, client.ProblemConflict},
	{notify.ErrUnderWay, http.StatusConflict, client.ProblemConflict},
	{signin.ErrMissing, http.StatusNotFound, client.ProblemNotFound},
	{signin.ErrLink, http.StatusNotFound, client.ProblemNotFound},
	{signin.ErrEnded, http.StatusConflict, client.ProblemConflict},
	{signin.ErrKind, http.StatusConflict, client.ProblemConflict},
	{signin.ErrRegistration, http.StatusConflict, client.ProblemConflict},
	{jobs.ErrMissing, http.StatusNotFound, client.ProblemNotFound},
	{jobs.ErrFinished, http.StatusConflict, client.ProblemConflict},
	{batch.ErrMissing, http.StatusNotFound, client.ProblemNotFound},
	{connection.ErrNoFilter, http.StatusNotFound, client.ProblemNotFound},
	{batch.ErrEnded, http.StatusConflict, client.ProblemConflict},
	{campaign.ErrMissing, http.StatusNotFound, client.ProblemNotFound},
	{campaign.ErrState, http.StatusConflict, client.ProblemConflict},
	{campaign.ErrConflict, http.StatusConflict, client.ProblemConflict},
	{campaign.ErrNoMail, http.StatusConflict, client.ProblemConflict},
	{campaign.ErrOwnTokens, http.StatusConflict, client.ProblemConflict},
	{jobs.ErrRunning, http.StatusConflict, client.ProblemConflict},
	{backup.ErrBusy, http.StatusConflict, client.ProblemConflict},
	{secrets.ErrRotating, http.StatusConflict, client.ProblemConflict},
	{secrets.ErrRotated, http.StatusServiceUnavailable, client.ProblemBusy},
	{context.DeadlineExceeded, http.StatusServiceUnavailable, client.ProblemBusy},
}

// answer turns an error of a feature into a problem. What is not known is
// "internal": its text goes to the log and not to the caller.
func (f *face) answer(ctx context.Context, err error) error {
	p := problemOf(err)
	if p.Status == http.StatusInternalServerError {
		p.RequestID = requestID(ctx)
		f.Log.ErrorContext(ctx, "answering a request", "error", err, "request", p.RequestID)
	}
	return p
}

func problemOf(err error) *client.Problem {
	var p *client.Problem
	if errors.As(err, &p) {
		return p
	}
	for _, k := range known {
		if errors.Is(err, k.err) {
			if k.kind == client.ProblemNotFound {
				return notFound()
			}
			return problem(k.status, k.kind, err.Error())
		}
	}
	if p := refused(err); p != nil {
		return p
	}
	if faults := faultsOf(err); len(faults) > 0 {
		return invalid(faults...)
	}
	var said *microsoft.Error
	if errors.As(err, &said) {
		p := problem(http.StatusBadGateway, client.ProblemMicrosoft, said.Error())
		if refusal := (*signin.Refusal)(nil); errors.As(err, &refusal) {
			p.Detail = refusal.Error()
		}
		p.Diagnosis = diagnosisOf(diagnosis.Of(err, diagnosis.Facts{}))
		return p
	}
	return problem(http.StatusInternalServerError, client.ProblemInternal, "the server's log tells more under the request's id")
}

// refused are the errors that say no or not now.
func refused(err error) *client.Problem {
	var no *audit.Refused
	var limited *operator.Limited
	var busy *pace.Busy
	var weak *operator.Weak
	var broken *audit.Broken
	var parked *connection.ParkedError
	var refusal *signin.Refusal
	switch {
	case errors.As(err, &no):
		switch {
		case no.Nobody:
			return problem(http.StatusUnauthorized, client.ProblemNotSignedIn, operator.ErrSession.Error())
		case no.Hidden: // just as if it were not there
			return notFound()
		}
		return problem(http.StatusForbidden, client.ProblemRefused, no.Error())
	case errors.As(err, &limited):
		p := problem(http.StatusTooManyRequests, client.ProblemLimited, limited.Error())
		p.RetryAfter = seconds(limited.RetryAfter)
		return p
	case errors.As(err, &busy):
		p := problem(http.StatusServiceUnavailable, client.ProblemBusy, busy.Error())
		p.RetryAfter = seconds(busy.RetryAfter)
		return p
	case errors.As(err, &weak):
		return invalid(client.Fault{Field: "password", Problem: weak.Reason})
	case errors.As(err, &parked):
		return problem(http.StatusConflict, client.ProblemConflict, parked.Error())
	case errors.As(err, &refusal) && refusal.Err == nil:
		return problem(http.StatusConflict, client.ProblemConflict, refusal.Error())
	case errors.As(err, &broken):
		return problem(http.StatusConflict, client.ProblemConflict, broken.Error())
	}
	return nil
}

// invalid names the fields that cannot be used.
func invalid(faults ...client.Fault) *client.Problem {
	p := problem(http.StatusUnprocessableEntity, client.ProblemInvalid, "some fields cannot be used")
	p.Faults = faults
	return p
}

// notFound is the same for what is not there and what may not be seen.
func notFound() *client.Problem {
	return problem(http.StatusNotFound, client.ProblemNotFound, "there is no such thing, or it is not for you to see")
}

func seconds(d time.Duration) int { return max(1, int(math.Ceil(d.Seconds()))) }

// faultsOf reads what features say of single fields.
func faultsOf(err error) (faults []client.Fault) {
	var all fault.List
	var one *fault.Field
	switch {
	case errors.As(err, &all):
	case errors.As(err, &one):
		all = fault.List{one}
	}
	for _, e := range all {
		faults = append(faults, client.Fault{Field: e.Field, Problem: e.Problem, Way: e.Way})
	}
	return faults
}

// Huma makes its own problems (a body that is no JSON, a field that is missing)
// through this variable; there is no other way to have them in our form.
func init() {
	huma.NewError = func(status int, message string, errs ...error) huma.StatusError {
		kind := client.ProblemBadRequest
		switch status {
		case http.StatusUnprocessableEntity:
			kind, message = client.ProblemInvalid, "some fields cannot be used"
		case http.StatusInternalServerError:
			return problem(status, client.ProblemInternal, "the server's log tells more")
		}
		p := problem(status, kind, message)
		for _, err := range errs {
			fault := client.Fault{Problem: err.Error()}
			var detail huma.ErrorDetailer
			if errors.As(err, &detail) {
				d := detail.ErrorDetail() // without its value, which may be a secret
				fault = client.Fault{Field: strings.TrimPrefix(d.Location, "body."), Problem: d.Message}
			}
			p.Faults = append(p.Faults, fault)
		}
		return p
	}
}

// Refuse answers a request of the API that does not come as far as it: the
// server's own refusals have the form of all others.
func Refuse(w http.ResponseWriter, status int, kind, detail string) {
	writeProblem(w, problem(status, kind, detail))
}

// writeProblem answers where huma is not asked.
func writeProblem(w http.ResponseWriter, p *client.Problem) {
	for name, values := range p.GetHeaders() {
		w.Header()[name] = values
	}
	w.Header().Set("Content-Type", p.ContentType(""))
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // a lost connection: nobody is left to tell
}

// methods gives the router's own 405 the form of a problem.
func methods(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handler, pattern := mux.Handler(r)
		if pattern == "/api/" {
			allowed := []string{}
			for _, m := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
				other := r.Clone(r.Context())
				other.Method = m
				if _, p := mux.Handler(other); p != "/api/" {
					allowed = append(allowed, m)
				}
			}
			if len(allowed) > 0 {
				w.Header().Set("Allow", strings.Join(allowed, ", "))
				writeProblem(w, problem(http.StatusMethodNotAllowed, client.ProblemMethod, r.Method+" is not for this address; it knows "+strings.Join(allowed, ", ")))
				return
			}
			handler.ServeHTTP(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	})
}
