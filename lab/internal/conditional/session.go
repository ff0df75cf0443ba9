package conditional

import "time"

// Session is what the session controls of all applying policies come to. Where
// two policies differ the stricter wins; the documents do not say.
type Session struct {
	// SignInFrequency is how long a sign-in lasts, 0 for no limit. EveryTime
	// wants a fresh one each time.
	SignInFrequency time.Duration
	EveryTime       bool
	// PersistentBrowser is "always", "never" or, if no policy says, "".
	PersistentBrowser string
}

// maxFrequency bounds what hostile policies may ask for.
const maxFrequency = 10 * 365 * 24

// join adds the controls of a policy.
func (s *Session) join(policy map[string]any) {
	set, _ := block(policy, "sessionControls")
	if frequency, _ := block(set, "signInFrequency"); active(set["signInFrequency"]) && frequency != nil {
		s.frequency(frequency)
	}
	if browser, _ := block(set, "persistentBrowser"); active(set["persistentBrowser"]) && browser != nil {
		if mode, _ := browser["mode"].(string); s.PersistentBrowser != "never" && (mode == "never" || mode == "always") {
			s.PersistentBrowser = mode
		}
	}
	grant, _ := block(policy, "grantControls")
	if (&evaluation{}).list(grant, "builtInControls").has(controlRemediation) == yes {
		s.EveryTime = true
	}
}

func (s *Session) frequency(control map[string]any) {
	if interval, _ := control["frequencyInterval"].(string); same(interval, "everyTime") {
		s.EveryTime = true
		return
	}
	value, _ := control["value"].(float64)
	unit := time.Hour
	if typ, _ := control["type"].(string); same(typ, "days") {
		unit = 24 * time.Hour
	}
	if value < 1 || value > maxFrequency {
		return
	}
	if length := time.Duration(value) * unit; s.SignInFrequency == 0 || length < s.SignInFrequency {
		s.SignInFrequency = length
	}
}
