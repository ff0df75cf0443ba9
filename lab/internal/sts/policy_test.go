package sts_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/confidential"
	msal "github.com/AzureAD/microsoft-authentication-library-for-go/apps/errors"
	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/public"

	"gatehouse/lab/internal/directory"
	"gatehouse/lab/internal/sts"
)

// governed is a tenant to put policies into, with a tenant whose people are its
// guests.
const governed = `{"tenants":[
 {"name":"T","domain":"t.onmicrosoft.com","id":"0f1e2d3c-4b5a-4978-8796-a5b4c3d2e1f0","inbound_trust":[{"tenant":"trusted.onmicrosoft.com","mfa":true,"compliant_device":true}],
  "domains":[{"name":"corp.example","federation":{"protocol":"WSTrust","metadata_url":"https://adfs.corp.example/adfs/services/trust/mex","active_url":"https://adfs.corp.example/adfs/services/trust/13/usernamemixed"}}],
  "users":[{"upn":"oath@t.onmicrosoft.com","name":"Ole Oath","password":"pass-word-1","methods":[{"type":"oath","secret":"JBSWY3DPEHPK3PXP"},{"type":"phone","phone":"+44 7700900123"}]},
   {"upn":"bare@t.onmicrosoft.com","password":"pass-word-1"},
   {"upn":"fred@corp.example","password":"pass-word-1","synced":true,"methods":[{"type":"oath","secret":"JBSWY3DPEHPK3PXP"}]},
   {"upn":"near@trusted.onmicrosoft.com","type":"guest","guest_of":"trusted.onmicrosoft.com"},
   {"upn":"far@far.onmicrosoft.com","type":"guest","guest_of":"far.onmicrosoft.com"},
   {"upn":"tool@t.onmicrosoft.com","password":"pass-word-1","device":{"client":"Desktop","isCompliant":true,"operatingSystem":"Windows"}}],
  "groups":[{"name":"Outer","members":["Inner"]},{"name":"Inner","members":["bare@t.onmicrosoft.com","Outer"]}],
  "terms_of_use":[{"displayName":"House rules","id":"a1a1a1a1-0000-4000-8000-000000000001"}],
  "named_locations":[{"@odata.type":"#microsoft.graph.ipNamedLocation","id":"b1b1b1b1-0000-4000-8000-000000000001","displayName":"Office","isTrusted":true,"ipRanges":[{"cidrAddress":"198.51.100.0/24"}]},
   {"@odata.type":"#microsoft.graph.countryNamedLocation","id":"b1b1b1b1-0000-4000-8000-000000000002","displayName":"Norway","countriesAndRegions":["NO"]}],
  "apps":[{"name":"Desktop","client_id":"21111111-2222-4333-8444-555555555555","public":true,"redirect_uris":["http://localhost"],"id_tokens":true},
   {"name":"Middle","client_id":"a2222222-2222-4333-8444-555555555555","secret":{"value":"a-secret-of-sufficient-length"},"redirect_uris":["https://middle.example/cb"],"scopes":["use"]},
   {"name":"Robot","client_id":"b1111111-2222-4333-8444-555555555555","secret":{"value":"a-secret-of-sufficient-length"},"granted":{"graph":["User.Read.All"]}},
   {"name":"Abroad","from":"trusted.onmicrosoft.com","granted":{"graph":["User.Read.All"]}}],
  "grants":[{"app":"Desktop","scopes":["User.Read","Mail.Read"]},{"app":"Desktop","resource":"sharepoint","scopes":["AllSites.Read"]},{"app":"Desktop","resource":"Middle","scopes":["use"]},{"app":"Middle","scopes":["User.Read"]}]},
 {"name":"Trusted","domain":"trusted.onmicrosoft.com","users":[{"upn":"near@trusted.onmicrosoft.com","password":"pass-word-1","methods":[{"type":"oath","secret":"JBSWY3DPEHPK3PXP"}],"device":{"isCompliant":true}}],
  "apps":[{"name":"Abroad","client_id":"b2222222-2222-4333-8444-555555555555","multi_tenant":true,"secret":{"value":"a-secret-of-sufficient-length"}}]},
 {"name":"Far","domain":"far.onmicrosoft.com","users":[{"upn":"far@far.onmicrosoft.com","password":"pass-word-1","methods":[{"type":"oath","secret":"JBSWY3DPEHPK3PXP"}],"device":{"isCompliant":true}}]}]}`

