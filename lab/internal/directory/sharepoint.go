package directory

import (
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
}

// Geo is a satellite: hosts of its own in another data location.
type Geo struct{ Name, Location string }

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
	get := n.object("name", "location", "satellites", "formerly")
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
	switch {
	case len(s.Geos) > 0 && s.Location == "":
		get("location").fault("is missing: a tenant with satellites names the location of its main host too")
	case len(s.Geos) > 0 && (s.Name != "" || len(s.Formerly) > 0):
		get("name").fault("is given beside satellites: a tenant with several locations cannot be renamed")
	}
	return s
}
