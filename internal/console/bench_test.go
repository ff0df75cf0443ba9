package console_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"gatehouse/internal/connection"
	"gatehouse/internal/secrets"
)

// BenchmarkPages measures how long the server takes for a page of a house with
// 2,000 connections in four tenants. The bar is 100 ms.
func BenchmarkPages(b *testing.B) {
	h, cookie, _ := furnished(b)
	shown := h.connection("Admin tool")
	for i := range 2000 {
		_, err := h.connections.Create(h.boss(), connection.CreateRequest{
			TenantID: shown.TenantID, Kind: connection.ServiceAccount, Profile: connection.Profile{Name: fmt.Sprintf("Agent %04d", i), Username: fmt.Sprintf("agent%04d@defaultshield.example", i), Services: []string{"graph", "sharepoint"}},
			Credential: connection.CredentialRequest{Password: secrets.New("never sent anywhere")},
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	for _, page := range []screen{{"overview", "/"}, {"tenants", "/tenants"}, {"tenant", "/tenants/" + shown.TenantID}, {"connections", "/connections"}, {"connection", "/connections/" + shown.ID}, {"jobs", "/jobs"}, {"audit", "/audit"}} {
		b.Run(page.name, func(b *testing.B) {
			for b.Loop() {
				r := httptest.NewRequest(http.MethodGet, page.path, nil)
				r.AddCookie(cookie)
				w := httptest.NewRecorder()
				if h.server.Config.Handler.ServeHTTP(w, r); w.Code != http.StatusOK {
					b.Fatalf("%s is answered %d", page.path, w.Code)
				}
			}
		})
	}
}

// connection finds one by its name.
func (h *house) connection(name string) connection.Connection {
	h.t.Helper()
	all, _, err := h.connections.List(h.boss(), connection.Filter{Search: name}, connection.Page{})
	if len(must(h.t, all, err)) == 0 {
		h.t.Fatalf("there is no connection %s", name)
	}
	return all[0]
}
