package cli

import (
	"bytes"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/internal/diagnosis"
	"gatehouse/internal/posture"
	"gatehouse/internal/validation"
)

// explainFlags are the flags of posture explain as given.
type explainFlags struct {
	snapshotFile, account, app, service, flow, address, country, platform string
	mfa, asJSON                                                           bool
}

// postureAnswer is the answer of posture explain. Its JSON form is a contract.
type postureAnswer struct {
	Tenant     string             `json:"tenant"`
	TakenAt    string             `json:"taken_at"`
	AgeSeconds int                `json:"age_seconds"`
	Identity   string             `json:"identity"`
	Verdict    validation.Verdict `json:"verdict"` // works, works_with_warnings, blocked, unknown
	Rule       *diagnosis.Rule    `json:"rule"`    // what stops it
	Next       *diagnosis.Rule    `json:"next"`    // what stops it after that
	posture.Outcome
	Elsewhere []posture.Elsewhere  `json:"elsewhere"`
	MFA       *factors             `json:"mfa"` // null for an app
	Diagnosis *diagnosis.Diagnosis `json:"diagnosis"`
	Unread    []posture.Unread     `json:"unread"`
}

// factors are an account's second factors. Null means unknown, for the reason
// under unread.
type factors struct {
	Registered      *bool    `json:"registered"`
	Capable         *bool    `json:"capable"`
	Methods         []string `json:"methods"`
	DefaultMethod   *string  `json:"default_method"`
	SystemPreferred *bool    `json:"system_preferred"`
}

func newPostureExplain(env Env) *cobra.Command {
	var f explainFlags
	cmd := &cobra.Command{
		Use:   "explain",
		Short: "Say which rules of a snapshot stop a sign-in, in the order in which they do",
		Long: `Explain asks a snapshot what the tenant's rules mean for a sign-in, without
signing in: which one stops it, which one would next with that one out of the
way, what spares the account from each, and what would be from another address,
by device code or for another service.

The sign-in is that of --account, through --app if given; without --account it
is that of --app for itself. What is not given is not known, and the answer says
where it matters.

Exit codes: 0 nothing stops it; 1 a rule stops it; 2 wrong usage; 3 it depends
on what is not known.`,
		Example: `  gatehouse posture explain --snapshot posture.json --account svc-backup@contoso.com
  gatehouse posture explain --snapshot posture.json --account svc-backup@contoso.com --service sharepoint --address 198.51.100.20 --flow device_code
  gatehouse posture explain --snapshot posture.json --app 11111111-2222-3333-4444-555555555555 --json`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			answer, err := f.answer(time.Now())
			if err != nil {
				return err
			}
			if f.asJSON {
				err = writeJSON(env.Stdout, answer)
			} else {
				err = writePosture(env, answer)
			}
			if err != nil {
				return err
			}
			return verdictExit(answer.Verdict)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.snapshotFile, "snapshot", "", "file written by 'gatehouse posture snapshot' (required)")
	flags.StringVar(&f.account, "account", "", "user name of an account in the snapshot")
	flags.StringVar(&f.app, "app", "", "client id of the app that signs in (with --account the default is Microsoft Graph Command Line Tools)")
	flags.StringVar(&f.service, "service", "graph", "what the token is for: graph, sharepoint, exchange, business_central, azure, or an app id")
	flags.StringVar(&f.flow, "flow", "", "how it signs in: "+flowNames()+" (default password, for an app app)")
	flags.StringVar(&f.address, "address", "", "address from which it comes, as Microsoft sees it")
	flags.StringVar(&f.country, "country", "", "country of that address, two letters")
	flags.StringVar(&f.platform, "platform", "", "android, iOS, windows, macOS or linux")
	flags.BoolVar(&f.mfa, "mfa", false, "a second factor was given")
	flags.BoolVar(&f.asJSON, "json", false, "print the answer as one JSON object")
	return cmd
}

func flowNames() string {
	var names []string
	for _, f := range posture.Flows {
		names = append(names, string(f))
	}
	return strings.Join(names, ", ")
}

