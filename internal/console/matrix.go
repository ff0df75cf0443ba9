package console

import (
	"cmp"
	"slices"

	"gatehouse/internal/connection"
	"gatehouse/internal/tenant"
)

// matrixRow is one tenant with a cell for each service.
type matrixRow struct {
	ID, Name string
	Cells    []matrixCell
	worst    int // rank of the worst cell
}

type matrixCell struct {
	state
	Service string
	Count   int
	Href    string
}

// rank orders states by how much they want to be seen.
func rank(s state) int { return slices.Index([]string{"", good, none, warn, bad}, s.Tone) }

// matrix puts the worst state of each service of each tenant into a cell. The
// tenants in which all is well come apart, to be folded; of the others the worst
// come first.
func matrix(tenants []tenant.Tenant, all []connection.Connection) (wrong, well []matrixRow) {
	byTenant := map[string][]connection.Connection{}
	for _, c := range all {
		byTenant[c.TenantID] = append(byTenant[c.TenantID], c)
	}
	used := usedServices(all)
	for _, t := range tenants {
		row := matrixRow{ID: t.ID, Name: t.Name}
		for _, s := range used {
			cell := matrixCell{Service: s.Words}
			for _, c := range byTenant[t.ID] {
				if !has(c.Services, s.Name) {
					continue
				}
				cell.Count++
				if state := stateOf(c); rank(state) > rank(cell.state) {
					cell.state, cell.Href = state, "/connections/"+c.ID
				}
			}
			if cell.Count > 1 {
				cell.Href = "/connections?tenant=" + t.ID
			}
			row.worst = max(row.worst, rank(cell.state))
			row.Cells = append(row.Cells, cell)
		}
		if row.worst == rank(state{Tone: good}) {
			well = append(well, row)
		} else {
			wrong = append(wrong, row)
		}
	}
	slices.SortStableFunc(wrong, func(a, b matrixRow) int { return cmp.Compare(b.worst, a.worst) })
	return wrong, well
}

// usedServices are the columns of the matrix: services that some connection is
// for, and Microsoft Graph while there is none.
func usedServices(all []connection.Connection) []service {
	used := slices.DeleteFunc(slices.Clone(services), func(s service) bool {
		return !slices.ContainsFunc(all, func(c connection.Connection) bool { return has(c.Services, s.Name) })
	})
	if len(used) == 0 {
		return services[:1]
	}
	return used
}
