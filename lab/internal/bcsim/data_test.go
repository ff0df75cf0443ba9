package bcsim

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// Companies belong to an environment.
func TestCompanies(t *testing.T) {
	w := newWorld(t)
	r := w.get(api + "companies")
	// A name has 30 characters at most.
	if got := r.names("name"); !slices.Equal(got, []string{"Coast & Sons' Ledger", "Coast & Sons' Ledger Holding"}) {
		t.Errorf("names: %q", got)
	}
	one := w.get(w.company("Production", 1)).body
	for _, member := range []string{"id", "systemVersion", "timestamp", "name", "displayName", "businessProfileId", "systemCreatedAt", "systemCreatedBy", "systemModifiedAt", "systemModifiedBy"} {
		if one[member] == nil {
			t.Errorf("a company lacks %s", member)
		}
	}
	sandbox := strings.Replace(w.company("Sandbox", 0), "Sandbox", "Production", 1)
	for _, path := range []string{sandbox, sandbox + "/customers", api + "customers", api + "customers?company=" + ledger, "/v2.0/Production/ODataV4/Company('None')/customers", "/v2.0/Production/ODataV4/customers"} {
		if r := w.do(service, http.MethodGet, path, ""); r.status != 404 || r.code() != "Internal_CompanyNotFound" || !correlated.MatchString(r.message()) {
			t.Errorf("%s: %d %s", path, r.status, r.text)
		}
	}
	id := one["id"].(string)
	if got := len(w.get(api + "vendors?company=" + id).names("id")); got != pageSize {
		t.Errorf("company in the query: %d vendors", got)
	}
	if got := len(w.get(api + "vendors?company=Coast %26 Sons' Ledger").names("id")); got != pageSize {
		t.Errorf("company in the query by name: %d vendors", got)
	}
}

// Lists are read to their end by @odata.nextLink, each record once.
func TestPaging(t *testing.T) {
	for seed := range byte(4) {
		w := newWorld(t)
		if seed > 0 {
			w = newWorld(t, hostile(seed))
		}
		company := w.company("Production", 0)
		for _, c := range []struct {
			path string
			want int
		}{
			{"/customers", customerCount}, {"/vendors", vendorCount}, {"/items", itemCount}, {"/salesInvoices", invoiceCount}, {"/customers?$top=45", 45}, {"/customers?$top=5", 5}, {"/customers?$top=0", 0},
			{"/customers?$skip=50", 7}, {"/customers?$skip=10&$top=30&$select=id,number", 30}, {"/salesInvoices?$filter=status eq 'Paid'", 32}, {"/customers?$orderby=displayName desc", customerCount},
			{"/../../../../ODataV4/Company('Coast & Sons'' Ledger')/customers", customerCount},
		} {
			path := strings.NewReplacer("/../../../../", "/v2.0/Production/").Replace(c.path)
			if !strings.HasPrefix(path, "/v2.0/") {
				path = company + path
			}
			var numbers []string
			pages := 0
			for next := path; next != ""; pages++ {
				r := w.get(next)
				numbers = append(numbers, r.names("number")...)
				if strings.Contains(path, "ODataV4") {
					numbers = append(numbers[:len(numbers)-len(r.names("number"))], r.names("No")...)
				}
				next, _ = r.body["@odata.nextLink"].(string)
			}
			if len(numbers) != c.want || len(slices.Compact(slices.Sorted(slices.Values(numbers)))) != c.want {
				t.Errorf("seed %d %s: %d records on %d pages, want %d", seed, c.path, len(numbers), pages, c.want)
			}
		}
	}
	w := newWorld(t)
	r := w.must(200, service, http.MethodGet, w.company("Production", 0)+"/customers?$count=true&$filter=balanceDue gt 0", "", "Prefer", "return=minimal, odata.maxpagesize=3")
	if len(r.names("id")) != 3 || r.body["@odata.count"] != 19.0 || r.body["@odata.nextLink"] == nil {
		t.Errorf("maxpagesize: %s", r.text)
	}
}

