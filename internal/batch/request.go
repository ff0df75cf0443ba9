package batch

import (
	"context"
	"fmt"

	"gatehouse/internal/connection"
	"gatehouse/internal/fault"
)

// Wanted is something to be done to connections: those that are named, or else
// those that a filter lets through.
type Wanted struct {
	Action string
	Value  string
	IDs    []string
	Filter connection.Filter
	Saved  string // id or name of a saved filter, instead of Filter
	// Confirm repeats [Plan.Confirm] for what cannot be undone.
	Confirm string
}

// Plan is what is wanted, looked up.
type Plan struct {
	Preview
	Request Request
	// Confirm is what has to be repeated; "" for nothing.
	Confirm string
}

// Look finds out what a wish comes to, and changes nothing. A tenant that the
// filter names has to be one in which the actor may do this.
func (s *Service) Look(ctx context.Context, w Wanted) (Plan, error) {
	particulars, words, err := Read(w.Action, w.Value)
	if err != nil {
		return Plan{}, err
	}
	targets, err := s.chosen(ctx, w)
	if err != nil {
		return Plan{}, err
	}
	p := Plan{Request: Request{Kind: w.Action, Words: words, Request: particulars, Items: Targets(targets)}}
	if p.Preview, err = s.Preview(ctx, w.Action, p.Request.Items); err != nil {
		return Plan{}, err
	}
	if w.Action == Remove {
		p.Confirm = fmt.Sprintf("remove %d", p.Total)
	}
	return p, nil
}

func (s *Service) chosen(ctx context.Context, w Wanted) ([]connection.Target, error) {
	if len(w.IDs) > 0 {
		return s.Connections.Chosen(ctx, w.IDs)
	}
	f := w.Filter
	if w.Saved != "" {
		saved, err := s.Connections.SavedFilter(ctx, w.Saved)
		if err != nil {
			return nil, err
		}
		f = saved.Filter
	}
	if f.TenantID != "" {
		if err := s.Audit.Allow(ctx, f.TenantID, s.kinds[w.Action].Permission); err != nil {
			return nil, err
		}
	}
	return s.Connections.Select(ctx, f, Most)
}

// Begin does what is wanted.
func (s *Service) Begin(ctx context.Context, w Wanted) (Batch, error) {
	p, err := s.Look(ctx, w)
	if err != nil {
		return Batch{}, err
	}
	if p.Total > 0 && w.Confirm != p.Confirm && p.Confirm != "" {
		return Batch{}, fault.Of("confirm", "is not what has to be repeated", fmt.Sprintf("this cannot be undone: repeat %q", p.Confirm))
	}
	return s.Start(ctx, p.Request)
}
