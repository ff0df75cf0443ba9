package posture

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	ca "gatehouse/conditionalaccess"
)

// Flow is the way in which software or a person signs in.
type Flow string

// The flows.
const (
	FlowPassword    Flow = "password"     // software sends user name and password (ROPC)
	FlowBrowser     Flow = "browser"      // a person in a browser, or a web app
	FlowDesktop     Flow = "desktop"      // a person in a native app with modern sign-in
	FlowDeviceCode  Flow = "device_code"  // a code typed on another device
	FlowLegacy      Flow = "legacy"       // IMAP, POP, SMTP and the like with the account's password
	FlowAppPassword Flow = "app_password" // the same with an app password
	FlowActiveSync  Flow = "activesync"   // Exchange ActiveSync with the account's password
	FlowApp         Flow = "app"          // an app for itself, with secret or certificate
)

// Flows are all flows.
var Flows = []Flow{FlowPassword, FlowBrowser, FlowDesktop, FlowDeviceCode, FlowLegacy, FlowAppPassword, FlowActiveSync, FlowApp}

// clientAppTypes of the flows. That of a password sent by software, and of the
// device code, is an inference (conditional-access-evaluation §2.3).
var clientAppTypes = map[Flow]string{
	FlowPassword: "mobileAppsAndDesktopClients", FlowDesktop: "mobileAppsAndDesktopClients", FlowDeviceCode: "mobileAppsAndDesktopClients",
	FlowBrowser: "browser", FlowLegacy: "other", FlowAppPassword: "other", FlowActiveSync: "exchangeActiveSync",
}

// legacy reports whether the flow cannot carry a second factor.
func (f Flow) legacy() bool { return f == FlowLegacy || f == FlowAppPassword || f == FlowActiveSync }

// words say the flow in a sentence.
func (f Flow) words() string {
	switch f {
	case FlowPassword:
		return "a password sent by software"
	case FlowBrowser:
		return "a person in a browser"
	case FlowDesktop:
		return "a person in a native app"
	case FlowDeviceCode:
		return "the device code flow"
	case FlowLegacy:
		return "a legacy protocol"
	case FlowAppPassword:
		return "an app password"
	case FlowActiveSync:
		return "Exchange ActiveSync"
	case FlowApp:
		return "an app for itself"
	}
	return string(f)
}

// SignIn is the sign-in that the rules are asked about, as far as it is known.
type SignIn struct {
	ClientID string // the app that signs in; "" not known
	Resource string // appId of what the token is for; "" not known
	Scopes   []string
	Flow     Flow       // "" is FlowPassword, for an app FlowApp
	Address  netip.Addr // as Microsoft sees it; the zero value: not known
	Country  string     // two letters; "" not known
	Platform string     // Graph's word; "" not known
	MFA      bool       // a second factor was given
}

// Services are the resources behind the names of services.
var Services = map[string]string{
	"graph": "00000003-0000-0000-c000-000000000000", "sharepoint": "00000003-0000-0ff1-ce00-000000000000",
	"exchange": "00000002-0000-0ff1-ce00-000000000000", "business_central": "996def3d-b36c-4153-8607-a6fd3c01b89f",
	"azure": azureManagement,
}

// azureManagement is Windows Azure Service Management API.
const azureManagement = "797f4846-ba00-4fd7-ba43-dac1f8f63013"

// ServiceName gives the name of a resource, or its id.
func ServiceName(resource string) string {
	for name, id := range Services {
		if strings.EqualFold(id, resource) {
			return name
		}
	}
	return resource
}

func (in SignIn) flow() Flow {
	if in.Flow == "" {
		return FlowPassword
	}
	return in.Flow
}

// String tells the sign-in in a few words.
func (in SignIn) String() string {
	parts := []string{in.flow().words()}
	if in.Resource != "" {
		parts = append(parts, "for "+strings.ReplaceAll(ServiceName(in.Resource), "_", " "))
	}
	if in.Address.IsValid() {
		parts = append(parts, fmt.Sprintf("from %s", in.Address))
	}
	return strings.Join(parts, ", ")
}

// request turns what is common to users and apps into the library's form. What
// is not known stays absent.
func (s *Snapshot) request(in SignIn) ca.SignIn {
	var r ca.SignIn
	if in.Resource != "" {
		r.Resource = ca.Is(in.Resource)
	}
	if in.Scopes != nil {
		r.Scopes = ca.Is(in.Scopes)
	}
	if in.Address.IsValid() {
		r.IPAddress = ca.Is(in.Address.Unmap())
		if place := in.Address.Unmap(); place.IsPrivate() || place.IsLoopback() {
			r.Country = ca.None[string]() // conditional-access-evaluation §2.5
		}
	}
	if in.Country != "" {
		r.Country = ca.Is(strings.ToUpper(in.Country))
	}
	return r
}

