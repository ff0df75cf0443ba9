package conditionalaccess

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"unicode/utf8"
)

// maxSignIn bounds a sign-in as JSON, in bytes.
const maxSignIn = 1 << 20

// UnmarshalJSON reads a sign-in from a JSON object with Graph's names. Members
// that are not known are passed over. Lists of the sign-in are used again, so
// that one SignIn may serve line after line.
func (si *SignIn) UnmarshalJSON(data []byte) error {
	if len(data) > maxSignIn {
		return fmt.Errorf("the sign-in is larger than %d kB", maxSignIn>>10)
	}
	d := signInDecoder{scanner: scanner{data: data}, text: string(data)}
	old := *si
	*si = SignIn{}
	si.Groups.Value, si.Roles.Value = old.Groups.Value[:0], old.Roles.Value[:0]
	si.Scopes.Value, si.Satisfied.Value = old.Scopes.Value[:0], old.Satisfied.Value[:0]
	si.MethodsRegistered.Value = old.MethodsRegistered.Value[:0]
	if d.peek() != '{' {
		if strings.IndexByte(d.text, 0) >= 0 {
			return errors.New("the sign-in is UTF-16; save the file as UTF-8")
		}
		return errors.New("the sign-in is no JSON object")
	}
	err := d.object(func(name []byte) error { return d.member(si, name) })
	if err == nil && !d.end() {
		err = d.fail("something behind the object")
	}
	var syntax *syntaxError
	if errors.As(err, &syntax) {
		at := min(syntax.pos, len(data))
		return fmt.Errorf("not JSON at character %d: %s", utf8.RuneCount(data[:at])+1, syntax.reason)
	}
	return err
}

// A signInDecoder reads JSON whose strings may be cut out of one copy.
type signInDecoder struct {
	scanner
	text string
}

func (d *signInDecoder) object(member func(name []byte) error) error {
	if err := d.open('{'); err != nil {
		return err
	}
	for first := true; ; first = false {
		more, err := d.next(first, '}')
		if err != nil || !more {
			return err
		}
		name, err := d.key()
		if err != nil {
			return err
		}
		if err := member(name); err != nil {
			return err
		}
	}
}

// value reads a string, or null.
func (d *signInDecoder) value(name string, m *Member[string]) error {
	switch d.peek() {
	case 'n':
		m.State = Null
		_, err := d.word()
		return err
	case '"':
		t, err := d.scanner.text()
		m.State, m.Value = Given, d.cut(t)
		return err
	}
	return d.wrong(name, "a string")
}

// cut gives the bytes as a string, without a copy if they lie in the input.
func (d *signInDecoder) cut(t []byte) string {
	if n := len(t); n > 0 && d.pos > n && &t[0] == &d.data[d.pos-1-n] {
		return d.text[d.pos-1-n : d.pos-1]
	}
	return string(t)
}

// wrong reports a value of the wrong type, or broken JSON.
func (d *signInDecoder) wrong(name, want string) error {
	have := kindName(d.peek())
	if c := d.peek(); c == '-' || '0' <= c && c <= '9' {
		have = "a number"
	}
	if err := d.skip(); err != nil {
		return err
	}
	return fmt.Errorf("reading the sign-in: %s holds %s where %s or null belongs", name, have, want)
}

// oneOf reads one of some words; what is not among them is an error that names
// them.
func (d *signInDecoder) oneOf(name string, m *Member[string], known ...string) error {
	if err := d.value(name, m); err != nil || !m.given() {
		return err
	}
	if i := indexFold(known, m.Value); i < 0 {
		return fmt.Errorf("reading the sign-in: %s is %q; it can be %s", name, clip(m.Value), strings.Join(known, ", "))
	}
	return nil
}

func (d *signInDecoder) flag(name string, m *Member[bool]) error {
	switch d.peek() {
	case 'n', 't', 'f':
		w, err := d.word()
		*m = Member[bool]{State: Given, Value: w == "true"}
		if w == "null" {
			*m = None[bool]()
		}
		return err
	}
	return d.wrong(name, "true, false")
}

