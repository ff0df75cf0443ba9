package graphsim

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"gatehouse/lab/internal/directory"
	"gatehouse/lab/internal/token"
)

// TestFilter: semantics of $filter on users.
func TestFilter(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		filter   string
		advanced bool
		want     string // first letters of the names
	}{
		{"displayName eq 'Ben Baker'", false, "B"},
		{"displayName eq 'BEN BAKER'", false, "B"},
		{"userPrincipalName eq 'cy.o''neil@harbour.example'", false, "C"},
		{"accountEnabled eq false", false, "C"},
		{"accountEnabled eq true and department eq 'Stores'", false, "B"},
		{"department eq null and userType eq 'Member'", false, "AS"},
		{"department ne null", true, "BC"},
		{"department ne 'Stores'", true, "ASD"},
		{"not(department eq 'Stores')", true, "ASD"},
		{"not startswith(displayName,'A') and userType eq 'Member'", true, "BCS"},
		{"startswith(displayName,'a') or startswith(displayName, 'D')", false, "AD"},
		{"startsWith(displayName,'A') eq true", false, "A"},
		{"startswith(displayName,'A') eq false and department eq 'Stores'", true, "BC"},
		{"endswith(userPrincipalName,'@harbour.example')", true, "ABCS"},
		{"department eq 'Stores' and (accountEnabled eq false or displayName eq 'x')", false, "C"},
		{"displayName eq 'x' or displayName eq 'Ada Admin' and accountEnabled eq false", false, ""},
		{"displayName in ('Ben Baker', 'Ada Admin')", false, "AB"},
		{"assignedLicenses/any(x:x/skuId eq cbdc14ab-d96c-4c30-b9f4-6ada7cdc1d46)", false, "AB"},
		{"assignedLicenses/any(x:x/skuId eq 'CBDC14AB-d96c-4c30-b9f4-6ada7cdc1d46')", false, "AB"},
		{"assignedPlans/any(p:p/servicePlanId eq 41781fb2-bc02-4b7c-bd55-b576c07bb09d and p/capabilityStatus eq 'Enabled')", false, "AB"},
		{"assignedLicenses/$count eq 0", true, "CSD"},
		{"not(assignedLicenses/any())", true, "CSD"},
		{"proxyAddresses/any(a:startswith(a,'smtp:ben'))", false, "B"},
		{"identities/any(i:i/signInType eq 'federated')", false, "D"},
		{"onPremisesExtensionAttributes/extensionAttribute1 eq 'x'", false, ""},
		{"onPremisesSyncEnabled eq true", false, "C"},
		{"createdDateTime ge 2023-01-01T00:00:00Z", false, "ABCSD"},
		{"createdDateTime lt 2023-01-01", false, ""},
		{"id eq '" + w.ids["ada@harbour.example"] + "'", false, "A"},
	} {
		pairs := []string{"$filter", c.filter}
		var headers []http.Header
		if c.advanced {
			r := w.do(everything, "GET", "/v1.0/users"+query(pairs...), "")
			if r.status != 400 || r.code() != "Request_UnsupportedQuery" {
				t.Errorf("%s without ConsistencyLevel: %d %s", c.filter, r.status, r.code())
			}
			w.must(400, everything, "GET", "/v1.0/users"+query(pairs...), "", eventual) // $count=true is missing
			pairs, headers = append(pairs, "$count", "true"), []http.Header{eventual}
		}
		r := w.do(everything, "GET", "/v1.0/users"+query(pairs...), "", headers...)
		got := ""
		for _, name := range r.names("displayName") {
			got += strings.Replace(name[:1], "B", map[bool]string{true: "S", false: "B"}[name == "Backup Service"], 1)
		}
		if r.status != 200 || got != c.want {
			t.Errorf("%s: %d %q, want %q: %s", c.filter, r.status, got, c.want, r.body["error"])
		}
		if c.advanced && r.body["@odata.count"] != float64(len(c.want)) {
			t.Errorf("%s: count %v", c.filter, r.body["@odata.count"])
		}
	}
}

