package graphsim

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"gatehouse/lab/internal/directory"
)

// groupType: resource type group. The lab's groups are security groups with
// assigned members.
var groupType = newEntity("group",
	prop("id", func(_ *request, g *directory.Group) any { return g.ID }),
	null("deletedDateTime", "classification", "expirationDateTime", "mail", "membershipRule", "membershipRuleProcessingState",
		"onPremisesDomainName", "onPremisesLastSyncDateTime", "onPremisesNetBiosName", "onPremisesSamAccountName", "onPremisesSecurityIdentifier",
		"onPremisesSyncEnabled", "preferredDataLocation", "preferredLanguage", "theme", "uniqueName", "visibility", "isManagementRestricted"),
	prop("createdDateTime", func(_ *request, g *directory.Group) any { return when(g.Created) }),
	prop("renewedDateTime", func(_ *request, g *directory.Group) any { return when(g.Created) }),
	prop("displayName", func(_ *request, g *directory.Group) any { return g.Name }),
	prop("description", func(_ *request, g *directory.Group) any { return text(g.Description) }),
	prop("mailNickname", func(_ *request, g *directory.Group) any {
		if g.MailNickname != "" {
			return g.MailNickname
		}
		return nickname(g.Name)
	}),
	prop("isAssignableToRole", func(_ *request, g *directory.Group) any { return onlyTrue(g.RoleAssignable) }),
	constant(false, "mailEnabled"),
	constant(true, "securityEnabled"),
	prop("securityIdentifier", func(_ *request, g *directory.Group) any { return securityIdentifier(g.ID) }),
	none("creationOptions", "groupTypes", "proxyAddresses", "resourceBehaviorOptions", "resourceProvisioningOptions", "onPremisesProvisioningErrors", "serviceProvisioningErrors"),
	// Deprecated, still in answers of the casts.
	prop("organizationId", func(r *request, _ *directory.Group) any { return r.tenant.ID }),
	none("assignedLicenses", "assignedLabels", "infoCatalogs").ask(),
	null("licenseProcessingState", "accessType", "onPremisesExtensionAttributes").seldom().plain(),
	constant(false, "hasMembersWithLicenseErrors").seldom(),
	null("cloudLicensing", "createdByAppId", "onPremisesObjectIdentifier", "writebackConfiguration").inBeta().plain(),
	null("membershipRuleProcessingStatus").seldom().inBeta().plain(),
	// Kept in Exchange; only by $select on a single group.
	null("allowExternalSenders", "autoSubscribeNewMembers", "hideFromAddressLists", "hideFromOutlookClients", "isArchived", "isFavorite", "isSubscribedByMail",
		"unseenConversationsCount", "unseenCount", "unseenMessagesCount", "welcomeMessageEnabled").seldom().plain(),
).ofDirectory()

func itoa(i int) string { return strconv.Itoa(i) }

// opaque makes an id in the form that Graph uses where it is no GUID.
func opaque(names ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(names, "\x00")))
	return base64.RawURLEncoding.EncodeToString(sum[:32])
}

// securityIdentifier is the SID that Entra makes from an object id: S-1-12-1
// and the GUID's four words.
func securityIdentifier(id string) string {
	var raw []byte
	for i, part := range strings.Split(id, "-") {
		n, _ := strconv.ParseUint(part, 16, 64)
		switch i {
		case 0:
			raw = binary.LittleEndian.AppendUint32(raw, uint32(n))
		case 1, 2:
			raw = binary.LittleEndian.AppendUint16(raw, uint16(n))
		case 3:
			raw = binary.BigEndian.AppendUint16(raw, uint16(n))
		case 4:
			raw = append(raw, binary.BigEndian.AppendUint64(nil, n)[2:]...)
		}
	}
	if len(raw) != 16 {
		return ""
	}
	return fmt.Sprintf("S-1-12-1-%d-%d-%d-%d", binary.LittleEndian.Uint32(raw), binary.LittleEndian.Uint32(raw[4:]), binary.LittleEndian.Uint32(raw[8:]), binary.LittleEndian.Uint32(raw[12:]))
}

func lastSync(r *request) time.Time { return r.now.Truncate(30 * time.Minute) }

// object finds a user, group or service principal by id.
//
//go:noinline
func (r *request) object(id string) (item, bool) {
	t := r.tenant
	if u := t.User(id); u != nil && strings.EqualFold(u.ID, id) {
		return item{userType, u}, true
	}
	if g := t.Group(id); g != nil {
		return item{groupType, g}, true
	}
	if p := t.Principal(id); p != nil && strings.EqualFold(p.ID, id) {
		return item{servicePrincipalType, p}, true
	}
	return item{}, false
}

// membersOf gives the members of a group, with those of its groups if deep.
func (r *request) membersOf(g *directory.Group, deep bool) []item {
	var out []item
	seen := map[string]bool{g.ID: true}
	for queue := slices.Clone(g.Members); len(queue) > 0; queue = queue[1:] {
		it, found := r.object(queue[0])
		if !found || seen[r.idOf(it)] {
			continue
		}
		seen[r.idOf(it)] = true
		out = append(out, it)
		if inner, isGroup := it.value.(*directory.Group); isGroup && deep {
			queue = append(queue, inner.Members...)
		}
	}
	return out
}

// memberOf gives the groups and directory roles that an object is in.
func (r *request) memberOf(id string, roles []string, deep bool) []item {
	var out []item
	groups := r.tenant.GroupsOf(id)
	for _, g := range r.tenant.Groups {
		if slices.Contains(g.Members, id) || deep && slices.Contains(groups, g.ID) {
			out = append(out, item{groupType, g})
		}
	}
	if deep {
		roles = r.tenant.RolesOf(id)
	}
	for _, role := range roles {
		out = append(out, item{directoryRoleType, roleOf(role)})
	}
	return out
}

// cast keeps the objects of one type: …/microsoft.graph.group.
func (r *request) cast(name string, l listing, all []item) (listing, []item, error) {
	kind, found := strings.CutPrefix(strings.ToLower(name), "microsoft.graph.")
	if !found {
		return l, nil, badRequest("Nothing is known under the segment '%s'.", clip(name))
	}
	for _, e := range l.types {
		if strings.EqualFold(e.name, kind) {
			l.types, l.mixed, l.set = []*entity{e}, false, e.name+"s"
			return l, slices.DeleteFunc(slices.Clone(all), func(it item) bool { return it.typ != e }), nil
		}
	}
	return l, nil, badRequest("The type '%s' cannot stand here.", clip(name))
}
