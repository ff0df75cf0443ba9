package directory

// Permissions of Graph that its policy and consent routes ask for.
func init() {
	graph := ResourceByID(GraphID)
	names := []string{
		"AuthenticationContext.Read.All", "AuthenticationContext.ReadWrite.All", "Agreement.Read.All", "Agreement.ReadWrite.All", "Policy.ReadWrite.PermissionGrant",
		"Policy.Read.ConditionalAccess", "User.DeleteRestore.All", "User-Phone.ReadWrite.All", "Group.Create",
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
