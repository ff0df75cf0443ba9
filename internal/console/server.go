package console

import (
	"errors"
	"net/http"
	"time"

	"gatehouse/client"
	"gatehouse/internal/audit"
	"gatehouse/internal/backup"
)

// serverView is what the page of the server itself shows.
type serverView struct {
	Findings []client.Finding
	LastMade time.Time // of backups; zero if none was ever made
	Version  string
	Busy     bool // a backup is being made already
}

// stale is how old the last backup may be before the page says so.
const stale = 48 * time.Hour

func (c *console) server(w http.ResponseWriter, r *http.Request, f *frame) error {
	return c.showServer(w, r, f, http.StatusOK, false)
}

func (c *console) showServer(w http.ResponseWriter, r *http.Request, f *frame, status int, busy bool) error {
	if err := c.Audit.Allow(r.Context(), audit.AllTenants, audit.SettingsView); err != nil {
		return err
	}
	made, err := c.Audit.LastOn(r.Context(), backup.Object, backup.Action)
	if err != nil {
		return err
	}
	f.Title, f.Noun = "Server", "server"
	return show(w, r, status, serverPage(f, serverView{Findings: c.Doctor(r.Context()), LastMade: made, Version: c.Version, Busy: busy}))
}

func (c *console) backup(w http.ResponseWriter, r *http.Request, f *frame) error {
	err := c.Backups.Send(r.Context(), w)
	if errors.Is(err, backup.ErrBusy) {
		return c.showServer(w, r, f, http.StatusConflict, true)
	}
	return err
}

// findingState is what a finding of the examination looks like.
func findingState(s string) state {
	switch s {
	case "passed":
		return state{good, "check", "Fine"}
	case "warning":
		return state{warn, "warning", "Look at it"}
	case "failed":
		return state{bad, "cross", "Failed"}
	}
	return state{none, "question", "Unknown"}
}

// eraseView asks before a person's name is erased.
func (c *console) erasePage(w http.ResponseWriter, r *http.Request, f *frame) error {
	if err := c.Audit.Allow(r.Context(), audit.AllTenants, audit.AuditErase); err != nil {
		return err
	}
	id := r.PathValue("id")
	f.Title, f.Noun = "Erase a person's name", "audit"
	return show(w, r, http.StatusOK, confirmPage(f, question{
		Of: "Audit", Back: "/audit?actor=" + id, Points: []string{
			"Name and addresses go out of the audit log and out of everything else that is kept here.",
			"What the person did stays, under " + id + ", and the log still verifies: an entry says that this was erased.",
			"This cannot be undone. Backups that were made before still hold the name.",
		},
		Action: r.URL.Path, Button: "Erase the name", Keep: "Keep the name",
	}))
}

func (c *console) erase(w http.ResponseWriter, r *http.Request, _ *frame) error {
	if err := c.Operators.Erase(r.Context(), r.PathValue("id")); err != nil {
		return err
	}
	return back(w, r, "/audit", "erased")
}