const (
	robot     = "b1111111-2222-4333-8444-555555555555"
	abroad    = "b2222222-2222-4333-8444-555555555555"
	policyID  = "c0c0c0c0-0000-4000-8000-000000000001"
	office    = "b1b1b1b1-0000-4000-8000-000000000001"
	norway    = "b1b1b1b1-0000-4000-8000-000000000002"
	rules     = "a1a1a1a1-0000-4000-8000-000000000001"
	everybody = `"users":{"includeUsers":["All"]},"applications":{"includeApplications":["All"]}`
)

// policy is a policy in Graph's JSON: state, conditions and controls.
func policy(tb testing.TB, state, conditions, controls string) *directory.Object {
	tb.Helper()
	var members map[string]any
	text := fmt.Sprintf(`{"displayName":"CA1 - %s","state":%q,"conditions":{%s},%s}`, state, state, conditions, controls)
	if err := json.Unmarshal([]byte(text), &members); err != nil {
		tb.Fatalf("%s: %v", text, err)
	}
	if faults := directory.CheckPolicy(members, nil); len(faults) > 0 {
		tb.Fatalf("%s: %v", text, faults)
	}
	return &directory.Object{ID: policyID, Members: members}
}

func grants(controls ...string) string {
	list, _ := json.Marshal(controls)
	return `"grantControls":{"operator":"AND","builtInControls":` + string(list) + `}`
}

// govern puts policies into the tenant in place of others.
func (c *cloud) govern(tb testing.TB, policies ...*directory.Object) {
	tb.Helper()
	c.tenant(tb, func(t *directory.Tenant) { t.ConditionalAccess = policies })
}

// last is the newest entry of the sign-in log.
func (c *cloud) last(tb testing.TB) *directory.SignIn {
	tb.Helper()
	var out *directory.SignIn
	c.tenant(tb, func(t *directory.Tenant) { out = t.SignIns[len(t.SignIns)-1] })
	return out
}

// refusalOf is the body of the refusal that a client of MSAL ended with.
// Its device code flow has read the answer by then, so it is taken on the way.
func (c *cloud) refusalOf(tb testing.TB, err error) map[string]any {
	tb.Helper()
	if call := (msal.CallErr{}); !errors.As(err, &call) {
		tb.Fatalf("no refusal: %v", err)
	}
	body := map[string]any{}
	if err := json.Unmarshal(c.answered, &body); err != nil {
		tb.Fatal(err)
	}
	return body
}

func (c *cloud) confidential(tb testing.TB, client string) confidential.Client {
	tb.Helper()
	credential, err := confidential.NewCredFromSecret(secret)
	if err != nil {
		tb.Fatal(err)
	}
	out, err := confidential.New(root+"/t.onmicrosoft.com", client, credential, confidential.WithInstanceDiscovery(false), confidential.WithHTTPClient(&http.Client{Transport: c}))
	if err != nil {
		tb.Fatal(err)
	}
	return out
}

// ropc is MSAL's password sign-in.
func ropc(tb testing.TB, client public.Client, scopes []string, user, password string) (public.AuthResult, error) {
	tb.Helper()
	return client.AcquireTokenByUsernamePassword(tb.Context(), scopes, user, password) //nolint:staticcheck // the flow that service accounts use
}