// ofUser describes a user's sign-in.
func (s *Snapshot) ofUser(a Account, in SignIn) ca.SignIn {
	r := s.request(in)
	r.PrincipalType, r.UserID, r.UserType = ca.Is("user"), ca.Is(a.ID), ca.Is(a.Type)
	if a.GuestType != "" {
		r.GuestOrExternalUserType = ca.Is(a.GuestType)
	} else {
		r.GuestOrExternalUserType = ca.None[string]()
	}
	if a.GuestType == "" || a.GuestType == "internalGuest" {
		r.ExternalTenantID = ca.None[string]()
	}
	if a.Groups != nil {
		groups := make([]string, 0, len(a.Groups))
		for _, g := range a.Groups {
			groups = append(groups, g.ID)
		}
		r.Groups = ca.Is(groups)
	}
	if a.Roles != nil {
		roles := []string{}
		for _, role := range a.Roles {
			if role.Counts() {
				roles = append(roles, role.ID)
			}
		}
		r.Roles = ca.Is(roles)
	}
	if a.Methods != nil {
		r.MethodsRegistered = ca.Is(slices.DeleteFunc(slices.Clone(a.Methods), func(kind string) bool { return kind == "email" }))
	}
	in.describe(&r)
	return r
}

// describe adds what the flow says about client, device and first factor.
func (in SignIn) describe(r *ca.SignIn) {
	flow := in.flow()
	r.ClientAppType = ca.Is(clientAppTypes[flow])
	r.AuthenticationFlow, r.OriginalTransferMethod = ca.None[string](), ca.None[string]()
	done := []string{"password"}
	if in.MFA {
		done = append(done, "mfa")
	} else {
		r.AuthMethodCombination = ca.Is("password")
	}
	r.Satisfied = ca.Is(done)
	if in.Platform != "" {
		r.Platform = ca.Is(in.Platform)
	}
	switch {
	case flow == FlowDeviceCode:
		r.AuthenticationFlow, r.OriginalTransferMethod = ca.Is("deviceCodeFlow"), ca.Is("deviceCodeFlow")
		r.Device = ca.None[ca.Device]() // not passed on (conditional-access-evaluation §3)
	case flow == FlowPassword, flow.legacy():
		r.Device = ca.None[ca.Device]()
	}
}

// ofApp describes the sign-in of a workload identity. An app of another tenant
// is none that policies reach (conditional-access-evaluation §5).
func (s *Snapshot) ofApp(a App, in SignIn) ca.SignIn {
	r := s.request(in)
	r.PrincipalType, r.ServicePrincipalID = ca.Is("servicePrincipal"), ca.Is(a.ID)
	if a.Type == "ManagedIdentity" {
		r.PrincipalType = ca.Is("managedIdentity")
	}
	switch {
	case a.OwnerTenant == "" || s.TenantID == "":
	case strings.EqualFold(a.OwnerTenant, s.TenantID):
		r.ExternalTenantID = ca.None[string]()
	default:
		r.ExternalTenantID = ca.Is(a.OwnerTenant)
	}
	return r
}

// Outside gives an address that lies in none of the tenant's named locations:
// what a sign-in from anywhere else looks like. The addresses are reserved for
// documentation (RFC 5737), so that nobody's own is among them.
func (s *Snapshot) Outside() netip.Addr {
	for _, text := range []string{"203.0.113.7", "198.51.100.7", "192.0.2.7"} {
		if address := netip.MustParseAddr(text); len(s.LocationsOf(address)) == 0 {
			return address
		}
	}
	return netip.Addr{}
}

// LocationsOf gives the names of the named locations of addresses that an
// address lies in. Countries are not looked up.
func (s *Snapshot) LocationsOf(address netip.Addr) []string {
	names := []string{}
	for _, l := range s.compile().set.Locations {
		if slices.ContainsFunc(l.Ranges, func(r ca.Range) bool {
			return r.From.BitLen() == address.BitLen() && r.From.Compare(address) <= 0 && address.Compare(r.To) <= 0
		}) {
			names = append(names, l.DisplayName)
		}
	}
	return names
}