// TestBadFilter: what cannot be read or is not supported is refused.
func TestBadFilter(t *testing.T) {
	w := newWorld(t)
	for _, f := range []string{"", "displayName", "displayName eq", "eq 'x'", "displayName eq 'x", "displayName is 'x'", "teapot eq 'x'", "displayName eq x", "displayName eq 1", "accountEnabled gt true",
		"displayName eq 'x' and", "displayName eq 'x' displayName eq 'y'", "(displayName eq 'x'", "displayName eq 'x')", "contains(displayName,'x')", "length(displayName) eq 3", "tolower(displayName) eq 'x'",
		"assignedLicenses/any(x:x/teapot eq 'y')", "assignedLicenses/any(x:)", "assignedLicenses/all()", "displayName/any(x:x eq 'y')", "assignedLicenses eq 'x'", "identities/any(x:identities/any(x:x/issuer eq 'y'))",
		"displayName/first eq 'x'", "startswith(accountEnabled,'x')", "startswith(displayName,1)", "startswith('x',displayName)", "passwordProfile/password eq 'x'", "createdDateTime ge 'soon'", "displayName eq 'a' § 'b'",
		"displayName in ('1','2','3','4','5','6','7','8','9','10','11','12','13','14','15','16')", strings.Repeat("(", 40) + "displayName eq 'x'" + strings.Repeat(")", 40), "displayName eq '" + strings.Repeat("x", maxFilter) + "'",
		strings.Repeat("not ", 40) + "displayName eq 'x'", "displayName eq 'x'" + strings.Repeat(" or displayName eq 'x'", 200)} {
		r := w.do(everything, "GET", "/v1.0/users"+query("$filter", f, "$count", "true"), "", eventual)
		if r.status == 200 && strings.HasPrefix(f, "displayName eq 'x' or") {
			continue // long, but not too long
		}
		if r.status != 400 {
			t.Errorf("%.80s: %d %s", f, r.status, r.text)
		}
	}
}

// TestAdvanced: the queries on directory objects that need the header.
func TestAdvanced(t *testing.T) {
	w := newWorld(t)
	for _, q := range []string{query("$count", "true"), query("$search", `"displayName:ben"`), query("$filter", "startswith(displayName,'a')", "$orderby", "displayName")} {
		r := w.do(everything, "GET", "/v1.0/users"+q, "")
		if r.status != 400 || r.code() != "Request_UnsupportedQuery" {
			t.Errorf("%s: %d %s", q, r.status, r.code())
		}
	}
	w.must(400, everything, "GET", "/v1.0/users/$count", "")
	if r := w.must(200, everything, "GET", "/v1.0/users/$count"+query("$filter", "department eq 'Stores'"), "", eventual); r.text != "2" || r.header.Get("Content-Type") != "text/plain" {
		t.Errorf("$count: %q", r.text)
	}
	if r := w.must(200, everything, "GET", "/v1.0/users"+query("$search", `"displayName:ba" OR "mail:ada"`, "$orderby", "displayName"), "", eventual); !slices.Equal(r.names("displayName"), []string{"Ada Admin", "Backup Service", "Ben Baker"}) {
		t.Errorf("$search: %v", r.names("displayName"))
	}
	w.must(400, everything, "GET", "/v1.0/users"+query("$search", "ben"), "", eventual)
	w.must(200, everything, "GET", "/v1.0/users?$filter=accountEnabled eq true&$orderby=displayName&$count=true", "", eventual)
	// Other resources count without the header.
	if r := w.must(200, everything, "GET", "/v1.0/auditLogs/signIns?$count=true&$top=2", ""); r.body["@odata.count"] != 6.0 {
		t.Errorf("count of the log: %v", r.body["@odata.count"])
	}
	if r := w.must(200, everything, "GET", "/v1.0/servicePrincipals"+query("$filter", "appId eq '"+graphID+"'"), ""); len(r.value()) != 1 {
		t.Errorf("servicePrincipals by appId: %s", r.text)
	}
}

// atom is a comparison with its evaluation in Go.
type atom struct {
	text  string
	holds func(*directory.User) bool
}

