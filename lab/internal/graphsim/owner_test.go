package graphsim

import (
	"slices"
	"testing"

	"gatehouse/lab/internal/directory"
	"gatehouse/lab/internal/token"
)

// TestOwners: who owns what, and that ownership opens an app to
// Application.ReadWrite.OwnedBy.
func TestOwners(t *testing.T) {
	w := newWorld(t)
	link := func(name string) string {
		return `{"@odata.id": "https://graph.lab/v1.0/directoryObjects/` + w.ids[name] + `"}`
	}
	owners := "/v1.0/applications/" + w.ids["app Portal"] + "/owners"
	owned := app("Application.ReadWrite.OwnedBy")
	self := func(c *token.Claims) { owned(c); c.ObjectID = w.ids["Reader"] }
	path := "/v1.0/applications/" + w.ids["app Portal"] + "/addPassword"
	w.must(403, self, "POST", path, "")
	w.must(204, everything, "POST", owners+"/$ref", link("Reader"))
	w.must(200, self, "POST", path, "")
	w.must(400, everything, "POST", owners+"/$ref", link("Reader"))
	w.must(400, everything, "POST", owners+"/$ref", link("Everyone"))
	w.must(204, everything, "POST", owners+"/$ref", link("ben@harbour.example"))
	if r := w.must(200, everything, "GET", owners+"/microsoft.graph.user?$select=userPrincipalName", ""); !slices.Equal(r.names("userPrincipalName"), []string{"ben@harbour.example"}) {
		t.Errorf("owners: %s", r.text)
	}
	if r := w.must(200, everything, "GET", "/v1.0/users/ben@harbour.example/ownedObjects", ""); !slices.Equal(r.names("displayName"), []string{"Portal"}) || r.names("@odata.type")[0] != "#microsoft.graph.application" {
		t.Errorf("owned: %s", r.text)
	}
	w.must(204, everything, "DELETE", owners+"/"+w.ids["Reader"]+"/$ref", "")
	w.must(403, self, "POST", path, "")
	group := "/v1.0/groups/" + w.ids["Everyone"] + "/owners"
	w.must(204, everything, "POST", group+"/$ref", link("ben@harbour.example"))
	w.must(400, everything, "DELETE", group+"/"+w.ids["ben@harbour.example"]+"/$ref", "")
	w.must(204, everything, "POST", group+"/$ref", link("ada@harbour.example"))
	w.must(204, everything, "DELETE", group+"/"+w.ids["ben@harbour.example"]+"/$ref", "")
	w.must(404, everything, "DELETE", group+"/"+w.ids["ben@harbour.example"]+"/$ref", "")
	made := w.must(201, w.user("ada@harbour.example", "Application.ReadWrite.All", globalAdministrator), "POST", "/v1.0/applications", `{"displayName": "Hers"}`)
	if r := w.must(200, everything, "GET", "/v1.0/applications/"+made.body["id"].(string)+"?$expand=owners($select=id)", ""); at(r.body["owners"].([]any)[0], "id") != w.ids["ada@harbour.example"] {
		t.Errorf("made by Ada: %s", r.text)
	}
}

