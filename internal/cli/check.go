package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"gatehouse/internal/diagnosis"
	"gatehouse/internal/microsoft"
	"gatehouse/internal/microsoft/login"
	"gatehouse/internal/pace"
	"gatehouse/internal/secrets"
	"gatehouse/internal/validation"
)

// checkFlags are the flags of check as given.
type checkFlags struct {
	tenant, username, passwordFile, clientID, secretFile, certificateFile string
	service                                                               string
	site, adminURL, environment, company                                  string
	reader                                                                readerFlags
	snapshotFile                                                          string
	allowFederation                                                       []string
	asJSON                                                                bool
	timeout                                                               time.Duration
}

// readerFlags name a tenant's reader; posture snapshot takes them too.
type readerFlags struct {
	cloud, clientID, secretFile, certificateFile string
}

func (f *readerFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.cloud, "cloud", "public", "lab, public, usgov, usgov-dod, china, or a ready or endpoint file; lab reads the ready file named by GATEHOUSE_LAB")
	flags.StringVar(&f.clientID, "reader-client-id", "", "client id of the tenant's reader, an app that may read its rules")
	flags.StringVar(&f.secretFile, "reader-secret-file", "", "file with the reader's client secret")
	flags.StringVar(&f.certificateFile, "reader-certificate-file", "", "PEM file with the reader's certificate and private key")
}

func newCheck(env Env) *cobra.Command {
	var f checkFlags
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Try one identity against one service and say what stops it",
		Long: `Check signs in once, as software would, and says whether the identity gets in
without a person; if not, which rule says no, who has to act, and what helps.

A service account is given by --username and its password (--password-file,
GATEHOUSE_PASSWORD, or a prompt); an app by --client-id with --secret-file
(or GATEHOUSE_CLIENT_SECRET) or --certificate. The password is tried exactly
once, so that no account is ever locked. A federated domain's password is sent
to no host but those named by --allow-federation-host.

A refusal alone seldom names the rule behind it. With a reader (an app that may
read the tenant's rules) or a snapshot ('gatehouse posture snapshot') the rule
is named too, a Conditional Access policy by its name; without, it stays open.

Exit codes: 0 it works; 1 blocked or failed; 2 wrong usage; 3 could not find out.`,
		Example: `  gatehouse check --tenant contoso.onmicrosoft.com --username svc-backup@contoso.com --service graph
  gatehouse check --tenant contoso.onmicrosoft.com --client-id 11111111-2222-3333-4444-555555555555 --certificate app.pem --service graph --json
  gatehouse check --tenant contoso.onmicrosoft.com --client-id 11111111-2222-3333-4444-555555555555 --certificate app.pem --service sharepoint --site https://contoso.sharepoint.com/sites/finance
  gatehouse check --cloud lab --tenant defaultshield.onmicrosoft.com --username svc-connection@defaultshield.example --password-file pw.txt --service graph`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			request, err := f.request(env)
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), f.timeout)
			defer cancel()
			result := validation.Service{Pace: pace.New(pace.Config{})}.Run(ctx, request)
			if f.asJSON {
				err = writeJSON(env.Stdout, result)
			} else {
				err = writeResult(env, request, result)
			}
			if err != nil {
				return err
			}
			return verdictExit(result.Verdict)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.tenant, "tenant", "", "tenant: a domain or an id (required)")
	flags.StringVar(&f.username, "username", "", "user name of a service account")
	flags.StringVar(&f.passwordFile, "password-file", "", "file with the account's password (default GATEHOUSE_PASSWORD, or a prompt)")
	flags.StringVar(&f.clientID, "client-id", "", "app that signs in (with --username the default is Microsoft Graph Command Line Tools)")
	flags.StringVar(&f.secretFile, "secret-file", "", "file with the app's client secret (default GATEHOUSE_CLIENT_SECRET)")
	flags.StringVar(&f.certificateFile, "certificate", "", "PEM file with the app's certificate and private key")
	flags.StringVar(&f.service, "service", "graph", "service to reach: graph, sharepoint or business_central")
	flags.StringVar(&f.site, "site", "", "site address, with --service sharepoint")
	flags.StringVar(&f.adminURL, "admin-url", "", "admin-centre address, with --service sharepoint")
	flags.StringVar(&f.environment, "environment", "", "environment, with --service business_central")
	flags.StringVar(&f.company, "company", "", "company, with --service business_central")
	f.reader.add(cmd)
	flags.StringVar(&f.snapshotFile, "snapshot", "", "posture snapshot file, instead of a reader")
	flags.StringArrayVar(&f.allowFederation, "allow-federation-host", nil, "host[:port] that a federated password may be sent to (repeatable)")
	flags.DurationVar(&f.timeout, "timeout", time.Minute, "how long to try at most")
	flags.BoolVar(&f.asJSON, "json", false, "print the result as one JSON object")
	return cmd
}

