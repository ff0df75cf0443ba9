package lab

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"gatehouse/lab/internal/directory"
)

// siteChange is a grant to an app, as an administrator gives it after consent to
// Sites.Selected, or the authentication context that the site wants of people.
type siteChange struct {
	Site     string  `json:"site"`
	ClientID string  `json:"client_id"`
	Role     string  `json:"role"`
	Context  *string `json:"context"` // "" takes it away
}

func (c *siteChange) check() error {
	switch c.Role {
	case "read", "write", "manage", "fullcontrol", "none":
	case "":
		if c.Context == nil {
			return errors.New("role or context must be given")
		}
	default:
		return fmt.Errorf("role is %q, must be read, write, manage, fullcontrol or none", c.Role)
	}
	if !strings.HasPrefix(c.Site, "/") || (c.ClientID == "") != (c.Role == "") {
		return errors.New("site must be a path such as /sites/finance, and client_id goes with role")
	}
	return nil
}

// changeSite gives an app a role on one SharePoint site, or the site an
// authentication context.
func (l *Lab) changeSite(w http.ResponseWriter, r *http.Request) {
	var change siteChange
	if !readJSON(w, r, &change) {
		return
	}
	err, id := change.check(), l.tenantID(r)
	if err == nil && change.Context != nil {
		l.store.Update(id, func(t *directory.Tenant) { err = t.SharePoint.SetContext(change.Site, *change.Context) })
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if id != "" && change.Role != "" {
		l.sharePoint.GrantSite(id, change.Site, change.ClientID, change.Role)
	}
	answerChange(w, id != "", "tenant")
}

// setCard puts the card of an app into a Business Central environment.
func (l *Lab) setCard(w http.ResponseWriter, r *http.Request) {
	var card struct {
		Environment    string   `json:"environment"`
		ClientID       string   `json:"client_id"`
		Enabled        bool     `json:"enabled"`
		PermissionSets []string `json:"permission_sets"`
	}
	if !readJSON(w, r, &card) {
		return
	}
	if card.Environment == "" || card.ClientID == "" {
		http.Error(w, "environment and client_id must be given", http.StatusBadRequest)
		return
	}
	id := l.tenantID(r)
	if id != "" {
		l.businessCentral.SetCard(id, card.Environment, card.ClientID, card.Enabled, card.PermissionSets)
	}
	answerChange(w, id != "", "tenant")
}