// signIn turns the flags into a sign-in. Every problem names the flag.
func (f *explainFlags) signIn() (posture.SignIn, error) {
	in := posture.SignIn{ClientID: strings.ToLower(f.app), Flow: posture.Flow(f.flow), Country: strings.ToUpper(f.country), Platform: f.platform, MFA: f.mfa}
	if f.app != "" && !guidPattern.MatchString(f.app) {
		return in, usagef("--app is %q, must be a client id such as 11111111-2222-3333-4444-555555555555", f.app)
	}
	if in.Resource = posture.Services[f.service]; in.Resource == "" {
		if !guidPattern.MatchString(f.service) {
			return in, usagef("--service is %q, must be graph, sharepoint, exchange, business_central, azure, or an app id", f.service)
		}
		in.Resource = strings.ToLower(f.service)
	}
	if f.flow != "" && !slices.Contains(posture.Flows, in.Flow) {
		return in, usagef("--flow is %q, must be one of %s", f.flow, flowNames())
	}
	if f.address != "" {
		address, err := netip.ParseAddr(f.address)
		if err != nil || address.Zone() != "" {
			return in, usagef("--address is %q, must be an IPv4 or IPv6 address", f.address)
		}
		in.Address = address.Unmap()
	}
	if f.country != "" && (len(in.Country) != 2 || strings.Trim(in.Country, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "") {
		return in, usagef("--country is %q, must be two letters such as DE", f.country)
	}
	if f.platform != "" && !slices.Contains([]string{"android", "iOS", "windows", "macOS", "linux"}, f.platform) {
		return in, usagef("--platform is %q, must be android, iOS, windows, macOS or linux", f.platform)
	}
	switch {
	case f.account == "" && f.app == "":
		return in, usagef("nobody to ask about: give --account, or --app for an app that signs in for itself")
	case f.account == "" && (f.mfa || f.platform != "" || f.flow != "" && in.Flow != posture.FlowApp):
		return in, usagef("--mfa, --platform and --flow belong to an --account; an app signs in by secret or certificate")
	case f.account == "":
		in.Flow = posture.FlowApp
	case in.Flow == posture.FlowApp:
		return in, usagef("--flow app has no --account")
	case in.ClientID == "":
		in.ClientID = validation.GraphCommandLineTools
	}
	return in, nil
}

func (f *explainFlags) answer(now time.Time) (*postureAnswer, error) {
	in, err := f.signIn()
	if err != nil {
		return nil, err
	}
	if f.snapshotFile == "" {
		return nil, usagef("--snapshot is missing: take one with 'gatehouse posture snapshot'")
	}
	s, err := readSnapshot(f.snapshotFile)
	if err != nil {
		return nil, err
	}
	a := &postureAnswer{Tenant: s.TenantID, TakenAt: s.TakenAt.UTC().Format(time.RFC3339), AgeSeconds: int(now.Sub(s.TakenAt).Seconds()), Unread: s.Unread}
	facts := diagnosis.Facts{Tenant: s.TenantName, Unattended: in.Flow != posture.FlowBrowser && in.Flow != posture.FlowDesktop && in.Flow != posture.FlowDeviceCode}
	var evaluate func(posture.SignIn) posture.Outcome
	if f.account != "" {
		account, ok := s.Account(f.account)
		if !ok {
			return nil, absent("account", "--account", f.account, s.Reason(posture.PartAccount, f.account))
		}
		a.Identity, facts.Account, facts.Registered = account.UPN, account.UPN, account.Registered()
		a.MFA = &factors{facts.Registered, account.Capable, account.Methods, account.DefaultMethod, account.SystemPreferred}
		evaluate = func(in posture.SignIn) posture.Outcome { return s.Evaluate(account, in) }
	} else {
		app, ok := s.App(f.app)
		if !ok {
			return nil, absent("app", "--app", f.app, s.Reason(posture.PartApp, f.app))
		}
		a.Identity, facts.Account, facts.ClientName, facts.AppOnly = app.Name, app.Name, app.Name, true
		evaluate = func(in posture.SignIn) posture.Outcome { return s.EvaluateApp(app, in) }
	}
	a.Outcome, a.Elsewhere = evaluate(in), s.Elsewhere(in, evaluate)
	a.judge(facts)
	return a, nil
}

func readSnapshot(file string) (*posture.Snapshot, error) {
	data, err := readLimited(file, 64<<20)
	if err != nil {
		return nil, usagef("--snapshot: %w", err)
	}
	s, err := posture.Read(bytes.NewReader(data))
	if err != nil {
		return nil, usagef("--snapshot: %w", err)
	}
	return s, nil
}

func absent(what, flag, name, reason string) error {
	if reason == "" {
		return usagef("the snapshot does not hold the %s %s; take it with %s %s", what, name, flag, name)
	}
	return unknownf("the %s %s could not be read when the snapshot was taken: %s", what, name, reason)
}

// judge sums the findings up: the first one is the answer.
func (a *postureAnswer) judge(facts diagnosis.Facts) {
	first := a.Findings[0]
	switch first.Effect {
	case posture.Blocks, posture.Demands:
		a.Verdict, a.Rule = validation.Blocked, &first.Rule
	case posture.NotKnown:
		a.Verdict = validation.Unknown
	case posture.MayDemand:
		a.Verdict = validation.WorksWithWarnings
	default:
		a.Verdict = validation.Works
		if len(a.Elsewhere) > 0 {
			a.Verdict = validation.WorksWithWarnings
		}
	}
	if a.Rule == nil {
		return
	}
	if stops := a.Stops(); len(stops) > 1 {
		a.Next = &stops[1].Rule
	}
	facts.Rule, facts.Because = a.Rule, first.Because
	if first.Rule.Kind == diagnosis.ConditionalAccess {
		facts.Why = first.Why
	}
	d := diagnosis.Foresee(first.Code, facts)
	a.Diagnosis = &d
}

// writePosture prints the answer for people: what stops the sign-in, what helps,
// then everything that was looked at.
func writePosture(env Env, a *postureAnswer) error {
	colour := isTerminal(env.Stdout) && env.Getenv("NO_COLOR") == ""
	var b bytes.Buffer
	headlines := map[validation.Verdict]string{
		validation.Blocked: "A rule stops it", validation.Unknown: "It depends on what is not known",
		validation.WorksWithWarnings: "Nothing stops it here and now", validation.Works: "Nothing stops it",
	}
	fmt.Fprintf(&b, "%s: %s, %s\n", headlines[a.Verdict], a.Identity, a.SignIn)
	fmt.Fprintf(&b, "As of %s, %s ago\n", a.TakenAt, age(a.AgeSeconds))
	if a.Rule != nil {
		fmt.Fprintf(&b, "Rule: %s\n", ruleText(*a.Rule))
	}
	if a.Next != nil {
		fmt.Fprintf(&b, "After that: %s\n", ruleText(*a.Next))
	}
	if a.Diagnosis != nil {
		fmt.Fprintln(&b)
		if err := writeDiagnosis(&b, *a.Diagnosis, colour); err != nil {
			return err
		}
	}
	writeFindings(&b, "In the order in which they stop it:", a.Findings)
	writeFindings(&b, "In report-only mode, would stop it if switched on:", a.ReportOnly)
	for i, e := range a.Elsewhere {
		if i == 0 {
			fmt.Fprintln(&b, "\nElsewhere:")
		}
		b.WriteString("  - " + strings.TrimLeft(wrap(e.Where+", "+posture.Sentence(e.Finding), "    ", explainWidth), " "))
	}
	writeFindings(&b, "Policies that do not apply:", a.Others)
	if a.MFA != nil {
		fmt.Fprintf(&b, "\nSecond factor: registered %s, usable %s, default %s\n", yesNo(a.MFA.Registered), yesNo(a.MFA.Capable), defaultMethod(a.MFA))
	}
	for i, u := range a.Unread {
		if i == 0 {
			fmt.Fprintln(&b, "\nNot read:")
		}
		b.WriteString("  - " + strings.TrimLeft(wrap(u.Part+": "+u.Reason, "    ", explainWidth), " "))
	}
	_, err := io.Copy(env.Stdout, &b)
	return err
}

var effectMarks = map[posture.Effect]string{
	posture.Blocks: "NO  ", posture.Demands: "asks", posture.NotKnown: "?   ", posture.MayDemand: "may ", posture.DoesNot: "ok  ",
}

func writeFindings(b *bytes.Buffer, title string, findings []posture.Finding) {
	if len(findings) == 0 {
		return
	}
	fmt.Fprintf(b, "\n%s\n", title)
	for _, f := range findings {
		b.WriteString("  " + effectMarks[f.Effect] + " " + strings.TrimLeft(wrap(ruleText(f.Rule)+": "+f.Why, "       ", explainWidth+20), " "))
		for _, e := range f.SparedBy {
			name := e.Name
			if name == "" {
				name = e.ID
			}
			b.WriteString("       - " + strings.TrimLeft(wrap(fmt.Sprintf("%s %s: %s", strings.ReplaceAll(e.Kind, "_", " "), name, e.How), "         ", explainWidth+20), " "))
		}
	}
}

func yesNo(b *bool) string {
	switch {
	case b == nil:
		return "unknown"
	case *b:
		return "yes"
	}
	return "no"
}

func defaultMethod(f *factors) string {
	switch {
	case f.Registered != nil && !*f.Registered:
		return "none"
	case f.SystemPreferred != nil && *f.SystemPreferred:
		return "chosen by Microsoft (system-preferred)"
	case f.DefaultMethod == nil:
		return "unknown"
	case *f.DefaultMethod == "":
		return "none"
	}
	return *f.DefaultMethod
}

// age says how long something is ago, roughly.
func age(seconds int) string {
	switch d := time.Duration(seconds) * time.Second; {
	case d < time.Minute:
		return fmt.Sprintf("%d s", seconds)
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d hours", int(d.Hours()))
	default:
		return fmt.Sprintf("%d days", int(d.Hours()/24))
	}
}