// msalFlows are the ways to a token through MSAL: what is done before the
// policies stand, and the request that they decide on.
var msalFlows = map[string]func(t *testing.T, c *cloud, user string) (decide func() error){
	"password": func(t *testing.T, c *cloud, user string) func() error {
		client := c.client(t)
		return func() error {
			_, err := ropc(t, client, []string{"User.Read"}, user, pw)
			return err
		}
	},
	"refresh": func(t *testing.T, c *cloud, user string) func() error {
		client := c.client(t)
		result, err := ropc(t, client, []string{"User.Read"}, user, pw)
		if err != nil {
			t.Fatal(err)
		}
		return func() error {
			_, err := client.AcquireTokenSilent(t.Context(), []string{"Mail.Read"}, public.WithSilentAccount(result.Account))
			return err
		}
	},
	"code": func(t *testing.T, c *cloud, user string) func() error {
		b := c.browser(t).get(ask("code_challenge", challenge(), "code_challenge_method", "S256")).signIn(user)
		code := b.answer().Get("code")
		return func() error {
			_, err := c.client(t).AcquireTokenByAuthCode(t.Context(), code, "http://localhost:51234", []string{"User.Read"}, public.WithChallenge(verifier))
			return err
		}
	},
	"device code": func(t *testing.T, c *cloud, user string) func() error {
		device, err := c.client(t).AcquireTokenByDeviceCode(t.Context(), []string{"User.Read"})
		if err != nil {
			t.Fatal(err)
		}
		c.browser(t).get("/common/oauth2/deviceauth?otc="+device.Result.UserCode).fill().want("device").fill("action", "continue").signIn(user).want("200", "You are signed in to")
		return func() error {
			_, err := device.AuthenticationResult(t.Context())
			return err
		}
	},
	"on behalf": func(t *testing.T, c *cloud, user string) func() error {
		result, err := ropc(t, c.client(t), []string{"api://" + middle + "/use"}, user, pw)
		if err != nil {
			t.Fatal(err)
		}
		return func() error {
			_, err := c.confidential(t, middle).AcquireTokenOnBehalfOf(t.Context(), result.AccessToken, []string{"User.Read"})
			return err
		}
	},
}