// Filters, selections and their mistakes.
func TestQuery(t *testing.T) {
	w := newWorld(t)
	company := w.company("Production", 0)
	for _, c := range []struct {
		query string
		want  []string
	}{
		{"$filter=number eq 'C00030'", []string{"C00030"}},
		{"$filter=number eq 'C00030' or number eq 'C00010'", []string{"C00010", "C00030"}},
		{"$filter=number gt 'C00540' and type eq 'Company'", []string{"C00550", "C00560", "C00570"}},
		{"$filter=startswith(displayName,'Alder') and contains(displayName, 'Bak')", []string{"C00010"}},
		{"$filter=endswith(number,'0560')", []string{"C00560"}},
		{"$filter=contains(balanceDue,'1')", []string{}},
		{"$filter=number lt 'C00020' or number ge 'C00570'", []string{"C00010", "C00570"}},
		{"$filter=number le 'C00010' and lastModifiedDateTime gt 2001-01-01T00:00:00Z and id ne " + ledger, []string{"C00010"}},
		{"$filter=displayName eq 'O''Hara'", []string{}},
		{"$filter=number ne null&$top=1", []string{"C00010"}},
		{"$filter=balanceDue eq true", []string{}},
		{"$top=2&$orderby=number desc", []string{"C00570", "C00560"}},
	} {
		if got := w.get(company + "/customers?" + c.query).names("number"); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.query, got, c.want)
		}
	}
	r := w.get(company + "/customers?$select=number,email&$top=1")
	first, _ := r.body["value"].([]any)[0].(map[string]any)
	if len(first) != 3 || first["@odata.etag"] == nil || first["email"] != "alder.bakery@example.com" {
		t.Errorf("selection: %v", first)
	}
	for _, query := range []string{
		"$filter=nothing eq 1", "$filter=number", "$filter=number eq", "$filter=number eq 'x", "$filter=number like 'x'", "$filter=number eq 'x' number", "$filter=number eq x", "$filter=(number eq 'x')",
		"$filter=contains(number)", "$filter=contains(number,7)", "$filter=@odata.etag eq 'x'", "$filter=" + strings.Repeat("number eq 'x' or ", 80) + "number eq 'x'",
		"$select=nothing", "$select=number,", "$top=-1", "$top=x", "$skip=x", "$skiptoken=x", "$orderby=nothing", "$orderby=number sideways", "$count=maybe", "$expand=defaultDimensions", "$search=x", "%zz",
	} {
		if r := w.do(service, http.MethodGet, company+"/customers?"+query, ""); r.status != 400 || r.code() != "BadRequest_NotFound" || !correlated.MatchString(r.message()) {
			t.Errorf("%.60s: %d %s", query, r.status, r.text)
		}
	}
	if r := w.do(service, http.MethodGet, company+"?$top=1", ""); r.status != 400 {
		t.Errorf("$top on one record: %d", r.status)
	}
}

