package lab

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
)

// Scenario is one way to meet one error code of the sign-in service in the
// built-in tenants.
type Scenario struct {
	Name  string   `json:"name"`
	Code  int      `json:"code"` // the AADSTS number
	Story string   `json:"story"`
	Steps []string `json:"steps"` // what to do, in order; the last step meets the code

	do []act
}

// act is one step of a scenario: what it says, and how it is done.
type act struct {
	say string
	do  func(*actor) error
}

// actor plays a scenario against a lab, with a browser of its own.
type actor struct {
	ctx    context.Context
	lab    *Lab
	client *http.Client
	body   map[string]any    // of the last answer
	kept   map[string]string // codes and tokens for later steps
	page   webPage
	person ReadyUser // who signs in on the pages
}

var codePattern = regexp.MustCompile(`^AADSTS(\d+):`)

// scenarios by theme.
var scenarios = slices.Concat(accountScenarios, appScenarios, pageScenarios, consentScenarios, redeemScenarios, tierScenarios, federationScenarios, policyScenarios, endScenarios)

// Scenarios lists all scenarios.
func Scenarios() []Scenario { return scenarios }

// Play plays a scenario and gives the code and the body of the refusal. A fresh
// lab with the built-in tenants is expected; scenarios change it.
func (l *Lab) Play(ctx context.Context, name string) (code int, body map[string]any, err error) {
	for _, s := range Scenarios() {
		if s.Name != name {
			continue
		}
		a := newActor(ctx, l)
		defer a.client.CloseIdleConnections()
		for _, step := range s.do {
			if err := step.do(a); err != nil {
				return 0, nil, fmt.Errorf("%s: %s: %w", name, step.say, err)
			}
		}
		// Answers of the token endpoint and of the pages name the code alike.
		description, _ := a.body["error_description"].(string)
		named := codePattern.FindStringSubmatch(description)
		if named == nil {
			return 0, a.body, fmt.Errorf("%s: the last answer is no refusal", name)
		}
		n, err := strconv.Atoi(named[1])
		return n, a.body, err
	}
	return 0, nil, fmt.Errorf("no scenario is called %q", name)
}

func scenario(code int, name, story string, do ...act) Scenario {
	s := Scenario{Name: name, Code: code, Story: story, do: do}
	for _, step := range do {
		s.Steps = append(s.Steps, step.say)
	}
	return s
}
