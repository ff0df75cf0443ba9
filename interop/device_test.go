package interop

import (
	"slices"
	"strings"
	"testing"

	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/public"

	"gatehouse/lab"
)

// signInForDevice goes through the pages behind a device's code.
func signInForDevice(p *person, address, code string, user lab.ReadyUser) {
	p.t.Helper()
	p.enterUserCode(address, code)
	p.press("Continue")
	p.giveAccount(user)
	p.givePassword(user)
	p.giveCode(p.codeOf(user))
	p.expect("Signed in")
}

// MSAL Go signs in by device code: the person types it elsewhere, and gives a
// second factor there.
func TestDeviceCode(t *testing.T) {
	t.Parallel()
	l := browsableLab(t)
	tenant := l.Tenant("callercove")
	user := tenant.User("wei.chen")
	demandMFA(t, l, tenant, user)
	client := publicClient(t, l, tenant.ID)
	ask := func() (public.DeviceCode, func() (public.AuthResult, error)) {
		device, err := client.AcquireTokenByDeviceCode(t.Context(), readProfile)
		if err != nil {
			t.Fatal(err)
		}
		return device, background(t, device.AuthenticationResult)
	}

	p := newPerson(t, l)
	device, wait := ask()
	signInForDevice(p, device.Result.VerificationURL, strings.ToLower(device.Result.UserCode), user) // people do not type capitals
	result, err := wait()
	if err != nil {
		t.Fatal(err)
	}
	if amr := claimsOf(t, result.AccessToken).AMR; !slices.Contains(amr, "mfa") || result.Account.PreferredUsername != user.UPN {
		t.Errorf("account %s, amr %v", result.Account.PreferredUsername, amr)
	}
	checkMe(t, l.Client(), l.URL(), result.AccessToken, user)

	p.open(device.Result.VerificationURL)
	p.expect("Enter the code of the device")
	p.fill("Code that your device shows", device.Result.UserCode)
	p.press("Next")
	p.expectText("AADSTS70018") // a code is good once

	device, wait = ask()
	p.enterUserCode(device.Result.VerificationURL, device.Result.UserCode)
	p.press("Cancel")
	p.expect("Not signed in")
	if _, err := wait(); err == nil || !strings.Contains(err.Error(), "AADSTS65004") {
		t.Errorf("declined: %v", err)
	}
}