// What is not there, or is not done that way.
func TestErrors(t *testing.T) {
	w := newWorld(t)
	company := w.company("Production", 0)
	const nobody = "(00000000-0000-0000-0000-000000000000)"
	for _, c := range []struct {
		method, path string
		status       int
		code         string
	}{
		{"GET", "/", 404, "BadRequest_ResourceNotFound"},
		{"GET", "/v1.0/x", 404, "BadRequest_ResourceNotFound"},
		{"GET", "/v2.0", 404, "BadRequest_ResourceNotFound"},
		{"GET", "/v2.0/Production", 404, "BadRequest_ResourceNotFound"},
		{"GET", "/v2.0/api/Production", 404, "BadRequest_ResourceNotFound"},
		{"GET", "/v2.0/a/b/c/api/v2.0", 404, "BadRequest_ResourceNotFound"},
		{"GET", "/v2.0/Production/api/v2.0", 404, "BadRequest_ResourceNotFound"},
		{"GET", "/v2.0/Production/api/acme/tools/v1.0/things", 404, "BadRequest_ResourceNotFound"},
		{"GET", "/v2.0/Production/WS/x/Page/Customer", 404, "BadRequest_ResourceNotFound"},
		{"GET", "/v2.0/Production/ODataV4", 404, "BadRequest_ResourceNotFound"},
		{"GET", "/environments", 404, "BadRequest_ResourceNotFound"},
		{"GET", "/environments/v1.9", 404, "BadRequest_ResourceNotFound"},
		{"POST", "/environments/v1.2", 405, "BadRequest_MethodNotAllowed"},
		{"GET", api + "companies(x)", 400, "Application_InvalidGUID"},
		{"GET", api + "companies(x", 400, "BadRequest_NotFound"},
		{"GET", api + "companies('x)", 400, "BadRequest_NotFound"},
		{"GET", api + "companies/customers", 404, "BadRequest_ResourceNotFound"},
		{"POST", api + "companies", 405, "BadRequest_MethodNotAllowed"},
		{"DELETE", company, 405, "BadRequest_MethodNotAllowed"},
		{"GET", company + "/nothing", 404, "BadRequest_ResourceNotFound"},
		{"GET", company + "/customers" + nobody, 404, "Internal_RecordNotFound"},
		{"GET", company + "/customers" + nobody + "/picture", 404, "BadRequest_ResourceNotFound"},
		{"GET", company + "/customers(C00010)", 400, "Application_InvalidGUID"},
		{"POST", company + "/items", 405, "BadRequest_MethodNotAllowed"},
		{"PATCH", company + "/customers", 405, "BadRequest_MethodNotAllowed"},
		{"PUT", company + "/customers" + nobody, 405, "BadRequest_MethodNotAllowed"},
		{"POST", company + "/customers" + nobody, 405, "BadRequest_MethodNotAllowed"},
		{"DELETE", company + "/customers" + nobody, 404, "Internal_RecordNotFound"},
		{"GET", "/v2.0/Production/ODataV4/Company('Coast & Sons'' Ledger')/nothing", 404, "BadRequest_ResourceNotFound"},
		{"GET", "/v2.0/Production/ODataV4/Company('Coast & Sons'' Ledger')/customers('X')", 404, "Internal_RecordNotFound"},
		{"POST", "/v2.0/Production/ODataV4/Company('Coast & Sons'' Ledger')/customers", 405, "BadRequest_MethodNotAllowed"},
		{"GET", "/v2.0/Production/ODataV4/Company/x", 404, "BadRequest_ResourceNotFound"},
		{"GET", "/" + strings.Repeat("x", 5000), 414, "BadRequest"},
	} {
		r := w.do(service, c.method, c.path, "")
		if r.status != c.status || r.code() != c.code || !correlated.MatchString(r.message()) {
			t.Errorf("%s %.90s: %d %s, want %d %s", c.method, c.path, r.status, r.text, c.status, c.code)
		}
		if (r.status == 405) != (r.header.Get("Allow") != "") {
			t.Errorf("%s %.90s: Allow %q", c.method, c.path, r.header.Get("Allow"))
		}
	}
}

