package graphsim

import (
	"slices"
	"strings"

	"gatehouse/lab/internal/directory"
)

// classificationType: resource type delegatedPermissionClassification.
var classificationType = newEntity("delegatedPermissionClassification",
	prop("id", func(_ *request, c *directory.Classification) any { return c.ID }),
	prop("classification", func(_ *request, c *directory.Classification) any { return c.Class }),
	prop("permissionId", func(_ *request, c *directory.Classification) any { return c.PermissionID }),
	prop("permissionName", func(_ *request, c *directory.Classification) any { return c.Name }),
)

func classificationSet(p *directory.Principal) string {
	return "servicePrincipals('" + p.ID + "')/delegatedPermissionClassifications"
}

func (r *request) classified(p *directory.Principal) []item {
	var all []item
	for _, c := range r.tenant.Classifications {
		if c.Principal == p.ID {
			all = append(all, item{classificationType, c})
		}
	}
	return all
}

func listClassifications(r *request, p *directory.Principal) (*answer, error) {
	all := r.classified(p)
	if len(r.segments) == 4 {
		for _, it := range all {
			if r.idOf(it) == r.segments[3] {
				return r.single(classificationSet(p), it)
			}
		}
		return nil, notFound(r.segments[3])
	}
	return r.list(listing{set: classificationSet(p), types: []*entity{classificationType}}, all)
}

func addClassification(r *request, p *directory.Principal) (*answer, error) {
	var id, name, class string
	if _, err := r.decode(map[string]any{"permissionId": &id, "permissionName": &name, "classification": &class}); err != nil {
		return nil, err
	}
	api := r.resourceOf(p.ClientID)
	found, known := api.Scope(strings.ToLower(id))
	if !known {
		found, known = api.Scope(name)
	}
	switch {
	case !slices.Contains([]string{"low", "medium", "high"}, class):
		return nil, badBody("classification must be low, medium or high.")
	case !known || id != "" && !strings.EqualFold(found.ID, id) || name != "" && found.Value != name:
		return nil, badBody("permissionId and permissionName must be a delegated permission of this resource.")
	case slices.ContainsFunc(r.tenant.Classifications, func(c *directory.Classification) bool { return c.Principal == p.ID && c.PermissionID == found.ID }):
		return nil, conflict("The permission has a classification already.")
	}
	c := &directory.Classification{ID: opaque("classification", r.tenant.ID, p.ID, found.ID)[:22], Principal: p.ID, PermissionID: found.ID, Name: found.Value, Class: class}
	r.tenant.Classifications = append(slices.Clone(r.tenant.Classifications), c)
	r.adds(core("Add delegated permission classification", policyCategory), item{classificationType, c})
	return r.created(classificationSet(p), item{classificationType, c})
}

func removeClassification(r *request, p *directory.Principal) (*answer, error) {
	i := slices.IndexFunc(r.tenant.Classifications, func(c *directory.Classification) bool { return c.Principal == p.ID && c.ID == r.vars[1] })
	if i < 0 {
		return nil, notFound(r.vars[1])
	}
	r.deletes(core("Delete delegated permission classification", policyCategory), item{classificationType, r.tenant.Classifications[i]})
	r.tenant.Classifications = slices.Delete(slices.Clone(r.tenant.Classifications), i, i+1)
	return noContent(), nil
}
