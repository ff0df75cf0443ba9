package batch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"gatehouse/internal/audit"
	"gatehouse/internal/connection"
	"gatehouse/internal/fault"
	"gatehouse/internal/schedule"
	"gatehouse/internal/tenant"
	"gatehouse/internal/validation"
)

// What can be done to many connections.
const (
	Validate    = "validate"
	AddTag      = "add_tag"
	RemoveTag   = "remove_tag"
	SetSchedule = "set_schedule"
	SetConsumer = "set_consumer"
	Remove      = "remove"
)

// Particulars are the request of the kinds of this package.
type Particulars struct {
	// Value is the tag, the schedule, or the name of the consumer.
	Value string `json:"value,omitempty"`
}

// Read checks what somebody wants done and gives it with its words.
func Read(kind, value string) (Particulars, string, error) {
	switch kind {
	case Validate:
		return Particulars{}, "Validate connections", nil
	case Remove:
		return Particulars{}, "Remove connections", nil
	case AddTag, RemoveTag:
		tag, err := connection.Tag("value", value)
		words := "Add the tag " + tag
		if kind == RemoveTag {
			words = "Remove the tag " + tag
		}
		return Particulars{tag}, words, err
	case SetSchedule:
		s, err := schedule.Parse("value", value)
		words := "Set the schedule " + s.String()
		if s.None() {
			words = "Use the tenant's schedule"
		}
		return Particulars{s.String()}, words, err
	case SetConsumer:
		var wrong fault.List
		wrong.Text("value", value, 200)
		return Particulars{value}, fmt.Sprintf("Name the consumer %q", value), wrong.Err()
	}
	return Particulars{}, "", fault.Of("action", "is not known", "use validate, add_tag, remove_tag, set_schedule, set_consumer or remove")
}

// Targets are items for connections.
func Targets(all []connection.Target) []Item {
	items := make([]Item, len(all))
	for i, t := range all {
		items[i] = Item{TenantID: t.TenantID, ObjectID: t.ID, Name: t.Name}
	}
	return items
}

// validateTogether is how many connections of one tenant are validated at once.
const validateTogether = 4

func (s *Service) ofConnections() []Kind {
	change := func(name string, do func(ctx context.Context, id, value string) (bool, error)) Kind {
		return Kind{Name: name, Permission: audit.ConnectionManage, Begin: func(request json.RawMessage, _ string) (func(context.Context, Item) (string, string, error), error) {
			var p Particulars
			if err := json.Unmarshal(request, &p); err != nil {
				return nil, fmt.Errorf("reading what a batch does: %w", err)
			}
			return func(ctx context.Context, i Item) (string, string, error) {
				changed, err := do(ctx, i.ObjectID, p.Value)
				if errors.Is(err, connection.ErrMissing) {
					return Skipped, err.Error(), nil
				}
				if err == nil && !changed {
					return Unchanged, "", nil
				}
				return Changed, "", err
			}, nil
		}}
	}
	return []Kind{
		{Name: Validate, Permission: audit.ConnectionValidate, Together: validateTogether, Begin: s.validate},
		change(AddTag, s.Connections.AddTag), change(RemoveTag, s.Connections.RemoveTag),
		change(SetSchedule, s.Connections.SetSchedule), change(SetConsumer, s.Connections.SetConsumer),
		change(Remove, func(ctx context.Context, id, _ string) (bool, error) { return true, s.Connections.Remove(ctx, id) }),
	}
}

// validate is a sweep: what the connections of a tenant have in common is asked for
// once.
func (s *Service) validate(_ json.RawMessage, by string) (func(context.Context, Item) (string, string, error), error) {
	shared := &validation.Shared{}
	return func(ctx context.Context, i Item) (string, string, error) {
		run, err := s.Runs.Within(ctx, shared, i.ObjectID, by)
		var parked *connection.ParkedError
		switch {
		case errors.As(err, &parked), errors.Is(err, tenant.ErrPaused), errors.Is(err, validation.ErrOpen), errors.Is(err, connection.ErrMissing):
			return Skipped, err.Error(), nil
		case err != nil:
			return "", "", err
		case run.Result == nil:
			return string(validation.Unknown), run.Reason, nil
		}
		note := ""
		if d := run.Result.Diagnosis; d != nil {
			note = d.Title
		}
		return string(run.Result.Verdict), note, nil
	}, nil
}
