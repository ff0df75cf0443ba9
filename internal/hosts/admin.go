package hosts

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/connection"
	"gatehouse/internal/microsoft/sharepoint"
	"gatehouse/internal/tenant"
)

// CheckAdmin asks the admin centre at an address that somebody entered whose it
// is, for features that have authorised on an object of the tenant. It is
// refused, as a [tenant.FieldError], if it is none of this cloud's, does not
// exist or is another tenant's; what it does not say is unknown.
func (s *Service) CheckAdmin(ctx context.Context, tenantID, address string) (connection.AdminProbe, error) {
	probe := connection.AdminProbe{URL: address, State: connection.AdminUnknown, At: s.Now().UTC().Truncate(time.Second)}
	if s.Cloud.SharePoint == "" {
		probe.Reason = errNoCloud.Error()
		return probe, nil
	}
	name, err := sharepoint.AdminName(s.Cloud, address)
	var wrong *sharepoint.NotHere
	if errors.As(err, &wrong) {
		return probe, tenant.Fault("admin_url", wrong.Problem, wrong.Way)
	}
	if err != nil {
		return probe, err
	}
	own, err := s.Tenants.Get(ctx, tenantID)
	if err != nil {
		return probe, err
	}
	probe.URL = sharepoint.AdminURL(s.Cloud, name)
	answer, err := sharepoint.Ask(ctx, s.web(own.DirectoryID), name+"-admin")
	probe.Tenant = answer.Tenant
	switch {
	case err != nil:
		probe.Reason = "it was not reached: " + err.Error()
	case answer.Moved != "":
		return probe, tenant.Fault("admin_url", "leads on to another address since the tenant was renamed", "enter "+sharepoint.AdminURL(s.Cloud, strings.TrimSuffix(answer.Moved, "-admin")))
	case answer.None:
		return probe, tenant.Fault("admin_url", "is of a host that does not exist", "check the name, or leave it empty for the default")
	case answer.Tenant == own.DirectoryID:
		probe.State = connection.AdminOwn
	case answer.Tenant != "":
		return probe, tenant.Fault("admin_url", fmt.Sprintf("is the admin centre of another tenant, %s, and this connection is of %s (%s)", s.nameOf(ctx, answer.Tenant), own.Name, own.DirectoryID), "enter this tenant's own, or leave it empty for the default")
	default:
		probe.Reason = fmt.Sprintf("it answers %d and does not say whose it is", answer.Status)
	}
	return probe, nil
}

// nameOf names a directory by its id, with the name that it has here where the
// person may see that.
func (s *Service) nameOf(ctx context.Context, directory string) string {
	scope, err := audit.Tenants(ctx, audit.TenantView)
	if err != nil {
		return directory
	}
	all, _, err := s.Tenants.List(ctx, tenant.Filter{Search: directory}, tenant.Page{Limit: 2})
	if err != nil || len(all) != 1 || all[0].DirectoryID != directory || !scope.Has(all[0].ID) {
		return directory
	}
	return all[0].Name + " (" + directory + ")"
}
