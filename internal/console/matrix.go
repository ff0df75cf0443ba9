package console

import (
	"slices"

	"gatehouse/internal/connection"
)

// matrix is tenants by services; Total counts those that are not shown too.
type matrix struct {
	Rows  []matrixRow
	Total int
}

// matrixRow is one tenant with a cell for each service.
type matrixRow struct {
	ID, Name string
	Cells    []matrixCell
}

type matrixCell struct {
	state
	Service string
	Count   int
	Href    string
}

// rank orders states by how much they want to be seen.
func rank(s state) int { return slices.Index([]string{"", good, none, warn, bad}, s.Tone) }

// matrixOf shows the worst state of each service of some tenants.
func matrixOf(tenants []connection.TenantRow, total int, used []service) matrix {
	out := matrix{Total: total}
	for _, t := range tenants {
		row := matrixRow{ID: t.ID, Name: t.Name}
		for _, s := range used {
			cell := matrixCell{Service: s.Words}
			if i := slices.IndexFunc(t.Cells, func(c connection.Cell) bool { return c.Service == s.Name }); i >= 0 && t.Cells[i].Count > 0 {
				of := t.Cells[i]
				cell.Count, cell.state = of.Count, stateOf(connection.Connection{Verdict: of.Verdict, Parked: of.Parked})
				cell.Href = "/connections/" + of.ConnectionID
				if of.Count > 1 {
					cell.Href = "/connections?tenant=" + t.ID
				}
			}
			row.Cells = append(row.Cells, cell)
		}
		out.Rows = append(out.Rows, row)
	}
	return out
}

// usedServices are the columns of the matrix: services that some connection is
// for, and Microsoft Graph while there is none.
func usedServices(lists ...[]connection.TenantRow) []service {
	used := slices.DeleteFunc(slices.Clone(services), func(s service) bool {
		return !slices.ContainsFunc(slices.Concat(lists...), func(t connection.TenantRow) bool {
			return slices.ContainsFunc(t.Cells, func(c connection.Cell) bool { return c.Service == s.Name && c.Count > 0 })
		})
	})
	if len(used) == 0 {
		return services[:1]
	}
	return used
}
