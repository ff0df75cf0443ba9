package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"gatehouse/client"
	"gatehouse/internal/audit"
	"gatehouse/internal/search"
)

func (f *face) searches(h huma.API) {
	add(f, h, route{access: needs(audit.TenantView), method: http.MethodPost, path: "/search", id: "search", tag: "Server", summary: "Look a text up in everything",
		long: "A name, or an error message pasted whole, which is why it is no part of the address. What comes out is only what the caller may see."}, f.search)
}

func (f *face) search(ctx context.Context, in *body[client.SearchRequest]) (*body[client.SearchAnswer], error) {
	found, err := f.Search.Look(ctx, in.Body.Text)
	if err != nil {
		return nil, err
	}
	out := client.SearchAnswer{Groups: []client.SearchGroup{}}
	for _, g := range found.Groups {
		group := client.SearchGroup{Kind: g.Kind, Hits: []client.SearchHit{}, More: g.More}
		for _, hit := range g.Hits {
			group.Hits = append(group.Hits, searchHit(hit))
		}
		out.Groups = append(out.Groups, group)
	}
	if found.Diagnosis != nil {
		out.Diagnosis = diagnosisOf(*found.Diagnosis)
	}
	return with(out), nil
}

func searchHit(h search.Hit) client.SearchHit {
	return client.SearchHit{ID: h.ID, Name: h.Name, Note: h.Note, Path: h.Path, TenantID: h.TenantID, At: h.At}
}
