package console

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"gatehouse/internal/audit"
	"gatehouse/internal/connection"
	"gatehouse/internal/diagnosis"
	"gatehouse/internal/jobs"
	"gatehouse/internal/operator"
	"gatehouse/internal/posture"
	"gatehouse/internal/tenant"
	"gatehouse/internal/validation"
)

// state is how a state looks: a tone for the colour, a shape, and a word.
type state struct{ Tone, Shape, Word string }

// The tones.
const (
	good = "good"
	warn = "warn"
	bad  = "bad"
	none = "none"
)

var verdicts = map[string]state{
	string(validation.Works):             {good, "check", "Works"},
	string(validation.WorksWithWarnings): {warn, "warning", "Works, with warnings"},
	string(validation.Blocked):           {bad, "stop", "Blocked"},
	string(validation.Failed):            {bad, "cross", "Failed"},
	string(validation.Unknown):           {none, "question", "Unknown"},
	"":                                   {none, "ring", "Not validated yet"},
}

func verdictState(v string) state {
	if s, ok := verdicts[v]; ok {
		return s
	}
	return state{none, "question", v}
}

// stateOf is the state of a connection: one that is parked is not tried at all.
func stateOf(c connection.Connection) state {
	if c.Parked {
		return state{bad, "pause", "Parked"}
	}
	return verdictState(c.Verdict)
}

func probeState(s validation.State) state {
	switch s {
	case validation.Passed:
		return state{good, "check", "passed"}
	case validation.Warning:
		return state{warn, "warning", "warning"}
	case validation.Fail:
		return state{bad, "cross", "failed"}
	case validation.Skipped:
		return state{none, "ring", "skipped"}
	default:
		return state{none, "question", "unknown"}
	}
}

func effectState(e posture.Effect) state {
	switch e {
	case posture.Blocks:
		return state{bad, "stop", "Refuses"}
	case posture.Demands:
		return state{bad, "cross", "Demands"}
	case posture.MayDemand:
		return state{warn, "warning", "May demand"}
	case posture.DoesNot:
		return state{good, "check", "Lets through"}
	default:
		return state{none, "question", "Unknown"}
	}
}

func switchState(s tenant.Switch) state {
	switch {
	case !s.Available && s.State == tenant.Off:
		return state{none, "ring", "Not in this release"}
	case s.State == tenant.On:
		return state{good, "check", "On"}
	case s.State == tenant.Pending:
		return state{warn, "half", "Waiting for consent"}
	case s.State == tenant.Broken:
		return state{bad, "cross", "Broken"}
	default:
		return state{none, "ring", "Off"}
	}
}

func jobState(s jobs.State) state {
	switch s {
	case jobs.Done:
		return state{good, "check", "Done"}
	case jobs.Running:
		return state{none, "half", "Running"}
	case jobs.Retrying:
		return state{warn, "warning", "Will be tried again"}
	case jobs.Failed:
		return state{bad, "cross", "Failed"}
	case jobs.Cancelled:
		return state{none, "pause", "Cancelled"}
	case jobs.Scheduled:
		return state{none, "ring", "Scheduled"}
	default:
		return state{none, "ring", "Waiting"}
	}
}

var probeNames = map[string]string{
	validation.ProbeConfiguration: "Configuration", validation.ProbeTenant: "Tenant", validation.ProbeRealm: "Sign-in realm",
	validation.ProbeToken: "Token", validation.ProbeClaims: "What the token says", validation.ProbeAccount: "Account",
	validation.ProbeRegistration: "MFA registration", validation.ProbePosture: "Rules of the tenant", validation.ProbeService: "Service",
	validation.ProbePermissions: "Permissions",
}