// A customer's life: made, read, changed, deleted.
func TestCustomer(t *testing.T) {
	w := newWorld(t)
	customers := w.company("Production", 0) + "/customers"
	made := w.must(201, service, http.MethodPost, customers, `{"displayName":"Rope & Sail","city":"Whitby","creditLimit":250.5}`)
	one := fmt.Sprintf("%s(%v)", customers, made.body["id"])
	if made.body["number"] != "C00580" || made.body["city"] != "Whitby" || made.header.Get("Location") != audience+one || made.body["lastModifiedDateTime"] != "2026-11-20T12:00:00.000Z" {
		t.Errorf("made: %v, at %q", made.body, made.header.Get("Location"))
	}
	tag := made.body["@odata.etag"].(string)
	if read := w.get(one); read.body["displayName"] != "Rope & Sail" || read.header.Get("ETag") != tag {
		t.Errorf("read: %s", read.text)
	}
	for _, c := range []struct {
		method, match string
		status        int
		code          string
	}{
		{"PATCH", "", 412, "BadRequest_InvalidToken"}, {"DELETE", "", 412, "BadRequest_InvalidToken"}, {"PATCH", "yesterday", 400, "BadRequest_InvalidToken"},
		{"PATCH", `W/"MjA7b2xk"`, 409, "Request_EntityChanged"}, {"DELETE", `W/"MjA7b2xk"`, 409, "Request_EntityChanged"},
	} {
		if r := w.do(service, c.method, one, `{"city":"Hull"}`, "If-Match", c.match); r.status != c.status || r.code() != c.code {
			t.Errorf("%s with %q: %d %s", c.method, c.match, r.status, r.text)
		}
	}
	changed := w.must(200, service, http.MethodPatch, one, `{"city":"Hull"}`, "If-Match", tag)
	if changed.body["city"] != "Hull" || changed.body["displayName"] != "Rope & Sail" || changed.body["@odata.etag"] == tag {
		t.Errorf("changed: %v", changed.body)
	}
	// The tag from before has had its day.
	if r := w.do(service, http.MethodPatch, one, `{"city":"York"}`, "If-Match", tag); r.status != 409 {
		t.Errorf("second change with the same tag: %d", r.status)
	}
	w.must(200, service, http.MethodPatch, one, `{"number":"A-1"}`, "If-Match", "*")
	if got := w.get(customers + "?$top=1").names("number"); got[0] != "A-1" {
		t.Errorf("order after renumbering: %q", got)
	}
	// Other companies and environments do not see it.
	if got := w.get(w.company("Production", 1) + "/customers?$filter=number eq 'A-1'").names("number"); len(got) != 0 {
		t.Errorf("in another company: %q", got)
	}
	w.must(204, service, http.MethodDelete, one, "", "If-Match", "*")
	w.must(404, service, http.MethodGet, one, "")
	owing := w.get(customers + "?$filter=balanceDue gt 0&$top=1").names("id")[0]
	if r := w.must(400, service, http.MethodDelete, customers+"("+owing+")", "", "If-Match", "*"); r.code() != "Application_DialogException" {
		t.Errorf("with open entries: %s", r.text)
	}
}

// What may not be stored.
func TestCustomerRefused(t *testing.T) {
	w := newWorld(t)
	customers := w.company("Production", 0) + "/customers"
	first := customers + "(" + w.get(customers + "?$top=1").names("id")[0] + ")"
	for _, c := range []struct {
		method, body string
		status       int
		code         string
	}{
		{"POST", "", 415, "BadRequest"}, {"POST", "{", 400, "BadRequest"}, {"POST", "[]", 400, "BadRequest"}, {"POST", "null", 400, "BadRequest"},
		{"POST", `{}`, 400, "Application_FieldValidationException"}, {"POST", `{"displayName":" "}`, 400, "Application_FieldValidationException"}, {"POST", `{"displayName":7}`, 400, "BadRequest"},
		{"POST", `{"displayName":"x","nickname":"y"}`, 400, "BadRequest"}, {"POST", `{"displayName":"x","id":"y"}`, 400, "BadRequest_InvalidOperation"}, {"POST", `{"displayName":"x","balanceDue":1}`, 400, "BadRequest_InvalidOperation"},
		{"POST", `{"displayName":"x","number":"C00010"}`, 400, "Internal_EntityWithSameKeyExists"}, {"POST", `{"displayName":"` + strings.Repeat("é", 101) + `"}`, 400, "Application_StringExceededLength"},
		{"POST", `{"displayName":"x","creditLimit":-1}`, 400, "BadRequest"}, {"POST", `{"displayName":"x","type":"Ship"}`, 400, "BadRequest"}, {"POST", `{"displayName":"` + strings.Repeat("x", 1<<20) + `"}`, 413, "BadRequest"},
		{"PATCH", `{"number":"C00020"}`, 400, "Internal_EntityWithSameKeyExists"}, {"PATCH", `{"number":""}`, 400, "Application_FieldValidationException"}, {"PATCH", `{"city":null}`, 400, "BadRequest"},
	} {
		address := customers
		if c.method == "PATCH" {
			address = first
		}
		if r := w.do(service, c.method, address, c.body, "If-Match", "*"); r.status != c.status || r.code() != c.code || !correlated.MatchString(r.message()) {
			t.Errorf("%s %.60s: %d %.200s, want %d %s", c.method, c.body, r.status, r.text, c.status, c.code)
		}
	}
	w.must(400, service, http.MethodPost, customers+"?$select=nothing", `{"displayName":"x"}`)
	w.must(400, service, http.MethodPatch, first+"?$top=1", `{"city":"x"}`, "If-Match", "*")
	if got := w.get(first).body["city"]; got == "x" {
		t.Error("a change with a query that cannot be answered was stored")
	}
	if r := w.get(customers + "?$count=true"); r.body["@odata.count"] != float64(customerCount) {
		t.Errorf("something was stored: %v customers", r.body["@odata.count"])
	}
}

