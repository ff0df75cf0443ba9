package api

import (
	"context"
	"math"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"gatehouse/client"
	"gatehouse/internal/audit"
	"gatehouse/internal/batch"
	"gatehouse/internal/connection"
)

func (f *face) batches(h huma.API) {
	const tag = "Batches"
	view, act := needs(audit.ConnectionView), needs(audit.ConnectionValidate)
	add(f, h, route{access: act, method: http.MethodPost, path: "/batches/preview", id: "preview-batch", tag: tag, summary: "Say what a batch would do",
		long: "Nothing is done. What comes out is how many connections it would be done to, and how many belong to tenants in which the caller may not do it."}, f.previewBatch)
	add(f, h, route{access: act, method: http.MethodPost, path: "/batches", id: "start-batch", tag: tag, summary: "Do something to many connections",
		long: "To the connections that are named, or else to all that the filter lets through: validate them (a sweep: each password is tried once, Microsoft's limits for each tenant are kept), add or remove a tag, " +
			"set schedule or consumer, remove them. Each connection is authorised by itself; those of tenants in which the caller may not do this are refused, and the others done. " +
			"What is done goes on in the background; the topic `batch/{id}` tells of it."}, f.startBatch)
	add(f, h, route{access: view, method: http.MethodGet, path: "/batches", id: "list-batches", tag: tag, summary: "List batches, newest first"}, f.listBatches)
	add(f, h, route{access: view, method: http.MethodGet, path: "/batches/{id}", id: "get-batch", tag: tag, summary: "Get a batch with how far it is"}, f.getBatch)
	add(f, h, route{access: view, method: http.MethodGet, path: "/batches/{id}/items", id: "list-batch-items", tag: tag, summary: "List the connections of a batch with what became of them"}, f.listBatchItems)
	add(f, h, route{access: act, method: http.MethodPost, path: "/batches/{id}/cancel", id: "cancel-batch", tag: tag, summary: "Call a batch off",
		long: "What is being done is finished, the rest is not begun. What was done stays."}, f.cancelBatch)
}

func filterOf(s client.ConnectionSearch) connection.Filter {
	return connection.Filter{TenantID: s.TenantID, Verdict: s.Verdict, Kind: connection.Kind(s.Kind), Tag: s.Tag, Service: s.Service, Parked: s.Parked, Search: s.Search}
}

func searchOf(f connection.Filter) client.ConnectionSearch {
	return client.ConnectionSearch{TenantID: f.TenantID, Verdict: f.Verdict, Kind: string(f.Kind), Tag: f.Tag, Service: f.Service, Parked: f.Parked, Search: f.Search}
}

func wanted(r client.BatchRequest) (batch.Wanted, error) {
	w := batch.Wanted{Action: r.Action, Value: r.Value, IDs: r.IDs, Saved: r.Saved, Confirm: r.Confirm}
	given := 0
	for _, set := range []bool{len(r.IDs) > 0, r.Filter != nil, r.Saved != ""} {
		if set {
			given++
		}
	}
	if given != 1 {
		return w, invalid(client.Fault{Field: "filter", Problem: "must be given, or else ids or saved, one of the three", Way: "{} lets all connections through"})
	}
	if r.Filter != nil {
		w.Filter = filterOf(*r.Filter)
	}
	return w, nil
}

func (f *face) previewBatch(ctx context.Context, in *body[client.BatchRequest]) (*body[client.BatchPreview], error) {
	w, err := wanted(in.Body)
	if err != nil {
		return nil, err
	}
	p, err := f.Batches.Look(ctx, w)
	if err != nil {
		return nil, err
	}
	return with(client.BatchPreview{Words: p.Request.Words, Total: p.Total, Refused: p.Refused, RefusedNames: orEmpty(p.RefusedNames), Confirm: p.Confirm}), nil
}

func (f *face) startBatch(ctx context.Context, in *body[client.BatchRequest]) (*body[client.Batch], error) {
	w, err := wanted(in.Body)
	if err != nil {
		return nil, err
	}
	return f.oneBatch(f.Batches.Begin(ctx, w))
}

func (f *face) batchOf(b batch.Batch) client.Batch {
	now := f.Now()
	return client.Batch{
		ID: b.ID, Action: b.Kind, Words: b.Words, RequestedBy: b.RequestedBy, TenantID: b.TenantID, State: b.State, CreatedAt: b.CreatedAt, EndedAt: b.EndedAt,
		Total: b.Total, Done: b.Done, Outcomes: b.Outcomes, PerSecond: math.Round(b.Rate(now)*10) / 10, SecondsLeft: int(b.Left(now).Seconds()),
	}
}

func (f *face) oneBatch(b batch.Batch, err error) (*body[client.Batch], error) {
	if err != nil {
		return nil, err
	}
	return with(f.batchOf(b)), nil
}

func (f *face) listBatches(ctx context.Context, in *Paging) (*body[client.List[client.Batch]], error) {
	all, next, err := f.Batches.List(ctx, connection.Page{After: in.After, Limit: in.Limit})
	if err != nil {
		return nil, err
	}
	return list(all, next, f.batchOf), nil
}

func (f *face) getBatch(ctx context.Context, in *ByID) (*body[client.Batch], error) {
	return f.oneBatch(f.Batches.Get(ctx, in.ID))
}

func (f *face) cancelBatch(ctx context.Context, in *ByID) (*body[client.Batch], error) {
	return f.oneBatch(f.Batches.Cancel(ctx, in.ID))
}

type batchItems struct {
	ByID
	Paging
	Outcome string `query:"outcome" maxLength:"40"`
}

func (f *face) listBatchItems(ctx context.Context, in *batchItems) (*body[client.List[client.BatchItem]], error) {
	all, next, err := f.Batches.Items(ctx, in.ID, in.Outcome, connection.Page{After: in.After, Limit: in.Limit})
	if err != nil {
		return nil, err
	}
	return list(all, next, func(i batch.Item) client.BatchItem {
		return client.BatchItem{Seq: i.Seq, TenantID: i.TenantID, ConnectionID: i.ObjectID, Name: i.Name, Outcome: i.Outcome, Note: i.Note}
	}), nil
}
