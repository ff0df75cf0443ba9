package console

import (
	"encoding/json"
	"fmt"
	"strings"

	"gatehouse/internal/posture"
	"gatehouse/internal/validation"
)

// fewRules is up to how many rules that do not apply are shown at once.
const fewRules = 4

// seen reads one member of a probe's evidence; the zero value if it is not there.
func seen[T any](p validation.Probe, member string) T {
	var out T
	text, err := json.Marshal(p.Evidence[member])
	if err != nil || json.Unmarshal(text, &out) != nil {
		var none T
		return none
	}
	return out
}

// elsewhere are the rules that would stop the sign-in in other circumstances.
func elsewhere(run *validation.Run) []posture.Elsewhere {
	for _, p := range run.Probes {
		if p.Name == validation.ProbePosture {
			return seen[[]posture.Elsewhere](p, "elsewhere")
		}
	}
	return nil
}

// grant is what an identity needs and holds on a service.
type grant struct {
	Service string
	Needed  []task
	Held    []string
}

// task is something that software does, with what permits it.
type task struct {
	Task  string   `json:"task"`
	Held  []string `json:"held"`
	Least string   `json:"least"`
	Open  string   `json:"open"` // what is missing or not known
}

// grants are what the validation found out about permissions.
func grants(run *validation.Run) []grant {
	var out []grant
	for _, p := range run.Probes {
		if p.Name != validation.ProbePermissions {
			continue
		}
		g := grant{seen[string](p, "service"), seen[[]task](p, "needed"), seen[[]string](p, "held")}
		if g.Service == "" {
			g.Service = validation.ServiceGraph
		}
		if len(g.Needed)+len(g.Held) > 0 {
			out = append(out, g)
		}
	}
	return out
}

func taskState(t task) state {
	switch {
	case t.Open == "":
		return state{good, "check", "Held"}
	case len(t.Held) == 0:
		return state{bad, "cross", "Missing"}
	default:
		return state{warn, "warning", "Not enough"}
	}
}

// rulesUnknown says why the page shows no rules.
func rulesUnknown(v connectionView) string {
	if v.Without != "" {
		return v.Without
	}
	for _, p := range v.Run.Probes {
		if p.Name == validation.ProbePosture && p.Reason != nil {
			return "Unknown: " + sentence(*p.Reason)
		}
	}
	return "Unknown: this validation did not come to the rules of the tenant."
}

// supportText is what Microsoft answered, as its support asks for it; "" if it
// refused nothing.
func supportText(run *validation.Run) string {
	for _, p := range run.Probes {
		code := seen[string](p, "code")
		if code == "" {
			continue
		}
		var text strings.Builder
		line := func(name, value string) {
			if value != "" {
				fmt.Fprintf(&text, "%-16s%s\n", name, value)
			}
		}
		line("Code", code)
		line("Error", strings.TrimSpace(seen[string](p, "error")+" "+seen[string](p, "suberror")))
		line("Correlation id", seen[string](p, "correlation_id"))
		line("Request id", seen[string](p, "request_id"))
		line("Time", seen[string](p, "time"))
		if status := seen[int](p, "status"); status != 0 {
			line("HTTP status", fmt.Sprint(status))
		}
		if p.Reason != nil {
			line("Text", *p.Reason)
		}
		return text.String()
	}
	return ""
}
