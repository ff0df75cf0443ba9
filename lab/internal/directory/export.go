package directory

import (
	"crypto/sha1" //nolint:gosec // x5t is defined as SHA-1 (RFC 7515 §4.1.7)
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// exportFormat is the version of the exported form.
const exportFormat = 1

// exported is a whole store. It holds hashes, not secrets, and the key of the
// secrets' hash.
type exported struct {
	Format  int       `json:"format"`
	Key     []byte    `json:"key"`
	Tenants []*Tenant `json:"tenants"`
}

// Export gives everything that the store knows, as JSON for [Store.Import] of
// the same version.
func (s *Store) Export() ([]byte, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	data, err := json.Marshal(exported{exportFormat, s.key, s.tenants})
	if err != nil {
		return nil, fmt.Errorf("exporting the directory: %w", err)
	}
	return data, nil
}

// Import replaces everything that the store knows. Nothing changes on error.
func (s *Store) Import(data []byte) error {
	var in exported
	if err := json.Unmarshal(data, &in); err != nil {
		return fmt.Errorf("importing the directory: %w", err)
	}
	if in.Format != exportFormat || len(in.Key) != len(s.key) {
		return fmt.Errorf("importing the directory: format is %d, this version reads %d", in.Format, exportFormat)
	}
	fresh := newStore(Config{Now: s.now})
	for _, t := range in.Tenants {
		if t == nil || t.ID == "" || len(t.Domains) == 0 || fresh.byName[t.ID] != nil {
			return fmt.Errorf("importing the directory: a tenant has no id or domain, or stands there twice")
		}
		fresh.add(t)
		if t.hasEmpty() {
			return fmt.Errorf("importing the directory: the tenant %s has an empty object", t.ID)
		}
		users, groups, apps, principals := t.Users, t.Groups, t.Apps, t.Principals
		t.Users, t.Groups, t.Apps, t.Principals = nil, nil, nil, nil
		for _, u := range users {
			t.AddUser(u)
		}
		for _, g := range groups {
			t.AddGroup(g)
		}
		for _, a := range apps {
			t.AddApp(a)
		}
		for _, p := range principals {
			t.AddPrincipal(p)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.key, s.tenants, s.byName, s.indexes, s.apps = in.Key, fresh.tenants, fresh.byName, fresh.indexes, fresh.apps
	for _, t := range s.tenants {
		t.store = s
	}
	return nil
}

// hasEmpty reports whether one of the tenant's lists holds a null.
func (t *Tenant) hasEmpty() bool {
	for _, objects := range [][]*Object{t.ConditionalAccess, t.NamedLocations, t.DeletedConditionalAccess, t.DeletedNamedLocations, t.Strengths, t.Contexts, t.Agreements, t.GrantPolicies} {
		if hasNil(objects) {
			return true
		}
	}
	return hasNil(t.Users) || hasNil(t.Groups) || hasNil(t.Apps) || hasNil(t.Principals) || hasNil(t.Grants) || hasNil(t.AppRoles) || hasNil(t.SignIns) ||
		hasNil(t.Classifications) || hasNil(t.Audits)
}

func hasNil[T any](list []*T) bool { return slices.Contains(list, nil) }

// Add builds the tenants of a file into the store. Ids, domains and client ids
// that the store has already are refused as [Faults].
func (s *Store) Add(file *File) ([]Sample, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var faults Faults
	for i, t := range file.Tenants {
		path := fmt.Sprintf("tenants[%d]", i)
		if t.ID != "" && s.byName[t.ID] != nil {
			faults = append(faults, Fault{path + ".id", fmt.Sprintf("the lab has a tenant %q already", t.ID)})
		}
		for _, d := range t.Domains {
			if s.byName[strings.ToLower(d.Name)] != nil {
				faults = append(faults, Fault{path + ".domain", fmt.Sprintf("the lab has a tenant with the domain %q already", d.Name)})
			}
		}
		for j, a := range t.Apps {
			if a.ClientID != "" && a.From == "" && s.apps[a.ClientID] != nil {
				faults = append(faults, Fault{fmt.Sprintf("%s.apps[%d].client_id", path, j), fmt.Sprintf("the lab has an app %q already", a.ClientID)})
			}
		}
	}
	if len(faults) > 0 {
		return nil, faults
	}
	return s.build(file)
}

// certificateForm is a certificate as it is exported.
type certificateForm struct {
	KeyID, Name string
	DER         []byte
	Usable      time.Time
}

// MarshalJSON exports the certificate.
func (c *Certificate) MarshalJSON() ([]byte, error) {
	return json.Marshal(certificateForm{c.KeyID, c.Name, c.Certificate.Raw, c.Usable})
}

// UnmarshalJSON imports a certificate.
func (c *Certificate) UnmarshalJSON(data []byte) error {
	var form certificateForm
	if err := json.Unmarshal(data, &form); err != nil {
		return err
	}
	parsed, err := x509.ParseCertificate(form.DER)
	if err != nil {
		return fmt.Errorf("reading the certificate %q: %w", form.Name, err)
	}
	*c = Certificate{KeyID: form.KeyID, Name: form.Name, Usable: form.Usable, Certificate: parsed, SHA1: sha1.Sum(parsed.Raw), SHA256: sha256.Sum256(parsed.Raw)} //nolint:gosec // see the import
	return nil
}