func verdictExit(v validation.Verdict) error {
	switch v {
	case validation.Works, validation.WorksWithWarnings:
		return nil
	case validation.Blocked, validation.Failed:
		return &exitError{code: exitNo}
	}
	return &exitError{code: exitUnknown}
}

var (
	guidPattern   = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)
	tenantPattern = regexp.MustCompile(`^[0-9A-Za-z]([0-9A-Za-z.-]{0,251}[0-9A-Za-z])?$`)
)

// request turns flags into what to validate. Every problem names the flag.
func (f *checkFlags) request(env Env) (validation.Request, error) {
	var r validation.Request
	var err error
	if f.tenant == "" {
		return r, usagef("--tenant is missing: a domain such as contoso.onmicrosoft.com, or a tenant id")
	}
	if !tenantPattern.MatchString(f.tenant) {
		return r, usagef("--tenant is %q, must be a domain or a tenant id", f.tenant)
	}
	if !slices.Contains([]string{validation.ServiceGraph, validation.ServiceSharePoint, validation.ServiceBusinessCentral}, f.service) {
		return r, usagef("--service is %q, must be graph, sharepoint or business_central", f.service)
	}
	for _, belongs := range []struct{ flag, value, service string }{
		{"--site", f.site, validation.ServiceSharePoint}, {"--admin-url", f.adminURL, validation.ServiceSharePoint},
		{"--environment", f.environment, validation.ServiceBusinessCentral}, {"--company", f.company, validation.ServiceBusinessCentral},
	} {
		if belongs.value != "" && f.service != belongs.service {
			return r, usagef("%s does not belong to --service %s", belongs.flag, f.service)
		}
	}
	for flag, value := range map[string]string{"--client-id": f.clientID, "--reader-client-id": f.reader.clientID} {
		if value != "" && !guidPattern.MatchString(value) {
			return r, usagef("%s is %q, must be a client id such as 11111111-2222-3333-4444-555555555555", flag, value)
		}
	}
	for _, host := range f.allowFederation {
		if u, err := url.Parse("https://" + host); err != nil || u.Host != host || host == "" {
			return r, usagef("--allow-federation-host is %q, must be a host name, with :port where it is not 443", host)
		}
	}
	r = validation.Request{Tenant: f.tenant, Username: f.username, ClientID: strings.ToLower(f.clientID), AllowFederation: f.allowFederation,
		Place: validation.Place{Services: []string{f.service}, Site: f.site, AdminURL: f.adminURL, Environment: f.environment, Company: f.company}}
	if r.Cloud, err = findCloud(env, f.reader.cloud); err != nil {
		return r, err
	}
	for flag, address := range map[string]string{"--site": f.site, "--admin-url": f.adminURL} {
		if _, _, ok := r.Cloud.SharePointName(address); address != "" && !ok {
			return r, usagef("%s is %q, must be an address of SharePoint in this cloud, such as https://contoso.sharepoint.com/sites/finance", flag, address)
		}
	}
	if r.Credential, err = f.credential(env); err != nil {
		return r, err
	}
	if r.Username != "" && r.ClientID == "" {
		r.ClientID = validation.GraphCommandLineTools
	}
	if f.snapshotFile != "" {
		if f.reader.clientID != "" {
			return r, usagef("--snapshot and --reader-client-id exclude each other: the reader's view is fresh")
		}
		if r.Snapshot, err = readSnapshot(f.snapshotFile); err != nil {
			return r, err
		}
	}
	r.Reader, err = f.reader.reader()
	return r, err
}

