package interop

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"gatehouse/lab"
)

// nodeApp is an app of node/people.mjs that runs.
type nodeApp struct {
	t      *testing.T
	cmd    *exec.Cmd
	lines  *bufio.Scanner
	stderr bytes.Buffer
}

// peopleLine is what an app prints: what a person has to open, or what came of it.
type peopleLine struct {
	Open     string `json:"open"`
	Code     string `json:"code"`     // of a device
	Redirect string `json:"redirect"` // where a web app waits

	Name      string            `json:"name"`
	Token     string            `json:"token"`
	Account   string            `json:"account"`
	FromCache bool              `json:"from_cache"`
	Scopes    []string          `json:"scopes"`
	Query     map[string]string `json:"query"`
	Error     *struct {
		Kind    string `json:"kind"`
		Code    string `json:"code"`
		Message string `json:"message"`
	} `json:"error"`
}

func startApp(t *testing.T, l *lab.Lab, name string, environment ...string) *nodeApp {
	t.Helper()
	needPackages(t)
	a := &nodeApp{t: t, cmd: nodeCommand(t, l, environment, "people.mjs", name)}
	a.cmd.Stderr = &a.stderr
	stdout, err := a.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	a.lines = bufio.NewScanner(stdout)
	a.lines.Buffer(nil, 1<<20)
	if err := a.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return a
}

// next waits for the app's next line.
func (a *nodeApp) next() (line peopleLine) {
	a.t.Helper()
	if !a.lines.Scan() {
		err := a.cmd.Wait()
		a.t.Fatalf("the app has ended: %v, %v\n%s", a.lines.Err(), err, a.stderr.Bytes())
	}
	if err := json.Unmarshal(a.lines.Bytes(), &line); err != nil {
		a.t.Fatalf("%v: %s", err, a.lines.Bytes())
	}
	return line
}

// opens waits until the app wants something opened.
func (a *nodeApp) opens() peopleLine {
	a.t.Helper()
	line := a.next()
	if line.Open == "" {
		a.t.Fatalf("the app goes on without a person: %+v", line)
	}
	return line
}

// tells waits until the app tells what came of something.
func (a *nodeApp) tells(name string) peopleLine {
	a.t.Helper()
	line := a.next()
	if line.Name != name {
		a.t.Fatalf("want %q, the app tells %+v", name, line)
	}
	return line
}

// ends waits until the app has nothing more to do.
func (a *nodeApp) ends() {
	a.t.Helper()
	if a.lines.Scan() {
		a.t.Errorf("the app goes on: %s", a.lines.Bytes())
	}
	if err := a.cmd.Wait(); err != nil {
		a.t.Errorf("the app ended with %v\n%s", err, a.stderr.Bytes())
	}
}

// checkPerson wants a token that a second factor has earned.
func checkPerson(t *testing.T, l *lab.Lab, line peopleLine, user lab.ReadyUser) {
	t.Helper()
	if amr := claimsOf(t, line.Token).AMR; !slices.Contains(amr, "mfa") {
		t.Errorf("%s: amr %v", line.Name, amr)
	}
	checkMe(t, l.Client(), l.URL(), line.Token, user)
}

// MSAL Node as a desktop app: password and second factor, refresh, a claim
// that an API wants, consent declined; by the lab's address, and under
// Microsoft's host names through the lab's proxy.
func TestNodeInteractive(t *testing.T) {
	for _, proxied := range []bool{false, true} {
		t.Run(map[bool]string{false: "loopback", true: "proxy"}[proxied], func(t *testing.T) {
			t.Parallel()
			l := browsableLab(t)
			if proxied {
				desktopApp(t, l, "https://login.microsoftonline.com", newPerson(t, l, l.Ready().ProxyURL), startApp(t, l, "interactive", "HTTPS_PROXY="+l.Ready().ProxyURL))
				return
			}
			desktopApp(t, l, l.URL(), newPerson(t, l), startApp(t, l, "interactive"))
		})
	}
}

