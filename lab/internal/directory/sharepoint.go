package directory

import (
	"fmt"
	"maps"
	"regexp"
	"strings"
)

// SharePoint is under which names a tenant's SharePoint hosts are reached.
type SharePoint struct {
	// Name in host names; "": the first label of the initial domain, as for every
	// tenant that was never renamed.
	Name string
	// Location is the data location of the main host, "" for a tenant in one
	// place.
	Location string
	Geos     []Geo // satellites
	// Formerly are names that lead to the present one (one year after a rename).
	Formerly []string
	// Contexts are the authentication contexts (c1 …) that sites want of people,
	// by path in lower case.
	Contexts map[string]string `json:",omitempty"`
}

// Geo is a satellite: hosts of its own in another data location.
type Geo struct{ Name, Location string }

var contextName = regexp.MustCompile(`^c[1-9][0-9]?$`)

// SetContext makes a site, such as "/sites/finance", want an authentication
// context of people, "" for none.
func (s *SharePoint) SetContext(site, context string) error {
	if !strings.HasPrefix(site, "/") {
		return fmt.Errorf("the site is %q, must be a path such as /sites/finance", site)
	}
	if context != "" && !contextName.MatchString(context) {
		return fmt.Errorf("the authentication context is %q, must be c1 to c99", context)
	}
	contexts := maps.Clone(s.Contexts) // readers may hold the old one
	if contexts == nil {
		contexts = map[string]string{}
	}
	key := "/" + strings.Trim(strings.ToLower(site), "/")
	if contexts[key] = context; context == "" {
		delete(contexts, key)
	}
	s.Contexts = contexts
	return nil
}

// SharePointName is the tenant's name in its main SharePoint hosts.
func (t *Tenant) SharePointName() string {
	if t.SharePoint.Name != "" {
		return t.SharePoint.Name
	}
	name, _, _ := strings.Cut(strings.ToLower(t.Initial()), ".")
	return name
}

// SharePointGeos are the main hosts and the satellites.
func (t *Tenant) SharePointGeos() []Geo {
	return append([]Geo{{t.SharePointName(), t.SharePoint.Location}}, t.SharePoint.Geos...)
}

var hostLabel = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,50}[a-z0-9])?$`)

func sharePointLabel(n node) string {
	s := strings.ToLower(n.str())
	if s != "" && !hostLabel.MatchString(s) {
		n.fault("is %q, must be the first label of a host, such as contoso", clip(s))
	}
	return s
}

func sharePoint(n node) SharePoint {
	get := n.object("name", "location", "satellites", "formerly", "contexts")
	s := SharePoint{Name: sharePointLabel(get("name")), Location: strings.ToUpper(get("location").str())}
	for _, item := range get("satellites").list() {
		of := item.object("name", "location")
		of("name").required()
		geo := Geo{sharePointLabel(of("name")), strings.ToUpper(of("location").required())}
		s.Geos = append(s.Geos, geo)
	}
	for _, item := range get("formerly").list() {
		s.Formerly = append(s.Formerly, sharePointLabel(item))
	}
	contexts := get("contexts")
	sites, ok := contexts.value.(map[string]any)
	if contexts.value != nil && !ok {
		contexts.fault("must be an object from paths of sites to authentication contexts")
	}
	for path, value := range sites {
		context, _ := value.(string)
		if context == "" {
			contexts.fault("%s must be an authentication context, c1 to c99", clip(path))
		} else if err := s.SetContext(path, context); err != nil {
			contexts.fault("is wrong: %v", err)
		}
	}
	switch {
	case len(s.Geos) > 0 && s.Location == "":
		get("location").fault("is missing: a tenant with satellites names the location of its main host too")
	case len(s.Geos) > 0 && (s.Name != "" || len(s.Formerly) > 0):
		get("name").fault("is given beside satellites: a tenant with several locations cannot be renamed")
	}
	return s
}