// TestFilterProperty: AND, OR, NOT and their precedence agree with Go.
func TestFilterProperty(t *testing.T) {
	var atoms []atom
	for _, s := range []string{"a", "B", "ab"} {
		s := s
		low := func(u *directory.User) string { return strings.ToLower(u.Name) }
		atoms = append(atoms,
			atom{"displayName eq '" + s + "'", func(u *directory.User) bool { return low(u) == strings.ToLower(s) }},
			atom{"displayName ne '" + s + "'", func(u *directory.User) bool { return low(u) != strings.ToLower(s) }},
			atom{"displayName gt '" + s + "'", func(u *directory.User) bool { return u.Name != "" && low(u) > strings.ToLower(s) }},
			atom{"displayName le '" + s + "'", func(u *directory.User) bool { return u.Name != "" && low(u) <= strings.ToLower(s) }},
			atom{"startswith(displayName,'" + s + "')", func(u *directory.User) bool { return strings.HasPrefix(low(u), strings.ToLower(s)) }},
			atom{"endswith(displayName,'" + s + "')", func(u *directory.User) bool { return strings.HasSuffix(low(u), strings.ToLower(s)) }},
			atom{"displayName in ('" + s + "','b')", func(u *directory.User) bool { return low(u) == strings.ToLower(s) || low(u) == "b" }})
	}
	atoms = append(atoms, atom{"accountEnabled eq true", func(u *directory.User) bool { return u.Enabled }}, atom{"displayName eq null", func(u *directory.User) bool { return u.Name == "" }})
	var expression func(t *rapid.T, depth int) atom
	expression = func(t *rapid.T, depth int) atom {
		kind := rapid.IntRange(0, 4).Draw(t, "kind")
		if depth == 0 || kind == 0 {
			return rapid.SampledFrom(atoms).Draw(t, "atom")
		}
		a := expression(t, depth-1)
		if kind == 1 {
			return atom{"not (" + a.text + ")", func(u *directory.User) bool { return !a.holds(u) }}
		}
		b := expression(t, depth-1)
		if kind == 2 {
			return atom{"(" + a.text + ") or (" + b.text + ")", func(u *directory.User) bool { return a.holds(u) || b.holds(u) }}
		}
		if kind == 3 {
			return atom{"(" + a.text + ") and (" + b.text + ")", func(u *directory.User) bool { return a.holds(u) && b.holds(u) }}
		}
		// Without parentheses and binds tighter than or.
		x, y, z := rapid.SampledFrom(atoms).Draw(t, "x"), rapid.SampledFrom(atoms).Draw(t, "y"), rapid.SampledFrom(atoms).Draw(t, "z")
		return atom{"(" + x.text + " or " + y.text + " and not " + z.text + ")", func(u *directory.User) bool { return x.holds(u) || y.holds(u) && !z.holds(u) }}
	}
	rapid.Check(t, func(t *rapid.T) {
		e := expression(t, 4)
		f, err := parseFilter(e.text, []*entity{userType}, "v1.0")
		if err != nil {
			t.Fatalf("%s: %v", e.text, err)
		}
		r := &request{version: "v1.0", claims: &token.Claims{IDType: "app", Roles: []string{"User.Read.All"}}}
		for _, name := range []string{"", "a", "A", "b", "ab", "ba", "c"} {
			u := &directory.User{Name: name, Enabled: rapid.Bool().Draw(t, "enabled")}
			got, err := f.matches(r, item{userType, u})
			if err != nil || got != e.holds(u) {
				t.Fatalf("%s of %q: %v %v", e.text, name, got, err)
			}
		}
	})
}

// FuzzFilter: nothing that stands in $filter makes the parser or the
// evaluation panic, and what is refused is refused with 400.
func FuzzFilter(f *testing.F) {
	for _, s := range []string{"displayName eq 'x'", "not(a/any(x:x/y eq 1))", "assignedLicenses/any(x:x/skuId eq cbdc14ab-d96c-4c30-b9f4-6ada7cdc1d46)", "startswith(displayName,'a') eq false", "proxyAddresses/any(p:p in ('a','b'))",
		"createdDateTime ge 2026-01-01T00:00:00Z", "assignedPlans/$count gt 2 or (id in ('a'))", "identities/all(i:i/issuer ne null)", "''''", "((((", "a/b/c/d/e/f/g eq 1"} {
		f.Add(s)
	}
	w := newWorld(f)
	f.Fuzz(func(t *testing.T, source string) {
		for _, types := range [][]*entity{{userType}, {signInType}, {userType, groupType, servicePrincipalType}} {
			parsed, err := parseFilter(source, types, "beta")
			if err != nil {
				mustRefuse(t, err)
				continue
			}
			w.store.View(harbour, func(d *directory.Tenant) {
				r := &request{server: w.server, version: "beta", tenant: d, now: testNow, claims: &token.Claims{IDType: "app", Roles: []string{"Directory.Read.All"}}}
				for _, it := range slices.Concat(items(userType, d.Users), items(signInType, d.SignIns[:1]), items(groupType, d.Groups)) {
					if slices.Contains(types, it.typ) {
						if _, err := parsed.matches(r, it); err != nil {
							mustRefuse(t, err)
						}
					}
				}
			})
		}
	})
}