// Published web services have the pages' fields.
func TestWebServices(t *testing.T) {
	w := newWorld(t)
	const base = "/v2.0/ledger.example/Production/ODataV4/"
	names := w.get(base + "Company").names("Name")
	address := base + "Company('" + strings.NewReplacer("'", "''", "&", "%26").Replace(names[0]) + "')"
	if r := w.get(address); r.body["Name"] != names[0] {
		t.Errorf("company: %s", r.text)
	}
	r := w.get(address + "/customers?$filter=No eq 'C00010'&$select=No,Name,City")
	if got := r.names("Name"); !slices.Equal(got, []string{"Alder Bakery"}) {
		t.Errorf("customers: %s", r.text)
	}
	for _, key := range []string{"'C00010'", "No='C00010'"} {
		if r := w.get(address + "/Customers(" + key + ")"); r.body["Name"] != "Alder Bakery" || r.header.Get("ETag") == "" {
			t.Errorf("%s: %s", key, r.text)
		}
	}
	if r := w.get(address + "/salesInvoices?$top=1"); r.names("Amount_Including_VAT")[0] == "<nil>" {
		t.Errorf("invoices: %s", r.text)
	}
	// What the API changes, the web service shows.
	w.must(201, service, http.MethodPost, w.company("Production", 0)+"/customers", `{"displayName":"Rope & Sail","number":"A1"}`)
	if r := w.get(address + "/customers('A1')"); r.body["Name"] != "Rope & Sail" {
		t.Errorf("new customer: %s", r.text)
	}
}

// Two servers over the same directory show the same companies and records.
func TestStable(t *testing.T) {
	path := newWorld(t).company("Production", 0) + "/customers?$top=3"
	if a, b := newWorld(t).get(path), newWorld(t).get(path); a.text != b.text {
		t.Errorf("%s\n%s", a.text, b.text)
	}
}

// The server keeps so many customers of a company and no more.
func TestStorageEnds(t *testing.T) {
	w := newWorld(t)
	customers := w.company("Production", 0) + "/customers"
	w.must(201, service, http.MethodPost, customers, `{"displayName":"One more"}`)
	for id, all := range w.server.state.customers {
		for len(all) < maxCustomers {
			all = append(all, all[0])
		}
		w.server.state.customers[id] = all
	}
	if r := w.must(400, service, http.MethodPost, customers, `{"displayName":"One too many"}`); r.code() != "Application_DialogException" {
		t.Errorf("%s", r.text)
	}
}

// Of two changes that start from the same version, one is taken.
func TestConcurrent(t *testing.T) {
	w := newWorld(t, hostile(5))
	first := w.company("Production", 0) + "/customers?$top=1"
	id := w.get(first).names("id")[0]
	one := w.company("Production", 0) + "/customers(" + id + ")"
	authorisation := bearer(t, service)
	for range 5 {
		tag := w.get(one).body["@odata.etag"].(string)
		var taken atomic.Int32
		var working sync.WaitGroup
		for n := range 8 {
			working.Go(func() {
				w.server.SetCard(ledger, "Sandbox", fmt.Sprint(n), true, []string{readOnly})
				h := httptest.NewRequest(http.MethodPatch, audience+one, strings.NewReader(fmt.Sprintf(`{"city":"Town %d"}`, n)))
				h.Header = http.Header{"Authorization": {authorisation}, "Content-Type": {"application/json"}, "If-Match": {tag}}
				recorder := httptest.NewRecorder()
				w.server.ServeHTTP(recorder, h)
				switch recorder.Code {
				case http.StatusOK:
					taken.Add(1)
				case http.StatusConflict:
				default:
					t.Errorf("status %d: %s", recorder.Code, recorder.Body)
				}
			})
		}
		working.Wait()
		if taken.Load() != 1 {
			t.Errorf("%d changes were taken", taken.Load())
		}
	}
}