func desktopApp(t *testing.T, l *lab.Lab, authority string, p *person, app *nodeApp) {
	t.Helper()
	tenant := l.Tenant("callercove")
	user := tenant.User("maria.rossi")
	demandMFA(t, l, tenant, user)

	p.open(app.opens().Open)
	p.giveAccount(user)
	p.givePassword(user)
	p.expect("Approve on your phone")
	if at := p.at(); !strings.HasPrefix(at, authority+"/") {
		t.Errorf("the browser is at %s, want %s", at, authority)
	}
	p.approve(user)
	p.stay("No")
	first := app.tells("signed in")
	checkPerson(t, l, first, user)
	if first.Account != user.UPN {
		t.Errorf("account %s, want %s", first.Account, user.UPN)
	}
	if cached := app.tells("cached"); !cached.FromCache || cached.Token != first.Token {
		t.Error("the cached token was not used")
	}
	refreshed := app.tells("refreshed")
	checkPerson(t, l, refreshed, user)
	if refreshed.FromCache || refreshed.Token == first.Token {
		t.Error("the token was not refreshed")
	}

	p.open(app.opens().Open) // the session has the second factor
	claimed := app.tells("claims")
	checkPerson(t, l, claimed, user)
	if acrs := claimsOf(t, claimed.Token).ACRS; !slices.Contains(acrs, "c1") {
		t.Errorf("acrs %v", acrs)
	}

	p.open(app.opens().Open)
	p.expect("Permissions asked for")
	p.press("Cancel")
	declined := app.tells("declined")
	if e := declined.Error; e == nil || e.Code != "access_denied" || !strings.Contains(e.Message, "AADSTS65004") {
		t.Errorf("declined: %+v", declined.Error)
	}
	app.ends()
}

// MSAL Node as a web app, with PKCE and a secret: refused for want of consent,
// declined and then granted by an administrator, signed in, refreshed.
func TestNodeWebApp(t *testing.T) {
	t.Parallel()
	l := browsableLab(t)
	tenant, _ := addWillow(t, l)
	bo, ada := tenant.User("bo.park"), tenant.User("ada.lind")
	demandMFA(t, l, tenant, bo)
	app := startApp(t, l, "web")

	p := newPerson(t, l)
	asked := app.opens()
	p.open(asked.Open)
	p.giveAccount(bo)
	p.givePassword(bo)
	p.giveCode(p.codeOf(bo))
	p.stay("Yes")
	p.expect("An administrator must approve")
	p.press("Return to the app without it")
	p.back(asked.Redirect)
	if q := app.tells("refused").Query; q["error"] != "access_denied" || !strings.Contains(q["error_description"], "AADSTS90095") || q["state"] != "kept" {
		t.Errorf("refused: %v", q)
	}

	admin := newPerson(t, l)
	admin.open(app.opens().Open)
	admin.giveAccount(ada)
	admin.givePassword(ada)
	admin.expect("Permissions asked for")
	admin.press("Cancel")
	if q := app.tells("declined").Query; q["error"] != "consent_required" || q["admin_consent"] != "True" || q["state"] != "kept" {
		t.Errorf("declined: %v", q)
	}
	admin.open(app.opens().Open)
	admin.expect("Permissions asked for")
	admin.press("Accept")
	if q := app.tells("consented").Query; q["error"] != "" || q["admin_consent"] != "True" || q["tenant"] != tenant.ID || q["scope"] == "" {
		t.Errorf("consented: %v", q)
	}

	p.open(app.opens().Open) // the browser remembers him
	first := app.tells("signed in")
	checkPerson(t, l, first, bo)
	refreshed := app.tells("refreshed")
	checkPerson(t, l, refreshed, bo)
	if refreshed.FromCache || refreshed.Token == first.Token {
		t.Error("the token was not refreshed")
	}
	if roles := claimsOf(t, app.tells("as itself").Token).Roles; !slices.Contains(roles, "User.Read.All") {
		t.Errorf("as itself: roles %v", roles)
	}
	app.ends()
}

// MSAL Node and @azure/identity for a device without a browser.
func TestNodeDeviceCode(t *testing.T) {
	for _, name := range []string{"device", "device-credential"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := browsableLab(t)
			tenant := l.Tenant("callercove")
			user := tenant.User("wei.chen")
			demandMFA(t, l, tenant, user)
			app := startApp(t, l, name)
			asked := app.opens()
			signInForDevice(newPerson(t, l), asked.Open, asked.Code, user)
			checkPerson(t, l, app.tells("signed in"), user)
			app.ends()
		})
	}
}

// @azure/identity opens the system's browser by itself; afterwards it needs none.
func TestNodeBrowserCredential(t *testing.T) {
	t.Parallel()
	l := browsableLab(t)
	tenant := l.Tenant("callercove")
	user := tenant.User("wei.chen")
	demandMFA(t, l, tenant, user)
	desktop := newOpener(t)
	app := startApp(t, l, "browser-credential", "BROWSER="+desktop.program)
	p := newPerson(t, l)
	p.open(desktop.opened(t))
	p.giveAccount(user)
	p.givePassword(user)
	p.giveCode(p.codeOf(user))
	p.stay("No")
	checkPerson(t, l, app.tells("signed in"), user)
	checkPerson(t, l, app.tells("again"), user)
	app.ends()
}