// TestPolicyVerdicts: for each verdict, in each flow, a client of MSAL ends with
// the documented code, and the log names the policy.
func TestPolicyVerdicts(t *testing.T) {
	strength := `"grantControls":{"operator":"OR","builtInControls":[],"authenticationStrength":{"id":"` + directory.StrengthPhishingResistant + `"}}`
	for name, verdict := range map[string]struct {
		user, policy string
		conditions   string
		code         int
		suberror     string
		claims       string // "" if only requests that nobody sits before carry them, "none" if none does
		oauth        string // "" for interaction_required, in the password grant invalid_grant
	}{
		"blocked":         {"oath", grants("block"), "", 53003, "message_only", "capolids", ""},
		"MFA":             {"oath", grants("mfa"), "", 50076, "basic_action", "", ""},
		"registration":    {"bare", grants("mfa"), "", 50079, "basic_action", "", "interaction_required"},
		"risk":            {"bare", grants("mfa"), `,"signInRiskLevels":["medium"]`, 53004, "basic_action", "", "interaction_required"},
		"strength":        {"oath", strength, "", 50076, "basic_action", "", ""},
		"compliant":       {"oath", grants("compliantDevice"), "", 53000, "message_only", "", ""},
		"joined":          {"oath", grants("domainJoinedDevice"), "", 53001, "message_only", "", ""},
		"approved app":    {"oath", grants("approvedApplication"), "", 53002, "message_only", "", ""},
		"protected app":   {"oath", grants("compliantApplication"), "", 53009, "protection_policy_required", "", "unauthorized_client"},
		"terms of use":    {"oath", `"grantControls":{"operator":"OR","builtInControls":[],"termsOfUse":["` + rules + `"]}`, "", 50158, "additional_action", "", ""},
		"custom":          {"oath", `"grantControls":{"operator":"OR","builtInControls":[],"customAuthenticationFactors":["TokenHub"]}`, "", 50158, "additional_action", "", ""},
		"not understood":  {"oath", grants("mfa"), `,"devices":{"deviceFilter":{"mode":"include","rule":"device.moon -eq \"full\""}}`, 50131, "message_only", "none", ""},
		"place":           {"oath", grants("block"), `,"locations":{"includeLocations":["All"],"excludeLocations":["AllTrusted"]}`, 53003, "message_only", "capolids", ""},
		"unknown machine": {"oath", grants("block"), `,"platforms":{"includePlatforms":["all"],"excludePlatforms":["windows","macOS","iOS","android"]}`, 53003, "message_only", "capolids", ""},
	} {
		for flow, prepare := range msalFlows {
			t.Run(name+"/"+flow, func(t *testing.T) {
				c := start(t, governed)
				user := verdict.user + "@t.onmicrosoft.com"
				c.tenant(t, func(tenant *directory.Tenant) { tenant.User("bare@t.onmicrosoft.com").SignInRisk = "medium" })
				decide := prepare(t, c, user)
				c.govern(t, policy(t, "enabled", everybody+verdict.conditions, verdict.policy))
				body := c.refusalOf(t, decide())
				oauth, essential := "interaction_required", verdict.claims
				if flow == "password" {
					oauth = "invalid_grant"
				} else if essential == "" {
					essential = "polids"
				}
				if verdict.oauth != "" {
					oauth = verdict.oauth
				}
				challenge, _ := body["claims"].(string)
				if code(body) != verdict.code || body["suberror"] != verdict.suberror || body["error"] != oauth {
					t.Errorf("%v", body)
				}
				if essential == "none" {
					essential = ""
				}
				if essential != "" && challenge != `{"access_token":{"`+essential+`":{"essential":true,"values":["`+policyID+`"]}}}` || essential == "" && challenge != "" {
					t.Errorf("claims %s", challenge)
				}
				e := c.last(t)
				want := "failure"
				if verdict.code == 50131 {
					want = "unknown"
				}
				if e.Status != verdict.code || len(e.Applied) != 1 || e.Applied[0].ID != policyID || e.Applied[0].Name != "CA1 - enabled" || e.Applied[0].Result != want || e.CAStatus == "success" || e.CAStatus == "notApplied" {
					t.Errorf("log: %d %s %+v", e.Status, e.CAStatus, e.Applied)
				}
				c.govern(t) // and without policies all goes well
				if flow == "password" || flow == "refresh" || flow == "on behalf" {
					if err := decide(); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
}

// TestPolicyConditions: whom policies are for, and what stands in their way.
func TestPolicyConditions(t *testing.T) {
	block := grants("block")
	for name, test := range map[string]struct {
		user, conditions, grant string
		network                 sts.Network
		code                    int
	}{
		"nested group":            {"bare@t.onmicrosoft.com", `"users":{"includeGroups":["%outer"]},"applications":{"includeApplications":["All"]}`, block, sts.Network{}, 53003},
		"nested group, excluded":  {"bare@t.onmicrosoft.com", `"users":{"includeUsers":["All"],"excludeGroups":["%outer"]},"applications":{"includeApplications":["All"]}`, block, sts.Network{}, 0},
		"not in the group":        {"oath@t.onmicrosoft.com", `"users":{"includeGroups":["%outer"]},"applications":{"includeApplications":["All"]}`, block, sts.Network{}, 0},
		"at the office":           {"oath@t.onmicrosoft.com", everybody + `,"locations":{"includeLocations":["All"],"excludeLocations":["` + office + `"]}`, block, sts.Network{Address: "198.51.100.7"}, 0},
		"another user's office":   {"oath@t.onmicrosoft.com", everybody + `,"locations":{"includeLocations":["All"],"excludeLocations":["` + office + `"]}`, block, sts.Network{Address: "198.51.100.7", User: "bare@t.onmicrosoft.com"}, 53003},
		"the country":             {"oath@t.onmicrosoft.com", everybody + `,"locations":{"includeLocations":["` + norway + `"]}`, block, sts.Network{Address: "192.0.2.1", Country: "no", Client: desktop}, 53003},
		"another country":         {"oath@t.onmicrosoft.com", everybody + `,"locations":{"includeLocations":["` + norway + `"]}`, block, sts.Network{Address: "192.0.2.1", Country: "SE"}, 0},
		"the device of the app":   {"tool@t.onmicrosoft.com", everybody, grants("compliantDevice"), sts.Network{}, 0},
		"a device, not the right": {"tool@t.onmicrosoft.com", everybody, grants("domainJoinedDevice"), sts.Network{}, 53001},
		"guest, MFA":              {"far@far.onmicrosoft.com", everybody, grants("mfa"), sts.Network{}, 50079},
		"guest of a trusted home": {"near@trusted.onmicrosoft.com", everybody, grants("mfa"), sts.Network{}, 50076},
		"guest's device":          {"far@far.onmicrosoft.com", everybody, grants("compliantDevice"), sts.Network{}, 53003},
		"guest's trusted device":  {"near@trusted.onmicrosoft.com", everybody, grants("compliantDevice"), sts.Network{}, 0},
		"policy for guests":       {"oath@t.onmicrosoft.com", `"users":{"includeUsers":["GuestsOrExternalUsers"]},"applications":{"includeApplications":["All"]}`, block, sts.Network{}, 0},
		"mail behind Graph":       {"oath@t.onmicrosoft.com", `"users":{"includeUsers":["All"]},"applications":{"includeApplications":["Office365"]}`, block, sts.Network{}, 53003},
		"native client":           {"oath@t.onmicrosoft.com", everybody + `,"clientAppTypes":["browser"]`, block, sts.Network{}, 0},
		"federated":               {"fred@corp.example", everybody, grants("mfa"), sts.Network{}, 50076},
	} {
		t.Run(name, func(t *testing.T) {
			c := start(t, governed)
			c.tenant(t, func(tenant *directory.Tenant) {
				tenant.ConditionalAccess = []*directory.Object{policy(t, "enabled", strings.ReplaceAll(test.conditions, "%outer", tenant.Groups[0].ID), test.grant)}
			})
			if test.network.Address != "" {
				if err := c.SetNetwork(test.network); err != nil {
					t.Fatal(err)
				}
			}
			_, err := ropc(t, c.client(t), []string{"User.Read", "Mail.Read"}, test.user, pw)
			if test.code == 0 {
				if err != nil {
					t.Fatal(err)
				}
			} else if body := c.refusalOf(t, err); code(body) != test.code {
				t.Errorf("%v", body)
			}
			e := c.last(t)
			if e.Status != test.code || len(e.Applied) != 1 || test.network.Address != "" && test.network.User == "" && e.IPAddress != test.network.Address {
				t.Errorf("log: %+v", e)
			}
		})
	}
}

// TestReportOnly: policies in report-only and switched off stop nobody; the log
// says what they would have done.
func TestReportOnly(t *testing.T) {
	for result, p := range map[string]*directory.Object{
		"reportOnlyFailure":     policy(t, "enabledForReportingButNotEnforced", everybody, grants("block")),
		"reportOnlyInterrupted": policy(t, "enabledForReportingButNotEnforced", everybody, grants("mfa")),
		"reportOnlyNotApplied":  policy(t, "enabledForReportingButNotEnforced", `"users":{"includeUsers":["GuestsOrExternalUsers"]},"applications":{"includeApplications":["All"]}`, grants("mfa")),
		"notEnabled":            policy(t, "disabled", everybody, grants("block")),
		"success":               policy(t, "enabled", everybody, `"sessionControls":{"signInFrequency":{"value":8,"type":"hours","frequencyInterval":"timeBased","isEnabled":true}}`),
	} {
		c := start(t, governed)
		c.govern(t, p)
		if _, err := ropc(t, c.client(t), []string{"User.Read"}, "oath@t.onmicrosoft.com", pw); err != nil {
			t.Errorf("%s: %v", result, err)
		}
		e := c.last(t)
		status := map[bool]string{true: "success", false: "notApplied"}[result == "success"]
		if len(e.Applied) != 1 || e.Applied[0].Result != result || e.CAStatus != status || e.MFARequired {
			t.Errorf("%s: %s %+v", result, e.CAStatus, e.Applied)
		}
	}
}

// TestWrongPasswordFirst: policies are looked at after the first factor.
func TestWrongPasswordFirst(t *testing.T) {
	c := start(t, governed)
	c.govern(t, policy(t, "enabled", everybody, grants("block")))
	_, err := ropc(t, c.client(t), []string{"User.Read"}, "oath@t.onmicrosoft.com", "wrong")
	if body := c.refusalOf(t, err); code(body) != 50126 || len(c.last(t).Applied) != 0 {
		t.Errorf("%v %+v", body, c.last(t))
	}
}

// TestWorkloadPolicies: apps of the tenant's own are stopped by place, others'
// are not, and people's policies touch neither.
func TestWorkloadPolicies(t *testing.T) {
	c := start(t, governed)
	workloads := policy(t, "enabled", `"users":{"includeUsers":["None"]},"clientApplications":{"includeServicePrincipals":["ServicePrincipalsInMyTenant"]},"applications":{"includeApplications":["All"]},"locations":{"includeLocations":["All"],"excludeLocations":["`+office+`"]}`, grants("block"))
	c.govern(t, workloads, policy(t, "enabled", everybody, grants("block")))
	token := func(client string) error {
		_, err := c.confidential(t, client).AcquireTokenByCredential(t.Context(), []string{graphScope})
		return err
	}
	body := c.refusalOf(t, token(robot))
	if e := c.last(t); code(body) != 53003 || !strings.Contains(fmt.Sprint(body["claims"]), policyID) || e.Status != 53003 || e.PrincipalID == "" || e.Applied[0].Result != "failure" || e.Applied[1].Result != "notApplied" {
		t.Errorf("%v %+v", body, e)
	}
	if err := token(abroad); err != nil {
		t.Errorf("another tenant's app: %v", err)
	}
	if err := c.SetNetwork(sts.Network{Address: "198.51.100.1", Client: robot}); err != nil {
		t.Fatal(err)
	}
	if err := token(robot); err != nil {
		t.Errorf("at the office: %v", err)
	}
	if err := c.SetNetwork(sts.Network{Client: robot}); err != nil || len(c.Networks()) != 0 {
		t.Errorf("%v %v", err, c.Networks())
	}
	if c.refusalOf(t, token(robot)) == nil {
		t.Error("the network was not taken away")
	}
	for _, bad := range []sts.Network{{Address: "here"}, {Address: "192.0.2.1", Country: "Norway"}} {
		if c.SetNetwork(bad) == nil {
			t.Errorf("%+v was taken", bad)
		}
	}
}

// TestSignInFrequency: refresh tokens and sessions end with the time that a
// policy gives them, and not before.
func TestSignInFrequency(t *testing.T) {
	for control, lasts := range map[string]time.Duration{`"value":8,"type":"hours","frequencyInterval":"timeBased"`: 8 * time.Hour, `"frequencyInterval":"everyTime"`: 5 * time.Minute} {
		c := start(t, governed)
		c.govern(t, policy(t, "enabled", everybody, `"sessionControls":{"signInFrequency":{`+control+`,"isEnabled":true}}`))
		client := c.client(t)
		result, err := ropc(t, client, []string{"User.Read"}, "oath@t.onmicrosoft.com", pw)
		if err != nil {
			t.Fatal(err)
		}
		b := c.browser(t)
		b.get(ask()).signIn("oath@t.onmicrosoft.com").want("left")
		silent := func(scope string) error {
			_, err := client.AcquireTokenSilent(t.Context(), []string{scope}, public.WithSilentAccount(result.Account))
			return err
		}
		c.now = c.now.Add(lasts - time.Second)
		if err := silent("Mail.Read"); err != nil {
			t.Errorf("%s: %v", control, err)
		}
		if got := b.get(ask("prompt", "none")).want("left").answer(); got.Get("code") == "" {
			t.Errorf("%s: %v", control, got)
		}
		c.now = c.now.Add(time.Second)
		body := c.refusalOf(t, silent("https://t.sharepoint.com/AllSites.Read"))
		if code(body) != 70043 || body["error"] != "invalid_grant" || body["suberror"] != "token_expired" || c.last(t).Status != 70043 {
			t.Errorf("%s: %v", control, body)
		}
		if got := b.get(ask("prompt", "none")).want("left").answer(); got.Get("error") != "interaction_required" || !strings.Contains(got.Get("error_description"), "AADSTS70044") {
			t.Errorf("%s: %v", control, got)
		}
		// Before a page the password is asked for again, and all is well.
		if got := b.get(ask()).want("password").fill("password", pw).want("stay").fill("action", "no").want("left").answer(); got.Get("code") == "" {
			t.Errorf("%s: %v", control, got)
		}
	}
}

// TestProtocolTracking: worked examples 39 and 40. What began with a device code
// stays tracked, refresh after refresh.
func TestProtocolTracking(t *testing.T) {
	c := start(t, governed)
	begin := func(scope string) (public.DeviceCode, *browser) {
		device, err := c.client(t).AcquireTokenByDeviceCode(t.Context(), []string{scope})
		if err != nil {
			t.Fatal(err)
		}
		return device, c.browser(t).get("/common/oauth2/deviceauth?otc="+device.Result.UserCode).fill().want("device").fill("action", "continue").want("account").fill("upn", "oath@t.onmicrosoft.com").want("password").fill("password", pw)
	}
	const flows = `,"authenticationFlows":{"transferMethods":"deviceCodeFlow"}`
	c.govern(t, policy(t, "enabled", everybody+flows, grants("block")))
	device, page := begin("User.Read")
	page.want("400", "AADSTS53003", "<dd>CA1 - enabled</dd>")
	_, err := device.AuthenticationResult(t.Context())
	if body := c.refusalOf(t, err); code(body) != 53003 || body["suberror"] != "message_only" {
		t.Errorf("39: %v", body)
	}

	c.govern(t, policy(t, "enabled", `"users":{"includeUsers":["All"]},"applications":{"includeApplications":["All"],"excludeApplications":["`+directory.SharePointID+`"]}`+flows, grants("block")))
	client := c.client(t)
	device, err = client.AcquireTokenByDeviceCode(t.Context(), []string{"https://t.sharepoint.com/AllSites.Read"})
	if err != nil {
		t.Fatal(err)
	}
	c.browser(t).get("/common/oauth2/deviceauth?otc="+device.Result.UserCode).fill().want("device").fill("action", "continue").signIn("oath@t.onmicrosoft.com").want("200", "You are signed in to")
	result, err := device.AuthenticationResult(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if e := c.last(t); e.TransferMethod != "deviceCodeFlow" || e.Protocol != "deviceCode" {
		t.Errorf("log: %+v", e)
	}
	_, err = client.AcquireTokenSilent(t.Context(), []string{"Mail.Read"}, public.WithSilentAccount(result.Account))
	body := c.refusalOf(t, err)
	if e := c.last(t); code(body) != 530036 || !strings.Contains(fmt.Sprint(body["claims"]), policyID) || e.TransferMethod != "deviceCodeFlow" || e.Protocol != "none" || e.Status != 530036 {
		t.Errorf("40: %v, log %+v", body, e)
	}
	c.govern(t)
	if _, err = client.AcquireTokenSilent(t.Context(), []string{"Mail.Read"}, public.WithSilentAccount(result.Account)); err != nil {
		t.Error(err)
	}
}

// TestBothDemands: a policy and per-user MFA ask together; one second factor
// satisfies both, and the log names both.
func TestBothDemands(t *testing.T) {
	c := start(t, governed)
	c.tenant(t, func(tenant *directory.Tenant) { tenant.User("oath@t.onmicrosoft.com").PerUserMFA = "enforced" })
	c.govern(t, policy(t, "enabled", everybody, grants("mfa")))
	_, err := ropc(t, c.client(t), []string{"User.Read"}, "oath@t.onmicrosoft.com", pw)
	if body := c.refusalOf(t, err); code(body) != 50076 {
		t.Errorf("%v", body)
	}
	providers := func() (out []string) {
		for _, d := range c.last(t).Demands {
			out = append(out, d.Provider)
		}
		return out
	}
	if got := providers(); !slices.Equal(got, []string{"user", "multiConditionalAccess"}) {
		t.Errorf("%v", got)
	}
	b := c.browser(t)
	b.get(ask("code_challenge", challenge(), "code_challenge_method", "S256")).signIn("oath@t.onmicrosoft.com").want("code").fill("code", totp(t, "JBSWY3DPEHPK3PXP", c.now)).want("stay").fill("action", "no").want("left")
	if e := c.last(t); !slices.Equal(providers(), []string{"user", "multiConditionalAccess"}) || e.Applied[0].Result != "success" || e.CAStatus != "success" {
		t.Errorf("%v %+v", providers(), e)
	}
}
