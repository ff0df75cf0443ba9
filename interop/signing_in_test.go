package interop

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"gatehouse/lab"
)

// background starts what waits for a person, and gives how to wait for its end.
func background[T any](t *testing.T, do func(ctx context.Context) (T, error)) (wait func() (T, error)) {
	t.Helper()
	type outcome struct {
		value T
		err   error
	}
	ctx, cancel := context.WithTimeout(t.Context(), signInTime)
	ended := make(chan outcome, 1)
	t.Cleanup(cancel)
	go func() {
		value, err := do(ctx)
		ended <- outcome{value, err}
	}()
	return func() (T, error) {
		o := <-ended
		return o.value, o.err
	}
}

// receive waits for something that a library hands out.
func receive[T any](t *testing.T, from <-chan T, what string) (value T) {
	t.Helper()
	select {
	case value = <-from:
	case <-time.After(patience):
		t.Fatalf("waiting for the %s: nothing came", what)
	}
	return value
}

// giveAccount fills in the account page.
func (p *person) giveAccount(user lab.ReadyUser) {
	p.t.Helper()
	p.expect("Sign in")
	p.fill("User name", user.UPN)
	p.press("Next")
}

// givePassword fills in the password page.
func (p *person) givePassword(user lab.ReadyUser) {
	p.t.Helper()
	p.expect("Enter the password")
	p.fill("Password", *user.Password)
	p.press("Sign in")
}

// stay answers whether to stay signed in.
func (p *person) stay(answer string) {
	p.t.Helper()
	p.expect("Stay signed in?")
	p.press(answer)
}

// lookAtPhone opens the phone page in a second tab of the window, or anew.
func (p *person) lookAtPhone() *person {
	p.t.Helper()
	if p.phone == nil {
		p.phone = openTab(p.t, p.lab, p.tab)
	}
	p.phone.open(p.lab.Ready().PhoneURL)
	return p.phone
}

// approve answers the request on the phone with the number on the screen.
func (p *person) approve(user lab.ReadyUser) {
	p.t.Helper()
	number := p.read(`//p[@class="number"]`)
	p.answer(user, number)
	p.phone.expectText("Approved.")
}

// answer presses a button of the request on the phone.
func (p *person) answer(user lab.ReadyUser, caption string) {
	p.t.Helper()
	phone := p.lookAtPhone()
	phone.click("answering with "+caption, fmt.Sprintf(`//li[contains(@class, "ask")][contains(., %s)]//button[normalize-space()=%s]`, quoted(user.UPN), quoted(caption)))
}

// codeOf reads a code off the phone: of the code app or of the last message.
func (p *person) codeOf(user lab.ReadyUser) string {
	p.t.Helper()
	return p.lookAtPhone().read(fmt.Sprintf(`//li[contains(., %s)]//code`, quoted(user.UPN)))
}

// giveCode types a code.
func (p *person) giveCode(code string) {
	p.t.Helper()
	p.expect("Enter the code")
	p.fill("Code", code)
	p.press("Verify")
}

// enterUserCode types a device's code and says that the sign-in is meant.
func (p *person) enterUserCode(address, code string) {
	p.t.Helper()
	p.open(address)
	p.expect("Enter the code of the device")
	p.fill("Code that your device shows", code)
	p.press("Next")
	p.expect("Sign in on another device?")
}

// back is the query of the app's address that the browser was led to.
func (p *person) back(app string) url.Values {
	p.t.Helper()
	run(p, "waiting for the app at "+app, chromedp.WaitReady(`//body[@data-app="returned"]`, patiently))
	at := p.at()
	u, err := url.Parse(at)
	if err != nil || !strings.HasPrefix(at, app) {
		p.t.Fatalf("the browser is at %s, want the app at %s (%v)", at, app, err)
	}
	return u.Query()
}
