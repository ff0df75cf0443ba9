package cli

import (
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"gatehouse/conditionalaccess"
)

func newPolicies(env Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "policies",
		Short:   "Work with Conditional Access policies in files, without a tenant",
		Example: "  gatehouse policies evaluate --help",
		RunE:    func(cmd *cobra.Command, args []string) error { return policiesNoun(cmd, args) },
	}
	cmd.AddCommand(newPoliciesEvaluate(env))
	return cmd
}

// policiesNoun answers the noun alone with its help.
func policiesNoun(cmd *cobra.Command, args []string) error {
	if err := noSubcommand(cmd, args); err != nil {
		return err
	}
	return cmd.Help()
}

// evaluateFlags are the flags of policies evaluate.
type evaluateFlags struct {
	policies, locations, directory, signIns string
	countries, trusted                      string
	reportOnly, trace, json                 bool
}

func newPoliciesEvaluate(env Env) *cobra.Command {
	var f evaluateFlags
	cmd := &cobra.Command{
		Use:   "evaluate --policies DIR|FILE --sign-ins FILE|-",
		Short: "Say what Conditional Access would answer to sign-ins",
		Long: `Evaluate reads Conditional Access policies as Microsoft Graph returns them or as
export tools write them, and says for each sign-in what would happen: allowed,
blocked, or what would be asked for. Nothing is asked of a tenant.

Policies and named locations may lie in one folder, with other files between
them; a file that cannot be read is named on stderr, and the rest goes on. What
a folder held besides policies is named with --json too, on stderr.

Sign-ins are lines of JSON, one object each: id, userId, userType, groups,
roles, resource (an appId), clientAppType, ipAddress, country, platform, device,
signInRisk, userRisk, authenticationFlow, satisfied and more, in Graph's words.
A member that is left out is not known; null says that there is none. The
verdict is "unknown" only where it depends on what is not known, and "missing"
names that.

--directory names a file with groups and roles, for sign-ins that give none,
and with the nesting of groups:

  {"users": [{"id": "…", "groups": ["…"], "roles": ["…"]}],
   "groups": [{"id": "…", "members": ["a user's or a group's id"]}]}

Without --json the answer is a table for people; with it one line of JSON for
each line read. Exit codes: 0 answered, whatever the verdicts; 2 wrong usage;
3 a file or a line could not be read (the rest is answered).`,
		Example: `  gatehouse policies evaluate --policies export/ --sign-ins sign-ins.jsonl
  gatehouse policies evaluate --policies policies.json --mfa-trusted-ips 192.0.2.0/24 --trace --json --sign-ins - <<'END'
  {"id":"1","userId":"6f1c…","resource":"00000003-0000-0ff1-ce00-000000000000","clientAppType":"browser","satisfied":["password"]}
  END`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return evaluatePolicies(env, &f) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.policies, "policies", "", "folder or file with the policies")
	flags.StringVar(&f.locations, "named-locations", "", "folder or file with named locations, if they are not with the policies")
	flags.StringVar(&f.directory, "directory", "", "file with groups and roles of users (see above)")
	flags.StringVar(&f.signIns, "sign-ins", "", "file with one sign-in a line, - for stdin")
	flags.StringVar(&f.trusted, "mfa-trusted-ips", "", "addresses of the per-user MFA settings, as CIDR,CIDR,…")
	flags.StringVar(&f.countries, "country-db", "", "MaxMind database (.mmdb) for sign-ins that give an address and no country")
	flags.BoolVar(&f.reportOnly, "report-only-as-enabled", false, "treat report-only policies as if they were enforced")
	flags.BoolVar(&f.trace, "trace", false, "say for every policy and condition why")
	flags.BoolVar(&f.json, "json", false, "one line of JSON for each sign-in")
	return cmd
}