// TestQuestions: membership of users, groups and service principals, as groups
// only and with directory roles.
func TestQuestions(t *testing.T) {
	w := newWorld(t)
	crew, everyone, holders := w.ids["Ship crew"], w.ids["Everyone"], w.ids["Role holders"]
	reports := w.must(200, everything, "GET", "/v1.0/directoryRoles"+query("$filter", "roleTemplateId eq '"+reportsReader+"'"), "").names("id")[0]
	ask := func(path, body string) []string {
		t.Helper()
		out := []string{}
		for _, v := range w.must(200, everything, "POST", "/v1.0/"+path, body).value() {
			out = append(out, v.(string))
		}
		slices.Sort(out)
		return out
	}
	sorted := func(ids ...string) []string { slices.Sort(ids); return ids }
	all := `{"securityEnabledOnly": false}`
	for path, want := range map[string][]string{
		"users/ben@harbour.example/getMemberGroups": sorted(crew, everyone, holders), "users/ben@harbour.example/getMemberObjects": sorted(crew, everyone, holders, reports),
		"groups/" + crew + "/getMemberGroups": {everyone}, "servicePrincipals/" + w.ids["Reader"] + "/getMemberGroups": sorted(crew, everyone),
		"directoryObjects/" + w.ids["Reader"] + "/getMemberGroups": sorted(crew, everyone),
	} {
		if got := ask(path, all); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", path, got, want)
		}
	}
	if got := ask("users/ben@harbour.example/checkMemberObjects", `{"ids": ["`+reports+`", "`+directory.NameID("x")+`"]}`); !slices.Equal(got, []string{reports}) {
		t.Errorf("checkMemberObjects: %v", got)
	}
	if got := ask("groups/"+crew+"/checkMemberGroups", `{"groupIds": ["`+everyone+`", "`+holders+`"]}`); !slices.Equal(got, []string{everyone}) {
		t.Errorf("checkMemberGroups: %v", got)
	}
	w.must(400, everything, "POST", "/v1.0/groups/"+crew+"/checkMemberGroups", `{"groupIds": []}`)
	w.must(404, everything, "POST", "/v1.0/directoryObjects/"+directory.NameID("x")+"/getMemberGroups", all)
	r := w.must(200, everything, "GET", "/v1.0/groups/"+crew+"/memberOf/$count", "", eventual)
	if r.text != "1" {
		t.Errorf("counted: %q", r.text)
	}
	w.must(400, everything, "GET", "/v1.0/groups/"+crew+"/memberOf/$count", "") // without the header
	w.must(400, everything, "GET", "/v1.0/groups/"+crew+"/$count", "", eventual)
	got := w.must(200, everything, "POST", "/v1.0/directoryObjects/getByIds", `{"ids": ["`+crew+`", "`+w.ids["Reader"]+`", "`+directory.NameID("x")+`"], "types": ["group"]}`)
	if !slices.Equal(got.names("@odata.type"), []string{"#microsoft.graph.group"}) {
		t.Errorf("by id: %s", got.text)
	}
	if r := w.must(200, everything, "GET", "/v1.0/directoryObjects/"+w.ids["app Reader"], ""); r.body["@odata.type"] != "#microsoft.graph.application" {
		t.Errorf("object: %s", r.text)
	}
}

// TestExpand: relations with their own $select; unknown ones and other options
// are refused.
func TestExpand(t *testing.T) {
	w := newWorld(t)
	r := w.must(200, everything, "GET", "/v1.0/groups/"+w.ids["Ship crew"]+"?$select=id&$expand=members($select=id,displayName)", "")
	list, _ := r.body["members"].([]any)
	if len(list) != 3 || has(list[0], "mail") || at(list[0], "displayName") == nil || at(list[0], "@odata.type") != "#microsoft.graph.user" {
		t.Errorf("members: %s", r.text)
	}
	r = w.must(200, everything, "GET", "/v1.0/servicePrincipals(appId='"+w.ids["client Reader"]+"')?$expand=appRoleAssignments", "")
	if list, _ := r.body["appRoleAssignments"].([]any); len(list) != 2 {
		t.Errorf("assignments: %s", r.text)
	}
	r = w.must(200, everything, "GET", "/v1.0/policies/permissionGrantPolicies/microsoft-application-admin?$expand=includes,excludes", "")
	if len(r.body["includes"].([]any)) != 2 || len(r.body["excludes"].([]any)) != 1 {
		t.Errorf("rules: %s", r.text)
	}
	for _, bad := range []string{"manager", "memberOf($filter=x)", "memberOf($select=)", "memberOf($select=id", "*"} {
		w.must(400, everything, "GET", "/v1.0/users/ben@harbour.example"+query("$expand", bad), "")
	}
}
