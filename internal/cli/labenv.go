package cli

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"gatehouse/lab"
)

// setting is one environment variable.
type setting struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	Why   string `json:"why"`
}

// toolSettings are the settings with which a tool reaches a lab under
// Microsoft's own host names.
var toolSettings = []struct {
	tool string
	note string
	of   func(lab.Ready) []setting
}{
	{"node", "MSAL Node and the Graph client use fetch: it honours HTTPS_PROXY from Node 24 on with NODE_USE_ENV_PROXY, before that with undici's EnvHttpProxyAgent. @azure/identity honours it by itself.",
		func(r lab.Ready) []setting {
			return []setting{{"NODE_EXTRA_CA_CERTS", r.CAFile, "trusts the lab"}, {"HTTPS_PROXY", r.ProxyURL, "leads Microsoft's names to the lab"}, {"NODE_USE_ENV_PROXY", "1", "makes fetch use the proxy"}}
		}},
	{"go", "net/http reads both; in tests lab.Start(t).Client() needs neither.",
		func(r lab.Ready) []setting {
			return []setting{{"SSL_CERT_FILE", r.CAFile, "trusts the lab, and nothing else"}, {"HTTPS_PROXY", r.ProxyURL, "leads Microsoft's names to the lab"}}
		}},
	{"curl", "",
		func(r lab.Ready) []setting {
			return []setting{{"CURL_CA_BUNDLE", r.CAFile, "trusts the lab, and nothing else"}, {"HTTPS_PROXY", r.ProxyURL, "leads Microsoft's names to the lab"}}
		}},
	{"python", "requests reads REQUESTS_CA_BUNDLE, the standard library and httpx SSL_CERT_FILE.",
		func(r lab.Ready) []setting {
			return []setting{{"REQUESTS_CA_BUNDLE", r.CAFile, "trusts the lab, and nothing else"}, {"SSL_CERT_FILE", r.CAFile, "the same for others than requests"}, {"HTTPS_PROXY", r.ProxyURL, "leads Microsoft's names to the lab"}}
		}},
	{"dotnet", "SSL_CERT_FILE is read on Linux; on Windows and macOS put the authority into the user's store for as long as you test.",
		func(r lab.Ready) []setting {
			return []setting{{"SSL_CERT_FILE", r.CAFile, "trusts the lab, and nothing else"}, {"HTTPS_PROXY", r.ProxyURL, "leads Microsoft's names to the lab"}}
		}},
	{"powershell", "PowerShell 7 is .NET: what is said of dotnet holds.",
		func(r lab.Ready) []setting {
			return []setting{{"SSL_CERT_FILE", r.CAFile, "trusts the lab, and nothing else"}, {"HTTPS_PROXY", r.ProxyURL, "leads Microsoft's names to the lab"}}
		}},
}

func newLabEnv(env Env) *cobra.Command {
	var readyFile string
	var asJSON bool
	tools := make([]string, len(toolSettings))
	for i, s := range toolSettings {
		tools[i] = s.tool
	}
	cmd := &cobra.Command{
		Use:   "env [TOOL]",
		Short: "Print the settings with which a tool reaches a running lab",
		Long: `Env prints environment variables that lead a tool to a running lab under
Microsoft's own host names: the lab's authority to trust, and its proxy. Tools:
` + strings.Join(tools, ", ") + `; without one, all of them.

The lab is found by --ready-file or GATEHOUSE_LAB. Set the variables only in the
shell that talks to the lab: there, nothing else is trusted or reached.`,
		Example: `  eval "$(gatehouse lab env curl --ready-file lab.json)"
  curl https://login.microsoftonline.com/common/v2.0/.well-known/openid-configuration`,
		Args:      cobra.MaximumNArgs(1),
		ValidArgs: tools,
		RunE: func(_ *cobra.Command, args []string) error {
			if readyFile == "" {
				readyFile = env.Getenv("GATEHOUSE_LAB")
			}
			if readyFile == "" {
				return usagef("which lab? give --ready-file, or set GATEHOUSE_LAB to the ready file of a running lab")
			}
			if len(args) > 0 && !slices.Contains(tools, args[0]) {
				return usagef("%q is no tool that is known: use %s", args[0], strings.Join(tools, ", "))
			}
			data, err := readLimited(readyFile, 64<<20)
			if err != nil {
				return usagef("--ready-file: %w", err)
			}
			var ready lab.Ready
			if err := json.Unmarshal(data, &ready); err != nil || ready.ProxyURL == "" || ready.CAFile == "" {
				return usagef("--ready-file: %s is not the ready file of a lab", readyFile)
			}
			return writeSettings(env, ready, args, asJSON)
		},
	}
	cmd.Flags().StringVar(&readyFile, "ready-file", "", "ready file of the lab (default GATEHOUSE_LAB)")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object, tools with their settings")
	return cmd
}

func writeSettings(env Env, ready lab.Ready, args []string, asJSON bool) error {
	out := map[string][]setting{}
	for _, s := range toolSettings {
		if len(args) > 0 && args[0] != s.tool {
			continue
		}
		out[s.tool] = s.of(ready)
		if asJSON {
			continue
		}
		fmt.Fprintf(env.Stdout, "# %s\n", s.tool)
		if s.note != "" {
			fmt.Fprint(env.Stdout, wrap(s.note, "# ", explainWidth))
		}
		for _, v := range out[s.tool] {
			if s.tool == "powershell" {
				fmt.Fprintf(env.Stdout, "$env:%s = '%s' # %s\n", v.Name, strings.ReplaceAll(v.Value, "'", "''"), v.Why)
			} else {
				fmt.Fprintf(env.Stdout, "export %s='%s' # %s\n", v.Name, strings.ReplaceAll(v.Value, "'", `'\''`), v.Why)
			}
		}
	}
	if asJSON {
		return writeJSON(env.Stdout, out)
	}
	return nil
}
