package signin

import (
	"errors"
	"net/url"
	"testing"
)

// FuzzReadAnswer: what a browser brings back is anybody's text. What is taken for an
// answer has a state, and a code or an error, each once and bounded.
func FuzzReadAnswer(f *testing.F) {
	f.Add("code=1.A&state=s&session_state=x")
	f.Add("error=access_denied&error_subcode=cancel&error_description=AADSTS65004%3A+no%0D%0ATrace+ID%3A+t%0D%0ACorrelation+ID%3A+c&state=s")
	f.Add("code=a&code=b&state=s&iss=https%3A%2F%2Flogin.example")
	f.Add("state=%00&code=%ff")
	f.Fuzz(func(t *testing.T, text string) {
		q, err := url.ParseQuery(text)
		if err != nil {
			return
		}
		a, err := readAnswer(q)
		if err != nil {
			var refusal *Refusal
			if !errors.As(err, &refusal) || refusal.Words == "" {
				t.Errorf("refused with %v", err)
			}
			return
		}
		if a.state == "" || (a.code == "") == (a.oauth == "") || len(q["state"]) != 1 || len(q["code"])+len(q["error"]) != 1 && (q.Get("code") != "" && q.Get("error") != "") {
			t.Errorf("taken for an answer: %q", text)
		}
		if e := a.refused(); len(e.Message) > 1000 || len(e.CorrelationID) > 64 || len(e.OAuth) > 100 {
			t.Errorf("unbounded: %+v", e)
		}
	})
}
