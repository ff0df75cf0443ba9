package lab

import (
	"net/http"
)

// endScenarios are about grants that end, and addresses that Entra no longer
// takes.
var endScenarios = []Scenario{
	scenario(50078, "remembered-mfa-too-old", "The tenant remembers MFA for 14 days, and the refresh token's is older.",
		control("remember MFA for 14 days at callercove", http.MethodPatch, "/tenants/callercove.onmicrosoft.com", `{"remember_mfa_days":14}`),
		control("let everything ask wei.chen for MFA", http.MethodPatch, "/tenants/callercove.onmicrosoft.com/users/wei.chen@callercove.example", `{"per_user_mfa":"enforced"}`),
		open("callercove", "", "", nil), signIn("callercove", "wei.chen"), redeem("callercove", "in time", nil),
		keeping(control("let 14 days pass", http.MethodPost, "/clock", `{"advance":"336h"}`)),
		refresh("callercove", scenarioClient, "after 14 days")),
	scenario(901001, "prompt-of-the-older-endpoint", "An app sends administrators to the v2.0 sign-in page with prompt=admin_consent.",
		open("openharbour", "", "with prompt=admin_consent", with("prompt", "admin_consent"))),
	scenario(9000411, "parameter-twice", "A link of admin consent names its state twice.",
		act{"open an address of admin consent with two values of state", func(a *actor) error {
			return a.browse(http.MethodGet, a.lab.URL()+"/openharbour.onmicrosoft.com/v2.0/adminconsent?client_id="+scenarioClient+"&redirect_uri="+scenarioRedirect+"&scope=User.Read&state=a&state=b", "")
		}}),
}
