package registration

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gatehouse/internal/audit"
	"gatehouse/internal/sqldb"
	"gatehouse/internal/tenant"
)

// SignInPermissions are those that every sign-in of a delegated connection needs.
func SignInPermissions() []Permission {
	return []Permission{
		{Resource: GraphResource, Name: OpenID, Kind: DelegatedPermission, Why: "to know who signed in"},
		{Resource: GraphResource, Name: Profile, Kind: DelegatedPermission, Why: "to show who signed in"},
		{Resource: GraphResource, Name: OfflineAccess, Kind: DelegatedPermission, Why: "so that nobody has to sign in again every hour"},
	}
}

// permissionName is what can be the value of a scope or an app role: no blanks, and
// nothing that would end a scope parameter or begin another.
var permissionName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,119}$`)

// tidyPermissions checks permissions, fills in names, takes doubles away, and adds
// openid and profile, without which no sign-in says whose it is. offline_access is
// part of [SignInPermissions], and can be left out of an app that is no delegated
// connection's.
func tidyPermissions(in []Permission) ([]Permission, error) {
	var f Faults
	if len(in) > maxPermissions {
		return nil, tenant.Fault("permissions", "has more than 300 entries", "ask for less")
	}
	var out []Permission
	for _, p := range append(slices.Clone(in), SignInPermissions()[:2]...) {
		p.Resource, p.Name, p.Kind, p.Why = ResourceOf(p.Resource), strings.TrimSpace(p.Name), strings.ToLower(strings.TrimSpace(p.Kind)), strings.TrimSpace(p.Why)
		p.ResourceName = resourceName(p.Resource)
		switch {
		case !tenant.GUID(p.Resource):
			f.Add("permissions", fmt.Sprintf("names the resource %.60q", p.Resource), "use graph, sharepoint, exchange, business_central, or the app id of the API")
		case p.Kind != DelegatedPermission && p.Kind != ApplicationPermission:
			f.Add("permissions", fmt.Sprintf("has %.40q with the kind %.40q", p.Name, p.Kind), "use delegated or application")
		case !permissionName.MatchString(p.Name):
			f.Add("permissions", fmt.Sprintf("has the name %.60q", p.Name), "write it as in the Microsoft Entra admin centre: User.Read")
		}
		f.Text("permissions", p.Why, 500)
		if !slices.ContainsFunc(out, p.same) {
			out = append(out, p)
		}
	}
	order(out)
	return out, f.Err()
}

// ManifestRequest is a new manifest in place of the one that had a version.
type ManifestRequest struct {
	Permissions []Permission
	Reason      string
	Version     int // of the one that it replaces
}

// SetManifest keeps a new version of what a registration asks for, and gives what
// was added and removed. Where nothing was, and no reason for a permission is another,
// there is no new version. [ErrConflict] if somebody else made one meanwhile.
func (s *Service) SetManifest(ctx context.Context, id string, in ManifestRequest) (Manifest, Diff, error) {
	permissions, err := tidyPermissions(in.Permissions)
	if err != nil {
		return Manifest{}, Diff{}, err
	}
	var f Faults
	f.Text("reason", in.Reason, 500)
	if err := f.Err(); err != nil {
		return Manifest{}, Diff{}, err
	}
	actor, _ := audit.From(ctx)
	var out Manifest
	var diff Diff
	err = s.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		r, err := find(ctx, tx, id)
		if err != nil {
			return err
		}
		var last manifestRow
		if err := tx.NewSelect().Model(&last).Where("m.registration_id = ?", id).OrderExpr("m.version DESC").Limit(1).Scan(ctx); err != nil {
			return fmt.Errorf("reading a manifest: %w", err)
		}
		old, err := last.manifest()
		if err != nil {
			return err
		}
		out = Manifest{Version: old.Version + 1, Permissions: permissions, Reason: strings.TrimSpace(in.Reason), By: actor.Name, At: s.time()}
		diff = out.Since(old)
		if err := s.Audit.Act(ctx, tx, r.entry("registration.manifest_changed", map[string]any{"version": out.Version, "added": names(diff.Added), "removed": names(diff.Removed)})); err != nil {
			return err
		}
		if old.Version != in.Version {
			return ErrConflict
		}
		if diff.Empty() && slices.Equal(old.Permissions, permissions) {
			out = old
			return nil
		}
		m := &manifestRow{RegistrationID: id, Version: out.Version, Permissions: encode(permissions), Reason: out.Reason, MadeBy: out.By, MadeAt: out.At}
		if _, err := tx.NewInsert().Model(m).Exec(ctx); err != nil {
			if sqldb.Duplicate(err) {
				return ErrConflict
			}
			return fmt.Errorf("keeping a manifest: %w", err)
		}
		if !diff.Empty() {
			if err := s.changed(ctx, tx, Change{id, ChangedManifest, strconv.Itoa(old.Version), strconv.Itoa(out.Version)}); err != nil {
				return err
			}
		}
		return s.announce(ctx, tx, id, "manifest")
	})
	return out, diff, err
}

// names are permissions in short.
func names(all []Permission) []string {
	out := []string{}
	for _, p := range all {
		api := p.ResourceName
		if api == "" {
			api = p.Resource
		}
		out = append(out, api+" "+p.Name+" ("+p.Kind+")")
	}
	return out
}
