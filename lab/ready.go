package lab

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"gatehouse/lab/internal/directory"
	"gatehouse/lab/internal/spsim"
)

// Ready is what the ready file says. Members without value are null.
type Ready struct {
	URL        string        `json:"url"`
	ControlURL string        `json:"control_url"`
	ProxyURL   string        `json:"proxy_url"`
	PhoneURL   string        `json:"phone_url"`
	CAFile     string        `json:"ca_file"` // absolute
	Seed       uint64        `json:"seed"`
	Tenants    []ReadyTenant `json:"tenants"`
}

// ReadyTenant is one tenant of the ready file.
type ReadyTenant struct {
	ID            string      `json:"id"`
	Name          string      `json:"name"`
	Domain        string      `json:"domain"`
	Story         string      `json:"story"`
	SharePointURL string      `json:"sharepoint_url"` // on the lab's own address; with -admin or -my for those hosts
	Users         []ReadyUser `json:"users"`
	Apps          []ReadyApp  `json:"apps"`
}

// ReadyUser is one user of the ready file.
type ReadyUser struct {
	ID          string  `json:"id"`
	UPN         string  `json:"upn"`
	Password    *string `json:"password"`
	AppPassword *string `json:"app_password"`
	TOTPSecret  *string `json:"totp_secret"` // base32
	Story       string  `json:"story"`
}

// ReadyApp is one app of the ready file.
type ReadyApp struct {
	ClientID        string  `json:"client_id"`
	Name            string  `json:"name"`
	Purpose         string  `json:"purpose"`
	Public          bool    `json:"public"`
	Secret          *string `json:"secret"`
	CertificateFile *string `json:"certificate_file"` // PEM, certificate and key
	Story           string  `json:"story"`
}

// Ready gives addresses, tenants and credentials of the lab.
func (l *Lab) Ready() Ready {
	l.readyMu.RLock()
	defer l.readyMu.RUnlock()
	ready := l.ready
	ready.Tenants = slices.Clone(ready.Tenants)
	return ready
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func (l *Lab) describe(st *state, samples []directory.Sample, control, proxy string) Ready {
	return Ready{
		URL: "https://" + l.address, ControlURL: "http://" + control, ProxyURL: "http://" + proxy, PhoneURL: "http://" + control + "/phone",
		CAFile: filepath.Join(l.folder, caFile), Seed: st.seed, Tenants: l.describeTenants(samples),
	}
}

func (l *Lab) describeTenants(samples []directory.Sample) []ReadyTenant {
	tenants := []ReadyTenant{}
	for _, s := range samples {
		t := ReadyTenant{ID: s.TenantID, Name: s.Name, Domain: s.Domain, Story: s.Story, SharePointURL: spsim.Address("https://"+l.address, s.SharePoint), Users: []ReadyUser{}, Apps: []ReadyApp{}}
		for _, u := range s.Users {
			t.Users = append(t.Users, ReadyUser{ID: u.ID, UPN: u.UPN, Password: optional(u.Password), AppPassword: optional(u.AppPassword), TOTPSecret: optional(u.TOTPSecret), Story: u.Story})
		}
		for _, a := range s.Apps {
			app := ReadyApp{ClientID: a.ClientID, Name: a.Name, Purpose: a.Purpose, Public: a.Public, Secret: optional(a.Secret), Story: a.Story}
			if a.CertificateName != "" {
				app.CertificateFile = optional(filepath.Join(l.folder, certificateFile(a.CertificateName)))
			}
			t.Apps = append(t.Apps, app)
		}
		tenants = append(tenants, t)
	}
	return tenants
}

// WriteReady writes the ready file by rename, so that whoever waits for it
// never reads half of it. It holds credentials: mode 0600.
func (l *Lab) WriteReady(file string) error {
	data, err := json.MarshalIndent(l.Ready(), "", "  ")
	if err != nil {
		return fmt.Errorf("encoding the ready file: %w", err)
	}
	temporary, err := os.CreateTemp(filepath.Dir(file), ".ready-*")
	if err != nil {
		return fmt.Errorf("writing the ready file: %w", err)
	}
	_, err = temporary.Write(append(data, '\n'))
	if closeErr := temporary.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(temporary.Name(), file)
	}
	if err != nil {
		_ = os.Remove(temporary.Name()) // the write error is the one to tell
		return fmt.Errorf("writing the ready file: %w", err)
	}
	return nil
}
