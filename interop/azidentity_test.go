package interop

import (
	"bufio"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"gatehouse/lab"
)

// opener is a program that stands in for the system's browser: it hands the
// address on to the test.
type opener struct{ folder, program, pipe string }

// newOpener makes the program, named as the one of the desktop.
func newOpener(t *testing.T) opener {
	t.Helper()
	folder := t.TempDir()
	o := opener{folder, filepath.Join(folder, "xdg-open"), filepath.Join(folder, "opened")}
	if err := syscall.Mkfifo(o.pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	script := "#!/bin/sh\nprintf '%s\\n' \"$1\" >'" + o.pipe + "'\n"
	if err := os.WriteFile(o.program, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	return o
}

// opened waits for the address that somebody opens.
func (o opener) opened(t *testing.T) string {
	t.Helper()
	pipe, err := os.OpenFile(o.pipe, os.O_RDWR, 0) // for both, so that opening it waits for nobody
	if err != nil {
		t.Fatal(err)
	}
	defer pipe.Close()
	line := make(chan string, 1)
	go func() {
		text, _ := bufio.NewReader(pipe).ReadString('\n') // ends with the pipe
		line <- strings.TrimSpace(text)
	}()
	return receive(t, line, "address to open")
}

// azureClient is what azidentity's credentials need to reach the lab.
func azureClient(l *lab.Lab) azcore.ClientOptions {
	return azcore.ClientOptions{Cloud: cloud.Configuration{ActiveDirectoryAuthorityHost: l.URL()}, Transport: l.Client()}
}

// getToken asks a credential for a token while a person signs in.
func getToken(t *testing.T, credential azcore.TokenCredential) (wait func() (azcore.AccessToken, error)) {
	t.Helper()
	return background(t, func(ctx context.Context) (azcore.AccessToken, error) {
		return credential.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{graphUserRead}})
	})
}

func checkAzureToken(t *testing.T, l *lab.Lab, wait func() (azcore.AccessToken, error), user lab.ReadyUser) {
	t.Helper()
	token, err := wait()
	if err != nil {
		t.Fatal(err)
	}
	if amr := claimsOf(t, token.Token).AMR; !slices.Contains(amr, "mfa") {
		t.Errorf("amr %v", amr)
	}
	checkMe(t, l.Client(), l.URL(), token.Token, user)
}

// azidentity opens the system's browser by itself and listens for the answer;
// afterwards it needs no browser.
func TestAzidentityBrowser(t *testing.T) {
	l := browsableLab(t)
	tenant := l.Tenant("callercove")
	user := tenant.User("wei.chen")
	demandMFA(t, l, tenant, user)
	desktop := newOpener(t)
	t.Setenv("PATH", desktop.folder+string(os.PathListSeparator)+os.Getenv("PATH"))
	credential, err := azidentity.NewInteractiveBrowserCredential(&azidentity.InteractiveBrowserCredentialOptions{
		ClientOptions: azureClient(l), ClientID: commandLineTools, TenantID: tenant.ID, LoginHint: user.UPN, DisableInstanceDiscovery: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	wait := getToken(t, credential)
	p := newPerson(t, l)
	p.open(desktop.opened(t))
	p.givePassword(user) // the credential named the account
	p.giveCode(p.codeOf(user))
	p.stay("No")
	p.expectText("Authentication complete")
	checkAzureToken(t, l, wait, user)
	checkAzureToken(t, l, getToken(t, credential), user)
}

// azidentity shows the code of a device, and waits.
func TestAzidentityDeviceCode(t *testing.T) {
	t.Parallel()
	l := browsableLab(t)
	tenant := l.Tenant("callercove")
	user := tenant.User("wei.chen")
	demandMFA(t, l, tenant, user)
	shown := make(chan azidentity.DeviceCodeMessage, 1)
	credential, err := azidentity.NewDeviceCodeCredential(&azidentity.DeviceCodeCredentialOptions{
		ClientOptions: azureClient(l), ClientID: commandLineTools, TenantID: tenant.ID, DisableInstanceDiscovery: true,
		UserPrompt: func(_ context.Context, message azidentity.DeviceCodeMessage) error {
			shown <- message
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	wait := getToken(t, credential)
	message := receive(t, shown, "code")
	signInForDevice(newPerson(t, l), message.VerificationURL, message.UserCode, user)
	checkAzureToken(t, l, wait, user)
}
