package directory

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// What sign-ins of a user are like, as far as Conditional Access asks: risk,
// the device, and what a guest's home tenant is trusted with.

// riskLevels are those that a tenants file and the control port may set.
var riskLevels = []string{"none", "low", "medium", "high"}

// RiskLevel reports whether a level of risk exists.
func RiskLevel(level string) bool { return slices.Contains(riskLevels, level) }

// Device is what a user signs in on, as the filter for devices names its
// attributes, less "device.". Those that nobody gave are nil: without value.
type Device struct {
	Client     string // name or client id of the app whose sign-ins come from it, "" for all
	Attributes map[string]any
}

// deviceAttributes are those of a tenants file; extensionAttribute1 to 15 come
// besides.
var deviceAttributes = []string{"deviceId", "displayName", "deviceOwnership", "enrollmentProfileName", "manufacturer", "mdmAppId", "model",
	"operatingSystem", "operatingSystemVersion", "profileType", "trustType", "isCompliant", "isManaged"}

// device reads the device of a user; nil if there is none.
func device(n node) *Device {
	if n.value == nil {
		return nil
	}
	names := slices.Clone(deviceAttributes)
	for i := range 15 {
		names = append(names, fmt.Sprintf("extensionAttribute%d", i+1))
	}
	get := n.object(append(names, "client")...)
	d := &Device{Client: get("client").str(), Attributes: map[string]any{"physicalIds": nil, "systemLabels": nil}}
	for _, name := range names {
		d.Attributes[name] = nil
		if s := get(name); s.value != nil && !strings.HasPrefix(name, "is") {
			d.Attributes[name] = s.str()
		}
	}
	d.Attributes["isCompliant"], d.Attributes["isManaged"] = get("isCompliant").flag(false), get("isManaged").flag(false)
	d.Attributes["trustType"] = get("trustType").oneOf("AzureAD", "AzureAD", "ServerAD", "Workplace")
	return d
}

// ReadDevice reads a device as a tenants file has it; null takes it away. The
// error is [Faults].
func ReadDevice(data []byte) (*Device, error) {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return nil, fmt.Errorf("reading the device: %w", err)
	}
	var faults Faults
	d := device(node{"device", value, &faults})
	if len(faults) > 0 {
		return nil, faults
	}
	return d, nil
}

// InboundTrust is what inbound cross-tenant access settings accept from a
// guest's home tenant: MFA done there, and the state of its devices.
type InboundTrust struct{ MFA, CompliantDevice, HybridJoined bool }

func inboundTrust(n node) map[string]InboundTrust {
	var out map[string]InboundTrust
	for _, item := range n.list() {
		get := item.object("tenant", "mfa", "compliant_device", "hybrid_joined")
		if out == nil {
			out = map[string]InboundTrust{}
		}
		out[strings.ToLower(get("tenant").str())] = InboundTrust{get("mfa").flag(false), get("compliant_device").flag(false), get("hybrid_joined").flag(false)}
	}
	return out
}

// Trusts is what the tenant accepts from a home tenant, by its id.
func (t *Tenant) Trusts(home string) InboundTrust {
	for name, trust := range t.InboundTrust {
		if other := t.Other(name); name != "" && other != nil && other.ID == home {
			return trust
		}
	}
	return t.InboundTrust[""]
}

// Accept notes that the user accepted an agreement.
func (u *User) Accept(agreement string) {
	if !slices.Contains(u.Terms, agreement) {
		u.Terms = append(u.Terms[:len(u.Terms):len(u.Terms)], agreement)
	}
}