func findCloud(env Env, name string) (microsoft.Cloud, error) {
	cloud, err := microsoft.FindCloud(name, env.Getenv("GATEHOUSE_LAB"))
	if err != nil {
		return cloud, usagef("--cloud: %w", err)
	}
	return cloud, nil
}

func (f *checkFlags) credential(env Env) (validation.Credential, error) {
	var c validation.Credential
	var err error
	if f.username != "" {
		if f.secretFile != "" || f.certificateFile != "" {
			return c, usagef("--username goes with a password; --secret-file and --certificate go with an app's --client-id alone")
		}
		if name, domain, ok := strings.Cut(f.username, "@"); !ok || name == "" || domain == "" || strings.ContainsAny(f.username, " \t\r\n") {
			return c, usagef("--username is %q, must look like name@domain", f.username)
		}
		c.Password, err = password(env, f.passwordFile, f.username)
		return c, err
	}
	if f.passwordFile != "" {
		return c, usagef("--password-file needs --username")
	}
	if f.clientID == "" {
		return c, usagef("nobody to check: give --username for a service account, or --client-id for an app")
	}
	switch {
	case f.secretFile != "" && f.certificateFile != "":
		return c, usagef("--secret-file and --certificate exclude each other")
	case f.certificateFile != "":
		c.Certificate, err = certificate("--certificate", f.certificateFile)
	case f.secretFile != "":
		c.Secret, err = secretFile("--secret-file", f.secretFile)
	case env.Getenv("GATEHOUSE_CLIENT_SECRET") != "":
		c.Secret = secrets.New(env.Getenv("GATEHOUSE_CLIENT_SECRET"))
	default:
		return c, usagef("an app needs --certificate, --secret-file or GATEHOUSE_CLIENT_SECRET; a service account needs --username")
	}
	return c, err
}

// reader gives the reader that the flags name, nil if they name none.
func (f *readerFlags) reader() (*validation.Reader, error) {
	if f.clientID == "" {
		if f.secretFile != "" || f.certificateFile != "" {
			return nil, usagef("--reader-client-id is missing")
		}
		return nil, nil
	}
	r := &validation.Reader{ClientID: strings.ToLower(f.clientID)}
	var err error
	switch {
	case f.secretFile != "" && f.certificateFile != "":
		return nil, usagef("--reader-secret-file and --reader-certificate-file exclude each other")
	case f.certificateFile != "":
		r.Credential.Certificate, err = certificate("--reader-certificate-file", f.certificateFile)
	case f.secretFile != "":
		r.Credential.Secret, err = secretFile("--reader-secret-file", f.secretFile)
	default:
		return nil, usagef("a reader needs --reader-certificate-file or --reader-secret-file")
	}
	return r, err
}

func certificate(flag, file string) (*login.Certificate, error) {
	data, err := readLimited(file, 1<<20)
	if err != nil {
		return nil, usagef("%s: %w", flag, err)
	}
	c, err := login.ReadCertificate(data)
	if err != nil {
		return nil, usagef("%s %s: %w", flag, file, err)
	}
	return &c, nil
}

// secretFile reads a secret. One line end at its end is the editor's.
func secretFile(flag, file string) (secrets.Value, error) {
	data, err := readLimited(file, 64<<10)
	if err != nil {
		return secrets.Value{}, usagef("%s: %w", flag, err)
	}
	value := strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")
	if value == "" {
		return secrets.Value{}, usagef("%s: %s is empty", flag, file)
	}
	return secrets.New(value), nil
}

// password comes from a file, the environment, or a person at a terminal.
func password(env Env, file, username string) (secrets.Value, error) {
	if file != "" {
		return secretFile("--password-file", file)
	}
	if value := env.Getenv("GATEHOUSE_PASSWORD"); value != "" {
		return secrets.New(value), nil
	}
	if f, ok := env.Stdin.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		value, err := ask(f, env.Stderr, "Password of "+username+": ")
		if err != nil {
			return secrets.Value{}, usagef("reading the password: %w", err)
		}
		if !value.Empty() {
			return value, nil
		}
	}
	return secrets.Value{}, usagef("no password: give --password-file or set GATEHOUSE_PASSWORD")
}