func mustRefuse(t *testing.T, err error) {
	if refused, isFault := err.(*fault); !isFault || refused.status != 400 { //nolint:errorlint // faults are never wrapped here
		t.Fatalf("refused with %v", err)
	}
}

// FuzzRequest: no path and query makes the server panic or answer 500.
func FuzzRequest(f *testing.F) {
	for _, s := range [][2]string{{"v1.0/users", "$filter=id eq null&$top=1"}, {"beta/users('x''y')/memberOf/microsoft.graph.group", "$select=id"}, {"v1.0/servicePrincipals(appId='x')", "$expand=a(b,c)"},
		{"v1.0/directoryRoles(roleTemplateId=')/members", "$skiptoken=AAAA"}, {"beta/auditLogs/signIns", "$orderby=createdDateTime desc,id"}, {"v1.0/me/authentication/methods/x", ""}, {"v1.0/groups/$count", "$search=\"a:b\""},
		{"v1.0/users/delta", "$deltatoken=latest"}, {"beta/groups/delta", "$skiptoken=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}, {"v1.0/identity/conditionalAccess/namedLocations", "$filter=isof('microsoft.graph.x')"},
		{"v1.0/policies/authenticationStrengthPolicies", "$filter=allowedCombinations/any(x:x has 'sms,password')"}, {"v1.0/policies/permissionGrantPolicies/microsoft-user-default-low/includes/x", ""},
		{"beta/identity/conditionalAccess/deletedItems/policies", "$select=id"}, {"v1.0/auditLogs/directoryAudits", "$filter=targetResources/any(t:t/id eq 'x')"},
		{"v1.0/users/x/authentication/phoneMethods/y", ""}, {"v1.0/directoryRoles/x/members/y/$ref", ""},
		{"v1.0/groups/x/memberOf/$count", "$filter=startswith(displayName,'a')"}, {"v1.0/users", "$expand=memberOf($select=id;$top=1)"}, {"beta/identityProtection/riskyUsers", "$filter=riskLevel eq microsoft.graph.riskLevel'high'"},
		{"v1.0/reports/authenticationMethods/usersRegisteredByMethod(includedUserTypes='all',includedUserRoles='')", ""}, {"v1.0/policies/authenticationStrengthPolicies/findByMethodMode(authenticationMethodModes={'sms'})", ""},
		{"v1.0/identity/conditionalAccess/namedLocations", "$filter=microsoft.graph.countryNamedLocation/countriesAndRegions/any(c:c eq 'NO')"}} {
		f.Add(s[0], s[1])
	}
	w := newWorld(f)
	who := w.user("ada@harbour.example", "Directory.AccessAsUser.All Policy.Read.All AuditLog.Read.All UserAuthenticationMethod.Read.All", globalAdministrator)
	bearer := w.bearer(who)
	f.Fuzz(func(t *testing.T, path, rawQuery string) {
		u := &url.URL{Path: "/" + path, RawQuery: rawQuery}
		for _, method := range []string{"GET", "DELETE"} {
			h := httptest.NewRequest(method, "/", nil)
			h.URL = u
			h.Header = http.Header{"Authorization": {bearer}, "Consistencylevel": {"eventual"}}
			recorder := httptest.NewRecorder()
			w.server.ServeHTTP(recorder, h)
			if recorder.Code >= 500 {
				t.Fatal(fmt.Sprint(method, " ", u, ": ", recorder.Code, " ", recorder.Body))
			}
		}
	})
}