// list reads a list of strings, or null.
func (d *signInDecoder) list(name string, m *Member[[]string]) error {
	switch d.peek() {
	case 'n':
		m.State = Null
		_, err := d.word()
		return err
	case '[':
	default:
		return d.wrong(name, "a list of strings")
	}
	if err := d.open('['); err != nil {
		return err
	}
	m.State = Given
	for first := true; ; first = false {
		more, err := d.next(first, ']')
		if err != nil || !more {
			return err
		}
		var item Member[string]
		if err := d.value(name, &item); err != nil {
			return err
		}
		if item.given() {
			m.Value = append(m.Value, item.Value)
		}
	}
}

var (
	principalWords = []string{"user", "servicePrincipal", "agentIdentity", "agentUser", "managedIdentity"}
	userWords      = []string{"Member", "Guest"}
	guestWords     = []string{
		"internalGuest", "b2bCollaborationGuest", "b2bCollaborationMember", "b2bDirectConnectUser",
		"otherExternalUser", "serviceProvider", "none",
	}
	clientWords  = []string{"browser", "mobileAppsAndDesktopClients", "exchangeActiveSync", "other"}
	riskWords    = []string{"none", "low", "medium", "high", "hidden"}
	insiderWords = []string{"none", "minor", "moderate", "elevated"}
)

func (d *signInDecoder) member(si *SignIn, name []byte) error {
	switch string(name) {
	case "id":
		return d.id(si)
	case "principalType":
		return d.oneOf("principalType", &si.PrincipalType, principalWords...)
	case "userId":
		return d.value("userId", &si.UserID)
	case "userType":
		return d.oneOf("userType", &si.UserType, userWords...)
	case "guestOrExternalUserType":
		err := d.oneOf("guestOrExternalUserType", &si.GuestOrExternalUserType, guestWords...)
		if strings.EqualFold(si.GuestOrExternalUserType.Value, "none") {
			si.GuestOrExternalUserType = None[string]()
		}
		return err
	case "externalTenantId":
		return d.value("externalTenantId", &si.ExternalTenantID)
	case "servicePrincipalId":
		return d.value("servicePrincipalId", &si.ServicePrincipalID)
	case "groups":
		return d.list("groups", &si.Groups)
	case "roles":
		return d.list("roles", &si.Roles)
	case "resource":
		return d.value("resource", &si.Resource)
	case "userAction":
		return d.value("userAction", &si.UserAction)
	case "authenticationContext":
		return d.value("authenticationContext", &si.AuthenticationContext)
	case "scopes":
		return d.list("scopes", &si.Scopes)
	case "resourceAttributes":
		return d.attributes("resourceAttributes", &si.ResourceAttributes)
	case "principalAttributes":
		return d.attributes("principalAttributes", &si.PrincipalAttributes)
	}
	return d.circumstance(si, name)
}

func (d *signInDecoder) circumstance(si *SignIn, name []byte) error {
	switch string(name) {
	case "clientAppType":
		return d.oneOf("clientAppType", &si.ClientAppType, clientWords...)
	case "ipAddress":
		return d.address(si)
	case "country":
		return d.value("country", &si.Country)
	case "compliantNetwork":
		return d.flag("compliantNetwork", &si.CompliantNetwork)
	case "platform":
		return d.value("platform", &si.Platform)
	case "device":
		return d.device(&si.Device)
	case "signInRisk":
		return d.oneOf("signInRisk", &si.SignInRisk, riskWords...)
	case "userRisk":
		return d.oneOf("userRisk", &si.UserRisk, riskWords...)
	case "insiderRisk":
		return d.oneOf("insiderRisk", &si.InsiderRisk, insiderWords...)
	case "servicePrincipalRisk":
		return d.oneOf("servicePrincipalRisk", &si.ServicePrincipalRisk, riskWords...)
	case "agentRisk":
		return d.oneOf("agentRisk", &si.AgentRisk, riskWords...)
	case "authenticationFlow":
		return d.value("authenticationFlow", &si.AuthenticationFlow)
	case "originalTransferMethod":
		return d.value("originalTransferMethod", &si.OriginalTransferMethod)
	case "satisfied":
		return d.list("satisfied", &si.Satisfied)
	case "authMethodCombination":
		return d.value("authMethodCombination", &si.AuthMethodCombination)
	case "methodsRegistered":
		return d.list("methodsRegistered", &si.MethodsRegistered)
	}
	return d.skip()
}