// The services, in the order of the matrix.
var services = []struct{ Name, Words string }{
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

func kindWords(k connection.Kind) string {
	if k == connection.App {
		return "App"
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
	for _, c := range credentials {
		if c.Kind == k {
			return c.Words
		}
	}
	return string(k)
}

// actorWords says who must act.
func actorWords(a diagnosis.Actor) string {
	switch a {
	case diagnosis.EndUser:
		return "the user"
	case diagnosis.TenantAdmin:
		return "the tenant's administrator"
	case diagnosis.AppOwner:
		return "the app's owner"
	case diagnosis.Operator:
		return "you"
	case diagnosis.Microsoft:
		return "Microsoft"
	case diagnosis.NobodyRetry:
		return "nobody: wait, then try again"
	default:
		return string(a)
	}
}

func ruleWords(r *diagnosis.Rule) string {
	if r == nil {
		return ""
	}
	if r.Name != nil {
		return *r.Name
	}
	return posture.Sentence(posture.Finding{Rule: *r})
}

// sentence makes the first letter a capital and ends with a full stop.
func sentence(s string) string {
	if s == "" {
		return ""
	}
	r, size := utf8.DecodeRuneInString(s)
	s = string(unicode.ToUpper(r)) + s[size:]
	if !strings.ContainsAny(s[len(s)-1:], ".?:") {
		s += "."
	}
	return s
}

// count writes a number with its noun: "1 connection", "3 connections".
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// ago says how long ago, or in how long, a time is.
func ago(t, now time.Time) string {
	d := now.Sub(t)
	if d < 0 {
		return "in " + span(-d)
	}
	if d < 10*time.Second {
		return "just now"
	}
	return span(d) + " ago"
}

func span(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	default:
		return fmt.Sprintf("%d days", int(d.Hours()/24))
	}
}

func utcText(t time.Time) string { return t.UTC().Format("2 Jan 2006, 15:04") + " UTC" }

func exactUTC(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05") + " UTC" }

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// initials of a name, for the corner of the page.
func initials(name string) string {
	words := strings.Fields(name)
	if len(words) == 0 {
		return "?"
	}
	first, _ := utf8.DecodeRuneInString(words[0])
	text := string(unicode.ToUpper(first))
	if len(words) > 1 {
		last, _ := utf8.DecodeRuneInString(words[len(words)-1])
		text += string(unicode.ToUpper(last))
	}
	return text
}

// said are the words after a change, by the name that the address carries.
var said = map[string]string{
	"tenant-added":      "The tenant is here. Next: let it be read, or add a connection.",
	"tenant-removed":    "The tenant was removed.",
	"renamed":           "The new name is stored.",
	"paused":            "The tenant is paused: nothing is started for it by itself.",
	"resumed":           "The tenant is no longer paused.",
	"refreshing":        "A new snapshot is being taken. This page shows it when it is there.",
	"uploaded":          "The snapshot is stored.",
	"reader-checked":    "The reader was checked.",
	"reader-removed":    "The reader was removed here. Its app registration stays in the tenant until an administrator deletes it.",
	"created":           "The connection is stored. Validate it to see whether software gets in.",
	"updated":           "The changes are stored.",
	"credential":        "The new credential is stored.",
	"unparked":          "The connection may be tried again.",
	"connection-gone":   "The connection was removed.",
	"job-retried":       "The job begins at once.",
	"job-cancelled":     "The job was cancelled.",
	"role":              "The role is stored.",
	"disabled":          "The operator is disabled, and signed out everywhere.",
	"enabled":           "The operator may sign in again.",
	"operator-gone":     "The operator was removed.",
	"session-ended":     "The session was ended.",
	"sessions-ended":    "All other sessions were ended.",
	"password":          "The password is changed, and other sessions are ended.",
	"factor-added":      "The second factor is stored.",
	"factor-removed":    "The second factor was removed.",
	"theme":             "The theme is changed.",
	"signed-out":        "You are signed out.",
	"validation-queued": "The validation has begun.",
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

// sentenceCase makes the first letter a capital.
func sentenceCase(s string) string {
	r, size := utf8.DecodeRuneInString(s)
	if size == 0 {
		return ""
	}
	return string(unicode.ToUpper(r)) + s[size:]
}

func policyState(s string) state {
	switch s {
	case "enabled":
		return state{good, "check", "On"}
	case "disabled":
		return state{none, "ring", "Off"}
	default:
		return state{none, "half", "Report-only"}
	}
}

func yesNo(v *bool) state {
	switch {
	case v == nil:
		return state{none, "question", "Unknown"}
	case *v:
		return state{good, "check", "Yes"}
	default:
		return state{none, "ring", "No"}
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

func readerState(r *tenant.Reader) state {
	switch r.State {
	case tenant.ReaderWorks:
		return state{good, "check", "Works"}
	case tenant.ReaderBroken:
		return state{bad, "cross", "Broken"}
	default:
		return state{none, "question", "Not checked yet"}
	}
}

// identity is the name with which a connection signs in.
func identity(c connection.Connection) string {
	if c.Username != "" {
		return c.Username
	}
	return c.ClientID
}

// listWords joins names, of which there may be more than are given.
func listWords(names []string, all int) string {
	text := strings.Join(names, ", ")
	if all > len(names) {
		text += fmt.Sprintf(" and %d more", all-len(names))
	}
	return text
}

func has(all []string, one string) bool { return slices.Contains(all, one) }

func doWords(n int) string {
	if n == 1 {
		return "does"
	}
	return "do"
}

// verdictOptions are the verdicts to filter by.
func verdictOptions() []option {
	options := []option{{"", "All"}}
	for _, v := range []validation.Verdict{validation.Works, validation.WorksWithWarnings, validation.Blocked, validation.Failed, validation.Unknown} {
		options = append(options, option{string(v), verdictState(string(v)).Word})
	}
	return append(options, option{connection.Never, "Not validated yet"})
}

// sortedKeys are the keys of a map in order.
func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

func operatorState(o *operator.Operator, now time.Time) state {
	switch {
	case o.DisabledAt != nil:
		return state{none, "pause", "Disabled"}
	case o.LockedUntil != nil && o.LockedUntil.After(now):
		return state{warn, "warning", "Locked for a while"}
	case o.PasswordHash == "":
		return state{none, "ring", "Invited"}
	default:
		return state{good, "check", "Active"}
	}
}

func outcomeState(o audit.Outcome) state {
	switch o {
	case audit.OutcomeDone:
		return state{good, "check", "Done"}
	case audit.OutcomeRefused:
		return state{bad, "stop", "Refused"}
	default:
		return state{warn, "cross", "Failed"}
	}
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

func dayWords(days int) string {
	switch days {
	case 0:
		return "today"
	case 1:
		return "tomorrow"
	default:
		return fmt.Sprintf("in %d days", days)
	}
}

func policyCount(s *posture.Snapshot) string {
	if len(s.Policies) == 1 {
		return "1 policy"
	}
	return fmt.Sprintf("%d policies", len(s.Policies))
}
