package lab

import (
	"crypto/rand"
	"html/template"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"gatehouse/lab/internal/directory"
	"gatehouse/lab/internal/sts"
)

var phonePage = template.Must(template.New("phone").Parse(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><noscript><meta http-equiv="refresh" content="{{.Refresh}}"></noscript>
<title>Phones of the lab</title>
<style>:root{color-scheme:light dark;--line:color-mix(in srgb,currentColor 20%,transparent)}body{font:15px/22px system-ui,sans-serif;margin:24px auto;max-width:48rem;padding:0 16px}
h1{font-size:24px;line-height:32px;margin:0 0 8px}h2{font-size:17px;margin:32px 0 8px}p{margin:0 0 8px}ul{list-style:none;padding:0;margin:0}li{border-top:1px solid var(--line);padding:8px 0;display:flex;flex-wrap:wrap;gap:4px 16px;justify-content:space-between}
li.ask{border:2px solid;border-radius:8px;padding:16px;margin:0 0 16px}form{display:flex;flex-wrap:wrap;gap:8px;align-items:center}button{font:inherit;min-height:44px;min-width:64px;padding:8px 16px;border:1px solid;border-radius:6px;background:transparent;color:inherit;cursor:pointer;white-space:nowrap}
button.number{font-weight:600;font-size:20px}button:focus-visible{outline:3px solid Highlight;outline-offset:2px}code{font:600 17px/22px ui-monospace,monospace;font-variant-numeric:tabular-nums}small{opacity:.75}</style></head>
<body><main><h1>Phones of the lab</h1>
<p id="now">What the phones of the lab's people show, at {{.Now}}. This is a simulation.</p>
<div id="asks" aria-live="polite">{{with .Said}}<p><strong>{{.}}</strong></p>{{end}}
{{if .Prompts}}<h2>Approve sign-in?</h2><ul>{{range .Prompts}}<li class="ask"><span><strong>{{.Name}}</strong><br><small>{{.UPN}} signs in to {{.App}}</small></span>
<form method="post" action="/phone/{{.ID}}">{{range .Choices}}<button class="number" name="number" value="{{.}}" aria-label="Approve with the number {{.}}">{{.}}</button>{{else}}<button name="action" value="approve">Approve</button>{{end}}<button name="action" value="deny">Deny</button><button name="action" value="report">Not me: report</button></form></li>{{end}}</ul>{{end}}
{{if .Texts}}<h2>Text messages</h2><ul>{{range .Texts}}<li><span>{{.Phone}}<br><small>{{.UPN}}</small></span><code>{{.Code}}</code></li>{{end}}</ul>{{end}}</div>
<div id="codes">{{range .Tenants}}<h2>{{.Name}}: code apps</h2><ul>{{range .People}}<li><span>{{.Name}}<br><small>{{.UPN}}</small></span><code>{{.Code}}</code></li>{{end}}</ul>
{{else}}<p>Nobody in this lab has a code app.</p>{{end}}<p><small>A code is good for {{.Left}} more seconds.</small></p></div></main>
<script nonce="{{.Nonce}}">
// Only what changed is replaced, and the button in focus stays so.
const key = (b) => b && b.form ? b.form.getAttribute("action") + " " + b.value : "";
const look = async () => {
	const text = await fetch(location.href).then((answer) => answer.text()).catch(() => "");
	const page = new DOMParser().parseFromString(text, "text/html"), focus = key(document.activeElement);
	for (const id of ["now", "asks", "codes"]) {
		const old = document.getElementById(id), fresh = page.getElementById(id);
		if (fresh && old.innerHTML !== fresh.innerHTML) old.innerHTML = fresh.innerHTML;
	}
	if (focus && key(document.activeElement) !== focus) [...document.querySelectorAll("button")].find((b) => key(b) === focus)?.focus();
	setTimeout(look, 1500);
};
setTimeout(look, 1500);
</script></body></html>
`))

// phone shows what the phones of the lab's people show: pushes that wait, text
// messages, and the codes of code apps.
func (l *Lab) phone(w http.ResponseWriter, r *http.Request) {
	type person struct{ Name, UPN, Code string }
	type tenant struct {
		Name   string
		People []person
	}
	now := l.Now()
	page := struct {
		Now, Said string
		Nonce     string
		Left      int64
		Refresh   int // seconds; quick enough for somebody who waits
		Prompts   []sts.Prompt
		Texts     []sts.Text
		Tenants   []tenant
	}{Nonce: rand.Text(), Now: now.UTC().Format("15:04:05 UTC"), Left: 30 - now.Unix()%30, Refresh: 3, Prompts: l.sts.Prompts(), Texts: l.sts.Texts(), Said: phoneAnswers[r.URL.Query().Get("done")]}
	l.store.Tenants(func(t *directory.Tenant) {
		shown := tenant{Name: t.Name}
		for _, u := range t.Users {
			for _, m := range u.Methods {
				if m.Type == directory.SoftwareOATH {
					code, _ := sts.CodeAt(m.Secret, now) // the tenants file was checked
					shown.People = append(shown.People, person{u.Name, u.UPN, code})
				}
			}
		}
		if len(shown.People) > 0 {
			page.Tenants = append(page.Tenants, shown)
		}
	})
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; script-src 'nonce-"+page.Nonce+"'; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'")
	_ = phonePage.Execute(w, page)
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