// id reads the caller's id; a number stands for its digits.
func (d *signInDecoder) id(si *SignIn) error {
	switch c := d.peek(); {
	case c == '"' || c == 'n':
		var m Member[string]
		err := d.value("id", &m)
		si.ID = m.Value
		return err
	case c == '-' || '0' <= c && c <= '9':
		t, err := d.number()
		si.ID = string(t)
		return err
	}
	return d.wrong("id", "a string")
}

func (d *signInDecoder) address(si *SignIn) error {
	var m Member[string]
	if err := d.value("ipAddress", &m); err != nil || !m.given() {
		si.IPAddress.State = m.State
		return err
	}
	a, err := netip.ParseAddr(m.Value)
	if err != nil {
		return fmt.Errorf("reading the sign-in: ipAddress is %q, which is no IPv4 or IPv6 address", clip(m.Value))
	}
	si.IPAddress = Is(a.WithZone(""))
	return nil
}

// attributes reads custom security attributes: name to a value or several.
func (d *signInDecoder) attributes(name string, m *Member[map[string][]string]) error {
	if d.peek() == 'n' {
		m.State = Null
		_, err := d.word()
		return err
	}
	if d.peek() != '{' {
		return d.wrong(name, "an object")
	}
	*m = Is(map[string][]string{})
	return d.object(func(key []byte) error {
		n, err := d.node()
		if err != nil {
			return err
		}
		var values []string
		switch n.kind {
		case '[':
			for i := range n.items {
				values = append(values, n.items[i].text)
			}
		case '{', 'n':
		default:
			values = []string{n.text}
		}
		m.Value[string(key)] = values
		return nil
	})
}

func (d *signInDecoder) device(m *Member[Device]) error {
	if d.peek() == 'n' {
		m.State = Null
		_, err := d.word()
		return err
	}
	if d.peek() != '{' {
		return d.wrong("device", "an object")
	}
	m.State = Given
	return d.object(func(name []byte) error {
		if string(name) == "isManaged" {
			return d.flag("device.isManaged", &m.Value.IsManaged)
		}
		a, ok := fastAttribute(name)
		if !ok {
			return d.skip()
		}
		return d.deviceAttribute(&m.Value, a)
	})
}

// fastAttribute finds an attribute by its exact name.
func fastAttribute(name []byte) (DeviceAttribute, bool) {
	if i := slices.Index(deviceNames[:], string(name)); i >= 0 {
		return DeviceAttribute(i), true
	}
	return deviceAttribute(string(name))
}

func (d *signInDecoder) deviceAttribute(device *Device, a DeviceAttribute) error {
	m := &device.attributes[a]
	list := a == PhysicalIDs || a == SystemLabels
	switch c := d.peek(); {
	case c == 't' || c == 'f':
		w, err := d.word()
		*m = Is(w)
		return err
	case list && c == '[':
		*m = Is("")
		return d.list("device."+deviceNames[a], &device.lists[a-PhysicalIDs])
	case list && c == '"':
		var one Member[string]
		err := d.value("device", &one)
		device.SetList(a, []string{one.Value})
		return err
	}
	if err := d.value("device", m); err != nil {
		return err
	}
	if a == TrustType {
		m.Value = trustType(m.Value)
	}
	return nil
}
