package conditionalaccess

import "math/bits"

// tri is a truth value: and is the smaller, or the larger of two.
type tri uint8

const (
	no tri = iota
	maybe
	yes
)

func (t tri) not() tri { return yes - t }

func triOf(b bool) tri {
	if b {
		return yes
	}
	return no
}

// A member is something of the sign-in, or of the tenant, that may be missing.
type member uint8

const (
	mPrincipalType member = iota
	mUserID
	mGuestType
	mExternalTenant
	mServicePrincipal
	mGroups
	mRoles
	mResource
	mResourceAttributes
	mPrincipalAttributes
	mClientApp
	mIPAddress
	mCountry
	mCompliantNetwork
	mPlatform
	mDevice
	mSignInRisk
	mUserRisk
	mInsiderRisk
	mServicePrincipalRisk
	mAgentRisk
	mFlow
	mSatisfied
	mCombination
	// What the tenant would have to tell.
	mNamedLocations
	mTrustedIPs
	mAppGroups
	mStrength
	mState   // whether a policy is enforced
	mPolicy  // a condition that this package does not know
	mControl // a grant control that it does not know

	mAttributes // the device attributes follow
)

var memberNames = [...]string{
	mPrincipalType: "principalType", mUserID: "userId", mGuestType: "guestOrExternalUserType",
	mExternalTenant: "externalTenantId", mServicePrincipal: "servicePrincipalId", mGroups: "groups", mRoles: "roles",
	mResource: "resource", mResourceAttributes: "resourceAttributes", mPrincipalAttributes: "principalAttributes",
	mClientApp: "clientAppType", mIPAddress: "ipAddress", mCountry: "country", mCompliantNetwork: "compliantNetwork",
	mPlatform: "platform", mDevice: "device", mSignInRisk: "signInRisk", mUserRisk: "userRisk",
	mInsiderRisk: "insiderRisk", mServicePrincipalRisk: "servicePrincipalRisk", mAgentRisk: "agentRisk",
	mFlow: "authenticationFlow", mSatisfied: "satisfied", mCombination: "authMethodCombination",
	mNamedLocations: "namedLocations", mTrustedIPs: "mfaTrustedIPs", mAppGroups: "appGroups",
	mStrength: "authenticationStrength", mState: "state", mPolicy: "conditions", mControl: "grantControls",
	mAttributes: "device.deviceId", "device.mdmAppId", "device.deviceOwnership", "device.isCompliant",
	"device.profileType", "device.trustType", "device.physicalIds", "device.systemLabels", "device.displayName",
	"device.enrollmentProfileName", "device.manufacturer", "device.model", "device.operatingSystem",
	"device.operatingSystemVersion", "device.extensionAttribute1", "device.extensionAttribute2",
	"device.extensionAttribute3", "device.extensionAttribute4", "device.extensionAttribute5",
	"device.extensionAttribute6", "device.extensionAttribute7", "device.extensionAttribute8",
	"device.extensionAttribute9", "device.extensionAttribute10", "device.extensionAttribute11",
	"device.extensionAttribute12", "device.extensionAttribute13", "device.extensionAttribute14",
	"device.extensionAttribute15",
}

// members is a set of members.
type members uint64

func (m member) set() members { return 1 << m }

func attributeMember(a DeviceAttribute) members { return (mAttributes + member(a)).set() }

// appendNames appends the names in the order of the sign-in's members.
func (s members) appendNames(list []string) []string {
	for s != 0 {
		list = append(list, memberNames[bits.TrailingZeros64(uint64(s))])
		s &= s - 1
	}
	return list
}

// A bitset is a set of small numbers: policies, groups, locations.
type bitset []uint64

func wordCount(n int) int { return (n + 63) / 64 }

func (b bitset) has(i int) bool { return b[i>>6]&(1<<(i&63)) != 0 }
func (b bitset) add(i int)      { b[i>>6] |= 1 << (i & 63) }
func (b bitset) remove(i int)   { b[i>>6] &^= 1 << (i & 63) }

// fill adds the numbers below n.
func fill(b bitset, n int) {
	for w := range b {
		b[w] = 1<<min(64, n-w<<6) - 1
	}
}

// rows is an arena of bitsets of one length.
type rows struct {
	width int
	bits  []uint64
}

func newRows(count, width int) rows { return rows{width, make([]uint64, count*width)} }

func (r *rows) row(i int) bitset { return r.bits[i*r.width : (i+1)*r.width : (i+1)*r.width] }
