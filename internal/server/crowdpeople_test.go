package server_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"time"

	"gatehouse/client"
	"gatehouse/lab"
)

// led asks an address as a browser does, and says where it leads.
func led(ctx context.Context, browser *http.Client, method, address string) (string, error) {
	r, err := http.NewRequestWithContext(ctx, method, address, http.NoBody)
	if err != nil {
		return "", err
	}
	response, err := browser.Do(r)
	if err != nil {
		return "", err
	}
	_, err = io.Copy(io.Discard, response.Body)
	_ = response.Body.Close() // it was read
	if err != nil {
		return "", err
	}
	if response.StatusCode != http.StatusSeeOther {
		return "", fmt.Errorf("%s %s is answered %s", method, r.URL.Path, response.Status)
	}
	to, err := response.Location()
	if err != nil {
		return "", err
	}
	return to.String(), nil
}

// signIn opens a personal link in a new browser and signs in at Microsoft's; works
// says whether that lets the person in.
func (c *crowd) signIn(ctx context.Context, browser *http.Client, link, upn string, works bool) error {
	browser.Jar, _ = cookiejar.New(nil) // fails for no options
	next, err := led(ctx, browser, http.MethodPost, link)
	if err != nil {
		return err
	}
	back, err := c.Lab.SignIn(next, lab.Person{UPN: upn})
	if !works {
		if err == nil {
			err = fmt.Errorf("%s signs in, and should not", upn)
		} else {
			err = nil
		}
		return err
	}
	if err != nil {
		return err
	}
	end, err := led(ctx, browser, http.MethodGet, back.String())
	if err == nil && !strings.Contains(end, "/signin/result/") {
		err = fmt.Errorf("%s ends at %s", upn, end)
	}
	return err
}

var toMicrosoft = regexp.MustCompile(`<a class="button main" href="([^"]+)"`)

func (c *crowd) consent(ctx context.Context, i int, page string) error {
	browser := c.HTTP()
	browser.Jar, _ = cookiejar.New(nil) // fails for no options
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, page, http.NoBody)
	if err != nil {
		return err
	}
	response, err := browser.Do(r)
	if err != nil {
		return err
	}
	text, err := io.ReadAll(response.Body)
	_ = response.Body.Close() // it was read
	found := toMicrosoft.FindSubmatch(text)
	if err != nil || found == nil {
		return fmt.Errorf("the page for the administrator is answered %s without a way to Microsoft (%w)", response.Status, err)
	}
	back, err := c.Lab.SignIn(html.UnescapeString(string(found[1])), lab.Person{UPN: c.Admin(i), Consent: true})
	if err != nil {
		return err
	}
	_, err = led(ctx, browser, http.MethodGet, back.String())
	return err
}

// report has people sign in to the app that keeps its own tokens, which says so.
func (c *crowd) report(ctx context.Context, i int) error {
	var all []client.SignInReport
	for j := c.connected; j < c.People; j++ {
		who, err := c.redeemed(ctx, i, c.Person(i, j))
		if err != nil {
			return err
		}
		all = append(all, client.SignInReport{Tenant: who["tid"].(string), Person: who["oid"].(string), ClientID: c.next.ClientID, Outcome: "signed_in", At: time.Now()})
		if j%2 == 1 {
			all[len(all)-1].Person = who["preferred_username"].(string)
		}
	}
	got, err := c.app.ReportSignIns(ctx, c.campaign, all)
	if err == nil && got.Done != len(all) {
		err = fmt.Errorf("of %d reports this became: %+v", len(all), got)
	}
	return err
}

// redeemed signs somebody in to the vendor's other app, and gives the claims of the
// id token that it gets.
func (c *crowd) redeemed(ctx context.Context, i int, upn string) (map[string]any, error) {
	at, scope := c.Lab.URL()+"/"+c.Customer(i)+"/oauth2/v2.0/", strings.Join(crowdScopes, " ")
	back, err := c.Lab.SignIn(at+"authorize?"+url.Values{"client_id": {c.next.ClientID}, "response_type": {"code"}, "redirect_uri": {ownReply}, "scope": {scope}, "state": {"s"}}.Encode(), lab.Person{UPN: upn})
	if err != nil {
		return nil, err
	}
	form := url.Values{"grant_type": {"authorization_code"}, "client_id": {c.next.ClientID}, "client_secret": {*c.next.Secret}, "redirect_uri": {ownReply}, "code": {back.Query().Get("code")}, "scope": {scope}}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, at+"token", strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response, err := c.Lab.Client().Do(r)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	var answer struct {
		ID string `json:"id_token"`
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return nil, err
	}
	return claims(answer.ID)
}

// claims are those of a token, which nobody checks here.
func claims(token string) (out map[string]any, err error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil, fmt.Errorf("%.40q is no token", token)
	}
	text, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err == nil {
		err = json.Unmarshal(text, &out)
	}
	return out, err
}

// serves demands that a program gets tokens of a person's connection, by an app.
func (c *crowd) serves(ctx context.Context, i, j int, clientID string) error {
	token, err := c.program.NewToken(ctx, c.connections[i][j], client.TokenRequest{Service: "graph"})
	if err != nil {
		return err
	}
	got, err := claims(token.AccessToken)
	if err == nil && (got["appid"] != clientID || got["upn"] != c.Person(i, j)) {
		err = fmt.Errorf("a token of %v by %v, want %s by %s", got["upn"], got["appid"], c.Person(i, j), clientID)
	}
	return err
}
