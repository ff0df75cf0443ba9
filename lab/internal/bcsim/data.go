package bcsim

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"gatehouse/lab/internal/directory"
)

// data serves what follows /v2.0/: [tenant/]environment, then the API.
func (r *request) data(segments []string) (*answer, error) {
	interfaces := []string{"api", "odatav4", "ws"}
	at := slices.IndexFunc(segments, func(s string) bool { return slices.Contains(interfaces, strings.ToLower(s)) })
	if at == 0 && len(segments) > 1 {
		at = 1 + slices.IndexFunc(segments[1:], func(s string) bool { return slices.Contains(interfaces, strings.ToLower(s)) })
	}
	if at != 1 && at != 2 {
		return nil, noResource(strings.Join(segments, "/"))
	}
	base := r.root + "/v2.0/"
	if at == 2 {
		named := ""
		r.server.cfg.Store.View(segments[0], func(t *directory.Tenant) { named = t.ID })
		if named == "" || named != r.tenant.id {
			return nil, rejected() // the token is good in its own tenant only
		}
		base += url.PathEscape(segments[0]) + "/"
	}
	name, rest := segments[at-1], segments[at+1:]
	r.base = base + url.PathEscape(name)
	switch {
	case strings.EqualFold(segments[at], "odatav4"):
		if err := r.enter(name, roleAPI); err != nil {
			return nil, err
		}
		r.base += "/ODataV4"
		return r.service(rest)
	case strings.EqualFold(segments[at], "ws"):
		if err := r.enter(name, roleAPI); err != nil {
			return nil, err
		}
	case len(rest) > 0 && strings.EqualFold(rest[0], "v2.0"):
		if err := r.enter(name, roleAPI); err != nil {
			return nil, err
		}
		r.base += "/api/v2.0"
		return r.standard(rest[1:])
	case len(rest) > 2 && strings.EqualFold(strings.Join(rest[:3], "/"), "microsoft/automation/v2.0"):
		if err := r.enter(name, roleAutomation); err != nil {
			return nil, err
		}
		r.base += "/api/microsoft/automation/v2.0"
		if len(rest) == 4 {
			return r.standard(rest[3:])
		}
	default:
		if err := r.enter(name, roleAPI); err != nil {
			return nil, err
		}
	}
	return nil, noResource(strings.Join(segments[at:], "/"))
}

// standard is the API v2.0: companies, and sets within a company or with the
// company in the query.
func (r *request) standard(segments []string) (*answer, error) {
	if len(segments) == 0 {
		return nil, noResource("v2.0")
	}
	name, id, has, err := key(segments[0])
	if err != nil {
		return nil, err
	}
	if !strings.EqualFold(name, "companies") {
		c, err := r.company(func(c company) bool {
			return strings.EqualFold(c.id, r.query.Get("company")) || strings.EqualFold(c.name, r.query.Get("company"))
		})
		if err != nil {
			return nil, err
		}
		return r.set(c, segments, "")
	}
	if !has && len(segments) == 1 {
		return r.listCompanies()
	}
	if !has {
		return nil, noResource(segments[1])
	}
	if !isGUID(id) {
		return nil, refuse(http.StatusBadRequest, codeGUID, "'%s' is no GUID.", clip(id))
	}
	c, err := r.company(func(c company) bool { return strings.EqualFold(c.id, id) })
	if err != nil {
		return nil, err
	}
	if len(segments) > 1 {
		return r.set(c, segments[1:], "companies("+c.id+")/")
	}
	if !r.reads() {
		return nil, noMethod(r.http.Method, "companies", http.MethodGet)
	}
	return r.single(r.companyRow(c), "companies/$entity")
}

// company finds the company of the address.
func (r *request) company(match func(company) bool) (company, error) {
	all := r.companies()
	i := slices.IndexFunc(all, match)
	if i < 0 {
		return company{}, refuse(http.StatusNotFound, codeCompany, "The environment '%s' has no such company; the list of companies shows which it has.", r.environment.name)
	}
	if len(r.sets) == 0 {
		return company{}, forbidden("opening the company " + all[i].name)
	}
	return all[i], nil
}

func (r *request) companyRow(c company) row {
	return row{
		"id": c.id, "systemVersion": "27.1.41698.0", "timestamp": 14_000 + number(10_000, c.id), "name": c.name, "displayName": c.name, "businessProfileId": "", "systemCreatedAt": moment(c.created),
		"systemCreatedBy": zeroID, "systemModifiedAt": moment(c.created), "systemModifiedBy": zeroID,
	}
}

const zeroID = "00000000-0000-0000-0000-000000000001"

// listCompanies shows the companies that the caller may open: none without a
// permission set.
func (r *request) listCompanies() (*answer, error) {
	if !r.reads() {
		return nil, noMethod(r.http.Method, "companies", http.MethodGet)
	}
	var rows []row
	if len(r.sets) > 0 {
		for _, c := range r.companies() {
			rows = append(rows, r.companyRow(c))
		}
	}
	return r.many(rows, "companies", r.base+"/companies")
}

// sets of the standard API that are read only here. Customers can be written.
var readable = map[string]func(company) []row{"vendors": vendors, "items": items, "salesinvoices": invoices}

// spelt are the sets' names as the service writes them.
var spelt = map[string]string{"customers": "customers", "vendors": "vendors", "items": "items", "salesinvoices": "salesInvoices"}

// set serves customers, vendors, items and salesInvoices, whole or one.
func (r *request) set(c company, segments []string, within string) (*answer, error) {
	name, id, has, err := key(segments[0])
	if err != nil {
		return nil, err
	}
	lower := strings.ToLower(name)
	if spelt[lower] == "" || len(segments) > 1 {
		return nil, noResource(segments[len(segments)-1])
	}
	if has && !isGUID(id) {
		return nil, refuse(http.StatusBadRequest, codeGUID, "'%s' is no GUID.", clip(id))
	}
	if !r.opens(false) {
		return nil, forbidden("reading " + spelt[lower])
	}
	if !r.reads() {
		return r.change(c, lower, id, has, within)
	}
	rows := r.rows(c, lower)
	if !has {
		return r.many(rows, within+spelt[lower], r.base+"/"+within+spelt[lower])
	}
	for _, found := range rows {
		if strings.EqualFold(found["id"].(string), id) {
			return r.single(found, within+spelt[lower]+"/$entity")
		}
	}
	return nil, noRecord(spelt[lower], id)
}

func (r *request) rows(c company, set string) []row {
	if set == "customers" {
		return r.server.customers(c)
	}
	return readable[set](c)
}

func noRecord(set, id string) *fault {
	return refuse(http.StatusNotFound, codeNoRecord, "%s has no record '%s'.", set, clip(id))
}

func isGUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i, c := range s {
		switch i {
		case 8, 13, 18, 23:
			if c != '-' {
				return false
			}
		default:
			if !strings.ContainsRune("0123456789abcdefABCDEF", c) {
				return false
			}
		}
	}
	return true
}
