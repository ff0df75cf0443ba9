package console

import (
	"fmt"
	"slices"
	"strings"

	"gatehouse/internal/audit"
	"gatehouse/internal/connection"
	"gatehouse/internal/diagnosis"
	"gatehouse/internal/posture"
	"gatehouse/internal/tenant"
	"gatehouse/internal/validation"
)

var probeNames = map[string]string{
	validation.ProbeConfiguration: "Configuration", validation.ProbeTenant: "Tenant", validation.ProbeRealm: "Sign-in realm",
	validation.ProbeToken: "Token", validation.ProbeClaims: "What the token says", validation.ProbeAccount: "Account",
	validation.ProbeRegistration: "MFA registration", validation.ProbePosture: "Rules of the tenant", validation.ProbeService: "Service",
	validation.ProbePermissions: "Permissions", validation.ProbeSecondHop: "Apps further on",
}

// service is a service by the name that stores use, and in words.
type service struct{ Name, Words string }

// The services, in the order of the matrix.
var services = []service{
	{"graph", "Microsoft Graph"}, {"sharepoint", "SharePoint"}, {"exchange", "Exchange"}, {"business_central", "Business Central"},
}

func serviceWords(name string) string {
	for _, s := range services {
		if s.Name == name {
			return s.Words
		}
	}
	return name
}

func serviceList(names []string) string {
	words := make([]string, len(names))
	for i, n := range names {
		words[i] = serviceWords(n)
	}
	return strings.Join(words, ", ")
}

// serviceOptions are the services to filter by.
func serviceOptions() []option {
	options := []option{{"", "All"}}
	for _, s := range services {
		options = append(options, option{s.Name, s.Words})
	}
	return options
}

func kindWords(k connection.Kind) string {
	switch k {
	case connection.App:
		return "App"
	case connection.Delegated:
		return "Person who signed in"
	}
	return "Service account"
}

var credentials = []struct {
	Kind         connection.CredentialKind
	Words, Where string
}{
	{connection.Password, "Password", "for-account"}, {connection.AppPassword, "App password", "for-account"},
	{connection.Certificate, "Certificate", "for-app"}, {connection.Secret, "Client secret", "for-app"}, {connection.Federated, "Federated credential", "for-app"},
}

func credentialWords(k connection.CredentialKind) string {
	if k == connection.SignIn {
		return "A person's sign-in"
	}
	for _, c := range credentials {
		if c.Kind == k {
			return c.Words
		}
	}
	return string(k)
}

// actorWords says who must act.
func actorWords(a diagnosis.Actor) string { return a.Words() }

// cloudWords is what one of Microsoft's clouds is called.
func cloudWords(name string) string {
	words := map[string]string{"public": "public cloud", "usgov": "US Government", "usgov-dod": "US Government (DoD)", "china": "China (21Vianet)", "lab": "the lab"}
	if w := words[name]; w != "" {
		return w
	}
	return name
}

// codeWords is a code as Microsoft gives it; "" for what Gatehouse itself found out
// before Microsoft was asked.
func codeWords(code *string) string {
	if code == nil || slices.Contains(validation.OwnCodes, *code) {
		return ""
	}
	return *code
}

func ruleWords(r *diagnosis.Rule) string {
	if r == nil {
		return ""
	}
	if r.Name != nil && *r.Name != "" {
		return *r.Name
	}
	if words := posture.Sentence(posture.Finding{Rule: *r}); words != "" {
		return words
	}
	return sentenceCase(strings.ReplaceAll(string(r.Kind), "_", " "))
}

func factorWords(kind string) string {
	switch kind {
	case "passkey":
		return "Passkey"
	case "totp":
		return "Code generator"
	default:
		return kind
	}
}

// browserWords are the browser and system that a user agent names; the order
// matters, as browsers also name those that they descend from.
func browserWords(agent string) string {
	browser := "A program"
	for _, b := range []struct{ sign, name string }{
		{"Edg", "Edge"}, {"OPR/", "Opera"}, {"Firefox/", "Firefox"}, {"Chrome/", "Chrome"}, {"Safari/", "Safari"},
	} {
		if strings.Contains(agent, b.sign) {
			browser = b.name
			break
		}
	}
	for _, s := range []struct{ sign, name string }{
		{"Windows", "Windows"}, {"iPhone", "iPhone"}, {"iPad", "iPad"}, {"Android", "Android"}, {"Mac OS X", "macOS"}, {"Linux", "Linux"},
	} {
		if strings.Contains(agent, s.sign) {
			return browser + " on " + s.name
		}
	}
	return browser
}

func realmWords(realm string) string {
	switch realm {
	case "managed":
		return "Managed: Microsoft checks the passwords"
	case "federated":
		return "Federated: a server of the organisation checks the passwords"
	default:
		return "Unknown"
	}
}

func sourceWords(source string) string {
	if source == tenant.FromUpload {
		return "uploaded"
	}
	return "by the reader"
}

// policyWords sums up the policies of a snapshot.
func policyWords(s *posture.Snapshot) string {
	if s.Policies == nil {
		return "Unknown: the policies could not be read"
	}
	enabled, mfa, reporting := demanding(s)
	text := fmt.Sprintf("%d on, of which %d ask for MFA", enabled, mfa)
	if enabled == 0 {
		text = "None on"
	}
	if reporting > 0 {
		text += fmt.Sprintf("; %d only report", reporting)
	}
	return text
}

// identity is the name with which a connection signs in.
func identity(c connection.Connection) string {
	if c.Username != "" {
		return c.Username
	}
	return c.ClientID
}

// verdictOptions are the verdicts to filter by.
func verdictOptions() []option {
	options := []option{{"", "All"}}
	for _, v := range []validation.Verdict{validation.Works, validation.WorksWithWarnings, validation.Blocked, validation.Failed, validation.Unknown} {
		options = append(options, option{string(v), verdictState(string(v)).Word})
	}
	return append(options, option{connection.Never, "Not validated yet"})
}

// actionWords writes an action of the audit log for people: "connection.created"
// as "Connection created".
func actionWords(action string) string {
	return sentenceCase(strings.NewReplacer(".", " ", "_", " ").Replace(action))
}

func jobWords(kind string) string { return sentenceCase(strings.ReplaceAll(kind, "_", " ")) }

// who did what a record says.
func who(r audit.Record) string {
	switch {
	case r.ActorName != "":
		return r.ActorName
	case r.ActorID != "":
		return r.ActorID
	default:
		return sentenceCase(string(r.ActorKind))
	}
}

func policyCount(s *posture.Snapshot) string {
	if len(s.Policies) == 1 {
		return "1 policy"
	}
	return fmt.Sprintf("%d policies", len(s.Policies))
}

// fewNames is how many names stand in a line before the rest is counted.
const fewNames = 3

// objectHref is the page of what an entry is about; "" if it has none.
func objectHref(r audit.Record) string {
	if strings.HasSuffix(r.Action, ".removed") && r.Action != "reader.removed" {
		return ""
	}
	switch r.ObjectKind {
	case "tenant":
		return "/tenants/" + r.ObjectID
	case "connection":
		return "/connections/" + r.ObjectID
	case "incident":
		return "/incidents/" + r.ObjectID
	case "operator":
		return "/operators/" + r.ObjectID
	}
	return ""
}
