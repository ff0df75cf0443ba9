package lab

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"gatehouse/lab/internal/directory"
)

// manage adds to the control port what changes a running lab: faults, journal,
// tenants, state.
func (l *Lab) manage(mux *http.ServeMux) {
	mux.HandleFunc("GET /faults", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, map[string]any{"faults": l.faults.all()}) })
	mux.HandleFunc("POST /faults", func(w http.ResponseWriter, r *http.Request) {
		var f Fault
		if !readJSON(w, r, &f) {
			return
		}
		added, err := l.faults.add(f)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.WriteHeader(http.StatusCreated)
		writeJSON(w, added)
	})
	mux.HandleFunc("DELETE /faults", func(w http.ResponseWriter, _ *http.Request) {
		l.ClearFaults()
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("DELETE /faults/{id}", func(w http.ResponseWriter, r *http.Request) {
		if !l.faults.remove(r.PathValue("id")) {
			http.Error(w, "No fault has this id.", http.StatusNotFound)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("GET /journal", func(w http.ResponseWriter, r *http.Request) {
		found, err := l.journalFor(r)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		writeJSON(w, map[string]any{"count": len(found), "exchanges": found})
	})
	mux.HandleFunc("GET /journal/assert", l.assertJournal)
	mux.HandleFunc("GET /journal/tally", func(w http.ResponseWriter, r *http.Request) {
		found, err := l.journalFor(r)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		writeJSON(w, map[string]any{"calls": tally(found)})
	})
	mux.HandleFunc("DELETE /journal", func(w http.ResponseWriter, _ *http.Request) {
		l.journal.clear()
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("POST /tenants", l.addTenants)
	mux.HandleFunc("PATCH /tenants/{tenant}", l.patchTenant)
	mux.HandleFunc("PATCH /tenants/{tenant}/users/{user}", l.patchUser)
	mux.HandleFunc("PUT /tenants/{tenant}/sites", l.changeSite)
	mux.HandleFunc("PUT /tenants/{tenant}/cards", l.setCard)
	l.dataSources(mux)
	mux.HandleFunc("GET /state", func(w http.ResponseWriter, _ *http.Request) {
		data, err := l.store.Export()
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(data)
	})
	mux.HandleFunc("PUT /state", func(w http.ResponseWriter, r *http.Request) {
		data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 256<<20))
		if err == nil {
			err = l.store.Import(data)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
}

// readJSON decodes a body whose members must all be known; it answers itself
// if that fails.
func readJSON(w http.ResponseWriter, r *http.Request, into any) bool {
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		http.Error(w, "The body cannot be read: "+err.Error(), http.StatusBadRequest)
		return false
	}
	return true
}

// journalFor reads the filter of a journal request: service, method, path (a
// pattern), status, client_id, username, grant_type.
func (l *Lab) journalFor(r *http.Request) ([]Exchange, error) {
	query := r.URL.Query()
	for name := range query {
		switch name {
		case "service", "method", "path", "status", "client_id", "username", "grant_type", "count", "at_least", "at_most":
		default:
			return nil, fmt.Errorf("%q is no filter of the journal: use service, method, path, status, client_id, username, grant_type", name)
		}
	}
	status := 0
	if s := query.Get("status"); s != "" {
		var err error
		if status, err = strconv.Atoi(s); err != nil {
			return nil, fmt.Errorf("status is %q, must be a number", s)
		}
	}
	match := Fault{Service: query.Get("service"), Method: query.Get("method"), Path: query.Get("path"), Grant: query.Get("grant_type"), Client: query.Get("client_id"), User: query.Get("username")}
	return l.journal.find(func(e Exchange) bool { return match.matches(&e) && (status == 0 || e.Status == status) }), nil
}

// assertJournal answers 200 if as many exchanges were seen as asked (count, or
// at_least and at_most), else 409 with what was seen.
func (l *Lab) assertJournal(w http.ResponseWriter, r *http.Request) {
	found, err := l.journalFor(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	holds, asked := true, false
	for name, test := range map[string]func(n int) bool{
		"count": func(n int) bool { return len(found) == n }, "at_least": func(n int) bool { return len(found) >= n }, "at_most": func(n int) bool { return len(found) <= n },
	} {
		value := r.URL.Query().Get(name)
		if value == "" {
			continue
		}
		n, err := strconv.Atoi(value)
		if err != nil {
			http.Error(w, fmt.Sprintf("%s is %q, must be a number", name, value), http.StatusBadRequest)
			return
		}
		asked, holds = true, holds && test(n)
	}
	if !asked {
		http.Error(w, "Say how many: count, at_least or at_most.", http.StatusBadRequest)
		return
	}
	if !holds {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusConflict)
	}
	writeJSON(w, map[string]any{"holds": holds, "count": len(found), "exchanges": found})
}

// addTenants adds the tenants of a tenants file to the running lab and answers
// with their part of the ready file.
func (l *Lab) addTenants(w http.ResponseWriter, r *http.Request) {
	added, err := l.AddTenants(http.MaxBytesReader(w, r.Body, directory.MaxFile))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.WriteHeader(http.StatusCreated)
	writeJSON(w, map[string]any{"tenants": added})
}

// AddTenants adds the tenants of a tenants file to the running lab. The error
// is [FileFaults] where the file has mistakes.
func (l *Lab) AddTenants(file io.Reader) ([]ReadyTenant, error) {
	parsed, err := directory.Parse(file, l.Now())
	if err != nil {
		return nil, err
	}
	samples, err := l.store.Add(parsed)
	if err != nil {
		return nil, err
	}
	l.readyMu.Lock()
	defer l.readyMu.Unlock()
	added := l.describeTenants(samples)
	l.ready.Tenants = append(l.ready.Tenants, added...)
	return added, nil
}

// patchTenant changes the rules of a tenant: the members of a tenants file of
// the same name.
func (l *Lab) patchTenant(w http.ResponseWriter, r *http.Request) {
	var change struct {
		SecurityDefaults *bool `json:"security_defaults"`
		MandatoryMFA     *bool `json:"mandatory_mfa"`
		AppPasswords     *bool `json:"app_passwords"`
		RememberDays     *int  `json:"remember_mfa_days"`
		Consent          *struct {
			Users         *string `json:"users"`
			AdminRequests *bool   `json:"admin_requests"`
		} `json:"consent"`
	}
	if !readJSON(w, r, &change) {
		return
	}
	if c := change.Consent; c != nil && c.Users != nil {
		switch *c.Users {
		case "all", "low_risk", "managed", "none":
		default:
			http.Error(w, fmt.Sprintf("consent.users is %q, must be all, low_risk, managed or none", *c.Users), http.StatusBadRequest)
			return
		}
	}
	if days := change.RememberDays; days != nil && (*days < 0 || *days > directory.MaxRememberDays) {
		http.Error(w, fmt.Sprintf("remember_mfa_days is %d, must be from 0 to %d", *days, directory.MaxRememberDays), http.StatusBadRequest)
		return
	}
	found := l.store.Update(r.PathValue("tenant"), func(t *directory.Tenant) {
		set(&t.SecurityDefaults, change.SecurityDefaults)
		set(&t.MandatoryMFA, change.MandatoryMFA)
		set(&t.AppPasswords, change.AppPasswords)
		set(&t.RememberDays, change.RememberDays)
		if c := change.Consent; c != nil {
			set(&t.Consent.Users, c.Users)
			set(&t.Consent.AdminRequests, c.AdminRequests)
		}
	})
	answerChange(w, found, "tenant")
}

func set[T any](into *T, value *T) {
	if value != nil {
		*into = *value
	}
}

func answerChange(w http.ResponseWriter, found bool, what string) {
	if !found {
		http.Error(w, "No "+what+" has this name.", http.StatusNotFound)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// patchUser changes a user as no administrator's API could: at once, without a
// token.
func (l *Lab) patchUser(w http.ResponseWriter, r *http.Request) {
	var change struct {
		Enabled         *bool   `json:"enabled"`
		Locked          *bool   `json:"locked"`
		Password        *string `json:"password"`
		ResetIn         *string `json:"reset_in"`
		PasswordExpired *bool   `json:"password_expired"`
		PerUserMFA      *string `json:"per_user_mfa"`
		DefaultMethod   *string `json:"default_method"`
		RevokeSessions  bool    `json:"revoke_sessions"`
		circumstances
	}
	if !readJSON(w, r, &change) {
		return
	}
	err := checkUserChange(change.PerUserMFA, change.Password)
	if in := change.ResetIn; err == nil && in != nil && (change.Password == nil || *in != string(directory.AzurePortal) && *in != string(directory.EntraAdminCentre)) {
		err = fmt.Errorf("reset_in is %q, must be azure_portal or entra_admin_centre, and goes with password", *in)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	device, err := change.check()
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	now, known := l.Now().UTC(), false
	l.store.Update(r.PathValue("tenant"), func(t *directory.Tenant) {
		u := t.User(r.PathValue("user"))
		if known = u != nil; !known {
			return
		}
		set(&u.Enabled, change.Enabled)
		set(&u.PasswordExpired, change.PasswordExpired)
		set(&u.PerUserMFA, change.PerUserMFA)
		set(&u.DefaultMethod, change.DefaultMethod)
		if change.Locked != nil {
			u.LockedUntil, u.FailedPasswords = time.Time{}, 0
			if *change.Locked {
				u.LockedUntil = now.AddDate(10, 0, 0)
			}
		}
		if change.Password != nil {
			portal := directory.EntraAdminCentre
			set(&portal, (*directory.Portal)(change.ResetIn))
			u.SetPassword(directory.HashPassword(*change.Password), portal, now)
			set(&u.PasswordExpired, change.PasswordExpired)
		}
		if change.RevokeSessions {
			u.Revoke(now)
		}
		change.apply(u, device, now)
	})
	answerChange(w, known, "user of this tenant")
}

// circumstances are what Conditional Access asks of a user's sign-ins.
type circumstances struct {
	UserRisk    *string         `json:"user_risk"`
	SignInRisk  *string         `json:"sign_in_risk"`
	Device      json.RawMessage `json:"device"` // null takes it away
	ForgetTerms bool            `json:"forget_terms"`
}

func (c *circumstances) check() (*directory.Device, error) {
	for name, level := range map[string]*string{"user_risk": c.UserRisk, "sign_in_risk": c.SignInRisk} {
		if level != nil && !directory.RiskLevel(*level) {
			return nil, fmt.Errorf("%s is %q, must be none, low, medium or high", name, *level)
		}
	}
	if c.Device == nil {
		return nil, nil
	}
	return directory.ReadDevice(c.Device)
}

func (c *circumstances) apply(u *directory.User, device *directory.Device, now time.Time) {
	if c.UserRisk != nil {
		state := map[bool]string{true: "none", false: "atRisk"}[*c.UserRisk == "none"]
		u.SetRisk(*c.UserRisk, state, "none", "", now)
	}
	set(&u.SignInRisk, c.SignInRisk)
	if c.Device != nil {
		u.Device = device
	}
	if c.ForgetTerms {
		u.Terms = nil
	}
}

func checkUserChange(perUser, password *string) error {
	if perUser != nil && *perUser != "disabled" && *perUser != "enabled" && *perUser != "enforced" {
		return fmt.Errorf("per_user_mfa is %q, must be disabled, enabled or enforced", *perUser)
	}
	if password != nil && (*password == "" || len(*password) > 256 || strings.TrimSpace(*password) != *password) {
		return errors.New("password must have 1 to 256 characters and no blank at either end")
	}
	return nil
}

// tenantID gives the id of the tenant that a path names, "" if there is none.
func (l *Lab) tenantID(r *http.Request) (id string) {
	l.store.View(r.PathValue("tenant"), func(t *directory.Tenant) { id = t.ID })
	return id
}
