package lab

import (
	"crypto/rand"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"gatehouse/lab/internal/directory"
	"gatehouse/lab/internal/sts"
)

//go:generate go run github.com/a-h/templ/cmd/templ@v0.3.977 generate -f phone.templ

// phones is what the page of the phones shows.
type phones struct {
	Now, Said string
	Nonce     string
	Left      int64
	Prompts   []sts.Prompt
	Texts     []sts.Text
	Tenants   []codeApps
}

// codeApps are those of a tenant's people.
type codeApps struct {
	Name   string
	People []codeApp
}

type codeApp struct{ Name, UPN, Code string }

// phone shows what the phones of the lab's people show: pushes that wait, text
// messages, and the codes of code apps.
func (l *Lab) phone(w http.ResponseWriter, r *http.Request) {
	now := l.Now()
	v := phones{Nonce: rand.Text(), Now: now.UTC().Format("15:04:05 UTC"), Left: 30 - now.Unix()%30, Prompts: l.sts.Prompts(), Texts: l.sts.Texts(), Said: phoneAnswers[r.URL.Query().Get("done")]}
	l.store.Tenants(func(t *directory.Tenant) {
		shown := codeApps{Name: t.Name}
		for _, u := range t.Users {
			for _, m := range u.Methods {
				if m.Type == directory.SoftwareOATH {
					code, _ := sts.CodeAt(m.Secret, now) // the tenants file was checked
					shown.People = append(shown.People, codeApp{u.Name, u.UPN, code})
				}
			}
		}
		if len(shown.People) > 0 {
			v.Tenants = append(v.Tenants, shown)
		}
	})
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; script-src 'nonce-"+v.Nonce+"'; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'")
	_ = phonePage(v).Render(r.Context(), w)
}

// phonePrompt is a push that waits, for scripts.
type phonePrompt struct {
	ID        string    `json:"id"`
	TenantID  string    `json:"tenant_id"`
	UPN       string    `json:"upn"`
	App       string    `json:"app"`
	Requested time.Time `json:"requested"`
	Numbers   []int     `json:"numbers"` // one of them is on the screen; empty without number matching
}

func (l *Lab) phonePrompts() []phonePrompt {
	out := []phonePrompt{}
	for _, p := range l.sts.Prompts() {
		out = append(out, phonePrompt{p.ID, p.TenantID, p.UPN, p.App, p.Requested, append([]int{}, p.Choices...)})
	}
	return out
}

// phoneAnswers are what the page says after an answer.
var phoneAnswers = map[string]string{"approve": "Approved.", "deny": "Denied.", "report": "Reported and denied."}

// answerPhone takes a person's answer to a push: from the page, or from a
// script as {"action":"approve","number":42}.
func (l *Lab) answerPhone(w http.ResponseWriter, r *http.Request) {
	script := r.Header.Get("Content-Type") == "application/json"
	var answer struct {
		Action string `json:"action"`
		Number int    `json:"number"`
	}
	if script {
		if !readJSON(w, r, &answer) {
			return
		}
	} else {
		r.Body = http.MaxBytesReader(w, r.Body, 1<<16)
		answer.Action = r.PostFormValue("action")
		if number := r.PostFormValue("number"); number != "" {
			answer.Action = "approve"
			answer.Number, _ = strconv.Atoi(number) // a wrong one is refused below
		}
	}
	if err := l.sts.AnswerPrompt(r.PathValue("id"), answer.Action, answer.Number); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if script {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	http.Redirect(w, r, "/phone?"+url.Values{"done": {answer.Action}}.Encode(), http.StatusSeeOther)
}
