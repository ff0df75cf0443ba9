package directory

// Permissions of Graph that its routes on risk, privileged roles, approval,
// domains, sites and methods ask for.
func init() {
	graph := ResourceByID(GraphID)
	names := []string{
		"IdentityRiskyUser.Read.All", "IdentityRiskyUser.ReadWrite.All", "Policy.ReadWrite.AuthenticationFlows", "ConsentRequest.Read.All", "ConsentRequest.ReadWrite.All",
		"RoleEligibilitySchedule.Read.Directory", "RoleEligibilitySchedule.ReadWrite.Directory", "RoleAssignmentSchedule.Read.Directory", "RoleAssignmentSchedule.ReadWrite.Directory",
		"Domain.Read.All", "Domain.ReadWrite.All", "Policy.Read.PermissionGrant", "SharePointTenantSettings.Read.All", "SharePointTenantSettings.ReadWrite.All",
		"Sites.Read.All", "Sites.ReadWrite.All", "Sites.FullControl.All",
	}
	for _, name := range names {
		if _, known := graph.Role(name); !known {
			graph.Roles = append(graph.Roles, perm("graph", name))
		}
		if _, known := graph.Scope(name); !known {
			graph.Scopes = append(graph.Scopes, admin("graph-d", name))
		}
	}
}
