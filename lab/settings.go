package lab

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/lab/internal/graphsim"
)

// Settings are delays and limits that cost whoever meets them real waiting, and
// habits that Entra ID does not have. All are off unless they are asked for; the
// lab's clock moves the delays.
type Settings struct {
	// CredentialDelay is how long a new secret, certificate or federated
	// credential of an app stays unknown to the token endpoint.
	CredentialDelay time.Duration
	// ReplicationDelay is how long readers of Graph see a changed object as it
	// was, and a new one not at all.
	ReplicationDelay time.Duration
	// ReportLag is how old the report of registered methods may be.
	ReportLag time.Duration
	// Throttle keeps Graph's documented limits: one request a second on
	// Conditional Access policies and the like, refused with 429.
	Throttle bool
	// SingleUse lets a refresh token be used once only: its second use revokes
	// every token that goes back to the same sign-in (RFC 9700 §4.14.2). Entra ID
	// does not do so; other services do.
	SingleUse bool
}

// maxDelay bounds the delays: a week.
const maxDelay = 7 * 24 * time.Hour

// graphServer is Graph with the settings in force.
type graphServer struct {
	cfg      graphsim.Config // without settings
	mu       sync.Mutex      // of a change
	settings Settings
	current  atomic.Pointer[graphsim.Server]
}

func (g *graphServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.current.Load().ServeHTTP(w, r)
}

// Settings gives the settings in force.
func (l *Lab) Settings() Settings {
	l.graph.mu.Lock()
	defer l.graph.mu.Unlock()
	return l.graph.settings
}

// SetSettings puts settings in force. Links to further pages that Graph gave
// out before, and what it counted for limits, end with it.
func (l *Lab) SetSettings(s Settings) error {
	for name, d := range map[string]time.Duration{"credential_delay": s.CredentialDelay, "replication_delay": s.ReplicationDelay, "report_lag": s.ReportLag} {
		if d < 0 || d > maxDelay {
			return fmt.Errorf("%s is %s, must be between 0s and %s", name, d, maxDelay)
		}
	}
	l.graph.mu.Lock()
	defer l.graph.mu.Unlock()
	cfg := l.graph.cfg
	cfg.PropagationDelay, cfg.ReplicationDelay, cfg.ReportLag, cfg.Throttle = s.CredentialDelay, s.ReplicationDelay, s.ReportLag, s.Throttle
	l.graph.settings = s
	l.sts.SetSingleUse(s.SingleUse)
	l.graph.current.Store(graphsim.New(cfg))
	return nil
}

// settingsForm is how the control port writes settings.
type settingsForm struct {
	CredentialDelay  duration `json:"credential_delay"`
	ReplicationDelay duration `json:"replication_delay"`
	ReportLag        duration `json:"report_lag"`
	Throttle         bool     `json:"throttle"`
	SingleUse        bool     `json:"single_use"`
}

// duration is a duration as text, "30s".
type duration time.Duration

// MarshalJSON writes the text.
func (d duration) MarshalJSON() ([]byte, error) { return json.Marshal(time.Duration(d).String()) }

// UnmarshalJSON reads the text.
func (d *duration) UnmarshalJSON(data []byte) error {
	var text string
	if err := json.Unmarshal(data, &text); err != nil {
		return err
	}
	parsed, err := time.ParseDuration(text)
	if err != nil {
		return fmt.Errorf("%w; use a duration such as 30s", err)
	}
	*d = duration(parsed)
	return nil
}

// manageSettings adds the settings to the control port.
func (l *Lab) manageSettings(mux *http.ServeMux) {
	form := func(s Settings) settingsForm {
		return settingsForm{duration(s.CredentialDelay), duration(s.ReplicationDelay), duration(s.ReportLag), s.Throttle, s.SingleUse}
	}
	mux.HandleFunc("GET /settings", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, form(l.Settings())) })
	mux.HandleFunc("PATCH /settings", func(w http.ResponseWriter, r *http.Request) {
		body := form(l.Settings()) // what is left out stays
		if !readJSON(w, r, &body) {
			return
		}
		s := Settings{time.Duration(body.CredentialDelay), time.Duration(body.ReplicationDelay), time.Duration(body.ReportLag), body.Throttle, body.SingleUse}
		if err := l.SetSettings(s); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		writeJSON(w, form(s))
	})
}