// ask reads a secret from a terminal. The echo is off before the prompt shows,
// so that nothing typed ahead appears.
func ask(terminal *os.File, talk io.Writer, prompt string) (value secrets.Value, err error) {
	before, err := term.MakeRaw(int(terminal.Fd()))
	if err != nil {
		return value, err
	}
	defer func() { err = errors.Join(err, term.Restore(int(terminal.Fd()), before)) }()
	typed, err := term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{terminal, talk}, "").ReadPassword(prompt)
	if errors.Is(err, io.EOF) {
		err = errors.New("nothing was typed")
	}
	return secrets.New(typed), err
}

var verdictWords = map[validation.Verdict]string{
	validation.Works: "It works", validation.WorksWithWarnings: "It works, with warnings", validation.Blocked: "Blocked",
	validation.Failed: "Failed", validation.Unknown: "Could not find out",
}

var stateMarks = map[validation.State]string{
	validation.Passed: "ok  ", validation.Warning: "warn", validation.Fail: "NO  ", validation.Skipped: "-   ", validation.NotKnown: "?   ",
}

// writeResult prints a result for people: verdict and rule first, then who
// acts and what helps, the evidence last.
func writeResult(env Env, request validation.Request, result validation.Result) error {
	colour := isTerminal(env.Stdout) && env.Getenv("NO_COLOR") == ""
	var b bytes.Buffer
	identity := request.Username
	if identity == "" {
		identity = "app " + request.ClientID
	}
	headline := fmt.Sprintf("%s: %s, tenant %s, service %s", verdictWords[result.Verdict], identity, request.Tenant, strings.Join(request.Services, ", "))
	if colour {
		codes := map[validation.Verdict]string{validation.Works: "32", validation.WorksWithWarnings: "33", validation.Unknown: "90"}
		code := codes[result.Verdict]
		if code == "" {
			code = "31"
		}
		headline = "\x1b[1;" + code + "m" + headline + "\x1b[0m"
	}
	fmt.Fprintln(&b, headline)
	if result.Rule != nil {
		fmt.Fprintf(&b, "Rule: %s\n", ruleText(*result.Rule))
	}
	if app := appText(result); app != "" {
		fmt.Fprintf(&b, "Through the app: %s\n", app)
	}
	writeAge(&b, request.Snapshot)
	if result.Diagnosis != nil {
		fmt.Fprintln(&b)
		if err := writeDiagnosis(&b, *result.Diagnosis, colour); err != nil {
			return err
		}
	}
	writeProbes(&b, result.Probes)
	_, err := io.Copy(env.Stdout, &b)
	return err
}

// namesItself are the kinds whose rule has one name only; the others are named
// together with what they are of.
var namesItself = map[diagnosis.RuleKind]bool{diagnosis.SecurityDefaults: true, diagnosis.PerUserMFA: true, diagnosis.MandatoryMFA: true, diagnosis.ConditionalAccess: true, diagnosis.Federation: true}

func ruleText(rule diagnosis.Rule) string {
	kind := strings.ReplaceAll(string(rule.Kind), "_", " ")
	switch {
	case rule.Name != nil && rule.ID != nil:
		return fmt.Sprintf("%s %q (%s)", kind, *rule.Name, *rule.ID)
	case rule.Name != nil && namesItself[rule.Kind]:
		return *rule.Name
	case rule.Name != nil:
		return fmt.Sprintf("%s of %q", kind, *rule.Name)
	case rule.ID != nil:
		return fmt.Sprintf("%s %s", kind, *rule.ID)
	}
	return kind
}

// appText says which app signed in.
func appText(result validation.Result) string {
	id, name := "", ""
	for _, p := range result.Probes {
		if p.Name == validation.ProbeConfiguration || p.Name == validation.ProbeToken {
			if s, ok := p.Evidence["client_id"].(string); ok {
				id = s
			}
			if s, ok := p.Evidence["client_name"].(string); ok {
				name = s
			}
		}
	}
	if name == "" {
		return id
	}
	return fmt.Sprintf("%s (%s)", name, id)
}

var errNoReader = errors.New("--reader-client-id is missing: a snapshot is read by an app that may read the tenant's rules")