func evaluatePolicies(env Env, f *evaluateFlags) error {
	if f.policies == "" || f.signIns == "" {
		return usagef("--policies and --sign-ins are both needed")
	}
	set, err := loadPolicies(env.Stderr, f)
	if err != nil {
		return err
	}
	options, done, err := evaluateOptions(f)
	if err != nil {
		return err
	}
	defer done()
	in := env.Stdin
	if f.signIns != "-" {
		file, err := os.Open(f.signIns)
		if err != nil {
			return unknownf("opening the sign-ins: %w", err)
		}
		defer file.Close()
		in = file
	}
	e := newEvaluation(conditionalaccess.Compile(set, options), f)
	unreadable, err := e.lines(in, env.Stdout)
	switch {
	case err != nil:
		return err
	case unreadable > 0:
		return unknownf("%d unreadable sign-in(s)", unreadable)
	case len(set.Faults) > 0:
		return unknownf("part of the files could not be read (see above)")
	}
	return nil
}

// loadPolicies reads the files and says what came of them.
func loadPolicies(stderr io.Writer, f *evaluateFlags) (*conditionalaccess.Set, error) {
	set, err := loadSet(f.policies)
	if err != nil {
		return nil, unknownf("reading the policies: %w", err)
	}
	if len(set.Policies) == 0 && len(set.Faults) == 0 && !hasEmptyList(set) {
		reportFiles(stderr, set)
		return nil, unknownf("reading the policies: %s holds no policy", f.policies)
	}
	if f.locations != "" {
		more, err := loadSet(f.locations)
		if err != nil {
			return nil, unknownf("reading the named locations: %w", err)
		}
		set.Locations = append(set.Locations, more.Locations...)
		set.Files = append(set.Files, more.Files...)
		set.Faults = append(set.Faults, more.Faults...)
	}
	reportFiles(stderr, set)
	return set, nil
}

func hasEmptyList(set *conditionalaccess.Set) bool {
	for _, file := range set.Files {
		if file.Ignored == "an empty list" {
			return true
		}
	}
	return false
}

func loadSet(name string) (*conditionalaccess.Set, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return conditionalaccess.Load(os.DirFS(name)), nil
	}
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	return conditionalaccess.Read(conditionalaccess.Document{Name: filepath.Base(name), Data: data}), nil
}

// reportFiles names what was not read, and sums up.
func reportFiles(w io.Writer, set *conditionalaccess.Set) {
	for _, fault := range set.Faults {
		fmt.Fprintf(w, "gatehouse: %v\n", fault)
	}
	ignored := 0
	for _, file := range set.Files {
		if file.Ignored != "" && file.Policies+file.Locations+file.Strengths == 0 {
			ignored++
			fmt.Fprintf(w, "gatehouse: %s ignored: %s\n", file.Name, file.Ignored)
		}
	}
	fmt.Fprintf(w, "gatehouse: %d policies and %d named locations from %d files; %d ignored\n",
		len(set.Policies), len(set.Locations), len(set.Files), ignored)
}

// evaluateOptions reads what the flags name. The function it gives closes it.
func evaluateOptions(f *evaluateFlags) (conditionalaccess.Options, func(), error) {
	options := conditionalaccess.Options{ReportOnlyAsEnabled: f.reportOnly}
	done := func() {}
	if f.trusted != "" {
		options.MFATrustedIPs = []netip.Prefix{}
		for part := range strings.SplitSeq(f.trusted, ",") {
			prefix, err := parsePrefix(strings.TrimSpace(part))
			if err != nil {
				return options, done, usagef("--mfa-trusted-ips: %q is no address range such as 192.0.2.0/24", part)
			}
			options.MFATrustedIPs = append(options.MFATrustedIPs, prefix)
		}
	}
	if f.directory != "" {
		data, err := os.ReadFile(f.directory)
		if err != nil {
			return options, done, unknownf("reading the directory: %w", err)
		}
		options.Directory, err = conditionalaccess.ReadDirectory(data)
		if err != nil {
			return options, done, unknownf("reading the directory %s: %w", f.directory, err)
		}
	}
	if f.countries != "" {
		look, closeDB, err := openCountries(f.countries)
		if err != nil {
			return options, done, unknownf("opening the country database: %w", err)
		}
		options.Country, done = look, closeDB
	}
	return options, done, nil
}

// parsePrefix reads a range, or an address that stands for itself.
func parsePrefix(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil {
		return a.Prefix(a.BitLen())
	}
	return netip.ParsePrefix(s)
}
